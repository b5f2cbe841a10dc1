# SPDX-License-Identifier: Apache-2.0
"""What is not valid FHIR in a file or a request: where and what, never the value.

The R4B models of fhir.resources check elements, types and cardinality, but no codes and no rules
between elements. The service itself reads more tolerantly: a fault here need not cost a result.
"""

import json
from collections.abc import Iterator
from typing import Any

from cds_service.errors import RequestError


def faults(data: bytes) -> Iterator[str]:
    """A line for each fault; raises `RequestError` for what is no JSON."""
    from fhir.resources.R4B import get_fhir_model_class  # half a second
    from pydantic import ValidationError

    for place, resource in _resources(data):
        kind = resource.get("resourceType")
        if not isinstance(kind, str):
            yield f"{place}: expected a resource type of FHIR R4"
            continue
        try:
            get_fhir_model_class(kind).model_validate(resource)
        except KeyError:
            yield f"{place}: expected a resource type of FHIR R4"
        except ValidationError as error:
            for fault in error.errors(include_input=False, include_url=False):
                path = ".".join(str(part) for part in fault["loc"])
                yield f"{place}.{path}: {fault['type'].replace('_', ' ')}"


def _resources(data: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each resource of the file with its place; the envelope of a hook request is left out."""
    try:
        whole = json.loads(data)
    except ValueError:
        yield from _lines(data)
        return
    held = whole.get("prefetch") or {} if "hook" in whole else {"$": whole}
    for name, value in held.items() if isinstance(held, dict) else ():
        if not isinstance(value, dict):
            continue
        if value.get("resourceType") != "Bundle":
            yield name, value
            continue
        entries = value.get("entry", [])
        for number, entry in enumerate(entries if isinstance(entries, list) else [entries]):
            if isinstance(entry, dict) and isinstance(entry.get("resource"), dict):
                yield f"{name}.entry[{number}].resource", entry["resource"]


def _lines(data: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(data.splitlines(), start=1):
        if line.strip():
            try:
                value = json.loads(line)
            except ValueError:
                raise RequestError(f"Expected valid JSON in line {number}.") from None
            if isinstance(value, dict):
                yield f"line {number}", value
