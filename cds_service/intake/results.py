# SPDX-License-Identifier: Apache-2.0
"""Observations -> results in the unit of their marker, and what is set aside."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TypeAlias, get_args

from msgspec import Raw, Struct

from cds_service.clock import Deadline
from cds_service.copying import replace
from cds_service.fhir.deferred import FREE_TEXT, concepts_in, identifiers_in
from cds_service.fhir.elements import NOTHING, many, plain_code, was_sent
from cds_service.fhir.resources import DiagnosticReport, Measured, Observation, parts_of
from cds_service.intake.marker_lookup import (
    UNCLAIMED,
    Identified,
    MarkerLookup,
    MarkerMatch,
    first_code,
    pairs_of,
)
from cds_service.intake.not_usable import NotUsable
from cds_service.intake.other_specimens import is_of_another_specimen
from cds_service.intake.pack_reader import PackReader
from cds_service.intake.ranges import RangesRead
from cds_service.intake.resource_index import ResourceIndex, local_name
from cds_service.intake.times import Moment, Times, sent_time
from cds_service.intake.units import unit_of
from cds_service.intake.values import has_value, sent_value, value_of
from cds_service.knowledge.model.pack import Pack
from cds_service.labs.patient_record import LabResult, ReadingNote, Resulted, ResultStatus, SetAside
from cds_service.labs.set_aside_reasons import SetAsideReason
from cds_service.labs.specimens import Draw
from cds_service.remembering import remember_short

Panel: TypeAlias = Observation | DiagnosticReport

_USABLE: Mapping[str | None, ResultStatus] = {status: status for status in get_args(ResultStatus)}
_NOT_USABLE: Mapping[str, SetAsideReason] = {
    "registered": "status:registered",
    "cancelled": "status:cancelled",
    "entered-in-error": "status:entered-in-error",
    "unknown": "status:unknown",
}


class ReadContext(Struct, frozen=True, kw_only=True):
    """What is needed to read any result of one request."""

    reader: PackReader
    times: Times
    latest: datetime  # the last moment that is not set aside as in the future
    index: ResourceIndex
    deadline: Deadline

    @property
    def pack(self) -> Pack:
        """The pack in whose terms results are read."""
        return self.reader.pack

    @property
    def lookup(self) -> MarkerLookup:
        """What finds the marker of a code."""
        return self.reader.lookup


class SourceObservation(Struct, frozen=True, gc=False):
    """One Observation to read: where it is, and the panel or report that supplies what it lacks.

    `address` is that of its entry, if it is not contained.
    """

    observation: Observation
    reference: str
    panel: Panel | None = None
    address: str = ""


class PartialResult(Struct, gc=False):
    """What is known of a result when it must be set aside."""

    match: MarkerMatch
    time: datetime | None = None


def read_observation(
    source: SourceObservation, context: ReadContext
) -> list[LabResult | SetAside | Resulted]:
    """What an Observation says: a result of its own, and one for each component.

    Beside them the tests that make an order needless, of the pack's markers or not.
    """
    observation = source.observation
    found: list[LabResult | SetAside | Resulted] = []
    _read_one(source, observation, context, found)
    if observation.component is not None:
        for component in parts_of(observation):
            _read_one(source, component, context, found)
    return found


def _resulted(
    codes: Iterable[tuple[str, str]],
    source: SourceObservation,
    measured: Measured,
    context: ReadContext,
) -> list[Resulted]:
    """The tests of these codes: what they say does not count, but that they are final does."""
    if not _says_something(source.observation, measured):
        return []
    with suppress(NotUsable):
        time = _time(source, context)
        if time is not None and _status(source.observation) != "preliminary":
            return [Resulted(code, time) for code in codes]
    return []


def _says_something(observation: Observation, measured: Measured) -> bool:
    """Whether it has a value, a component with one, or a member; an absent or modified one not."""
    if _is_modified(observation, measured):
        return False
    if measured is not observation or was_sent(observation.data_absent_reason):
        return has_value(measured)
    return (
        has_value(observation)
        or bool(many(observation.has_member))
        or any(_says_something(observation, part) for part in parts_of(observation))
    )


def _is_modified(observation: Observation, measured: Measured) -> bool:
    own, whole = measured.modifier_extension, observation.modifier_extension
    return not (own is NOTHING and whole is NOTHING) and (was_sent(whole) or was_sent(own))


def set_aside_whole(
    source: SourceObservation, reason: SetAsideReason, context: ReadContext
) -> Iterator[SetAside]:
    """Everything in an Observation that belongs to a marker, set aside for the same reason."""
    observation = source.observation
    for measured in (observation, *parts_of(observation)):
        match = context.lookup.of(measured.code)
        if isinstance(match, MarkerMatch):
            partial = PartialResult(match, _time(source, context))
            item = _set_aside(reason, source, measured, partial)
            # Another patient's value is nothing for this one's chart.
            yield replace(item, number="", unit="") if reason == "other-patient" else item
        elif measured is observation:
            yield SetAside(
                reason=match, marker="", code=first_code(measured.code), reference=source.reference
            )


def _read_one(
    source: SourceObservation,
    measured: Measured,
    context: ReadContext,
    found: list[LabResult | SetAside | Resulted],
) -> None:
    """Add what one value says."""
    context.deadline.check()
    known = context.reader.lookup.identified(measured.code)
    match = known.claim
    resulted = _resulted(known.resulted, source, measured, context) if known.resulted else []
    found.extend(resulted)
    if isinstance(match, str):
        # One that makes an order needless is used.
        if not (resulted and match == UNCLAIMED):
            found.append(_unclaimed(known, match, source, measured, context))
        return
    partial = PartialResult(match)
    try:
        found.append(_result(source, measured, context, partial))
    except NotUsable as fault:
        is_parted = _has_part_of(match.marker, source, measured, context)
        if not (is_parted and fault.reason == "no-value" and not _sends_value(measured)):
            found.append(_set_aside(fault.reason, source, measured, partial))


def _notes(match: MarkerMatch, ranges: RangesRead) -> tuple[ReadingNote, ...]:
    notes: list[ReadingNote] = [match.note] if match.note else []
    if ranges.not_read:
        notes.append("range-not-read")
    return tuple(notes)


def _unclaimed(
    known: Identified,
    reason: SetAsideReason,
    source: SourceObservation,
    measured: Measured,
    context: ReadContext,
) -> SetAside:
    """Set aside as no marker's, or as the one that its name seems to mean, if its unit fits."""
    code, is_whole = known.code, measured is source.observation
    if _has_parts(source, measured) and not _sends_value(measured):
        return SetAside(reason=UNCLAIMED, marker="", code=code, reference=source.reference)
    if is_whole and known.is_panel:
        return SetAside(
            reason=_reason_of_empty_panel(source.observation),
            marker="",
            code=code,
            reference=source.reference,
        )
    shown = known.doubt if reason == UNCLAIMED else reason
    for name in known.spoken_of:
        partial = PartialResult(MarkerMatch(name, code, None))
        with suppress(NotUsable):
            _status(source.observation)
            value = value_of(measured, context.pack)
            unit_of(context.pack.markers[name], value.unit, value.code, context.pack)
            partial.time = _time(source, context)
            return _set_aside(shown, source, measured, partial)
    return SetAside(reason=reason, marker="", code=code, reference=source.reference)


