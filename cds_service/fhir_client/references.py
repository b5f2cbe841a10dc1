# SPDX-License-Identifier: Apache-2.0
"""Medicines and specimens that are only referred to: which to read, and what a read brought."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, TypeAlias
from urllib.parse import quote

from cds_service.fhir.bundles import Fetched
from cds_service.fhir.references import parts_of, server_of
from cds_service.fhir.resources import (
    Entry,
    MedicationRequest,
    MedicationStatement,
    Observation,
    Resource,
)
from cds_service.fhir_client.client import Found
from cds_service.intake.resource_index import Shelves

ReadKind: TypeAlias = Literal["Medication", "Specimen"]

# In this order, with so many of each; results come newest first, and so do their specimens.
MOST: Final[Mapping[ReadKind, int]] = {"Medication": 50, "Specimen": 20}
# Where what was read is kept: under the first, what is missing is said of medicines.
KEYS: Final[Mapping[ReadKind, str]] = {"Medication": "(medications)", "Specimen": "(specimens)"}


def unresolved(entries: Iterable[Entry], base: str) -> dict[ReadKind, list[str]]:
    """`Type/id` of what is referred to on this server and is not among the entries, by type."""
    listed = list(entries)
    shelves = Shelves(listed)
    names: dict[ReadKind, dict[str, None]] = {kind: {} for kind in MOST}
    for entry in listed:
        resource = entry.resource
        if isinstance(resource, MedicationRequest | MedicationStatement):
            reference = resource.medication_reference
        elif isinstance(resource, Observation):
            reference = resource.specimen
        else:
            continue
        if shelves.referred(reference, resource.contained) is None:
            parts = parts_of((reference.reference if reference else None) or "")
            here = not parts.base or parts.base == server_of(base)
            for kind, found in names.items():
                if parts.kind == kind and parts.id and here:
                    found[f"{kind}/{quote(parts.id, safe='')}"] = None
    return {kind: list(found) for kind, found in names.items()}


def read_of(
    answers: Sequence[tuple[str, Found]], base: str, *, cut: bool
) -> tuple[Fetched, str | None]:
    """What the reads brought, and why it is not all; `cut` says that there were too many."""
    entries: list[Entry] = []
    failure = "too-many-pages" if cut else None
    for name, found in answers:
        resource = found.pages[0].resource if found.pages else None
        if resource is not None and is_named(resource, name):
            entries.append(Entry(full_url=f"{base}/{name}", resource=resource))
        else:
            failure = found.failure or "not-fhir"
    partial = failure is not None
    return Fetched(state="found", entries=tuple(entries), partial=partial), failure


def is_named(resource: Resource, name: str) -> bool:
    """Whether the resource is the one that was asked for, and not whatever the server had."""
    identity = quote(getattr(resource, "id", None) or "", safe="")
    return f"{type(resource).__name__}/{identity}" == name
