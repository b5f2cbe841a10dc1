# SPDX-License-Identifier: Apache-2.0
"""Whether a result was measured in urine, ascites or the like, as its specimen says.

A code or a name can be that of the test in blood although another fluid was measured: a name seldom
says in what, and some laboratories send one code for every fluid.
"""

from collections.abc import Iterator

from cds_service.fhir.deferred import concepts_in
from cds_service.fhir.elements import CodeableConcept, many
from cds_service.fhir.resources import Observation, Specimen
from cds_service.intake.marker_lookup import texts_of
from cds_service.intake.resource_index import ResourceIndex
from cds_service.knowledge.model.pack import Pack


def is_of_another_specimen(observation: Observation, index: ResourceIndex, pack: Pack) -> bool:
    """Whether the type of its specimen, or the text beside the reference, is not of blood alone.

    Words tell, and without them a code of HL7 v2 (tables 0070 and 0487). A specimen that is not
    understood, or has a code of another system alone, counts as blood.
    """
    if observation.specimen is None:
        return False  # as of most
    kinds = tuple(_kinds(observation, index))
    codes = (
        (coding.system, coding.code)
        for kind in kinds
        for coding in many(kind.coding)
        if coding.system and coding.code
    )
    return pack.names.specimens.are_of_another((*_beside(observation), *texts_of(*kinds)), codes)


def _beside(observation: Observation) -> Iterator[str]:
    pointer = observation.specimen
    if pointer is not None and pointer.display:
        yield pointer.display


def _kinds(observation: Observation, index: ResourceIndex) -> Iterator[CodeableConcept]:
    specimen = index.referred(observation.specimen, observation.contained)
    if isinstance(specimen, Specimen):
        yield from concepts_in(specimen.type)
