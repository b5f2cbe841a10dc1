# SPDX-License-Identifier: Apache-2.0
"""What views show, counted: every count of one batch can be added to those of another."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final

from cds_service.screening.people import Cell
from cds_service.screening.views import PatientView, ShownCard

ALARMING: Final = frozenset(("critical", "warning"))


@dataclass(slots=True)
class ViewTally:
    """The counts over some views; `cards_by` and `people_by` are by sex, age or ward.

    `people` are those with a card in any of their views; `days` holds the cards of each day.
    """

    views: int = 0
    with_card: int = 0
    with_alarm: int = 0
    people: int = 0
    cards: Counter[ShownCard] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    not_shown: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    cards_by: Counter[Cell] = field(default_factory=Counter)
    people_by: Counter[Cell] = field(default_factory=Counter)
    days: Counter[int] = field(default_factory=Counter)

    def add(self, other: "ViewTally") -> None:
        """Add what another part counted."""
        add_to(self, other, ("views", "with_card", "with_alarm", "people"), _COUNTERS)

    def count(self, views: Sequence[PatientView], cells: Sequence[Iterable[Cell]]) -> None:
        """Count the views of one patient, each with the rows that it is counted in."""
        found: set[Cell] = set()
        for view, of_view in zip(views, cells, strict=True):
            self.views += 1
            if view.refused:
                self.refused[view.refused] += 1
            self.not_shown.update(view.not_shown())
            if not view.cards:
                continue
            self.with_card += 1
            self.with_alarm += any(card.indicator in ALARMING for card in view.cards)
            self.cards.update(view.cards)
            rules = sorted({card.rule for card in view.cards})
            self.pairs.update(combinations(rules, 2))
            for cell in of_view:
                self.cards_by[cell] += len(view.cards)
                found.add(cell)
        self.people += any(view.cards for view in views)
        self.people_by.update(found)


_COUNTERS: Final = ("cards", "pairs", "not_shown", "refused", "cards_by", "people_by", "days")


def add_to(total: Any, other: Any, numbers: Iterable[str], counters: Iterable[str]) -> None:
    """Add these numbers and counters of one tally to those of another."""
    for name in numbers:
        setattr(total, name, getattr(total, name) + getattr(other, name))
    for name in counters:
        getattr(total, name).update(getattr(other, name))
