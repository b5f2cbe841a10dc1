# SPDX-License-Identifier: Apache-2.0
"""What of ours stands on a server, held against what the rules say now: pure, nothing is sent.

"Task" stands for whatever resource carries the advice on that server.

A Task is withdrawn when its result was corrected or withdrawn, when its card is gone or a
clinician has answered it, and when another Task takes its place. A card that is merely quiet,
folded, or not about the result that arrived leaves its Task as it is.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, tzinfo
from enum import Enum, auto
from itertools import count
from typing import Final, Literal, TypeAlias
from uuid import UUID

from cds_service.decide import Evaluation
from cds_service.fhir_client.servers import FhirVersion
from cds_service.knowledge.model.pack import Indicator
from cds_service.rules.answer import Decision, DecisionKey
from cds_service.rules.reasons import Overridden, Replaced
from cds_service.rules.shown_cards import LastShown
from cds_service.store.advice import COUNTING, STANDING, AdviceState, WrittenAdvice
from cds_service.subscriptions.advice import (
    AdvicePlace,
    Subject,
    advice_id,
    reference_of,
    subject_of,
)
from cds_service.subscriptions.advice_parts import Json, references_in
from cds_service.subscriptions.advice_resources import OPEN, REFUSALS, reasons_in, withdrawn_as

Withdrawal: TypeAlias = Literal[
    "result-corrected", "result-withdrawn", "superseded", "overridden", "no-longer-advised"
]

WITHDRAWN_SYSTEM: Final = "https://cds-service.example/withdrawn"
_TEXTS: Final[Mapping[Withdrawal, str]] = {
    "result-corrected": "The result that this was about has been corrected.",
    "result-withdrawn": "The result that this was about is no longer on file.",
    "superseded": "Other advice takes the place of this.",
    "overridden": "A clinician answered the same advice on a card.",
    "no-longer-advised": "With the results on file now this is no longer advised.",
}
_MOST_AGAIN: Final = 20
_GIVEN: Final = STANDING | {"rejected", "left-alone", "not-found"}


class Absence(Enum):
    """Why there is no Task: the server has deleted it, or does not find it, which may pass."""

    GONE = auto()
    NOT_FOUND = auto()


@dataclass(frozen=True, slots=True)
class OpenAdvice:
    """Advice as it was written, and the Task as it is on the server now."""

    written: WrittenAdvice
    task: Json


def as_found(written: WrittenAdvice, task: Json | Absence) -> WrittenAdvice:
    """The advice in the state in which its Task was found."""
    if isinstance(task, Absence):
        if task is Absence.GONE:
            return replace(written, state="rejected")
        return written if written.state == "left-alone" else replace(written, state="not-found")
    state = state_of(task)
    if state == "open" and written.state in {"left-alone", "withdrawing"}:
        return written
    return replace(written, state=state)


def outdone(standing: Iterable[WrittenAdvice]) -> Iterator[WrittenAdvice]:
    """What is open beside newer advice of its rule and marker, as what is to be withdrawn.

    A worker that was lost wrote the newer one and did not come to withdraw the other.
    """
    newest: dict[tuple[str, str], WrittenAdvice] = {}
    for row in sorted(standing, key=lambda row: row.id):
        if row.state == "open":
            if (before := newest.get((row.rule, row.marker))) is not None:
                yield replace(before, state="withdrawing")
            newest[row.rule, row.marker] = row


def state_of(task: Json) -> AdviceState:
    """Whether a Task may be acted on still, was withdrawn by us, or somebody will not do it."""
    if is_withdrawn(task):
        return "cancelled"
    return "rejected" if task.get("status") in REFUSALS[task["resourceType"]] else "open"


def is_withdrawn(resource: Json) -> bool:
    """Whether we ourselves have withdrawn it."""
    is_open = resource.get("status") == OPEN[resource["resourceType"]]
    return not is_open and any(
        coding.get("system") == WITHDRAWN_SYSTEM for coding in reasons_in(resource)
    )


def is_untouched(written: WrittenAdvice, task: Json, owner: str | None) -> bool:
    """Whether nobody has changed the Task since it was written."""
    version = (task.get("meta") or {}).get("versionId")
    kind = task["resourceType"]
    if task.get("status") != OPEN[kind]:
        return False
    if written.task_version and version:
        return bool(version == written.task_version)
    return kind != "Task" or (task.get("owner") or {}).get("reference") == owner


def withdrawn(resource: Json, why: Withdrawal, now: str, version: FhirVersion = "R4") -> Json:
    """The Task cancelled with its reason, or what the other types have for that."""
    coding = {"system": WITHDRAWN_SYSTEM, "code": why}
    reason = {"coding": [coding], "text": _TEXTS[why]}
    return withdrawn_as(resource, reason, now, r5=version == "R5")


def withdrawals_before(
    standing: Iterable[WrittenAdvice],
    evaluation: Evaluation,
    place: AdvicePlace,
    overridden: Collection[DecisionKey],
) -> Iterator[tuple[WrittenAdvice, Withdrawal]]:
    """What no longer holds, whatever is written now. `evaluation` is of all results."""
    decisions = {
        decision.rule.id: decision
        for decision in evaluation.decisions
        if decision.rule.rests_on_results
    }
    keys = {rule for rule, _ in overridden}
    for row in standing:
        decision = decisions.get(row.rule)
        why = _result_changed(row, evaluation, place)
        if why is None and (decision is None or not decision.shown):
            why = _without_card(decision)
        if why is None and row.rule in keys:
            why = "overridden"
        if why is None and row.state == "withdrawing" and not _is_advised(row, evaluation, place):
            why = "superseded"
        if why is not None:
            yield row, why


def superseded(
    standing: Iterable[WrittenAdvice], written: Collection[WrittenAdvice]
) -> Iterator[tuple[WrittenAdvice, Withdrawal]]:
    """What other advice of the same rule takes the place of."""
    rules = {advice.rule: advice.identifier for advice in written}
    return (
        (row, "superseded")
        for row in standing
        if rules.get(row.rule, row.identifier) != row.identifier
    )


def new_advice_id(
    decision: Decision, evaluation: Evaluation, place: AdvicePlace, before: Sequence[WrittenAdvice]
) -> UUID | None:
    """The uuid of advice that is still to be given; `None` if it stands or was answered.

    What we withdrew ourselves is given again under another identifier.
    """
    subject = subject_of(decision, evaluation.pack)
    ours = {row.identifier for row in before if row.state == "cancelled"}
    there = {row.identifier for row in before if row.state in _GIVEN}
    found = next(
        identity
        for again in count()
        if str(identity := advice_id(subject, place, again)) not in ours
    )
    return None if str(found) in there else found


def last_written(advice: Iterable[WrittenAdvice], zone: tzinfo | None) -> LastShown:
    """When the Task of a card was last written with an indicator, by the days of the site."""
    days: dict[tuple[str, str, Indicator], date] = {}
    for row in advice:
        if row.state in COUNTING:
            key = (row.rule, row.rule_version, row.indicator)
            day = row.written.astimezone(zone).date()
            days[key] = max(days.get(key, day), day)

    def of(decision: Decision, indicator: Indicator) -> date | None:
        return days.get((decision.rule.id, decision.rule.version, indicator))

    return of


def changes_of(
    changed: Iterable[WrittenAdvice], reasons: Mapping[str, Withdrawal]
) -> list[dict[str, str]]:
    """What became of advice, as a decision keeps it; `reasons` are those of withdrawals."""
    return [
        {
            "advice": row.state,
            "rule": row.rule,
            "indicator": row.indicator,
            **({"why": reasons[row.identifier]} if row.identifier in reasons else {}),
        }
        for row in changed
        if row.state != "writing"
    ]


def _result_changed(
    row: WrittenAdvice, evaluation: Evaluation, place: AdvicePlace
) -> Withdrawal | None:
    """Whether the result that the advice is about says something else now, or is gone."""
    same = [result for result in evaluation.record.results if reference_of(result) == row.result]
    if not same:
        is_whole = all(lack.part != "laboratory results" for lack in evaluation.record.incomplete)
        return "result-withdrawn" if row.result and is_whole else None
    subjects = (
        Subject(
            pack=row.pack,
            rule=row.rule,
            indicator=row.indicator,
            preliminary=preliminary,
            index=result,
        )
        for result in same
        for preliminary in (False, True)
    )
    holds = any(
        str(advice_id(subject, place, again)) == row.identifier
        for subject in subjects
        for again in range(_MOST_AGAIN)
    )
    return None if holds else "result-corrected"


def _is_advised(row: WrittenAdvice, evaluation: Evaluation, place: AdvicePlace) -> bool:
    """Whether it is this advice, and no other of its rule, that would be given now."""
    return any(
        str(advice_id(subject_of(decision, evaluation.pack), place, again)) == row.identifier
        for decision in evaluation.decisions
        if decision.rule.id == row.rule and decision.shown
        for again in range(_MOST_AGAIN)
    )


def _without_card(decision: Decision | None) -> Withdrawal | None:
    if decision is not None and isinstance(decision.because, Replaced):
        return "superseded"
    if decision is not None and isinstance(decision.because, Overridden):
        return "overridden"
    return "no-longer-advised"


def proposals_in(task: Json) -> tuple[str, ...]:
    """The references of the ServiceRequests of a Task of ours."""
    orders = (reference for reference in references_in(task) if "ServiceRequest/" in reference)
    return tuple(f"ServiceRequest/{reference.rpartition('/')[2]}" for reference in orders)
