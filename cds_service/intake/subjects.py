# SPDX-License-Identifier: Apache-2.0
"""Whose a resource is: the patient's, another's, or nobody's that is named.

Nothing of another patient is ever used. A resource without a subject, or whose subject is only an
identifier or a contained Patient, counts as the patient's if nothing in the request belongs to
anyone else: a request is about one patient, unless it shows that it is not.
"""

from collections.abc import Iterable
from typing import Literal, TypeAlias

from cds_service.errors import RequestError
from cds_service.fhir.elements import Reference
from cds_service.fhir.references import parts_of, plain_id, server_of
from cds_service.fhir.resources import Patient

Owner: TypeAlias = Literal["patient", "another", "unnamed"]


class Subjects:
    """Tells whose a subject is, each reference once."""

    def __init__(self, patient_id: str, full_urls: Iterable[str], fhir_server: str | None) -> None:
        self.patient_id = patient_id
        self._own = {patient_id, f"Patient/{patient_id}", *full_urls}
        self._bases = {parts_of(url).base for url in full_urls}
        if fhir_server:
            self._bases.add(server_of(fhir_server))
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
        ids = {
            _local(reference.reference)
            for reference in references
            if reference and _names(reference.reference)
        }
    if len(ids) > 1:
        raise RequestError("Expected resources of one patient; these are of several.")
    found = next(iter(ids), None) or (parts_of(urls[0]).id if urls else "")
    return Subjects(found, urls, fhir_server)


def _names(text: str | None) -> bool:
    return bool(text) and not (text or "").startswith("#")


def _local(text: str | None) -> str:
    return plain_id(parts_of(text or "").id)
