# SPDX-License-Identifier: Apache-2.0
"""A patient's input as it was at an earlier moment.

What was issued, ordered or recorded after the moment is not there yet, and who died after it is
alive. Only what the resources say of themselves can be taken back: a result that was corrected
later is there as it is now, and a condition has its present status.
"""

from collections.abc import Iterator
from datetime import datetime, time, tzinfo
from typing import Final

from cds_service.copying import replace
from cds_service.fhir.deferred import text_in
from cds_service.fhir.elements import many
from cds_service.fhir.references import parts_of
from cds_service.fhir.resources import (
    Condition,
    DiagnosticReport,
    Entry,
    MedicationRequest,
    MedicationStatement,
    Observation,
    Patient,
    Resource,
    ServiceRequest,
)
from cds_service.intake.patient_input import PatientInput
from cds_service.intake.times import Moment, Times, sent_time, span_of
from cds_service.iso_times import moment_of

_LAST_MILLISECOND: Final = time(23, 59, 59, 999_000)
_LONGEST_DATE: Final = len("2026-01-31")


def end_of(text: str, zone: tzinfo) -> datetime:
    """The last moment that a day or an instant means; raises `ValueError` for anything else.

    A day ends with its last millisecond in `zone`, and an instant without an offset is one there.

    >>> from datetime import UTC
    >>> end_of("2026-03-05", UTC).isoformat()
    '2026-03-05T23:59:59.999000+00:00'
    """
    plain = text.strip()
    if len(plain) <= _LONGEST_DATE:
        _, day, precision = span_of(plain)
        if precision != "day":
            raise ValueError
        # fold: of an hour that comes twice, the later one
        return datetime.combine(day, _LAST_MILLISECOND.replace(fold=1), zone)
    moment = moment_of(plain)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def as_of(given: PatientInput, moment: datetime, zone: tzinfo) -> PatientInput:
    """The input without what was not there at `moment`, an aware time.

    `zone` is where dates without time or zone are meant; a date that has begun has come. Which
    kinds are known does not change.
    """
    times = Times(moment, zone)
    later = [entry for entry in given.entries if _is_later(entry.resource, times)]
    hidden = {id(entry) for entry in later}
    # A result that says nothing of its own issue was issued with the report that names it.
    named = set(_named_by(later))
    entries = tuple(
        _alive(entry, times)
        for entry in given.entries
        if id(entry) not in hidden and not (named and _is_issued_with(entry, named))
    )
    unreadable = tuple(
        fault
        for fault in given.unreadable
        if (sent := times.moment(fault.time)) is None or sent.begins <= moment
    )
    return replace(given, entries=entries, unreadable=unreadable)


def _is_later(resource: Resource | None, times: Times) -> bool:
    if isinstance(resource, Observation) and resource.issued:  # as nearly all say: far quicker
        issued = times.moment(resource.issued)
        if issued is not None:
            return issued.begins > times.now
    moment = next(_dates(resource, times), None)
    return moment is not None and moment.begins > times.now


def _dates(resource: Resource | None, times: Times) -> Iterator[Moment]:
    """The readable dates by which a resource was there, the one that counts first."""
    for text in _texts(resource, times):
        moment = times.moment(text) if text else None
        if moment is not None:
            yield moment


def _texts(resource: Resource | None, times: Times) -> Iterator[str | None]:
    match resource:
        case Observation():
            yield resource.issued
            sent = sent_time(resource, None, times)
            yield sent.text if sent else None
        case DiagnosticReport():
            yield resource.issued
            yield resource.effective_date_time
        case ServiceRequest():
            yield resource.authored_on
        case MedicationRequest():
            yield text_in(resource.authored_on)
        case MedicationStatement():
            yield text_in(resource.date_asserted)
        case Condition():
            yield text_in(resource.recorded_date)
            yield text_in(resource.onset_date_time)


def _named_by(entries: list[Entry]) -> Iterator[str]:
    """What later reports and panels name as their results."""
    for entry in entries:
        resource = entry.resource
        if isinstance(resource, DiagnosticReport):
            pointers = many(resource.result)
        elif isinstance(resource, Observation):
            pointers = many(resource.has_member)
        else:
            continue
        for pointer in pointers:
            yield parts_of((pointer.reference or "").strip()).id


def _is_issued_with(entry: Entry, named: set[str]) -> bool:
    resource = entry.resource
    if not isinstance(resource, Observation) or resource.issued:
        return False
    addresses = {resource.id, parts_of(entry.full_url).id if entry.full_url else None}
    return not named.isdisjoint(address for address in addresses if address)


def _alive(entry: Entry, times: Times) -> Entry:
    """The entry, of a patient who died later without the date of death."""
    resource = entry.resource
    if not isinstance(resource, Patient) or not resource.deceased_date_time:
        return entry
    died = times.moment(resource.deceased_date_time)
    if died is None or died.begins <= times.now:
        return entry
    return replace(entry, resource=replace(resource, deceased_date_time=None))
