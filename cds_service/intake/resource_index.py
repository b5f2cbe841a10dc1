# SPDX-License-Identifier: Apache-2.0
"""Resources sorted by type: of several versions of one resource the newest is kept.

Two that only share an id, and two that say different things without a word on which is newer, are
both read: which of two results of one time counts is `labs.same_time`, and the other is named.
"""

from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

from cds_service.fhir.elements import CodeableConcept, Many, Reference, many, plain_code
from cds_service.fhir.references import parts_of
from cds_service.fhir.resources import (
    Condition,
    DiagnosticReport,
    Encounter,
    Entry,
    Medication,
    MedicationRequest,
    MedicationStatement,
    Observation,
    Patient,
    Resource,
    ServiceRequest,
    Specimen,
    inside,
)
from cds_service.iso_times import moment_of

_KEPT: tuple[type, ...] = (
    Observation,
    DiagnosticReport,
    Specimen,
    Patient,
    Medication,
    MedicationRequest,
    MedicationStatement,
    Condition,
    Encounter,
    ServiceRequest,
)
_REFERRED = (Medication, Specimen)

# Which of two versions wins if nothing says which is newer: what was withdrawn stays withdrawn.
_STATUS_RANK = {"entered-in-error": 4, "cancelled": 3, "corrected": 2, "amended": 2, "final": 1}

Kept = TypeVar("Kept")


class ResourceIndex:
    """The resources of one request by type, and what references among them point to."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._shelves: dict[type, dict[Hashable, Entry]] = {kind: {} for kind in _KEPT}
        for entry in entries:
            resource = entry.resource
            shelf = self._shelves.get(type(resource))
            if shelf is None or resource is None:
                continue
            key = _place(entry, shelf)
            there = shelf.get(key)
            if there is None:
                shelf[key] = entry
            elif (newer := _newer(there, entry)) is not None:
                shelf[key] = newer
            else:  # nothing tells which of the two is true, so both are read
                shelf[key, len(shelf)] = entry
        self._named = self._names()
        self._inside: dict[int, tuple[Many[Resource], dict[str, Medication | Specimen]]] = {}

    def entries(self, kind: type[Kept]) -> list[tuple[str | None, Kept]]:
        """The addresses and resources of one type, in the order they came."""
        shelf = self._shelves[kind]
        if not shelf:
            return []
        return [
            (entry.full_url, entry.resource)
            for entry in shelf.values()
            if isinstance(entry.resource, kind)
        ]

    def all_of(self, kind: type[Kept]) -> list[Kept]:
        """The resources of one type, in the order they came."""
        shelf = self._shelves[kind]
        if not shelf:
            return []
        return [entry.resource for entry in shelf.values() if isinstance(entry.resource, kind)]

    def referred(
        self, reference: Reference | None, contained: Many[Resource]
    ) -> Medication | Specimen | None:
        """The Medication or Specimen that is referred to, contained or in the request."""
        text = reference.reference if reference else None
        if not text:
            return None
        if text.startswith("#"):
            inner = self._named_inside(contained)
            return inner.get(text[1:]) or inner.get(text)
        return self._named.get(text) or self._named.get(local_name(text))

    def _named_inside(self, contained: Many[Resource]) -> dict[str, Medication | Specimen]:
        """What a resource contains by id, made once: each of its parts may refer into it."""
        known = self._inside.get(id(contained))
        if known is None:
            named: dict[str, Medication | Specimen] = {}
            for resource in inside(contained):
                if isinstance(resource, _REFERRED) and resource.id:
                    named.setdefault(resource.id, resource)
            # With what is asked about, which keeps its address from being that of another.
            known = self._inside[id(contained)] = contained, named
        return known[1]

    def _names(self) -> dict[str, Medication | Specimen]:
        named: dict[str, Medication | Specimen] = {}
        sent: list[tuple[str | None, Medication | Specimen]] = [
            *self.entries(Medication),
            *self.entries(Specimen),
        ]
        for full_url, resource in sent:
            if full_url:
                named[full_url] = resource
            if resource.id:
                named[f"{type(resource).__name__}/{resource.id}"] = resource
        return named


def local_name(reference: str) -> str:
    """`Type/id` of a relative, absolute or versioned reference; other texts as they are."""
    parts = reference.partition("/_history/")[0].rsplit("/", 2)
    return "/".join(parts[-2:]) if len(parts) > 1 else reference


def _place(entry: Entry, shelf: Mapping[Hashable, Entry]) -> Hashable:
    """The key that versions of one resource share: its id and, of a result, what it measures.

    What it measures is looked at only where two have one id. Without an id each has its own place.
    """
    resource = entry.resource
    own: str | None = getattr(resource, "id", None)
    if not own:
        return len(shelf)
    first = shelf.get(own)
    if first is None or not isinstance(resource, Observation):
        return own
    measured = _measured(resource)
    if isinstance(first.resource, Observation) and _measured(first.resource) == measured:
        return own
    return own, measured


def _measured(result: Observation) -> Hashable:
    concept = result.code or CodeableConcept()
    codes = frozenset((coding.code or "").strip() for coding in many(concept.coding)) - {""}
    return codes or (concept.text or "").casefold()


def _server(entry: Entry) -> str:
    return parts_of(entry.full_url).base if entry.full_url else ""


def _newer(there: Entry, other: Entry) -> Entry | None:
    """The newer version; if nothing tells, the one with the weightier status.

    `None` if neither tells and they say different things, or if they are of two servers.
    """
    if len({_server(there), _server(other)} - {""}) > 1:
        return None
    ours, theirs = _version(there), _version(other)
    for mine, its in zip(ours[:2], theirs[:2], strict=True):
        if mine is not None and its is not None and mine != its:
            return other if its > mine else there
    if theirs[2] == ours[2] and there.resource != other.resource:
        return None
    return other if theirs[2] > ours[2] else there


def _version(entry: Entry) -> tuple[float | None, int | None, int]:
    resource = entry.resource
    meta = getattr(resource, "meta", None)
    version = (meta.version_id if meta else None) or ""
    number = int(version) if version.isascii() and version.isdigit() and len(version) < 19 else None
    rank = _STATUS_RANK.get(plain_code(getattr(resource, "status", None)), 0)
    return _instant(meta.last_updated if meta else None), number, rank


def _instant(text: str | None) -> float | None:
    try:
        read = moment_of(text or "")
        return read.timestamp() if read.tzinfo else None
    except (ValueError, OverflowError):
        return None
