# SPDX-License-Identifier: Apache-2.0
"""Whose a resource is: the patient's, another's, or nobody's that is named.

Nothing of another patient is ever used. A resource without a subject, or whose subject is only an
identifier or a contained Patient, counts as the patient's if nothing in the request belongs to
anyone else: a request is about one patient, unless it shows that it is not.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple, TypeAlias

from cds_service.errors import RequestError
from cds_service.fhir.elements import Reference
from cds_service.fhir.resources import Patient
from cds_service.hooks.request import plain_id

Owner: TypeAlias = Literal["patient", "another", "unnamed"]


class Parts(NamedTuple):
    """A reference taken apart; `base` is the server of an absolute one."""

    base: str
    kind: str
    id: str


class Subjects:
    """Tells whose a subject is, each reference once."""

    def __init__(self, patient_id: str, full_urls: Iterable[str], fhir_server: str | None) -> None:
        self.patient_id = patient_id
        self._own = {patient_id, f"Patient/{patient_id}", *full_urls}
        self._bases = {parts_of(url).base for url in full_urls}
        if fhir_server:
            self._bases.add(_base(fhir_server))
        self._bases.discard("")
        self._owners: dict[str, Owner] = {"": "unnamed"}

    def owner(self, subject: Reference | None) -> Owner:
        """Whose the resource with this subject is."""
        text = (subject.reference if subject else None) or ""
        known = self._owners.get(text)
        if known is None:
            known = self._owners[text] = self._decided(text)
        return known

    def _decided(self, text: str) -> Owner:
        if text in self._own:
            return "patient"
        if text.startswith("#"):
            return "patient" if text[1:] == self.patient_id else "unnamed"
        parts = parts_of(text)
        if parts.id != self.patient_id or parts.kind not in {"Patient", "urn"}:
            return "another"
        # Equal ids on two servers are two patients.
        if parts.base and self._bases and parts.base not in self._bases:
            return "another"
        return "patient"


def parts_of(reference: str) -> Parts:
    """The server, type and id that a relative, absolute, versioned or `urn:` reference names."""
    if reference.startswith("urn:"):
        return Parts("", "urn", reference.rpartition(":")[2])
    pieces = reference.partition("/_history/")[0].rsplit("/", 2)
    if len(pieces) == 1:
        return Parts("", "Patient", pieces[0])
    base = _base(pieces[0]) if len(pieces) == 3 else ""
    return Parts(base, pieces[-2], pieces[-1])


def _base(url: str) -> str:
    # One server may be called by http and https, with and without a last slash.
    return url.partition("://")[2].rstrip("/").lower()


def find_subjects(
    patients: list[tuple[str | None, Patient]],
    references: Iterable[Reference | None],
    patient_id: str | None,
    fhir_server: str | None,
) -> Subjects:
    """Whose the request is; raises `RequestError` if it holds two patients.

    Without `patient_id` it is the one Patient that was sent, or else the one subject.
    """
    urls = [url for url, _ in patients if url]
    ids = {patient.id for _, patient in patients if patient.id}
    if patient_id is not None:
        if ids - {patient_id}:
            raise RequestError(
                "Expected the Patient of context.patientId and no other.", "$.prefetch"
            )
        return Subjects(patient_id, urls, fhir_server)
    if not ids and not urls:
        ids = {_local(one.reference) for one in references if one and _names(one.reference)}
    if len(ids) > 1:
        raise RequestError("Expected resources of one patient; these are of several.")
    found = next(iter(ids), None) or (parts_of(urls[0]).id if urls else "")
    return Subjects(found, urls, fhir_server)


def _names(text: str | None) -> bool:
    return bool(text) and not (text or "").startswith("#")


def _local(text: str | None) -> str:
    return plain_id(parts_of(text or "").id)