def _sends_value(measured: Measured) -> bool:
    value = sent_value(measured)
    return bool(value.number or value.unit) or was_sent(measured.data_absent_reason)


def _has_part_of(
    marker: str, source: SourceObservation, measured: Measured, context: ReadContext
) -> bool:
    """Whether a member that is referred to, or a component of the marker, holds the value."""
    members = many(source.observation.has_member) if measured is source.observation else ()
    if any(member.reference for member in members):
        return True
    claims = (context.lookup.of(part.code) for part in parts_of(measured))
    return any(isinstance(claim, MarkerMatch) and claim.marker == marker for claim in claims)


def _reason_of_empty_panel(observation: Observation) -> SetAsideReason:
    try:
        _status(observation)
    except NotUsable as fault:
        return fault.reason
    return "no-value"


def _has_parts(source: SourceObservation, measured: Measured) -> bool:
    is_whole = measured is source.observation
    return bool(measured.component or (is_whole and source.observation.has_member))


def _result(
    source: SourceObservation, measured: Measured, context: ReadContext, partial: PartialResult
) -> LabResult:
    observation, match, reader = source.observation, partial.match, context.reader
    if _is_modified(observation, measured):
        raise NotUsable("modifier-extension")
    found = _moment(source, context)
    if not isinstance(found, str):  # one that does not count for another reason has its time too
        partial.time = found[0].time
    status = _status(observation)
    if is_of_another_specimen(observation, context.index, context.pack):
        raise NotUsable("another-specimen")
    if not match.is_read:
        raise NotUsable("another-code")
    if isinstance(found, str):
        raise NotUsable(found)
    moment, issued_only = found
    amount = reader.amount(match.marker, measured)
    ranges = reader.ranges(match.marker, measured.reference_range, amount.unit)
    return LabResult(
        marker=match.marker,
        code=match.code,
        method=match.method,
        value=amount.value,
        sent=amount.sent,
        unit=amount.unit.name,
        factor=amount.unit.factor,
        time=moment.time,
        precision=moment.precision,
        status=status,
        reference=source.reference,
        ranges=ranges.usable,
        specimen=_specimen(observation, context.index),
        issued_only=issued_only,
        interpretation=_interpretation(measured.interpretation),
        notes=_notes(match, ranges),
    )


