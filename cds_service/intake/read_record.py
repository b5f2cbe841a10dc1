# SPDX-License-Identifier: Apache-2.0
"""A patient's input -> their record: the one way from FHIR to what rules see.

A function of the pack, the input and the time. Nothing is dropped quietly: what is not
used is listed with its reason, what is missing is named for the card.
"""

from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import NamedTuple

from cds_service.clock import NO_DEADLINE, Deadline
from cds_service.fhir.decode import Unreadable
from cds_service.fhir.elements import CodeableConcept, plain_code
from cds_service.intake.hemolysis import is_hemolysed
from cds_service.intake.marker_lookup import UNCLAIMED, MarkerMatch, first_code
from cds_service.intake.pack_reader import PackReader
from cds_service.intake.patient_input import PatientInput, parts_of_fault
from cds_service.intake.person import person_of
from cds_service.intake.read_chart import read_chart
from cds_service.intake.results import (
    draw_of,
    read_observation,
    set_aside_whole,
)
from cds_service.intake.sorted_input import SortedInput, sort_input
from cds_service.labs.patient_record import (
    Incomplete,
    LabResult,
    PatientRecord,
    Resulted,
    SetAside,
)
from cds_service.labs.same_time import settled
from cds_service.labs.specimens import Draw, mark_hemolysed

_MEMBERS_MISSING = Incomplete("laboratory results", "named but not sent")
_CONTRADICTORY = Incomplete("patient", "contradictory")


def read_record(
    reader: PackReader,
    given: PatientInput,
    *,
    now: datetime,
    zone: tzinfo,
    deadline: Deadline = NO_DEADLINE,
) -> PatientRecord:
    """The record of the one patient that the input is about.

    `now` is aware; `zone` is where dates without time or zone are meant. The deadline is looked at
    before each result, component, medicine, condition and order: many that refer to one long text
    take its time each. Raises `RequestError` if the input is about another patient, or about
    several, and `Busy` after the deadline.
    """
    data = sort_input(reader, given, now=now, zone=zone, deadline=deadline)
    person = person_of(
        data.patients(),
        data.subjects.patient_id,
        data.context.times,
        is_whole=all(lack.part != "patient" for lack in given.incomplete),
    )
    chart = read_chart(data)
    read = _observations(data)
    lacks = [
        *given.incomplete,
        *((_MEMBERS_MISSING,) if data.members_missing else ()),
        *((_CONTRADICTORY,) if person.is_contradictory else ()),
        *chart.incomplete,
    ]
    return PatientRecord(
        patient=person.patient,
        results=read.results,
        resulted=read.resulted,
        set_aside=(*read.set_aside, *chart.set_aside, *_unread(data)),
        medicines=chart.medicines,
        conditions=chart.conditions,
        orders=chart.orders,
        ordering=chart.ordering,
        prescribing=chart.prescribing,
        encounters=chart.encounters,
        incomplete=(*dict.fromkeys(lacks), *chart.not_usable),
    )


class _Read(NamedTuple):
    """What the Observations say: results that count, those set aside, and tests that were done."""

    results: tuple[LabResult, ...]
    set_aside: tuple[SetAside, ...]
    resulted: tuple[Resulted, ...]  # that make orders needless


def _observations(data: SortedInput) -> _Read:
    read: list[LabResult] = []
    aside: list[SetAside] = []
    resulted: list[Resulted] = []
    for source in data.sources:
        reason = data.why_not_used(source)
        if reason:
            aside.extend(set_aside_whole(source, reason, data.context))
            continue
        for result in read_observation(source, data.context):
            if isinstance(result, LabResult):
                read.append(result)
            elif isinstance(result, SetAside):
                aside.append(result)
            else:
                resulted.append(result)
    results, replaced = settled(mark_hemolysed(read, _hemolysed(data)))
    return _Read(results, (*aside, *replaced), tuple(resulted))


def _hemolysed(data: SortedInput) -> set[Draw]:
    """The specimens that any result of the patient, of the pack or not, reports hemolysed.

    A withdrawn result reports nothing; one that was cancelled may well say why. One about another
    person, such as a donor, is of the patient's specimen.
    """
    found: set[Draw] = set()
    for source in data.sources:
        data.context.deadline.check()
        if (
            is_hemolysed(source.observation, data.index, data.subjects)
            and plain_code(source.observation.status) != "entered-in-error"
            and not data.why_not_of(source.observation.subject)
        ):
            found.add(draw_of(source, data.context))
    return found


def _unread(data: SortedInput) -> Iterator[SetAside]:
    """What could not be read at all; of a result whose code can still be read, the marker."""
    for fault in data.given.unreadable:
        whole = _lost(data, fault, fault.code)
        yield whole
        for part in (_lost(data, fault, code) for code in fault.parts):
            # One that names no test adds nothing to a whole that is named.
            if part.marker or whole.reason == UNCLAIMED:
                yield part


def _lost(data: SortedInput, fault: Unreadable, code: CodeableConcept | None) -> SetAside:
    match = data.context.lookup.of(code) if code is not None else None
    moment = data.context.times.moment(fault.time) if fault.time else None
    return SetAside(
        reason=UNCLAIMED if match == UNCLAIMED else "invalid-resource",
        marker=match.marker if isinstance(match, MarkerMatch) else "",
        code=first_code(code),
        reference=f"{fault.resource_type}/{fault.id}" if fault.resource_type and fault.id else "",
        time=moment.time if moment else None,
        is_result="laboratory results" in parts_of_fault(fault),
    )
