# SPDX-License-Identifier: Apache-2.0
"""Which cards of a call clinicians overrode or saw lately, the uuids of the others, and feedback.

An overridden card is not shown again for the same patient, rule and results, for some days:
a clinician who has answered is not asked again.

The silence is narrow, because a card that is wrongly silent does more harm than one that repeats:

- a new or corrected result speaks again, be it the index or another that the rule reads;
- a rule with a new version speaks again;
- a card that has become more severe than the one that was overridden speaks again;
- so does one that now stands for another rule too, of its own severity or above: what was not
  there when the clinician answered was not answered;
- an override that is not known yet, or that a database which is away keeps, silences nothing.

A card of a rule that says `quiet for` is not shown again within those days (`QuietCards`).
"""

import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from hashlib import sha256
from typing import TypeAlias
from uuid import UUID

from cds_service.call_context import SANDBOX, CallContext
from cds_service.clock import Clock, system_clock
from cds_service.decide import Evaluation, Outcome
from cds_service.knowledge.model.pack import Pack
from cds_service.memory.card_uuid import CardUuids
from cds_service.memory.quiet_cards import QuietCards, open_quiet_cards, shown_once
from cds_service.memory.records import CardRecords
from cds_service.memory.subjects import CardSubjects
from cds_service.render.card import Card
from cds_service.rules.answer import Decision, DecisionKey, cards_among
from cds_service.settings import Settings, is_open
from cds_service.store import Store
from cds_service.store.report import Report, report
from cds_service.store.store import (
    SUBJECT_BYTES,
    CardOrigin,
    Feedback,
    NewFeedback,
    RuleVersion,
    ShownCards,
)
from cds_service.store.thread import DatabaseThread

_NO_SECRET = b"cds-service"

ReportUnsure: TypeAlias = Callable[[int], object]
"""What is done about so many cards that another process may have shown lately, unknown to this."""


class CardMemory:
    """Remembers cards; one object a process. A call never waits for the database here."""

    def __init__(
        self,
        records: CardRecords,
        uuids: CardUuids,
        *,
        key: bytes | None,
        silence: timedelta,
        patience: float,
        quiet: QuietCards | None = None,
        report_unsure: ReportUnsure = lambda _: None,
    ) -> None:
        self.store = records.store
        self._records = records
        self.uuids = uuids
        self._key = key
        self._silence = silence
        self._quiet = quiet
        self._report_unsure = report_unsure
        self._thread = DatabaseThread("feedback", records.refresh, patience=patience)
        # A page of a large database must not keep feedback waiting.
        self._pages = DatabaseThread("feedback-page", patience=patience)

    def recall(self, evaluation: Evaluation, call: CallContext) -> "RecalledCall":
        """What is remembered of the cards that an evaluation would show."""
        shown = cards_among(evaluation.decisions)
        if not shown:
            return RecalledCall(memory=self, call=call)
        subject_of = self._subjects(evaluation, call)
        origins = {
            decision.key: CardOrigin(
                rule=RuleVersion(evaluation.pack.id, decision.rule.id, decision.rule.version),
                indicator=decision.indicator,
                subject=subject_of(decision),
            )
            for decision in shown
        }
        overridden: frozenset[DecisionKey] = frozenset()
        if self._silence:
            since = evaluation.now - self._silence
            overridden = frozenset(
                key
                for key, origin in origins.items()
                if self._records.overrides.silence(call.client, origin, since)
            )
        # Nobody is at work in the sandbox: what is shown there was not seen.
        quiet: frozenset[DecisionKey] = frozenset()
        if self._quiet is not None and call.client != SANDBOX:
            quiet = self._quiet.of(evaluation, call)
        return RecalledCall(
            memory=self, call=call, origins=origins, overridden=overridden, quiet=quiet
        )

    def show(self, outcome: Outcome, call: CallContext) -> None:
        """Note the cards of the outcome that are quiet from now on; written in the background."""
        if self._quiet is None or call.client == SANDBOX:
            return
        self._quiet.show(outcome, call)
        once = sum(decision.indicator != "critical" for decision in shown_once(outcome))
        if once and (self._records.failed or self._thread.is_held_up):
            self._report_unsure(once)

    def count_cards(self, cards: Mapping[str, ShownCards]) -> None:
        """Count cards that are shown, each by its uuid; they are written in the background."""
        if cards:
            self._records.counts.add(cards)
            self._thread.start()

    def take(
        self, items: Sequence[Feedback], *, client: str, service: str
    ) -> tuple[NewFeedback, ...]:
        """Keep feedback: what is new of it; all of it is on the disk then.

        Raises `StoreError` if the database does not answer in time.
        """
        return self._thread.ask(lambda: self._records.take(items, client, service))

    def report(self, packs: Iterable[Pack]) -> Report:
        """What became of the cards; those of this process are counted up to now.

        Raises `StoreError` if the database does not answer in time.
        """
        self._thread.ask(self._records.refresh)
        return self._pages.ask(lambda: report(self.store, packs))

    def follow(self) -> None:
        """Follow the feedback to other processes from now on; without this, from the first card."""
        self._thread.start()

    def refresh(self) -> None:
        """Follow the database once, for a process of one thread that does not `follow` it."""
        self._records.refresh()

    def flush(self) -> None:
        """Return when the cards that were counted have been written, or have failed to be."""
        self._thread.submit(self._records.refresh).result()

    def close(self) -> None:
        """Write what is waiting and close the store."""
        self._thread.finish()
        self._pages.finish()
        self.store.close()

    def _subjects(self, evaluation: Evaluation, call: CallContext) -> Callable[[Decision], bytes]:
        """The keyed hash of whom and what a card is about; without a key the call's marker."""
        if self._key is not None:
            return CardSubjects(evaluation, call, self._key).of

        def of_the_call(decision: Decision) -> bytes:
            _, marker = decision.key
            return sha256(f"{call.id} {marker}".encode()).digest()[:SUBJECT_BYTES]

        return of_the_call


