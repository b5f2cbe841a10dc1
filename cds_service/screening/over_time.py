# SPDX-License-Identifier: Apache-2.0
"""One patient of a population at many moments: what a hook call at each of them would have shown.

At each moment what was issued later is not there, and cards that were shown at earlier moments are
quiet for the days of their rules, as the service remembers them. A card that stands at one moment
after the other is one story, also while it is quiet, or another card has taken its place.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from cds_service.decide import Evaluation, settle
from cds_service.errors import MissingData, RequestError
from cds_service.intake.as_of import as_of
from cds_service.intake.patient_input import PatientInput
from cds_service.rules.answer import Decision, DecisionKey
from cds_service.screening.decisions import (
    TRIGGER,
    Decided,
    ScreeningQuestion,
    asked_of,
    row_of,
    why_refused,
)
from cds_service.screening.earlier_views import EarlierViews
from cds_service.screening.look_back import Step, steps_of, taken_steps
from cds_service.screening.privacy import name_of
from cds_service.service import Knowledge, Served, evaluated, refuse_unreadable
from cds_service.sources.lines import ResourceText, input_from_lines

RuleCard: TypeAlias = tuple[str, str]
"""A rule and the severity that its card had."""


@dataclass(frozen=True, slots=True)
class Story:
    """A card from the moment at which it was first shown; `before` is the decision by itself."""

    place: int  # of the moment
    moment: datetime
    decision: Decision
    before: Decision  # that cards share their orders


@dataclass(slots=True)
class ReplayTally:
    """What was shown over time, counted: by rule and severity, and by the place of the moment.

    `first` counts stories, `patients` who had such a card at any moment. `steps` counts what became
    of the orders of each story, and `windows` in how many days from and to they were proposed.
    """

    first: Counter[RuleCard] = field(default_factory=Counter)
    patients: Counter[RuleCard] = field(default_factory=Counter)
    first_at: Counter[tuple[int, str]] = field(default_factory=Counter)
    shown_at: Counter[tuple[int, str]] = field(default_factory=Counter)
    steps: Counter[Step] = field(default_factory=Counter)
    windows: Counter[tuple[str, str, int, int]] = field(default_factory=Counter)

    def add(self, other: "ReplayTally") -> None:
        """Add what another part counted."""
        for name in self.__slots__:
            getattr(self, name).update(getattr(other, name))

    def counts(self) -> dict[str, Any]:
        """The same as JSON-able data."""
        return {
            name: [[*key, count] for key, count in getattr(self, name).items()]
            for name in self.__slots__
        }

    @classmethod
    def of(cls, counts: Mapping[str, Any]) -> "ReplayTally":
        """The tally of such data."""
        return cls(*(_counter(counts[name]) for name in cls.__slots__))


def _counter(rows: Sequence[Sequence[Any]]) -> Counter[Any]:
    return Counter({tuple(key): count for *key, count in rows})


@dataclass(slots=True)
class PatientOverTime:
    """The rows of one patient, and what they count; `refused` is why a moment was not decided."""

    rows: list[Decided] = field(default_factory=list)
    stories: list[tuple[Served, Story]] = field(default_factory=list)
    tally: ReplayTally = field(default_factory=ReplayTally)
    decided: bool = False
    refused: str = ""


def decide_over_time(
    knowledge: Knowledge, patient: str, lines: Sequence[ResourceText], question: ScreeningQuestion
) -> PatientOverTime:
    """What calls at each of `question.moments` would have shown, in their order."""
    given = input_from_lines(patient.rpartition("/")[2], lines, question.known)
    name = name_of(patient, question.key)
    found = PatientOverTime()
    followed = [_Followed(served) for served in asked_of(knowledge)]
    refused = ""
    for place, moment in enumerate(question.moments):
        then = as_of(given, moment, knowledge.zone)
        try:
            shown = [edition.at(knowledge, then, place, moment) for edition in followed]
        except (MissingData, RequestError) as error:
            why = why_refused(error)
            if why != refused:
                row = {
                    "patient": name,
                    "as_of": moment.isoformat(timespec="milliseconds"),
                    "answer": "refused",
                }
                found.rows.append({**row, "because": [why]})
            refused = found.refused = why
            continue
        refused, found.decided = "", True
        for edition, decisions in zip(followed, shown, strict=True):
            for decision in decisions:
                first = edition.stories[decision.key]
                found.tally.shown_at[place, decision.indicator] += 1
                found.rows.append(
                    {
                        "patient": name,
                        "as_of": moment.isoformat(timespec="milliseconds"),
                        "first_shown": first.moment.isoformat(timespec="milliseconds"),
                        **row_of(decision, edition.served.program.pack),
                    }
                )
    for edition in followed:
        found.stories.extend((edition.served, story) for story in edition.begun)
        if question.data_end is not None and edition.begun:
            _look_back(knowledge, edition, given, question.data_end, found.tally)
    _count(found)
    return found


def _look_back(
    knowledge: Knowledge,
    edition: "_Followed",
    given: PatientInput,
    end: datetime,
    tally: ReplayTally,
) -> None:
    taken = taken_steps(knowledge, edition.served, given, end)
    if taken is None:
        return
    for story in edition.begun:
        decision, rule = story.before, story.before.rule.id
        pack = edition.served.program.pack
        tally.steps.update(steps_of(decision, pack, story.moment, taken, end))
        tally.windows.update(
            (rule, order.order, order.first_day, order.last_day) for order in decision.orders
        )


def _count(found: PatientOverTime) -> None:
    tally = found.tally
    tally.patients.update({(row["rule"], row["indicator"]) for row in _shown(found.rows)})
    for _, story in found.stories:
        indicator = story.decision.indicator
        tally.first[story.decision.rule.id, indicator] += 1
        tally.first_at[story.place, indicator] += 1


def _shown(rows: Sequence[Decided]) -> Iterator[Decided]:
    return (row for row in rows if "indicator" in row)


@dataclass(slots=True)
class _Followed:
    """One service, with what it has shown so far."""

    served: Served
    earlier: EarlierViews = field(default_factory=EarlierViews)
    stories: dict[DecisionKey, Story] = field(default_factory=dict)  # of cards that still stand
    begun: list[Story] = field(default_factory=list)

    def at(
        self, knowledge: Knowledge, given: PatientInput, place: int, moment: datetime
    ) -> list[Decision]:
        """The cards that are shown at the moment; raises as a call would be refused."""
        evaluation = evaluated(knowledge, self.served, given, TRIGGER, moment)
        refuse_unreadable(given, evaluation)
        outcome = settle(evaluation, quiet=self.earlier.quiet(evaluation))
        self.earlier.keep(outcome)
        standing = {decision.key for decision in outcome.decisions if _stands(decision)}
        for key in self.stories.keys() - standing:
            del self.stories[key]
        shown = [decision for decision in outcome.decisions if decision.shown]
        for decision in shown:
            if decision.key not in self.stories:
                before = _same(evaluation, decision)
                story = self.stories[decision.key] = Story(place, moment, decision, before)
                self.begun.append(story)
        return shown


def _stands(decision: Decision) -> bool:
    """Whether the rule has fired, though its card may not be shown."""
    return bool(decision.shown or decision.held_back or decision.replaced_by)


def _same(evaluation: Evaluation, decision: Decision) -> Decision:
    return next(other for other in evaluation.decisions if other.key == decision.key)
