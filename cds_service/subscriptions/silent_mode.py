# SPDX-License-Identifier: Apache-2.0
"""Silent mode: what would stand on a server if anything were written.

It is remembered beside what was written, in states of its own, so that a decision can say what
would have been withdrawn, and does not write the same again each time. No card of a hook is quiet
for it, and once a server's `write back` is `on` it counts no more.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from cds_service.store.advice import SILENT, AdviceState, WrittenAdvice
from cds_service.subscriptions.planned_writes import PlannedWrites

# As what each state counts in silent mode.
_COUNTS_AS: Final[Mapping[AdviceState, AdviceState]] = {
    "silent": "open",
    "silent-over": "cancelled",
}


def written_for_real(rows: Iterable[WrittenAdvice]) -> tuple[WrittenAdvice, ...]:
    """What was written to the server."""
    return tuple(row for row in rows if row.state not in SILENT)


def written_silently(rows: Iterable[WrittenAdvice]) -> tuple[WrittenAdvice, ...]:
    """What would have been written, as if it had been; and what was, before silent mode."""
    found = {row.identifier: row for row in rows if row.state not in {*SILENT, "writing"}}
    for row in rows:
        if row.state in SILENT:
            found[row.identifier] = replace(row, state=_COUNTS_AS[row.state])
    return tuple(found.values())


def kept_silently(planned: Iterable[PlannedWrites]) -> Iterator[WrittenAdvice]:
    """The rows of what would be written and withdrawn, as they are kept."""
    for plan in planned:
        for row in plan.rows:
            yield replace(row, state="silent")
        for row, _ in plan.withdrawals:
            yield replace(row, state="silent-over")


def silent_changes(planned: Iterable[PlannedWrites]) -> list[dict[str, Any]]:
    """What would have become of advice, to be kept with the decision."""
    plans = tuple(planned)
    return [
        *(
            {"advice": "not-written", "rule": row.rule, "indicator": row.indicator}
            for plan in plans
            for row in plan.rows
        ),
        *(
            {"advice": "not-withdrawn", "rule": row.rule, "indicator": row.indicator, "why": why}
            for plan in plans
            for row, why in plan.withdrawals
        ),
    ]
