# SPDX-License-Identifier: Apache-2.0
"""Whose a resource is: the patient's, another's, or nobody's that is named.

Nothing of another patient is ever used. A resource without a subject, or whose subject is only an
identifier or a contained Patient, counts as the patient's if nothing in the request belongs to
anyone else: a request is about one patient, unless it shows that it is not.

A conditional reference (`Patient?identifier=...`) is for a server to resolve: whose it is cannot be
known here, so what has it is not used.

A number of the patient names them as a reference does. In a system that gave the patient numbers,
old ones among them, any other number is another patient's, whatever the reference says.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, TypeAlias

from msgspec import Raw

from cds_service.errors import RequestError
from cds_service.fhir.deferred import identifiers_in
from cds_service.fhir.elements import NOTHING, Reference
from cds_service.fhir.references import parts_of, plain_id, server_of
from cds_service.fhir.resources import Patient

Owner: TypeAlias = Literal["patient", "another", "unnamed", "unresolved"]
_PERSONS = frozenset(("patient", "relatedperson"))
Numbers: TypeAlias = Mapping[str, set[str]]  # by the system that gave them


class Subjects:
    """Tells whose a subject is, each reference once."""

    def __init__(
        self,
        patient_id: str,
        full_urls: Iterable[str],
        fhir_server: str | None,
        numbers: Numbers | None = None,
    ) -> None:
        self.patient_id = patient_id
        self._numbers = numbers or {}
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
        if subject is None or subject.identifier is NOTHING or known == "another":
            return known
        by_number = self._owner_by_number(subject.identifier)
        return by_number if by_number != "unnamed" else known

    def is_about_another(self, focus: Iterable[Reference]) -> bool:
        """Whether one of these, which a result is about instead of its subject, is another person.

        FHIR R4, Observation.focus: a fetus, a donor, the mother. A device or a specimen is none.
        """
        return any(
            parts_of((reference.reference or "").strip()).kind.lower() in _PERSONS
            and self.owner(reference) == "another"
            for reference in focus
        )

    def _owner_by_number(self, identifier: Raw) -> Owner:
        owner: Owner = "unnamed"
        for system, value in _systems_and_values(identifier):
            own = self._numbers.get(system)
            if own is not None and value not in own:
                return "another"
            owner = "patient" if own is not None else owner
        return owner

    def _decided(self, sent: str) -> Owner:
        text = sent.strip().rstrip("/")  # neither can be part of a reference
        if text in self._own:
            return "patient"
        if not text:
            return "unnamed"
        if "?" in text:
            return "unresolved"
        if text.startswith("#"):
            return "patient" if text[1:] == self.patient_id else "unnamed"
        parts = parts_of(text)
        if parts.id != self.patient_id or not parts.may_be_patient:
            return "another"
        # Equal ids on two servers are two patients.
        if parts.base and self._bases and parts.base not in self._bases:
            return "another"
        return "patient"


def are_apart(unnamed: Iterable[Reference | None]) -> bool:
    """Whether subjects that nothing else names have two numbers of one system."""
    numbers = numbers_in(reference.identifier for reference in unnamed if reference)
    return any(len(values) > 1 for values in numbers.values())


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
    numbers = numbers_in(patient.identifier for _, patient in patients)
    ids = {patient.id for _, patient in patients if patient.id}
    if patient_id is not None:
        if ids - {patient_id}:
            raise RequestError(
                "Expected the Patient of context.patientId and no other.", "$.prefetch"
            )
        return Subjects(patient_id, urls, fhir_server, numbers)
    if not ids and not urls:
        ids = {
            _local(reference.reference)
            for reference in references
            if reference and _names(reference.reference)
        }
    if len(ids) > 1:
        raise RequestError("Expected resources of one patient; these are of several.")
    found = next(iter(ids), None) or (parts_of(urls[0]).id if urls else "")
    return Subjects(found, urls, fhir_server, numbers)


def numbers_in(identifiers: Iterable[Raw]) -> Numbers:
    """The numbers in these identifiers by the system that gave them."""
    numbers: defaultdict[str, set[str]] = defaultdict(set)
    for identifier in identifiers:
        for system, value in _systems_and_values(identifier):
            numbers[system].add(value)
    return numbers


def _systems_and_values(identifier: Raw) -> Iterator[tuple[str, str]]:
    """A number without its system, or the other way round, names nobody."""
    for number in identifiers_in(identifier):
        system, value = (number.system or "").strip(), str(number.value or "").strip()
        if system and value:
            yield system, value


def _names(text: str | None) -> bool:
    return bool(text) and not (text or "").startswith("#")


def _local(text: str | None) -> str:
    return plain_id(parts_of(text or "").id)
