# SPDX-License-Identifier: Apache-2.0
"""What another edition adds to the views of a patient and removes from them, and why."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from cds_service.knowledge.model.pack import INDICATORS
from cds_service.screening.burden_tally import ALARMING, add_to
from cds_service.screening.views import PatientView, ShownCard, ViewMoment

Change = dict[str, Any]
"""A line of `changes.ndjson`."""


@dataclass(slots=True)
class ChangeTally:
    """How many patients are shown something else, and how often each rule is."""

    patients: int = 0
    lost: int = 0
    rules: Counter[tuple[str, str]] = field(default_factory=Counter)  # by rule and kind of change

    def add(self, other: "ChangeTally") -> None:
        """Add what another part counted."""
        add_to(self, other, ("patients", "lost"), ("rules",))

    def count(self, changes: Sequence[Change]) -> None:
        """Count the changes of one patient."""
        self.patients += bool(changes)
        for change in changes:
            if change["change"] == "lost":
                self.lost += 1
            else:
                self.rules[change["rule"], change["change"]] += 1


def changes_of(
    patient: str,
    moments: Sequence[ViewMoment],
    old: Sequence[PatientView],
    new: Sequence[PatientView],
) -> list[Change]:
    """The differences of each view, and whether the patient lost every alarm.

    Lost is who is shown critical or warning cards in the old edition, and none in the new one.
    """
    found = [
        {"patient": patient, "time": moment.time.isoformat(), **change}
        for moment, before, after in zip(moments, old, new, strict=True)
        for change in _between(before, after)
    ]
    if _alarms(old) and not _alarms(new):
        cards = {"old": _named(_alarms(old)), "new": _named(_cards(new))}
        found.append({"patient": patient, "change": "lost", **cards})
    return found


def _between(old: PatientView, new: PatientView) -> Iterator[Change]:
    before, after = _severity(old), _severity(new)
    for rule in sorted(before.keys() | after.keys()):
        if before.get(rule) == after.get(rule):
            continue
        change = "added" if rule not in before else "removed" if rule not in after else "severity"
        yield {
            "change": change,
            "rule": rule,
            "old": _side(old, rule, before.get(rule)),
            "new": _side(new, rule, after.get(rule)),
        }


def _severity(view: PatientView) -> dict[str, str]:
    """The rules that show a card, each with the most severe it shows."""
    severe: dict[str, str] = {}
    for card in sorted(view.cards, key=lambda card: INDICATORS.index(card.indicator)):
        severe[card.rule] = card.indicator
    return severe


def _side(view: PatientView, rule: str, indicator: str | None) -> dict[str, Any]:
    shown = {} if indicator is None else {"indicator": indicator}
    because = [view.refused] if view.refused else view.reasons(rule)
    return {**shown, "because": because}


def _cards(views: Sequence[PatientView]) -> list[ShownCard]:
    """Every card that was shown, each once."""
    return list(dict.fromkeys(card for view in views for card in view.cards))


def _alarms(views: Sequence[PatientView]) -> list[ShownCard]:
    return [card for card in _cards(views) if card.indicator in ALARMING]


def _named(cards: Sequence[ShownCard]) -> list[dict[str, str]]:
    return [{"rule": card.rule, "indicator": card.indicator} for card in cards]