@dataclass(frozen=True, slots=True, kw_only=True)
class RecalledCall:
    """What is remembered of the cards of one call.

    `overridden` are those a clinician answered, `quiet` those that were shown lately.
    """

    memory: CardMemory
    call: CallContext
    origins: Mapping[DecisionKey, CardOrigin] = field(default_factory=dict)
    overridden: frozenset[DecisionKey] = frozenset()
    quiet: frozenset[DecisionKey] = frozenset()

    def card_uuid(self, decision: Decision) -> UUID:
        """The uuid of a card, by which feedback about it will be known."""
        origin = self.origins[decision.key]
        return self.memory.uuids.make(origin, self.call.client, self.call.id)

    def keep(self, cards: Sequence[Card], outcome: Outcome) -> None:
        """Count the cards of the outcome, which are being sent, and note those quiet from now."""
        if not cards:
            return
        self.memory.show(outcome, self.call)
        shown = cards_among(outcome.decisions)
        day = outcome.now.astimezone(UTC).date()
        self.memory.count_cards(
            {
                card.uuid: ShownCards(
                    day=day,
                    client=self.call.client,
                    rule=self.origins[decision.key].rule,
                    service=self.call.service,
                    hook=self.call.trigger,
                    indicator=decision.indicator,
                )
                for card, decision in zip(cards, shown, strict=True)
            }
        )


def open_memory(
    settings: Settings,
    store: Store,
    packs: Sequence[Pack],
    clock: Clock = system_clock,
    report_unsure: ReportUnsure = lambda _: None,
    *,
    with_tasks: bool = True,
) -> CardMemory:
    """The memory that the settings ask for, over an open store; without a key it silences none.

    `with_tasks`: what stands as a Task on its FHIR server keeps cards quiet too.

    `report_unsure` is told how many cards were shown while the database was away that another
    process may have shown within their quiet days.

    Raises `StoreError` if the database does not answer.
    """
    key = _key(settings)
    seal_key = hmac.digest(key or _NO_SECRET, b"seal", "sha256")
    uuids = CardUuids(seal_key, is_keyed=key is not None)
    silence = timedelta(days=settings.silence_days if key is not None else 0)
    quiet = open_quiet_cards(settings, store, packs, clock, with_tasks=with_tasks)
    records = CardRecords(
        store,
        uuids,
        (
            RuleVersion(pack.id, rule.id, rule.version)
            for pack in packs
            for rule in pack.rules.values()
        ),
        clock,
        silence=silence,
        kept=timedelta(days=settings.feedback_days),
        quiet=quiet.records if quiet is not None else None,
    )
    records.load()
    # Half of a call's time: a call that waits for the thread of a request that waits is in time.
    patience = settings.deadline_ms / 2000
    return CardMemory(
        records,
        uuids,
        key=key,
        silence=silence,
        patience=patience,
        quiet=quiet,
        report_unsure=report_unsure,
    )


def _key(settings: Settings) -> bytes | None:
    """The key of subjects; in open mode one that everybody knows, unless one is set.

    Outside of open mode it has to be set: what one client's patients are about is hidden from all.
    """
    if settings.hash_key is not None:
        return settings.hash_key.get_secret_value().encode()
    return _NO_SECRET if is_open(settings) else None
