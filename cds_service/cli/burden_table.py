# SPDX-License-Identifier: Apache-2.0
"""The burden of a population as tables for people."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import click

from cds_service.cli.printable import printable
from cds_service.cli.screen_table import of_nobody
from cds_service.counting import counted
from cds_service.screening.privacy import HIDDEN, SMALL_CELL

Data = Mapping[str, Any]

_COLOURS: Final = {"critical": "red", "warning": "yellow"}
_MOST: Final = 10  # rows that are shown of pairs and of what is not shown
_WHY: Final = {
    "by precedence": "precedence",
    "as quiet": "quietDays",
    "for another reason": "other",
}
_WARDS: Final = 20
_MEASURES: Final = {
    "cards": "cards",
    "per1000Patients": "per 1,000 patients",
    "per100Encounters": "per 100 encounters",
}
_WIDTH: Final = 22


def as_lines(data: Data, names: Sequence[str]) -> Iterator[str]:
    """What `as_json` made, of the editions of these names."""
    editions = {name: data[name] for name in names}
    yield from _head(data)
    yield ""
    yield from _cards(editions, data)
    for by, title in (("sex", "By sex"), ("age", "By age")):
        yield from _groups(by, title, editions)
    yield from _wards(editions)
    yield from _together(editions)
    yield from _not_shown(editions, data)
    if "changes" in data:
        yield from _changes(data["changes"])
    yield from _notes(editions, data)


def _head(data: Data) -> Iterator[str]:
    times = data["viewsOfEachPatient"]
    patients = counted(data["patients"], "patient")
    yield click.style(f"{patients} as of {data['asOf']}, {data['hook']}", bold=True)
    if len(times) > 1:
        yield f"{counted(data['views'], 'view')}: each patient at {', '.join(times)}"
    opened = data["encounters"]
    if opened is None:
        yield f"Cards per 100 encounters are not known: {data['encountersNotKnown']}."
        return
    yield (
        f"{counted(opened['encounters'], 'encounter')} from {opened['first']} to {opened['last']}. "
        "A chart counts as opened once on each day of an encounter,"
    )
    yield (
        f"as it was at the end of the day: {counted(opened['chartsOpened'], 'time')}. "
        "Cards that are quiet by then do not count."
    )


def _cards(editions: Mapping[str, Data], data: Data) -> Iterator[str]:
    names = list(editions)
    two = len(names) > 1
    for label, key, of in (
        ("patients with a card", "patientsWithCard", data["patients"]),
        ("views with a card", "viewsWithCard", data["views"]),
        ("views with a critical or warning card", "viewsWithCriticalOrWarning", data["views"]),
    ):
        counts = [(f"{name} " if two else "", editions[name][key]) for name in names]
        words = ", ".join(f"{name}{count:,} ({_share(count, of)})" for name, count in counts)
        yield f"{label}: {words}"
    for name in names:
        if "cardsADay" in editions[name]:
            yield _a_day(editions[name], f" ({name})" if two else "")
    yield ""
    yield f"  {'':<46}" + "".join(f"{title:>{_WIDTH}}" for title in _MEASURES.values())
    if two:
        under = "".join(f"{name:>{_WIDTH // 2}}" for name in names)
        yield f"  {'':<46}{under * len(_MEASURES)}"
    yield _rates("all", list(editions.values()))
    for place, first in enumerate(editions[names[0]]["severities"]):
        rows = [edition["severities"][place] for edition in editions.values()]
        yield _rates(first["indicator"], rows, first["indicator"])
    yield ""
    rules = {
        name: {(row["indicator"], row["rule"]): row for row in edition["rules"]}
        for name, edition in editions.items()
    }
    severities = [severity["indicator"] for severity in editions[names[0]]["severities"]]
    shown = {key for rows in rules.values() for key in rows}
    for severity, rule in sorted(shown, key=lambda key: (severities.index(key[0]), key[1])):
        rows = [rules[name].get((severity, rule)) or _none(editions[name]) for name in names]
        yield _rates(f"{severity:<10}{rule}", rows, severity)
    yield ""


def _share(count: int, of: int) -> str:
    return f"{100 * count / of:.1f} %" if of else HIDDEN


def _none(edition: Data) -> Data:
    """The row of a rule that has no card in an edition."""
    return {
        "cards": 0,
        "per1000Patients": 0.0,
        "per100Encounters": 0.0 if "cardsADay" in edition else None,
    }


def _a_day(edition: Data, name: str) -> str:
    busiest = edition.get("busiestDay")
    most = f", most on {busiest['day']}: {busiest['cards']:,}" if busiest else ""
    return f"cards a day where charts are opened{name}: {edition['cardsADay']:,.1f}{most}"


def _rates(label: str, rows: Sequence[Data], severity: str = "") -> str:
    width = _WIDTH // len(rows)
    values = "".join(f"{_number(row[key]):>{width}}" for key in _MEASURES for row in rows)
    name = click.style(f"{label:<46}", fg=_COLOURS.get(severity))
    return f"  {name}{values}"


def _number(value: float | str | None) -> str:
    if value is None:
        return HIDDEN
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def _groups(by: str, title: str, editions: Mapping[str, Data]) -> Iterator[str]:
    of_group = {
        "patients": "patients",
        "patientsWithCard": "with a card",
        "cards": "cards",
        "per1000Patients": "per 1,000 patients",
    }
    yield from _table(by, title, editions, of_group)


def _wards(editions: Mapping[str, Data]) -> Iterator[str]:
    of_ward = {
        "encounters": "encounters",
        "patientsWithCard": "with a card",
        "cards": "cards",
        "per100Encounters": "per 100 encounters",
    }
    title = "By ward (Encounter.location, else Encounter.serviceProvider)"
    yield from _table("ward", title, editions, of_ward)


def _table(
    by: str, title: str, editions: Mapping[str, Data], heads: Mapping[str, str]
) -> Iterator[str]:
    """The first column is the same in every edition; each of the others has one for each."""
    if not any(edition.get(by) for edition in editions.values()):
        return
    whole, *counts = heads
    width = _WIDTH // len(editions)
    rows = {name: {row[by]: row for row in edition[by]} for name, edition in editions.items()}
    first, *_ = rows.values()
    yield click.style(title, bold=True)
    titles = "".join(f"{heads[key]:>{_WIDTH}}" for key in counts)
    yield f"  {'':<30}{heads[whole]:>12}{titles}"
    if len(editions) > 1:
        yield f"  {'':<42}{''.join(f'{name:>{width}}' for name in editions) * len(counts)}"
    for name, row in list(first.items())[:_WARDS]:
        of_name = [of_edition[name] for of_edition in rows.values()]
        values = "".join(f"{_number(group[key]):>{width}}" for key in counts for group in of_name)
        yield f"  {printable(name)[:29]:<30}{_number(row[whole]):>12}{values}"
    if len(first) > _WARDS:
        yield f"  and {len(first) - _WARDS:,} more: see --json"
    yield ""


def _by_edition(editions: Mapping[str, Data], key: str) -> Iterator[tuple[str, Any]]:
    """What editions hold under a key, each with the name for its title; once where all agree."""
    found = {name: edition[key] for name, edition in editions.items()}
    first, *others = found.values()
    if all(row == first for row in others):
        yield f", {' and '.join(found)}" if others else "", first
    else:
        yield from ((f", {name}", row) for name, row in found.items())


def _together(editions: Mapping[str, Data]) -> Iterator[str]:
    for of, pairs in _by_edition(editions, "together"):
        if not pairs:
            continue
        yield click.style(f"Shown together{of} (views)", bold=True)
        for pair in pairs[:_MOST]:
            yield f"  {pair['views']:>9,}  {' + '.join(pair['rules'])}"
        if len(pairs) > _MOST:
            yield f"  and {len(pairs) - _MOST:,} more pairs: see --json"
        yield ""


def _not_shown(editions: Mapping[str, Data], data: Data) -> Iterator[str]:
    at_encounters = data["encounters"] is not None
    where = "views, charts opened" if at_encounters else "views"
    for of, held in _by_edition(editions, "notShown"):
        yield click.style(f"Not shown{of} ({where})", bold=True)
        for title, key in _WHY.items():
            if held[key] or key != "other":
                yield f"  {_sum(held[key], at_encounters=at_encounters)}  {title}"
                yield from _most(held[key], at_encounters=at_encounters)
        yield ""
    if not at_encounters and len(data["viewsOfEachPatient"]) == 1:
        yield "A card can only be quiet in a later view: --again DAYS asks for one."
        yield ""


def _sum(rows: Sequence[Data], *, at_encounters: bool) -> str:
    views, opened = (sum(row[key] for row in rows) for key in ("views", "chartsOpened"))
    return f"{views:>9,}{f'{opened:>9,}' if at_encounters else ''}"


def _most(rows: Sequence[Data], *, at_encounters: bool) -> Iterator[str]:
    ranked = sorted(rows, key=lambda row: (-row["views"] - row["chartsOpened"], row["rule"]))
    for row in ranked[:_MOST]:
        by = f" (by {row['by']})" if "by" in row else ""
        why = f" ({row['because']})" if "because" in row else ""
        yield f"    {_sum([row], at_encounters=at_encounters)}  {row['rule']}{by}{why}"
    if len(ranked) > _MOST:
        yield f"    and {len(ranked) - _MOST:,} more: see --json"


def _changes(changes: Data) -> Iterator[str]:
    patients = counted(changes["patients"], "patient is", "patients are")
    yield click.style(f"{patients} shown something else", bold=True)
    for rule in changes["rules"]:
        yield f"  {rule['views']:>9,}  {rule['rule']} {rule['change']}"
    yield (
        f"{counted(changes['lost'], 'patient')} lost: a critical or warning card in old, "
        "none in new"
    )
    if changes["first"]:
        yield "The first of them:"
    for change in changes["first"]:
        yield f"  {printable(change['patient'])}  {_change(change)}"
    yield ""


def _change(change: Data) -> str:
    if change["change"] == "lost":
        now = _named(change["new"]) or "no card"
        return f"lost: {_named(change['old'])}; now {now}"
    sides = (_side(name, change[name]) for name in ("old", "new"))
    return f"{change['rule']} {change['change']}: {'; '.join(sides)}"


def _named(cards: Sequence[Data]) -> str:
    return ", ".join(f"{card['rule']} ({card['indicator']})" for card in cards)


def _side(name: str, side: Data) -> str:
    shown = f"{side['indicator']}, " if "indicator" in side else ""
    return f"{name} {shown}{'; '.join(side['because'])}"


def _notes(editions: Mapping[str, Data], data: Data) -> Iterator[str]:
    yield (
        f"By sex, age and ward fewer than {SMALL_CELL} people are <{SMALL_CELL}; "
        "- hides what would tell them."
    )
    unread = data["unread"]
    for name, count in unread["linesOfFiles"].items():
        lines = counted(count, "line")
        yield f"Could not be read: {lines} of {printable(name)}"
    yield from (f"Could not be read: {printable(document)}" for document in unread["documents"])
    for kind, count in unread["withoutPatient"].items():
        yield f"Could not be read: {of_nobody(kind, count)}"
    for name, edition in editions.items():
        of = f" by {name}" if len(editions) > 1 else ""
        for reason, count in edition["notDecided"].items():
            yield f"{counted(count, 'view')} could not be decided{of}: {reason}"
    opened = data["encounters"]
    if opened and opened["withoutPeriod"]:
        yield f"Not counted: {counted(opened['withoutPeriod'], 'encounter')} without a period"
    if opened and opened["withoutPatient"]:
        encounters = counted(opened["withoutPatient"], "encounter")
        yield f"Not counted: {encounters} of no patient, or of one who has no other resource"
    if data.get("notKnown"):
        yield f"Not known of anybody, as there is none: {', '.join(data['notKnown'])}"
    if unread["filesNotRead"]:
        yield f"Files of other kinds: {printable(', '.join(unread['filesNotRead']))}"
