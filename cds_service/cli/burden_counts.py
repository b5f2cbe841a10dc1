# SPDX-License-Identifier: Apache-2.0
"""How many cards two editions of the packs show for the same views, and which they no longer do."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cds_service.cli.burden_views import PatientView, ShownCard
from cds_service.knowledge.model.pack import INDICATORS

ALARMING = frozenset(("critical", "warning"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Burden:
    """What one edition shows: counts over all views."""

    views: int
    with_a_card: int
    with_an_alarm: int
    by_rule: Counter[ShownCard]

    def per_100(self, count: float) -> float:
        """A count for every hundred views."""
        return 100 * count / self.views if self.views else 0.0

    def of_indicator(self, indicator: str) -> int:
        """How many cards of this severity."""
        return sum(count for card, count in self.by_rule.items() if card.indicator == indicator)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A patient to whom the old edition shows critical or warning cards, and the new one none."""

    patient: str
    old: tuple[ShownCard, ...]
    new: tuple[ShownCard, ...]


def burden_of(views: Sequence[PatientView]) -> Burden:
    """The counts over the views."""
    return Burden(
        views=len(views),
        with_a_card=sum(bool(view.cards) for view in views),
        with_an_alarm=sum(bool(_alarms(view.cards)) for view in views),
        by_rule=Counter(card for view in views for card in view.cards),
    )


def lost_of(old: Sequence[PatientView], new: Sequence[PatientView]) -> list[Lost]:
    """The patients of whom no view is answered by a critical or warning card any more."""
    before, after = _by_patient(old), _by_patient(new)
    return [
        Lost(patient=patient, old=_alarms(cards), new=after[patient])
        for patient, cards in before.items()
        if _alarms(cards) and not _alarms(after[patient])
    ]


def _by_patient(views: Sequence[PatientView]) -> dict[str, tuple[ShownCard, ...]]:
    """Every card that a patient was shown, each once."""
    found: dict[str, dict[ShownCard, None]] = {}
    for view in views:
        found.setdefault(view.patient, {}).update(dict.fromkeys(view.cards))
    return {patient: tuple(cards) for patient, cards in found.items()}


def _alarms(cards: Sequence[ShownCard]) -> tuple[ShownCard, ...]:
    return tuple(card for card in cards if card.indicator in ALARMING)


def as_json(old: Burden, new: Burden, lost: Sequence[Lost]) -> dict[str, Any]:
    """Both sides as JSON-able data."""
    return {
        "views": old.views,
        "old": _side(old),
        "new": _side(new),
        "lost": [
            {"patient": one.patient, "old": _cards(one.old), "new": _cards(one.new)} for one in lost
        ],
    }


def _side(one: Burden) -> dict[str, Any]:
    return {
        "viewsWithCard": one.with_a_card,
        "viewsWithCriticalOrWarning": one.with_an_alarm,
        "cards": one.by_rule.total(),
        "cardsPer100Views": round(one.per_100(one.by_rule.total()), 2),
        "rules": [
            {
                "rule": card.rule,
                "indicator": card.indicator,
                "cards": count,
                "per100Views": round(one.per_100(count), 2),
            }
            for card, count in sorted(one.by_rule.items(), key=lambda pair: _key(pair[0]))
        ],
    }


def _cards(cards: Sequence[ShownCard]) -> list[dict[str, str]]:
    return [{"rule": card.rule, "indicator": card.indicator} for card in cards]


def _key(card: ShownCard) -> tuple[int, str]:
    return -INDICATORS.index(card.indicator), card.rule


def as_lines(old: Burden, new: Burden, lost: Sequence[Lost]) -> Iterator[str]:
    """Both sides as a table, the most severe rules first."""
    yield f"{old.views} views{'':<37}{'old':>8}{'new':>8}{'change':>8}"
    shares = {
        "views with a card": (old.with_a_card, new.with_a_card),
        "views with a critical or warning card": (old.with_an_alarm, new.with_an_alarm),
    }
    for name, counts in shares.items():
        yield _line(f"{name}, per cent", *_pair(old, new, *counts))
    yield ""
    total = (old.by_rule.total(), new.by_rule.total())
    yield _line("cards per 100 views", *_pair(old, new, *total))
    for indicator in reversed(INDICATORS):
        counts = (old.of_indicator(indicator), new.of_indicator(indicator))
        yield _line(f"  {indicator}", *_pair(old, new, *counts))
    yield ""
    for card in sorted(old.by_rule.keys() | new.by_rule.keys(), key=_key):
        name = f"  {card.rule} ({card.indicator})"
        yield _line(name, *_pair(old, new, old.by_rule[card], new.by_rule[card]))
    yield ""
    yield f"{len(lost)} patients lost: a critical or warning card in old, none in new"
    for one in lost:
        yield f"  {one.patient}: {_named(one.old)}; now {_named(one.new) or 'no card'}"


def _named(cards: Sequence[ShownCard]) -> str:
    return ", ".join(f"{card.rule} ({card.indicator})" for card in cards)


def _pair(old: Burden, new: Burden, before: int, after: int) -> tuple[float, float]:
    return old.per_100(before), new.per_100(after)


def _line(name: str, before: float, after: float) -> str:
    return f"{name:<47}{before:8.2f}{after:8.2f}{after - before:+8.2f}"
