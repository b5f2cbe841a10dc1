# SPDX-License-Identifier: Apache-2.0
"""Whom and what a card is about, as a keyed hash (HMAC-SHA-256).

Without the key nobody can tell whom it was about, nor try. The id, time, value and unit of every
result that the rule reads are part of it, and so are the rule's version, whether the card is
preliminary, and the rules at least as severe that it stands for.
"""

import hmac
from collections.abc import Iterator
from datetime import UTC

from msgspec.json import encode

from cds_service.call_context import CallContext
from cds_service.decide import Evaluation
from cds_service.fhir.references import base_url
from cds_service.knowledge.model.pack import INDICATORS, Indicator
from cds_service.labs.patient_record import LabResult, SetAside
from cds_service.rules.answer import Decision
from cds_service.store.store import QUIET_CARD_BYTES, SUBJECT_BYTES, RuleVersion


def subject_of(decision: Decision, evaluation: Evaluation, call: CallContext, key: bytes) -> bytes:
    """The first bytes of the keyed hash of whom and what the card is about."""
    rule = decision.rule
    about = (*_patient(call), rule.id, rule.version, decision.preliminary)
    subject = (about, _absorbed_rules(decision, evaluation), *_rests_on(decision, evaluation))
    return hmac.digest(key, encode(subject), "sha256")[:SUBJECT_BYTES]


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


def _absorbed_rules(decision: Decision, evaluation: Evaluation) -> list[str]:
    """The rules that the card replaced and that are at least as severe, at however many removes."""
    winners = {one.rule.id: one.replaced_by for one in evaluation.decisions if one.replaced_by}
    found = []
    for one in evaluation.decisions:
        winner = one.replaced_by
        while winner in winners:
            winner = winners[winner]
        if winner == decision.rule.id and rank(one.indicator) >= rank(decision.indicator):
            found.append(one.rule.id)
    return sorted(found)


def _rests_on(decision: Decision, evaluation: Evaluation) -> Iterator[tuple[object, ...]]:
    """What the card rests on: its index result and every other result that its rule reads.

    A card about what could not be used rests on all of that.
    """
    frame = decision.frame
    if frame.set_aside is not None:
        yield _named_set_aside(frame.set_aside)
    if frame.unused is not None:
        yield from (_named_set_aside(item) for item in frame.unused.results)
        yield from ((part.part, part.lack) for part in frame.unused.parts)
    read = evaluation.reads[decision.rule.id] | {frame.index}
    for marker in sorted(read & frame.readings.keys()):
        yield named_result(frame.readings[marker].result)


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
