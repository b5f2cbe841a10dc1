# SPDX-License-Identifier: Apache-2.0
"""The burden of a population as data: counts and rates, with small counts of people hidden."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from cds_service.knowledge.model.pack import INDICATORS
from cds_service.prefetch_keys import KINDS
from cds_service.screening.burden import Burden
from cds_service.screening.burden_batches import BurdenQuestion, EditionTally
from cds_service.screening.burden_tally import ViewTally
from cds_service.screening.people import AGE_BANDS, SEXES, UNKNOWN, Cell
from cds_service.screening.privacy import HIDDEN, is_small, shown_cells
from cds_service.screening.views import ShownCard

Data = dict[str, Any]

DAYS: Final = 28
"""The days of which encounters are counted: each day of the week comes equally often."""

_PRECEDENCE: Final = "replaced-by:"
_QUIET: Final = "shown-recently"
_ORDER: Final = {
    "sex": SEXES,
    "age": (*(name for _, name in AGE_BANDS), UNKNOWN),
}


def as_json(
    burden: Burden,
    names: Sequence[str],
    question: BurdenQuestion,
    passed_over: Sequence[str] = (),
) -> Data:
    """Everything that was counted, an edition under its name."""
    editions = burden.tally.editions
    tally = burden.tally.changes
    times = [moment.time.isoformat(timespec="milliseconds") for moment in question.moments]
    data: Data = {
        "asOf": times[0],
        "hook": question.hook,
        "patients": burden.patients,
        "views": editions[0].views.views + burden.pruned * len(times),
        "viewsOfEachPatient": times,
        "encounters": _encounters(burden, question),
        **({"encountersNotKnown": burden.why_no_openings} if burden.openings is None else {}),
        **{
            name: _edition(edition, burden, question)
            for name, edition in zip(names, editions, strict=True)
        },
    }
    if len(editions) > 1:
        data["changes"] = {
            "patients": tally.patients,
            "lost": tally.lost,
            "rules": [
                {"rule": rule, "change": change, "views": count}
                for (rule, change), count in sorted(tally.rules.items())
            ],
            "first": list(burden.first),
        }
    unread = burden.unread
    data["unread"] = {
        "linesOfFiles": dict(unread.lines),
        "documents": unread.documents,
        "withoutPatient": dict(unread.without_patient),
        "filesNotRead": list(passed_over),
    }
    if burden.known:
        data["notKnown"] = [kind for kind in KINDS if kind not in burden.known]
    return data


def cards_a_day(tally: EditionTally, days: int) -> float:
    """The cards that opened charts show, by the days of the period."""
    return tally.openings.cards.total() / days


def _encounters(burden: Burden, question: BurdenQuestion) -> Data | None:
    period, openings = question.period, burden.openings
    if openings is None:
        return None
    return {
        "first": period.first.isoformat(),
        "last": period.last.isoformat(),
        "days": period.days,
        "encounters": openings.encounters,
        "chartsOpened": openings.openings,
        "withoutPeriod": openings.unread,
        "withoutPatient": openings.of_nobody,
    }


def _edition(tally: EditionTally, burden: Burden, question: BurdenQuestion) -> Data:
    views, openings = tally.views, tally.openings
    data: Data = {
        "viewsWithCard": views.with_card,
        "viewsWithCriticalOrWarning": views.with_alarm,
        "patientsWithCard": views.people,
        **_rates(views.cards.total(), openings.cards.total(), burden),
        "severities": [
            {
                "indicator": indicator,
                **_rates(_of(views, indicator), _of(openings, indicator), burden),
            }
            for indicator in reversed(INDICATORS)
        ],
        "rules": [
            {**card._asdict(), **_rates(views.cards[card], openings.cards[card], burden)}
            for card in sorted(views.cards.keys() | openings.cards.keys(), key=_most_severe)
        ],
        "sex": list(_groups("sex", views, burden.people)),
        "age": list(_groups("age", views, burden.people)),
        "together": [
            {"rules": list(rules), "views": count}
            for rules, count in sorted(views.pairs.items(), key=lambda item: (-item[1], item[0]))
        ],
        "notShown": _not_shown(views, openings),
        "notDecided": dict(views.refused),  # by view
    }
    if burden.openings is not None:
        data["ward"] = list(_wards(openings, burden.openings.by_ward))
        busiest = max(openings.days, key=lambda day: (openings.days[day], -day), default=None)
        data["cardsADay"] = round(cards_a_day(tally, question.period.days), 2)
        if busiest is not None:
            data["busiestDay"] = {
                "day": question.period.moment_of(busiest).date().isoformat(),
                "cards": openings.days[busiest],
            }
    return data


def _rates(cards: int, at_openings: int, burden: Burden) -> Data:
    encounters = burden.openings.encounters if burden.openings is not None else 0
    return {
        "cards": cards,
        "per1000Patients": _rate(1000 * cards, burden.patients),
        "cardsAtEncounters": at_openings if encounters else None,
        "per100Encounters": _rate(100 * at_openings, encounters),
    }


def _rate(cards: int, of: int) -> float | None:
    return round(cards / of, 2) if of else None


def _of(tally: ViewTally, indicator: str) -> int:
    return sum(count for card, count in tally.cards.items() if card.indicator == indicator)


def _most_severe(card: ShownCard) -> tuple[int, str]:
    return -INDICATORS.index(card.indicator), card.rule


def _groups(by: str, tally: ViewTally, people: Mapping[Cell, int]) -> Iterator[Data]:
    names = [name for name in _ORDER[by] if people.get((by, name))]
    everybody = [people[by, name] for name in names]
    yield from _rows(by, names, tally, ("patients", everybody), ("per1000Patients", 1000))


def _wards(tally: ViewTally, encounters: Mapping[str, int]) -> Iterator[Data]:
    names = sorted(encounters, key=lambda name: (-tally.cards_by["ward", name], name))
    everybody = [encounters[name] for name in names]
    yield from _rows("ward", names, tally, ("encounters", everybody), ("per100Encounters", 100))


def _rows(
    by: str,
    names: Sequence[str],
    tally: ViewTally,
    whole: tuple[str, Sequence[int]],
    rate: tuple[str, int],
) -> Iterator[Data]:
    """A row for each name; where few people have a card, they and their cards are hidden.

    Of few in all there is no row, for its name would tell what they are.
    """
    if is_small(sum(whole[1])):
        return
    counts = zip(
        names,
        whole[1],
        shown_cells(whole[1]),
        shown_cells([tally.people_by[by, name] for name in names]),
        strict=True,
    )
    for name, count, everybody, people in counts:
        cards = tally.cards_by[by, name]
        hidden = isinstance(people, str)
        is_rated = not hidden and not isinstance(everybody, str)
        yield {
            by: name,
            whole[0]: everybody,
            "patientsWithCard": people,
            "cards": HIDDEN if hidden else cards,
            rate[0]: _rate(rate[1] * cards, count) if is_rated else HIDDEN,
        }


def _not_shown(views: ViewTally, openings: ViewTally) -> Data:
    """Cards that stood and were not shown, by why."""
    both = views.not_shown + openings.not_shown
    return {
        "precedence": [
            {
                "rule": rule,
                "by": why.removeprefix(_PRECEDENCE),
                **_counts(views, openings, rule, why),
            }
            for rule, why in sorted(both)
            if why.startswith(_PRECEDENCE)
        ],
        "quietDays": [
            {"rule": rule, **_counts(views, openings, rule, why)}
            for rule, why in sorted(both)
            if why == _QUIET
        ],
        "other": [
            {"rule": rule, "because": why, **_counts(views, openings, rule, why)}
            for rule, why in sorted(both)
            if why != _QUIET and not why.startswith(_PRECEDENCE)
        ],
    }


def _counts(views: ViewTally, openings: ViewTally, rule: str, why: str) -> dict[str, int]:
    return {
        "views": views.not_shown[rule, why],
        "chartsOpened": openings.not_shown[rule, why],
    }
