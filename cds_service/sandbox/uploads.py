# SPDX-License-Identifier: Apache-2.0
"""A text that was pasted, dropped or read from a file -> the patients in it, resource by resource.

`sources/file.py` decides, strictly, whether it can be read at all; here it is only
sorted, so that a hook request can be made of what a person holds in hand.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cds_service.fhir.references import parts_of, plain_id
from cds_service.sandbox.raw_json import Json, decoded, items, resource_in
from cds_service.sources.file import ResourceDocument, read_resources

NOBODY = "unknown"  # the id of the patient where the text names none
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedPatient:
    """One patient of the text, and the entries about them."""

    id: str
    entries: tuple[Json, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What the text is: a hook request as it stands, or resources of patients."""

    request: bytes | None = None
    hook: str = ""
    subjects: tuple[UploadedPatient, ...] = ()

    def subject(self, patient_id: str) -> UploadedPatient | None:
        """The patient of this id; without an id the only one."""
        if len(self.subjects) == 1 and not patient_id:
            return self.subjects[0]
        return next((one for one in self.subjects if one.id == patient_id), None)


def read_paper(data: bytes, *, max_depth: int, max_entries: int) -> Upload:
    """What the bytes hold; raises `RequestError` if nothing of FHIR or CDS Hooks."""
    data = data.removeprefix(_BOM)
    document = read_resources(data, max_depth=max_depth, max_entries=max_entries)
    if document.request is not None:
        return Upload(request=data, hook=document.request.hook)
    return Upload(subjects=tuple(_by_patient(list(_entries(data, document)))))


def _entries(data: bytes, document: ResourceDocument) -> Iterator[Json]:
    lines = [line for line in data.splitlines() if line.strip()]
    for value in map(decoded, lines if document.kind == "ndjson" else [data]):
        yield from _flat({"resource": value})


def _flat(entry: Json) -> Iterator[Json]:
    """The entry, or those of the Bundle that it is."""
    resource = resource_in(entry.get("resource"))
    if resource is None:
        return
    if resource["resourceType"] != "Bundle":
        url = entry.get("fullUrl")
        yield {"fullUrl": url, "resource": resource} if url else {"resource": resource}
        return
    for inner in items(resource.get("entry")):
        if isinstance(inner, dict):
            yield from _flat(inner)


def _by_patient(entries: list[Json]) -> Iterator[UploadedPatient]:
    """Each patient in the order of their first entry; what names nobody goes to every one."""
    names = _names(entries)
    groups: dict[str, list[Json]] = {}
    shared: list[Json] = []
    for entry in entries:
        owner = _owner(entry)
        if owner is None:
            shared.append(entry)
        else:
            groups.setdefault(names.get(owner, owner), []).append(entry)
    for owner, own in (groups or {NOBODY: []}).items():
        yield UploadedPatient(id=owner, entries=(*own, *shared))


def _names(entries: list[Json]) -> dict[str, str]:
    """The id of each Patient by the last part of the address that its entry has."""
    found: dict[str, str] = {}
    for entry in entries:
        resource, url = entry["resource"], entry.get("fullUrl")
        if resource["resourceType"] == "Patient" and isinstance(url, str):
            found[plain_id(parts_of(url).id)] = _id_of(resource) or plain_id(parts_of(url).id)
    return found


def _owner(entry: Json) -> str | None:
    """The id of the patient that the resource is, or is about."""
    resource, url = entry["resource"], entry.get("fullUrl")
    if resource["resourceType"] == "Patient":
        return _id_of(resource) or (parts_of(url).id if isinstance(url, str) else NOBODY)
    subject = resource.get("subject")
    reference = subject.get("reference") if isinstance(subject, dict) else None
    if not isinstance(reference, str) or reference.startswith("#"):
        return None
    return plain_id(parts_of(reference).id) or None


def _id_of(resource: Json) -> str:
    identity = resource.get("id")
    return identity if isinstance(identity, str) else ""
