# SPDX-License-Identifier: Apache-2.0
"""A file -> what it holds: a hook request, a Bundle, one resource, or NDJSON.

For the command line (`evaluate FILE`) and the sandbox page; a hook never comes this way.
"""

from dataclasses import dataclass
from typing import Literal

from msgspec import DecodeError, Raw, Struct, ValidationError
from msgspec.json import Decoder

from cds_service.copying import replace
from cds_service.errors import PayloadTooLarge, RequestError
from cds_service.fhir.bundle_patients import BundlePatients
from cds_service.fhir.bundles import NOTHING_THERE, Fetched, fetched, unreadable_entries
from cds_service.fhir.decode import Unreadable, read_loosely, unread_parts
from cds_service.fhir.depth import is_deeper
from cds_service.fhir.elements import NOTHING, Reference
from cds_service.fhir.json_checks import checked_outline
from cds_service.fhir.references import Parts
from cds_service.fhir.resource_types import RESOURCE_TYPES
from cds_service.fhir.resources import Entry, Patient, Resource
from cds_service.hooks.request import HookRequest, check_text, read_request
from cds_service.intake.patient_input import PatientInput, input_from_answers, kinds_in
from cds_service.sources.hook_request import input_from_request

MAX_DEPTH = 64
MAX_ENTRIES = 1_000_000  # the owner of a file may read a large one


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceDocument:
    """What a file holds; `request` is there for a hook request, else `found` holds resources."""

    kind: Literal["request", "bundle", "resource", "ndjson"]
    request: HookRequest | None = None
    found: Fetched = NOTHING_THERE
    unreadable: tuple[Unreadable, ...] = ()


class _Head(Struct):
    hook: Raw = NOTHING
    resourceType: Raw = NOTHING  # noqa: N815 - the name on the wire


_HEAD: Decoder[_Head] = Decoder(_Head)
_KIND: Decoder[object] = Decoder()


def read_resources(
    data: bytes, *, max_depth: int = MAX_DEPTH, max_entries: int = MAX_ENTRIES
) -> ResourceDocument:
    """What the bytes hold; raises `RequestError` if it is none of the four."""
    data = data.removeprefix(b"\xef\xbb\xbf")  # editors of some systems put it before a file
    check_text(data)
    if is_deeper(data, max_depth):
        raise PayloadTooLarge(f"Expected JSON of at most {max_depth} levels.")
    try:
        document = _read(data, max_depth, max_entries)
    except RecursionError:
        raise PayloadTooLarge("The JSON is nested too deeply.") from None
    except DecodeError as error:
        raise RequestError(f"This is not valid JSON: {error}.") from None
    if len(document.found.entries) > max_entries:
        raise PayloadTooLarge(f"There are more than {max_entries} resources.")
    return document


def input_from_document(document: ResourceDocument) -> PatientInput:
    """The input of a document of any kind."""
    if document.request is not None:
        return input_from_request(document.request)
    return _input_from_resources(document.found, None, document.unreadable)


def _input_from_resources(
    fetched: Fetched, patient_id: str | None, unreadable: tuple[Unreadable, ...]
) -> PatientInput:
    return input_from_answers(
        [(fetched, kinds_in(fetched))], patient_id=patient_id, unreadable=unreadable
    )


def _read(data: bytes, max_depth: int, max_entries: int) -> ResourceDocument:
    try:
        head = _HEAD.decode(data)
    except ValidationError:
        raise RequestError("Expected a FHIR resource or a CDS Hooks request.", "$") from None
    except DecodeError:
        lines = [line for line in data.splitlines() if line.strip()]
        if len(lines) < 2:
            raise
        return _ndjson(lines, max_depth)
    if head.hook is not NOTHING and head.resourceType is NOTHING:
        request = read_request(data, max_depth=max_depth, max_entries=max_entries)
        return ResourceDocument(kind="request", request=request)
    resource, unreadable = read_resource(data)
    if resource is None and _KIND.decode(head.resourceType) not in RESOURCE_TYPES:
        raise RequestError("Expected a resource of FHIR R4.", "$.resourceType")
    found = fetched(resource, max_depth)
    unreadable = (*unreadable, *unreadable_entries(found, "$"))
    is_bundle = bytes(head.resourceType) == b'"Bundle"'
    kind: Literal["bundle", "resource"] = "bundle" if is_bundle else "resource"
    return ResourceDocument(kind=kind, found=found, unreadable=unreadable)


def _ndjson(lines: list[bytes], max_depth: int) -> ResourceDocument:
    """One resource a line; empty lines do not count as lines in paths."""
    entries: list[Entry] = []
    unreadable: list[Unreadable] = []
    partial = False
    for place, line in enumerate(lines, start=1):
        resource, faults = read_resource(line, f"line {place}: ")
        unreadable.extend(faults)
        read = fetched(resource, max_depth)
        unreadable.extend(unreadable_entries(read, f"line {place}: $"))
        entries.extend(read.entries)
        partial = partial or read.partial
    state: Literal["found", "nothing"] = "found" if entries else "nothing"
    found = Fetched(state=state, entries=tuple(entries), partial=partial)
    return ResourceDocument(kind="ndjson", found=found, unreadable=tuple(unreadable))


def read_resource(text: bytes, where: str = "") -> tuple[Resource | None, tuple[Unreadable, ...]]:
    """The resource in a text, and its parts that could not be read."""
    resource, faults = read_loosely(text, f"{where}$")
    outline = checked_outline(text, where)
    unread = unread_parts(text, outline, [resource], faults, where=where)
    return resource, (*faults, *unread)


def inputs_from_document(document: ResourceDocument) -> tuple[PatientInput, ...]:
    """The input of each patient in the document, in the order of their first resource.

    What names no patient (a Medication, a Specimen) goes to every one of them.
    """
    if document.request is not None:
        return (input_from_request(document.request),)
    entries = document.found.entries
    patients = BundlePatients(
        (entry.full_url, entry.resource.id)
        for entry in entries
        if isinstance(entry.resource, Patient)
    )
    groups: dict[Parts, list[Entry]] = {}
    shared: list[Entry] = []
    for entry in entries:
        owner = _owner(entry, patients)
        (shared if owner is None else groups.setdefault(owner, [])).append(entry)
    if len(groups) < 2:
        return (input_from_document(document),)
    return tuple(
        _input_from_resources(
            replace(document.found, entries=(*own, *shared)),
            patients.id_of(owner),
            document.unreadable,
        )
        for owner, own in groups.items()
    )


def _owner(entry: Entry, patients: BundlePatients) -> Parts | None:
    """The patient that the resource is or names, if it names one."""
    resource = entry.resource
    if isinstance(resource, Patient):
        return patients.key(entry.full_url, resource.id) if entry.full_url or resource.id else None
    subject = getattr(resource, "subject", None)
    reference = subject.reference if isinstance(subject, Reference) else None
    if not reference or reference.startswith("#"):
        return None
    return patients.owner(reference, entry.full_url)
