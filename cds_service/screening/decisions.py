# SPDX-License-Identifier: Apache-2.0
"""One patient of a population -> what the rules decide, as rows to write and to count."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any, Final

from cds_service.decide import Outcome, settle
from cds_service.errors import MissingData, RequestError
from cds_service.intake.as_of import as_of
from cds_service.intake.patient_input import PatientInput
from cds_service.knowledge.model.pack import Pack
from cds_service.labs.patient_record import LabResult
from cds_service.prefetch_keys import Kind
from cds_service.rules.answer import Decision
from cds_service.screening.privacy import name_of
from cds_service.service import Knowledge, Served, evaluated, refuse_unreadable
from cds_service.sources.lines import ResourceText, input_from_lines

TRIGGER: Final = "patient-view"

Decided = dict[str, Any]
"""A line of `decisions.ndjson`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningQuestion:
    """What is asked about every patient.

    `known` holds the kinds that the source has for anybody; `cut` says that the moment was given,
    so that later resources are left out; `key` hashes ids, `None` leaves them as they are. With
    `moments` it is asked at each of them, and `moment` is the last.
    """

    moment: datetime
    cut: bool
    known: frozenset[Kind]
    key: str | None
    every: bool = False  # those not shown too
    moments: tuple[datetime, ...] = ()
    data_end: datetime | None = None  # looks back at next steps, up to this time

    @property
    def first(self) -> datetime:
        """The first moment that is asked about."""
        return self.moments[0] if self.moments else self.moment

    def day(self, zone: tzinfo) -> date:
        """The day at the site of the last moment, on which ages are counted."""
        return self.moment.astimezone(zone).date()


@dataclass(frozen=True, slots=True)
class PatientDecisions:
    """The rows of one patient; `refused` is why nothing could be decided, as a call would be."""

    rows: tuple[Decided, ...] = ()
    refused: str = ""


def asked_of(knowledge: Knowledge) -> tuple[Served, ...]:
    """The services that answer where a chart is opened."""
    by_hooks = knowledge.services.values()
    return tuple(by_hook[TRIGGER] for by_hook in by_hooks if TRIGGER in by_hook)


def decide_patient(
    knowledge: Knowledge, patient: str, lines: Sequence[ResourceText], question: ScreeningQuestion
) -> PatientDecisions:
    """What a `patient-view` call of each service would have shown, and why."""
    identity = patient.rpartition("/")[2]  # before it stands the server, where there are several
    given = input_from_lines(identity, lines, question.known)
    if question.cut:
        given = as_of(given, question.moment, knowledge.zone)
    name = name_of(patient, question.key)
    try:
        return PatientDecisions(
            tuple(
                {"patient": name, **row}
                for outcome in _outcomes(knowledge, given, question.moment)
                for row in _rows(outcome, every=question.every)
            )
        )
    except (MissingData, RequestError) as error:
        return _refused(name, why_refused(error))


def why_refused(error: MissingData | RequestError) -> str:
    """Why nothing could be decided about a patient."""
    if isinstance(error, MissingData):
        return "not one laboratory result can be read"
    return error.message


def _refused(name: str, reason: str) -> PatientDecisions:
    row = {"patient": name, "answer": "refused", "because": [reason]}
    return PatientDecisions(rows=(row,), refused=reason)


def _outcomes(knowledge: Knowledge, given: PatientInput, moment: datetime) -> Iterator[Outcome]:
    for served in asked_of(knowledge):
        evaluation = evaluated(knowledge, served, given, TRIGGER, moment)
        refuse_unreadable(given, evaluation)
        yield settle(evaluation)


def _rows(outcome: Outcome, *, every: bool) -> Iterator[Decided]:
    for decision in outcome.decisions:
        if decision.shown or every:
            yield row_of(decision, outcome.pack)


def row_of(decision: Decision, pack: Pack) -> Decided:
    """What is written of a decision of a pack's rule, beside the patient."""
    return {
        "rule": decision.rule.id,
        "version": decision.rule.version,
        "pack": f"{pack.id} {pack.version}",
        "answer": decision.answer,
        **({"indicator": decision.indicator} if decision.shown else {}),
        **_index(decision),
        "orders": [order.order for order in decision.orders],
        "because": because_of(decision),
    }


def _index(decision: Decision) -> Decided:
    item = decision.frame.set_aside
    if item is not None:
        time = {} if item.time is None else {"time": item.time.isoformat()}
        value = f"{item.number} {item.unit}".strip()
        return {"index": {"marker": item.marker, "value": value, **time}}
    result = decision.frame.index_result
    if result is None:
        return {}
    return {
        "index": {
            "marker": result.marker,
            "value": _value(result),
            "time": result.time.isoformat(),
        }
    }


def _value(result: LabResult) -> str:
    sent = result.sent
    return f"{sent.comparator or ''}{sent.number} {sent.unit}".strip()


def because_of(decision: Decision) -> list[str]:
    """The condition that holds; of a card that is not shown why, or what would have to be known."""
    if decision.shown:
        return [decision.rule.when.in_words()]
    if decision.because is not None:
        return [decision.because.code]
    return [leaf.in_words() for leaf in decision.missing]
