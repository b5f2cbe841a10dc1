# SPDX-License-Identifier: Apache-2.0
"""A rule about results that were set aside: one card a marker that has a recent one.

What is pending at discharge is told so. Any other result that was set aside is named by the rule
about unused data.
"""

from collections.abc import Iterator
from datetime import datetime

from cds_service.labs.patient_record import LabResult, PatientRecord, SetAside, set_aside
from cds_service.labs.result_selection import Chooser
from cds_service.labs.set_aside_reasons import SetAsideReason
from cds_service.rules.answer import (
    CompiledRule,
    Decision,
    answer,
)
from cds_service.rules.reasons import (
    ConditionNotMet,
)

# As if a result that is not final yet had been set aside for it.
PENDING: SetAsideReason = "status:preliminary"


def about_set_aside(
    rule: CompiledRule, chooser: Chooser, record: PatientRecord, now: datetime
) -> Iterator[Decision]:
    """One card a marker that has a recent result set aside for the rule's reason."""
    seen: set[str] = set()
    for item in (*record.set_aside, *_pending(record)):
        if not item.marker or item.marker in seen or not chooser.is_recent(item.time):
            continue
        decision = _of_set_aside(rule, item, chooser, record, now)
        if decision.shown:
            seen.add(item.marker)
            yield decision
    if not seen:
        yield Decision(
            rule=rule.rule,
            answer="no card",
            frame=chooser.bare_frame(None),
            because=ConditionNotMet(),
        )


def _pending(record: PatientRecord) -> Iterator[SetAside]:
    """Preliminary results, which rules may call pending as they do those registered."""
    for result in record.results:
        if result.status == "preliminary" and not _settled(result, record):
            yield set_aside(result, PENDING)


def _settled(result: LabResult, record: PatientRecord) -> bool:
    """Whether a later result of the marker is final."""
    return any(
        other.marker == result.marker
        and other.status != "preliminary"
        and other.time >= result.time
        for other in record.results
    )


def _of_set_aside(
    rule: CompiledRule, item: SetAside, chooser: Chooser, record: PatientRecord, now: datetime
) -> Decision:
    frame = chooser.bare_frame(item)
    return answer(rule, frame, record, now, chooser.pack.scope.order_days)
