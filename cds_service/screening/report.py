# SPDX-License-Identifier: Apache-2.0
"""What came of a population, for the page that people read: plain titles, no small counts.

It is made from the counts of `summary.json`. Fewer people than `SMALL_CELL` are shown as that, and
where a total would tell them another count is hidden too; a bar shows no more than its number.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cds_service.iso_times import moment_of
from cds_service.knowledge.model.pack import INDICATORS, Pack, Rule
from cds_service.screening.privacy import HIDDEN, SMALL_CELL, cell, is_small, shown_cells
from cds_service.screening.report_chart import BarChart, chart_of

Data = Mapping[str, Any]
Shown = int | str

_TAKEN: Final = ("inTime", "early", "late", "never")  # of the steps whose window is over
_STEPS: Final = ("due", "already", "notOver")
_BY: Final = {"sex": "Sex", "age": "Age in years"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRow:
    """One rule with one severity; `width` is that of its bar in per cent, `None` without one."""

    id: str
    title: str
    patients: Shown
    rate: str
    first: Shown | None
    width: float | None


@dataclass(frozen=True, slots=True)
class SeverityPart:
    """The rules whose cards had this severity."""

    indicator: str
    rows: tuple[RuleRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleRow:
    """Patients of one sex or age: all, and those with a card."""

    name: str
    patients: Shown
    with_card: Shown
    share: str
    width: float | None


@dataclass(frozen=True, slots=True)
class PeopleTable:
    """The rows of one breakdown."""

    title: str
    rows: tuple[PeopleRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """What became of one order of a rule; the share is of those whose window is over."""

    order: str
    days: str
    due: Shown
    in_time: Shown
    early: Shown
    late: Shown
    never: Shown
    already: Shown
    not_over: Shown
    share: str
    width: float | None


@dataclass(frozen=True, slots=True)
class RuleSteps:
    """The next steps of one rule."""

    title: str
    rows: tuple[StepRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportView:
    """Everything on the page."""

    patients: Shown
    with_card: Shown
    share: str
    as_of: str
    begins: str | None
    steps: int
    with_first: bool  # beside the next steps it would tell how many are not over
    packs: tuple[Pack, ...]
    severities: tuple[SeverityPart, ...]
    people: tuple[PeopleTable, ...]
    charts: tuple[BarChart, ...]
    look_back: tuple[RuleSteps, ...] | None
    look_back_until: str
    orders_known: bool
    without_step: tuple[str, ...]
    not_known: tuple[str, ...]


def report_of(data: Data, packs: Sequence[Pack]) -> ReportView:
    """The page for these counts (`cli.screen_table.as_json`)."""
    rules = {rule.id: rule for pack in packs for rule in pack.rules.values()}
    orders = {order.id: order.title for pack in packs for order in pack.orders.values()}
    patients = data["patients"]
    with_card, _ = shown_cells([data["patientsWithCard"], patients - data["patientsWithCard"]])
    looked = data.get("lookBack")
    return ReportView(
        patients=cell(patients),
        with_card=with_card,
        share=_per_cent(with_card, patients),
        as_of=moment_in_words(data["asOf"]),
        begins=moment_in_words(data["from"]) if "from" in data else None,
        steps=data.get("steps", 0),
        with_first="from" in data and not looked,
        packs=tuple(packs),
        severities=tuple(_severities(data, rules)),
        people=() if is_small(patients) else tuple(_people(data.get("people", {}))),
        charts=tuple(_charts(data)),
        look_back=tuple(_look_back(looked["steps"], rules, orders)) if looked else None,
        look_back_until=moment_in_words(looked["until"]) if looked else "",
        orders_known=bool(looked and looked["ordersKnown"]),
        without_step=tuple(
            _title(rules, rule) for rule in (looked["rulesWithoutStep"] if looked else ())
        ),
        not_known=tuple(data["notKnown"]),
    )


def moment_in_words(text: str) -> str:
    """A time for people; the last millisecond of a day is its end.

    >>> moment_in_words("2026-03-05T23:59:59.999+01:00"), moment_in_words("2026-03-05T09:00:00Z")
    ('the end of 5 March 2026', '5 March 2026, 09:00 (UTC)')
    """
    moment = moment_of(text)
    day = f"{moment.day} {moment:%B %Y}"
    if f"{moment:%H:%M:%S}" == "23:59:59":
        return f"the end of {day}"
    return f"{day}, {moment:%H:%M} ({moment.tzname()})"


def _severities(data: Data, rules: Mapping[str, Rule]) -> Iterable[SeverityPart]:
    cards = data["cards"]
    most = max((_count(card) for card in cards), default=0)
    for indicator in reversed(INDICATORS):
        rows = [card for card in cards if card["indicator"] == indicator]
        rows.sort(key=lambda card: (-_count(card), card["rule"]))
        # The bars over time tell how many these are together.
        firsts = shown_cells([row.get("firstShown", 0) for row in rows])
        if rows:
            yield SeverityPart(
                indicator,
                tuple(
                    _rule_row(card, rules, data["patients"], most, first)
                    for card, first in zip(rows, firsts, strict=True)
                ),
            )


def _count(card: Data) -> int:
    """The patients with a card: at one time a rule has one for a patient, notices apart."""
    found: int = card.get("patients", card["cards"])
    return found


def _rule_row(
    card: Data, rules: Mapping[str, Rule], patients: int, most: int, first: Shown
) -> RuleRow:
    count = cell(_count(card))
    is_rated = isinstance(count, int) and not is_small(patients)
    return RuleRow(
        id=card["rule"],
        title=_title(rules, card["rule"]),
        patients=count,
        rate=f"{1000 * _count(card) / patients:.1f}" if is_rated else HIDDEN,
        first=first if "firstShown" in card else None,
        width=_width(count, most),
    )


def _people(people: Mapping[str, Sequence[Data]]) -> Iterable[PeopleTable]:
    for by, title in _BY.items():
        rows = people.get(by, ())
        everybody = shown_cells([row["patients"] for row in rows])
        with_card = shown_cells([row["withCard"] for row in rows])
        if rows:
            yield PeopleTable(
                title,
                tuple(
                    PeopleRow(
                        name=str(row["name"]),
                        patients=whole,
                        with_card=part,
                        share=_per_cent(part, whole),
                        width=_share(part, whole),
                    )
                    for row, whole, part in zip(rows, everybody, with_card, strict=True)
                ),
            )


def _charts(data: Data) -> Iterable[BarChart]:
    steps = data.get("overTime", ())
    for indicator in reversed(INDICATORS):
        counts = [step["firstShown"][indicator] for step in steps]
        if sum(counts) >= SMALL_CELL:
            yield chart_of(indicator, [step["asOf"] for step in steps], counts)


def _look_back(
    steps: Sequence[Data], rules: Mapping[str, Rule], orders: Mapping[str, str]
) -> Iterable[RuleSteps]:
    for rule in dict.fromkeys(step["rule"] for step in steps):
        rows = tuple(_step_row(step, orders) for step in steps if step["rule"] == rule)
        yield RuleSteps(_title(rules, rule), rows)


def _step_row(step: Data, orders: Mapping[str, str]) -> StepRow:
    # Other numbers of the page may tell how many these are together.
    due, already, not_over = shown_cells([step[step_name] for step_name in _STEPS])
    if isinstance(due, int):
        in_time, early, late, never = shown_cells([step[step_name] for step_name in _TAKEN])
    else:
        in_time = early = late = never = HIDDEN
    return StepRow(
        order=orders.get(step["order"], step["order"]),
        days=", ".join(f"{first} to {last}" for first, last in step["windows"]) or HIDDEN,
        due=due,
        in_time=in_time,
        early=early,
        late=late,
        never=never,
        already=already,
        not_over=not_over,
        share=_per_cent(in_time, due),
        width=_share(in_time, due),
    )


def _title(rules: Mapping[str, Rule], rule: str) -> str:
    return rules[rule].title if rule in rules else rule


def _width(count: Shown, most: int) -> float | None:
    return round(100 * count / most, 1) if isinstance(count, int) and most else None


def _share(part: Shown, whole: Shown) -> float | None:
    known = isinstance(part, int) and isinstance(whole, int) and whole
    return round(100 * part / whole, 1) if known else None  # type: ignore[operator]


def _per_cent(part: Shown, whole: Shown) -> str:
    share = _share(part, whole)
    return HIDDEN if share is None else f"{share:.1f} %"
