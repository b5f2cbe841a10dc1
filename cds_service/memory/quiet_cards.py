# SPDX-License-Identifier: Apache-2.0
"""Cards that are quiet because they were shown lately: those of rules that say `quiet for`.

A Task that was written when a result arrived counts as a card that was shown (`open_tasks.py`).

What is kept is a keyed hash of client, patient, rule and indicator, and the day, in the time zone
of the site. A new result, or the same in another hook, is quiet all the same; a more severe card
is not, nor is a rule with a new version. A card counts as shown when it is sent.
"""

from collections.abc import Iterable, Iterator
from datetime import date

from cds_service.call_context import CallContext
from cds_service.clock import Clock
from cds_service.decide import Evaluation
from cds_service.knowledge.model.pack import Indicator, Pack
from cds_service.memory.open_tasks import OpenTasks
from cds_service.memory.quiet_records import QuietRecords
from cds_service.memory.subjects import quiet_card_of
from cds_service.rules.answer import Decision, DecisionKey, cards_among
from cds_service.rules.shown_cards import quiet_keys
from cds_service.settings import Settings
from cds_service.store import Store
from cds_service.store.advice import AdviceTable
from cds_service.store.store import RuleVersion


class QuietCards:
    """Tells which cards of a call are quiet, and takes in which were shown."""

    def __init__(self, records: QuietRecords, key: bytes, tasks: OpenTasks | None = None) -> None:
        self.records = records
        self._key = key
        self._tasks = tasks

    def of(self, evaluation: Evaluation, call: CallContext) -> frozenset[DecisionKey]:
        """The cards of an evaluation that are quiet today."""

        def last_shown(decision: Decision, indicator: Indicator) -> date | None:
            day = self.records.shown_days.day(self._card(decision, indicator, evaluation, call))
            task = self._task_day(decision, indicator, evaluation, call)
            return max((shown_at for shown_at in (day, task) if shown_at is not None), default=None)

        return quiet_keys(evaluation.decisions, evaluation.now.date(), last_shown)

    def show(self, outcome: Evaluation, call: CallContext) -> None:
        """Note the cards that are sent; also a critical one, for a milder one may follow."""
        self.records.shown_days.show(
            [
                self._card(decision, decision.indicator, outcome, call)
                for decision in shown_once(outcome)
            ],
            outcome.now.date(),
        )

    def _task_day(
        self, decision: Decision, indicator: Indicator, evaluation: Evaluation, call: CallContext
    ) -> date | None:
        """The day of the site on which a Task that still stands was written."""
        if self._tasks is None:
            return None
        rule = _rule_of(decision, evaluation)
        written = self._tasks.last_written(rule, indicator, call)
        return written and written.astimezone(evaluation.now.tzinfo).date()

    def _card(
        self, decision: Decision, indicator: Indicator, evaluation: Evaluation, call: CallContext
    ) -> bytes:
        return quiet_card_of(_rule_of(decision, evaluation), indicator, call, self._key)


def _rule_of(decision: Decision, evaluation: Evaluation) -> RuleVersion:
    return RuleVersion(evaluation.pack.id, decision.rule.id, decision.rule.version)


def shown_once(outcome: Evaluation) -> Iterator[Decision]:
    """The cards that are shown of rules that are quiet afterwards."""
    return (decision for decision in cards_among(outcome.decisions) if decision.rule.quiet_days)


def open_quiet_cards(
    settings: Settings, store: Store, packs: Iterable[Pack], clock: Clock, *, with_tasks: bool
) -> QuietCards | None:
    """The quiet cards of these packs; `None` where no rule is quiet, or none is to be.

    `with_tasks`: a Task that stands keeps the card quiet too.

    The key has to be set, in open mode too: there nobody is hidden by one that everybody knows,
    and someone who tries something out sees its card again.
    """
    days = max((rule.quiet_days for pack in packs for rule in pack.rules.values()), default=0)
    if settings.hash_key is None or not settings.quiet or not days:
        return None
    key = settings.hash_key.get_secret_value().encode()
    tasks = OpenTasks(AdviceTable(store.database), key, clock, days) if with_tasks else None
    return QuietCards(QuietRecords(store, clock, days, tasks), key, tasks)
