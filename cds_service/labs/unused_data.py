# SPDX-License-Identifier: Apache-2.0
"""What was sent about a patient, might have raised a card, and was not used.

Everything that is sent ends in the record: as a result, as set aside with a reason, or as a part
that did not come whole. This sorts out what a clinician has to know: no card must never mean
that a result could not be read. From it come the line on every card and the card about unused data.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from cds_service.labs.patient_record import Incomplete, PatientRecord, SetAside
from cds_service.labs.set_aside_reasons import LOSSES


class UnusedData(Struct, frozen=True, kw_only=True):
    """Results that could not be used, the gravest reason first, and parts that did not come whole.

    False if there is nothing to tell.
    """

    results: tuple[SetAside, ...] = ()
    parts: tuple[Incomplete, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to name."""
        return bool(self.results or self.parts)

    def beside_cards(self) -> "UnusedData":
        """What is left to name where cards appear, each of which names the incomplete parts."""
        return UnusedData(results=self.results)


def unused_data(record: PatientRecord, reach_days: Mapping[str, int], now: datetime) -> UnusedData:
    """What of the record has to be named.

    `reach_days` holds, by marker, how many days back a result can change an answer. Older ones are
    left out; one without a readable time may be new.
    """
    results = {_identity(item): item for item in _lost(record, reach_days, now)}
    return UnusedData(
        results=tuple(sorted(results.values(), key=lambda item: _rank(item, now))),
        parts=tuple(part for part in record.incomplete if part.must_be_named),
    )


def _lost(
    record: PatientRecord, reach_days: Mapping[str, int], now: datetime
) -> Iterator[SetAside]:
    longest = max(reach_days.values(), default=0)
    for item in record.set_aside:
        if not item.is_result or item.reason not in LOSSES:
            continue
        reach = timedelta(days=reach_days.get(item.marker, longest))
        if item.time is None or now - item.time <= reach:
            yield item


def _identity(item: SetAside) -> tuple[object, ...]:
    """What a reader can tell two of them apart by."""
    if not item.marker:
        return (item.reference, item.code, item.reason, item.time)
    return (item.marker, item.reason, item.time, item.number, item.unit)


def _rank(item: SetAside, now: datetime) -> tuple[int, timedelta]:
    """By reason, and the newest first."""
    return LOSSES[item.reason], timedelta() if item.time is None else now - item.time
