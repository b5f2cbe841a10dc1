# SPDX-License-Identifier: Apache-2.0
"""A validator of FHIR resources that is soon there."""

from importlib import import_module

from pyrofile_validator import Validator
from pyrofile_validator.core.definitions import _resource_def_from_model


def validator_of(*types: str) -> Validator:
    """A validator that knows these types of resources of R4B already.

    Asked for one that it does not know it imports the models of all types, which takes seconds.
    """
    validator = Validator()
    for name in types:
        model = getattr(import_module(f"fhir.resources.R4B.{name.lower()}"), name)
        validator.resource_definitions[name] = _resource_def_from_model(model)
    return validator
