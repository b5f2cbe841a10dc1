# SPDX-License-Identifier: Apache-2.0
"""The cards that were shown before a case: `shown: RULE 27 days ago as info`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import cast

from cds_service.knowledge.model.pack import Indicator, Pack
from cds_service.rules.answer import Decision
from cds_service.rules.shown_cards import LastShown
from cds_service.sourcefile.document import Data
from cds_service.trials.synthetic_chart import GivenError

_SHOWN = re.compile(r"([a-z0-9-]+) ([0-9]{1,4}) days? ago as (info|warning|critical)")


@dataclass(frozen=True, slots=True)
class ShownBefore:
    """The card of a rule that was shown some days ago."""

    rule: str
    days_ago: int
    indicator: Indicator


def read_shown(words: Data, pack: Pack) -> tuple[ShownBefore, ...]:
    """The cards that a case says were shown; raises `GivenError` for what it cannot mean."""
    lines = words if isinstance(words, list) else str(words).split("; ")
    return tuple(_read(str(line), pack) for line in lines)


def _read(line: str, pack: Pack) -> ShownBefore:
    match = _SHOWN.fullmatch(" ".join(line.split()))
    if match is None:
        message = f"cannot read '{line}': write RULE N days ago as INDICATOR"
        raise GivenError(message)
    if match[1] not in pack.rules:
        message = f"there is no rule '{match[1]}'"
        raise GivenError(message)
    return ShownBefore(match[1], int(match[2]), cast("Indicator", match[3]))


def last_shown(shown: Iterable[ShownBefore], today: date) -> LastShown:
    """When each card was last shown, as the case says."""
    days: dict[tuple[str, Indicator], date] = {}
    for card in shown:
        key, day = (card.rule, card.indicator), today - timedelta(days=card.days_ago)
        days[key] = max(days.get(key, day), day)

    def of(decision: Decision, indicator: Indicator) -> date | None:
        return days.get((decision.rule.id, indicator))

    return of
