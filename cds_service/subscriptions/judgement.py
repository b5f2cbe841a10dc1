# SPDX-License-Identifier: Apache-2.0
"""What the rules say when a result arrives, and everything that it was derived from.

A `DecisionInput` → the same judgements at any later time, with neither server nor database.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from msgspec import Struct
from msgspec.json import Decoder, encode

from cds_service.call_context import CallContext
from cds_service.decide import Evaluation, Outcome, on_arrival, settle
from cds_service.explanation.decisions import explain
from cds_service.fhir.decode import read_loosely
from cds_service.fhir.elements import many, was_sent
from cds_service.fhir.references import parts_of
from cds_service.fhir.resources import DiagnosticReport
from cds_service.hooks.request import HookRequest
from cds_service.knowledge.model.pack import Service
from cds_service.labs.patient_record import LabResult
from cds_service.render import render, with_folded_named
from cds_service.render.card import Card
from cds_service.rules.answer import DecisionKey
from cds_service.service import Knowledge, Served, asked_on_arrival, evaluated
from cds_service.sources.hook_request import input_from_request
from cds_service.subscriptions.advice import reference_of
from cds_service.subscriptions.patient_data import (
    ArrivedVersion,
    RecordedAnswer,
    read_again,
    with_arrived,
)

_EVER: Final = datetime.min.replace(tzinfo=UTC)
TRIGGER: Final = "result-arrived"
RESULT_TYPES: Final = frozenset(("Observation", "DiagnosticReport"))
# Of each rule, what is kept in the table of decisions: neither values nor dates nor references.
_KEPT: Final = (
    *("rule", "version", "answer", "indicator", "because", "index", "marker", "preliminary"),
    *("unknown", "orders", "withheld"),
)


class DecisionInput(Struct, frozen=True, kw_only=True):
    """Everything that a decision was derived from.

    `overridden` and `quiet` are the keys of cards that were silent for what clinicians did or saw.
    """

    server: str
    patient: str
    at: datetime
    arrived: tuple[ArrivedVersion, ...]
    answers: tuple[RecordedAnswer, ...] = ()
    overridden: tuple[tuple[str, str], ...] = ()
    quiet: tuple[tuple[str, str], ...] = ()


INPUT: Final = Decoder(DecisionInput)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the rules of one pack say of all results.

    `since` is the time of the earliest result that arrived; the beginning of time if one was taken
    back, for then advice on an older one may be due again. `None`: nothing that could be used.
    """

    service: Service
    served: Served
    evaluation: Evaluation
    since: datetime | None

    def outcome(self, overridden: frozenset[DecisionKey], quiet: frozenset[DecisionKey]) -> Outcome:
        """The cards on the results that arrived, and everything that was held back."""
        return settle(on_arrival(self.evaluation, self.since), overridden, quiet)

    def call(self, server: str, patient: str) -> CallContext:
        """The context in which the cards are made."""
        return CallContext(
            service=self.service.id,
            trigger=self.service.hook,
            patient_id=patient,
            fhir_server=server,
        )

    def cards(self, outcome: Outcome, call: CallContext, base_url: str | None) -> tuple[Card, ...]:
        """The cards of the outcome; `base_url` is where rules can be read about."""
        cards = render(self.served.templates, outcome, call, base_url=base_url)
        return with_folded_named(cards, self.served.templates, outcome, base_url=base_url)


def judge(
    knowledge: Knowledge,
    service: Service,
    served: Served,
    request: HookRequest,
    arrived: Iterable[ArrivedVersion],
    now: datetime,
) -> Judgement:
    """What the rules of a service say; `request` is what was read of the patient."""
    versions = tuple(arrived)
    lookup = served.reader.lookup
    given = input_from_request(with_arrived(request, versions), {}, lookup)
    evaluation = evaluated(knowledge, served, given, service.hook, now)
    return Judgement(
        service=service,
        served=served,
        evaluation=evaluation,
        since=_since(versions, evaluation.record.results),
    )


def _since(arrived: tuple[ArrivedVersion, ...], results: Iterable[LabResult]) -> datetime | None:
    """The time from which on results count as having arrived."""
    times: dict[str, datetime] = {}
    for result in results:
        reference = reference_of(result)
        times[reference] = min(times.get(reference, result.time), result.time)
    if any(
        (version.gone or version.withdrawn) and version.reference not in times
        for version in arrived
    ):
        return _EVER
    return min((times[name] for name in results_of(arrived) if name in times), default=None)


def judge_again(knowledge: Knowledge, decision_input: DecisionInput) -> Iterator[Judgement]:
    """The judgements that this input gives."""
    for service, served in asked_on_arrival(knowledge):
        request = read_again(
            decision_input.answers,
            decision_input.server,
            decision_input.patient,
            service.hook,
            served.prefetch,
        )
        yield judge(knowledge, service, served, request, decision_input.arrived, decision_input.at)


def outcomes_again(knowledge: Knowledge, decision_input: DecisionInput) -> tuple[Outcome, ...]:
    """The outcomes that this input gives."""
    overridden, quiet = frozenset(decision_input.overridden), frozenset(decision_input.quiet)
    return tuple(
        evaluation.outcome(overridden, quiet)
        for evaluation in judge_again(knowledge, decision_input)
    )


def findings_of(outcome: Outcome) -> list[dict[str, Any]]:
    """Each card that is shown, held back or replaced by another, in words of ours alone."""
    rules: Any = explain(outcome).get("rules", [])
    return [
        {"pack": outcome.pack.id, **{name: rule[name] for name in _KEPT if name in rule}}
        for rule in rules
        if "indicator" in rule or "replacedBy" in rule
    ]


def versions_of(knowledge: Knowledge, outcomes: Iterable[Outcome]) -> Mapping[str, Any]:
    """The version of each pack and the hash of what its lock says of that version."""
    found = {}
    for outcome in outcomes:
        pack, lock = outcome.pack, knowledge.locks.get(outcome.pack.id)
        meant = {} if lock is None else {"pack": lock.pack.get(pack.version), "rules": lock.rules}
        found[pack.id] = {"version": pack.version, "lock": sha256(encode(meant)).hexdigest()[:32]}
    return found


def results_of(arrived: Iterable[ArrivedVersion]) -> Iterator[str]:
    """The references of the results that arrived, of a report those that it names."""
    for version in arrived:
        if version.gone:
            continue
        if not version.reference.startswith("DiagnosticReport/"):
            yield version.reference
        elif was_sent(version.body):
            report, _ = read_loosely(version.body, "$")
            if isinstance(report, DiagnosticReport):
                for named in many(report.result):
                    there = parts_of(named.reference or "")
                    yield f"{there.kind}/{there.id}"
