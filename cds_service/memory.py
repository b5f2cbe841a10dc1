# SPDX-License-Identifier: Apache-2.0
"""What the service remembers of cards: which were sent, and which clinicians overrode.

An overridden card is not shown again for the same patient, rule and results, for some days:
a clinician who has answered is not asked again. What is remembered of patient and result is a
keyed hash (HMAC-SHA-256); without the key nobody can tell whom it was about, nor try.

The silence is narrow, because a card that is wrongly silent does more harm than one that repeats:

- a new or corrected result speaks again, be it the index or another that the rule reads: the id,
  time, value and unit of each are part of the hash, and whether the card is preliminary;
- a rule with a new version speaks again;
- a card that has become more severe than the one that was overridden speaks again;
- so does one that now stands for another rule too, of its own severity or above: what was not
  there when the clinician answered was not answered;
- if the store does not answer, every card is shown.
"""

import hmac
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, timedelta

from msgspec.json import encode
from pydantic import SecretStr

from cds_service.call_context import CallContext
from cds_service.clock import stopwatch
from cds_service.decide import Evaluation, Outcome
from cds_service.errors import StoreError
from cds_service.fhir.references import base_url
from cds_service.knowledge.model.dependencies import dependencies_of
from cds_service.knowledge.model.pack import INDICATORS
from cds_service.labs.patient_record import LabResult, SetAside
from cds_service.log import log_crash
from cds_service.render.card import Card
from cds_service.rules.answer import Decision, DecisionKey
from cds_service.settings import Settings, is_open
from cds_service.store import Store
from cds_service.store.store import ShownCard
from cds_service.store.writer import CardWriter

_PAUSE = 10_000  # milliseconds after a failure in which the store is not asked
_DAY = 24 * 60 * 60 * 1000


class CardMemory:
    """Remembers cards and asks for overrides; one object a process."""

    def __init__(
        self, store: Store, *, key: bytes | None, silence_days: int, kept_days: int
    ) -> None:
        self.store = store
        self._key = key if silence_days else None
        self._silence = timedelta(days=silence_days)
        self._kept = timedelta(days=kept_days)
        self._writer = CardWriter(self._write)
        self._since_failure: Callable[[], float] | None = None
        self._since_purge: Callable[[], float] | None = None

    def overridden(self, evaluation: Evaluation, call: CallContext) -> frozenset[DecisionKey]:
        """Which cards of the evaluation were overridden.

        Nothing if the store does not answer, and for a while after that.
        """
        shown = [decision for decision in evaluation.decisions if decision.shown]
        if self._key is None or not shown or self._is_paused():
            return frozenset()
        subjects = {self._subject(one, evaluation, call): one for one in shown}
        asked = [subject for subject in subjects if subject is not None]
        try:
            overridden = self.store.overridden(asked, since=evaluation.now - self._silence)
        except StoreError as error:
            self._since_failure = stopwatch()
            log_crash(error)
            return frozenset()
        return frozenset(
            subjects[subject].key
            for subject, indicator in overridden.items()
            if _rank(subjects[subject].indicator) <= _rank(indicator)
        )

    def keep(self, cards: Sequence[Card], outcome: Outcome, call: CallContext) -> None:
        """Remember the cards of an outcome that are sent; they are written in the background."""
        shown = (one for one in outcome.decisions if one.shown)
        self._writer.add(
            [
                ShownCard(
                    client=call.client,
                    card=card.uuid,
                    rule=decision.rule.id,
                    version=decision.rule.version,
                    pack=outcome.pack.id,
                    pack_version=outcome.pack.version,
                    service=call.service,
                    hook=call.trigger,
                    indicator=decision.indicator,
                    shown=outcome.now,
                    subject=self._subject(decision, outcome, call),
                )
                for card, decision in zip(cards, shown, strict=True)
            ]
        )

    def flush(self) -> None:
        """Return when the cards that were kept have been written."""
        self._writer.flush()

    def close(self) -> None:
        """Write what is waiting and close the store."""
        self._writer.close()
        self.store.close()

    def _write(self, cards: Sequence[ShownCard]) -> None:
        """In the background: keep the cards, and once a day remove what is too old."""
        self.store.add_cards(cards)
        if self._since_purge is None or self._since_purge() > _DAY:
            self._since_purge = stopwatch()
            self.store.purge(before=cards[-1].shown - self._kept)

    def _is_paused(self) -> bool:
        return self._since_failure is not None and self._since_failure() < _PAUSE

    def _subject(
        self, decision: Decision, evaluation: Evaluation, call: CallContext
    ) -> bytes | None:
        """The keyed hash of whom and what the card is about."""
        if self._key is None:
            return None
        # Two servers of one client may give two patients the same id.
        server = base_url(call.fhir_server or "")
        rule = decision.rule
        patient = (call.client, server, call.patient_id)
        about = (*patient, rule.id, rule.version, decision.preliminary)
        subject = (about, _absorbed_rules(decision, evaluation), *_rests_on(decision, evaluation))
        return hmac.digest(self._key, encode(subject), "sha256")


def open_memory(settings: Settings, store: Store) -> CardMemory:
    """The memory that the settings ask for, over an open store; without a key it silences none."""
    key = with_hash_key(settings).hash_key
    return CardMemory(
        store,
        key=None if key is None else key.get_secret_value().encode(),
        silence_days=settings.silence_days,
        kept_days=settings.feedback_days,
    )


def with_hash_key(settings: Settings) -> Settings:
    """The settings, in open mode with a new key if none is set.

    Call this once in the parent process so that all workers share the key. Outside of open mode the
    key has to be set: one that changes with every start would forget overrides unnoticed.
    """
    if settings.hash_key is not None or not is_open(settings):
        return settings
    return settings.model_copy(update={"hash_key": SecretStr(secrets.token_urlsafe(32))})


def _absorbed_rules(decision: Decision, evaluation: Evaluation) -> list[str]:
    """The rules that the card replaced and that are at least as severe, at however many removes."""
    winners = {one.rule.id: one.replaced_by for one in evaluation.decisions if one.replaced_by}
    found = []
    for one in evaluation.decisions:
        winner = one.replaced_by
        while winner in winners:
            winner = winners[winner]
        if winner == decision.rule.id and _rank(one.indicator) >= _rank(decision.indicator):
            found.append(one.rule.id)
    return sorted(found)


def _rests_on(decision: Decision, evaluation: Evaluation) -> Iterator[tuple[object, ...]]:
    """What the card rests on: its index result and every other result that its rule reads."""
    frame = decision.frame
    if frame.set_aside is not None:
        yield _named_set_aside(frame.set_aside)
    read = {frame.index, *dependencies_of(decision.rule, evaluation.pack).markers}
    for marker in sorted(read & frame.readings.keys()):
        yield _named(frame.readings[marker].result)


def _named(result: LabResult) -> tuple[object, ...]:
    """The result and what was sent in it: a correction keeps its id and is another result."""
    sent = result.sent
    return (
        result.reference,
        result.marker,
        result.time.astimezone(UTC).isoformat(),
        sent.comparator,
        sent.number,
        sent.unit,
    )


def _named_set_aside(item: SetAside) -> tuple[object, ...]:
    time = item.time.astimezone(UTC).isoformat() if item.time else None
    return (item.reference, item.marker, item.reason, time, item.number, item.unit)


def _rank(indicator: str) -> int:
    return INDICATORS.index(indicator)