def draw_of(source: SourceObservation, context: ReadContext) -> Draw:
    """The specimen of a result, of the pack or not."""
    return Draw(_specimen(source.observation, context.index), _time(source, context))


def _specimen(observation: Observation, index: ResourceIndex) -> str:
    """What names the specimen of a result: its id, its address or its number.

    A contained one has a name in its own resource only.
    """
    pointer = observation.specimen
    if pointer is None:
        return ""
    text = pointer.reference or ""
    if text and not text.startswith("#"):
        found = index.referred(pointer, None)
        return f"Specimen/{found.id}" if found and found.id else local_name(text)
    numbers = [
        f"{identifier.system or ''}|{identifier.value}"
        for identifier in identifiers_in(pointer.identifier)
    ]
    return numbers[0] if numbers else ""


def _status(observation: Observation) -> ResultStatus:
    status = _USABLE.get(observation.status)
    if status is not None:
        return status
    sent = plain_code(observation.status)  # codes of FHIR are in small letters
    if not sent:
        raise NotUsable("status:missing")
    if sent in _USABLE:
        return _USABLE[sent]
    raise NotUsable(_NOT_USABLE.get(sent, "status:invalid"))


def _moment(
    source: SourceObservation, context: ReadContext
) -> tuple[Moment, bool] | SetAsideReason:
    """The time of a result and whether it is that of issue, or why it has none that counts."""
    sent = sent_time(source.observation, source.panel, context.times)
    if sent is None or sent.moment is None:
        return "no-time"
    if sent.moment.begins > context.latest:
        return "future-dated"
    return sent.moment, sent.issued_only


def _time(source: SourceObservation, context: ReadContext) -> datetime | None:
    """The time of a result if it has one that counts."""
    found = _moment(source, context)
    return None if isinstance(found, str) else found[0].time


def _interpretation(raw: Raw) -> str | None:
    if raw is NOTHING:
        return None
    return _interpretation_of(bytes(raw))


@remember_short(longest=512, most=1024, without=FREE_TEXT)
def _interpretation_of(data: bytes) -> str | None:
    for concept in concepts_in(Raw(data)):
        for _, code in pairs_of(concept):
            return code
        if concept.text:
            return concept.text
    return None


def _set_aside(
    reason: SetAsideReason, source: SourceObservation, measured: Measured, partial: PartialResult
) -> SetAside:
    sent = sent_value(measured)
    return SetAside(
        reason=reason,
        marker=partial.match.marker,
        code=partial.match.code,
        reference=source.reference,
        time=partial.time,
        number=sent.number,
        unit=sent.unit,
    )
