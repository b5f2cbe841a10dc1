# SPDX-License-Identifier: Apache-2.0
"""What one patient was shown at earlier views, as the service would remember it."""

from dataclasses import dataclass, field
from datetime import date

from cds_service.decide import Evaluation, Outcome
from cds_service.knowledge.model.pack import Indicator
from cds_service.rules.answer import Decision, DecisionKey
from cds_service.rules.shown_cards import can_be_quiet, quiet_keys


@dataclass(slots=True)
class EarlierViews:
    """The last day on which each card of one patient was shown, with each indicator."""

    _days: dict[tuple[DecisionKey, Indicator], date] = field(default_factory=dict)

    def keep(self, outcome: Outcome) -> None:
        """Remember the cards that the outcome shows and that may be quiet later."""
        for decision in outcome.decisions:
            if can_be_quiet(decision):
                self._days[decision.key, decision.indicator] = outcome.now.date()

    def quiet(self, evaluation: Evaluation) -> frozenset[DecisionKey]:
        """The cards of the evaluation that were shown lately, and are not to be shown yet."""
        return quiet_keys(evaluation.decisions, evaluation.now.date(), self._last_shown)

    def _last_shown(self, decision: Decision, indicator: Indicator) -> date | None:
        return self._days.get((decision.key, indicator))
