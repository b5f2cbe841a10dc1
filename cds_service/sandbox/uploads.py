# SPDX-License-Identifier: Apache-2.0
"""A text that was pasted, dropped or read from a file -> the patients in it, resource by resource.

`sources/file.py` decides, strictly, whether it can be read at all; here it is only
sorted, so that a hook request can be made of what a person holds in hand.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cds_service.fhir.bundle_patients import BundlePatients
from cds_service.fhir.references import Parts
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
        return next((subject for subject in self.subjects if subject.id == patient_id), None)


def read_upload(data: bytes, *, max_depth: int, max_entries: int) -> Upload:
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
    patients = BundlePatients(
        (_text(entry.get("fullUrl")), _text(entry["resource"].get("id")))
        for entry in entries
        if entry["resource"]["resourceType"] == "Patient"
    )
    groups: dict[Parts, list[Json]] = {}
    shared: list[Json] = []
    for entry in entries:
        owner = _owner(entry, patients)
        if owner is None:
            shared.append(entry)
        else:
            groups.setdefault(owner, []).append(entry)
    for owner, own in groups.items():
        yield UploadedPatient(id=patients.id_of(owner) or NOBODY, entries=(*own, *shared))
    if not groups:
        yield UploadedPatient(id=NOBODY, entries=tuple(shared))


def _owner(entry: Json, patients: BundlePatients) -> Parts | None:
    """The patient that the resource is, or is about."""
    resource, url = entry["resource"], _text(entry.get("fullUrl"))
    if resource["resourceType"] == "Patient":
        return patients.key(url, _text(resource.get("id")))
    subject = resource.get("subject")
    reference = _text(subject.get("reference")) if isinstance(subject, dict) else None
    if not reference or reference.startswith("#"):
        return None
    return patients.owner(reference, url)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
