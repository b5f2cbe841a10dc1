# SPDX-License-Identifier: Apache-2.0
"""One patient at several moments -> what the services of a hook show then, and what they hold back.

An edition is a folder of cards, or a file of views that another program has answered.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from cds_service.decide import Outcome, settle
from cds_service.errors import MissingData, RequestError
from cds_service.intake.as_of import as_of
from cds_service.intake.patient_input import PatientInput
from cds_service.knowledge.model.pack import INDICATORS
from cds_service.rules.answer import Decision
from cds_service.rules.reasons import ConditionNotMet, HeldBack, Replaced
from cds_service.screening.decisions import because_of, why_refused
from cds_service.screening.earlier_views import EarlierViews
from cds_service.service import Knowledge, Served, evaluated, load_knowledge, refuse_unreadable
from cds_service.settings import load_settings


class ShownCard(NamedTuple):
    """A card, as the rule and the severity that it is shown with."""

    rule: str
    indicator: str


class ViewMoment(NamedTuple):
    """When a chart is opened; `cut` leaves out what came later."""

    time: datetime
    cut: bool


@dataclass(frozen=True, slots=True)
class PatientView:
    """What is shown at one moment; `refused` is why nothing could be decided."""

    cards: tuple[ShownCard, ...] = ()
    decisions: tuple[Decision, ...] = ()
    refused: str = ""

    def not_shown(self) -> Iterator[tuple[str, str]]:
        """The cards that stood and are not shown: the rule, and why."""
        for decision in self.decisions:
            if isinstance(decision.because, Replaced | HeldBack):
                yield decision.rule.id, decision.because.code

    def reasons(self, rule: str) -> list[str]:
        """Why a rule shows its card, or none."""
        found = [decision for decision in self.decisions if decision.rule.id == rule]
        found = [decision for decision in found if decision.shown] or found
        if not found:
            return ["not known" if not self.decisions else "no such rule on this hook"]
        decision = found[0]
        if isinstance(decision.because, ConditionNotMet):
            return [f"{decision.because.code}: {decision.rule.when.in_words()}"]
        found_reasons = because_of(decision)
        if decision.shown or decision.because is not None:
            return found_reasons
        return [f"not known: {reason}" for reason in found_reasons]


class Edition(Protocol):
    """What answers the views of a patient."""

    def views(
        self, patient: str, given: PatientInput, moments: Sequence[ViewMoment]
    ) -> tuple[PatientView, ...]:
        """The view at each moment."""


@dataclass(frozen=True, slots=True)
class EditionPlace:
    """A folder of cards; `None` of the cards and site values of the settings."""

    cards: Path | None = None
    site_file: Path | None = None

    def knowledge(self) -> Knowledge:
        """The packs of the folder, in the time zone of the settings."""
        settings = load_settings()
        if self.cards is not None:
            of_place = {"cards": self.cards, "site_file": self.site_file}
            settings = settings.model_copy(update=of_place)
        return load_knowledge(settings)


@dataclass(frozen=True, slots=True)
class CardsEdition:
    """The packs of a folder, which decide."""

    knowledge: Knowledge
    hook: str

    def services(self) -> list[Served]:
        """Those that answer the hook; raises `RequestError` if none does."""
        by_hooks = self.knowledge.services.values()
        found = [by_hook[self.hook] for by_hook in by_hooks if self.hook in by_hook]
        if not found:
            known = dict.fromkeys(hook for by_hook in by_hooks for hook in by_hook)
            raise RequestError(f"No service answers this hook; known: {', '.join(known)}.")
        return found

    def views(
        self, patient: str, given: PatientInput, moments: Sequence[ViewMoment]
    ) -> tuple[PatientView, ...]:
        """The view at each moment; a card that an earlier one has shown may be quiet."""
        del patient
        shown = EarlierViews()
        return tuple(self._view(given, moment, shown) for moment in moments)

    def _view(self, given: PatientInput, moment: ViewMoment, shown: EarlierViews) -> PatientView:
        services = self.services()
        if moment.cut:
            given = as_of(given, moment.time, self.knowledge.zone)
        try:
            outcomes = [self._outcome(served, given, moment.time, shown) for served in services]
        except (MissingData, RequestError) as error:
            return PatientView(refused=why_refused(error))
        decisions = tuple(decision for outcome in outcomes for decision in outcome.decisions)
        for outcome in outcomes:
            shown.keep(outcome)
        return PatientView(
            cards=tuple(
                ShownCard(decision.rule.id, decision.indicator)
                for decision in decisions
                if decision.shown
            ),
            decisions=decisions,
        )

    def _outcome(
        self, served: Served, given: PatientInput, time: datetime, shown: EarlierViews
    ) -> Outcome:
        evaluation = evaluated(self.knowledge, served, given, self.hook, time)
        refuse_unreadable(given, evaluation)
        return settle(evaluation, quiet=shown.quiet(evaluation))


@dataclass(slots=True)
class AnsweredEdition:
    """Views that were answered before; `left` are those of patients who were not asked about."""

    name: str
    left: dict[str, list[PatientView]] = field(default_factory=dict)

    def views(
        self, patient: str, given: PatientInput, moments: Sequence[ViewMoment]
    ) -> tuple[PatientView, ...]:
        """The views of the file; raises `RequestError` if they are not as many."""
        del given
        name = patient.removeprefix("Patient/")
        answered = self.left.pop(name, [])
        count = len(moments)
        if len(answered) < count:
            raise RequestError(f"The views of {self.name} are not of the patients of SOURCE.")
        if answered[count:]:  # of another request about the same patient
            self.left[name] = answered[count:]
        return tuple(answered[:count])

    def check(self) -> None:
        """Raise `RequestError` if somebody in the file is not in the source."""
        if self.left:
            raise RequestError(f"The views of {self.name} are not of the patients of SOURCE.")


def read_answered(file: Path) -> AnsweredEdition:
    """The views of a file of answered ones; raises `RequestError` for any other."""
    edition = AnsweredEdition(file.name)
    try:
        for text in file.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            patient = str(line["patient"]).removeprefix("Patient/")
            view = PatientView(tuple(map(_card, line["cards"])))
            edition.left.setdefault(patient, []).append(view)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RequestError(f"{file.name} is no file of answered views.") from None
    return edition


def _card(written: Mapping[str, Any]) -> ShownCard:
    if written["indicator"] not in INDICATORS:
        raise ValueError
    return ShownCard(str(written["rule"]), str(written["indicator"]))
