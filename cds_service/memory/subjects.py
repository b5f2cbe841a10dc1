# SPDX-License-Identifier: Apache-2.0
"""Whom and what a card is about, as a keyed hash (HMAC-SHA-256).

Without the key nobody can tell whom it was about, nor try. The id, time, value and unit of every
result that the rule reads are part of it, and so are the rule's version, whether the card is
preliminary, and the rules at least as severe that it stands for.
"""

import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC

from msgspec.json import encode

from cds_service.call_context import CallContext
from cds_service.decide import Evaluation
from cds_service.fhir.references import base_url
from cds_service.knowledge.model.pack import INDICATORS, Indicator
from cds_service.labs.patient_record import LabResult, SetAside
from cds_service.rules.answer import Decision
from cds_service.store.store import QUIET_CARD_BYTES, SUBJECT_BYTES, RuleVersion


class CardSubjects:
    """Whom and what the cards of one call are about; what they share is found once."""

    def __init__(self, evaluation: Evaluation, call: CallContext, key: bytes) -> None:
        self._evaluation = evaluation
        self._patient = _patient(call)
        self._key = key
        self._absorbed = _absorbed_rules(evaluation.decisions)
        self._results: dict[int, tuple[object, ...]] = {}  # cards rest on the same results

    def of(self, decision: Decision) -> bytes:
        """The first bytes of the keyed hash of whom and what the card is about."""
        rule, least = decision.rule, rank(decision.indicator)
        absorbed = sorted(
            decision.rule.id
            for decision in self._absorbed.get(rule.id, ())
            if rank(decision.indicator) >= least
        )
        about = (*self._patient, rule.id, rule.version, decision.preliminary)
        subject = (about, absorbed, *self._rests_on(decision))
        return hmac.digest(self._key, encode(subject), "sha256")[:SUBJECT_BYTES]

    def _rests_on(self, decision: Decision) -> Iterator[tuple[object, ...]]:
        """What the card rests on: its index result and every other result that its rule reads.

        A card about what could not be used rests on all of that.
        """
        frame = decision.frame
        if frame.set_aside is not None:
            yield _named_set_aside(frame.set_aside)
        if frame.unused is not None:
            yield from (_named_set_aside(item) for item in frame.unused.results)
            yield from ((part.part, part.lack) for part in frame.unused.parts)
        read = self._evaluation.reads[decision.rule.id] | {frame.index}
        for marker in sorted(read & frame.readings.keys()):
            result = frame.readings[marker].result
            named = self._results.get(id(result))
            if named is None:
                named = self._results[id(result)] = named_result(result)
            yield named


def quiet_card_of(rule: RuleVersion, indicator: Indicator, call: CallContext, key: bytes) -> bytes:
    """The first bytes of the keyed hash of a patient, a rule and an indicator; no result counts."""
    named = (*_patient(call), rule, indicator)
    return hmac.digest(key, encode(named), "sha256")[:QUIET_CARD_BYTES]


def rank(indicator: str) -> int:
    """The place of an indicator in the order of severity; more severe is higher."""
    return INDICATORS.index(indicator)


def _patient(call: CallContext) -> tuple[str, str, str]:
    """Whom the call is about: two servers of one client may give two patients the same id."""
    return (call.client, base_url(call.fhir_server or ""), call.patient_id)


def _absorbed_rules(decisions: Iterable[Decision]) -> Mapping[str, Sequence[Decision]]:
    """By rule whose card stands the cards that it replaced, at however many removes."""
    replaced = [decision for decision in decisions if decision.replaced_by is not None]
    winners = {decision.rule.id: decision.replaced_by for decision in replaced}
    found: dict[str, list[Decision]] = {}
    for decision in replaced:
        winner = decision.replaced_by
        while winner in winners:
            winner = winners[winner]
        found.setdefault(winner or "", []).append(decision)
    return found


def named_result(result: LabResult) -> tuple[object, ...]:
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
    return (item.reference, item.marker, item.code, item.reason, time, item.number, item.unit)
