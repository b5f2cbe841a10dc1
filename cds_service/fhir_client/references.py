# SPDX-License-Identifier: Apache-2.0
"""Medicines and specimens that are only referred to: which to read, and the result of reading."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, TypeAlias
from urllib.parse import quote

from cds_service.fhir.bundles import Fetched
from cds_service.fhir.elements import Reference
from cds_service.fhir.references import parts_of, server_of
from cds_service.fhir.resources import (
    Entry,
    MedicationRequest,
    MedicationStatement,
    Observation,
    Resource,
)
from cds_service.fhir_client.client import QueryResult
from cds_service.fhir_client.failures import QueryFailure
from cds_service.intake.resource_index import ResourceIndex

ReadKind: TypeAlias = Literal["Medication", "Specimen"]

# In this order, with so many of each; results come newest first, and so do their specimens.
MOST: Final[Mapping[ReadKind, int]] = {"Medication": 50, "Specimen": 20}
# The prefetch keys of what was read: under the first, a failure counts as one of medicines.
KEYS: Final[Mapping[ReadKind, str]] = {"Medication": "medications", "Specimen": "specimens"}


def unresolved(entries: Iterable[Entry], base: str) -> dict[ReadKind, list[str]]:
    """`Type/id` of the references to this server that the entries do not contain, by type."""
    listed = list(entries)
    names: dict[ReadKind, dict[str, None]] = {kind: {} for kind in MOST}
    referring = [
        (entry, reference) for entry in listed if (reference := _reference_of(entry.resource))
    ]
    if not referring:  # as in most calls, and to sort the resources takes a while
        return {kind: [] for kind in names}
    index = ResourceIndex(listed)
    for entry, reference in referring:
        contained = getattr(entry.resource, "contained", None)
        if index.referred(reference, contained) is None:
            parts = parts_of(reference.reference or "")
            here = not parts.base or parts.base == server_of(base)
            for kind, of_kind in names.items():
                if parts.kind == kind and parts.id and here:
                    of_kind[f"{kind}/{quote(parts.id, safe='')}"] = None
    return {kind: list(of_kind) for kind, of_kind in names.items()}


def _reference_of(resource: Resource | None) -> Reference | None:
    """What a medicine is of, or a result was measured in, if it is referred to."""
    if isinstance(resource, Observation):
        return resource.specimen
    if isinstance(resource, MedicationRequest | MedicationStatement):
        return resource.medication_reference
    return None


def read_of(
    results: Sequence[tuple[str, QueryResult]], base: str, *, cut: bool
) -> tuple[Fetched, QueryFailure | None]:
    """The resources that were read, and why some are missing; `cut` if there were too many."""
    entries: list[Entry] = []
    failure: QueryFailure | None = "too-many-pages" if cut else None
    for name, result in results:
        resource = result.pages[0].resource if result.pages else None
        if resource is not None and is_named(resource, name):
            entries.append(Entry(full_url=f"{base}/{name}", resource=resource))
        else:
            failure = result.failure or "not-fhir"
    partial = failure is not None
    return Fetched(state="found", entries=tuple(entries), partial=partial), failure


def is_named(resource: Resource, name: str) -> bool:
    """Whether the resource has the requested type and id."""
    identity = quote(getattr(resource, "id", None) or "", safe="")
    return f"{type(resource).__name__}/{identity}" == name
