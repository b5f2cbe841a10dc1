# SPDX-License-Identifier: Apache-2.0
"""What came of a population, as data and as a table for people."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import click

from cds_service.cli.printable import printable
from cds_service.cli.screen_look_back import look_back_data, look_back_lines
from cds_service.counting import counted
from cds_service.knowledge.model.pack import INDICATORS
from cds_service.prefetch_keys import KINDS
from cds_service.screening.decisions import ScreeningQuestion
from cds_service.screening.over_time import RuleCard
from cds_service.screening.people import AGE_BANDS, SEXES, UNKNOWN
from cds_service.screening.run import Screened

Counting: TypeAlias = Callable[[int, str, str], str]
"""Writes a number with the noun that it counts, in the singular or the plural."""

_COLOURS = {"critical": "red", "warning": "yellow"}


def as_json(
    screened: Screened, question: ScreeningQuestion, passed_over: list[str]
) -> dict[str, Any]:
    """Everything that was counted."""
    tally, unread = screened.tally, screened.unread
    return {
        "asOf": _text(question.moment),
        "patients": screened.patients,
        "resources": screened.resources,
        "patientsWithCard": tally.with_card,
        "patientsWithoutCardByTheirResults": screened.pruned,
        "cards": [
            {
                "rule": rule,
                "indicator": indicator,
                "cards": count,
                **(_replayed(screened, (rule, indicator)) if question.moments else {}),
            }
            for (rule, indicator), count in sorted(tally.cards.items(), key=_most_severe)
        ],
        **(_over_time(screened, question.moments) if question.moments else {}),
        **({"lookBack": look_back_data(screened)} if screened.data_end else {}),
        **({"people": _people(screened)} if screened.people else {}),
        "notDecided": dict(tally.refused),
        "unreadable": {
            "lines": [
                {"file": name, "lines": count, "first": unread.places[name]}
                for name, count in unread.lines.items()
            ],
            "documents": unread.documents,
            "withoutPatient": dict(unread.without_patient),
        },
        "patientsWithoutPatientResource": unread.without_resource,
        "servers": unread.servers,
        "notKnown": [kind for kind in KINDS if kind not in screened.known],
        "notRead": dict(unread.not_asked_for),
        "filesNotRead": passed_over,
    }


def _people(screened: Screened) -> dict[str, Any]:
    """Patients by sex and by age on the last day, and those of them with a card."""
    orders = {"sex": SEXES, "age": (*(name for _, name in AGE_BANDS), UNKNOWN)}
    return {
        by: [
            {"name": name, "patients": count, "withCard": screened.tally.people[by, name]}
            for name in names
            if (count := screened.people[by, name])
        ]
        for by, names in orders.items()
    }


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _replayed(screened: Screened, card: RuleCard) -> dict[str, int]:
    """How often a card was first shown, and to how many."""
    replay = screened.tally.replay
    return {"firstShown": replay.first[card], "patients": replay.patients[card]}


def _over_time(screened: Screened, moments: Sequence[datetime]) -> dict[str, Any]:
    replay = screened.tally.replay
    steps = [
        {
            "asOf": _text(moment),
            "cards": {indicator: replay.shown_at[place, indicator] for indicator in INDICATORS},
            "firstShown": {
                indicator: replay.first_at[place, indicator] for indicator in INDICATORS
            },
        }
        for place, moment in enumerate(moments)
    ]
    return {"from": _text(moments[0]), "steps": len(moments), "overTime": steps}


def _most_severe(item: tuple[tuple[str, str], int]) -> tuple[int, int, str]:
    (rule, indicator), count = item
    return -INDICATORS.index(indicator), -count, rule


def as_lines(data: Mapping[str, Any]) -> Iterator[str]:
    """The same for people."""
    if "steps" in data:
        yield from _replay(data)
    else:
        yield from _cards(data)
    yield from _not_read(data)


def _replay(data: Mapping[str, Any]) -> Iterator[str]:
    """What was shown over time."""
    patients, with_card = data["patients"], data["patientsWithCard"]
    times = counted(data["steps"], "time", "times")
    heading = f"{counted(patients, 'patient')}, asked about {times}"
    yield click.style(f"{heading}, from {data['from']} to {data['asOf']}", bold=True)
    yield f"{counted(with_card, 'had', 'had')} a card at some time{_share(with_card, patients)}"
    yield ""
    if data["cards"]:
        yield f"  {'severity':<10}{'rule':<36}{'patients':>10}{'first shown':>13}{'shown':>10}"
        for card in data["cards"]:
            word = click.style(f"{card['indicator']:<10}", fg=_COLOURS.get(card["indicator"]))
            counts = f"{card['patients']:>10,}{card['firstShown']:>13,}{card['cards']:>10,}"
            yield f"  {word}{card['rule']:<36}{counts}"
        yield ""
        yield "  first shown: a card that stands from one time to the next is counted once"
        yield "  shown: at each time; after that a card is quiet for the days of its rule"
        yield ""
    if "lookBack" in data:
        yield from look_back_lines(data["lookBack"])


def _cards(data: Mapping[str, Any]) -> Iterator[str]:
    patients, with_card = data["patients"], data["patientsWithCard"]
    yield click.style(f"{counted(patients, 'patient')} as of {data['asOf']}", bold=True)
    yield f"{counted(with_card, 'has', 'have')} a card{_share(with_card, patients)}"
    yield ""
    if data["cards"]:
        yield f"  {'severity':<10}{'rule':<36}{'cards':>9}{'per 1,000':>12}"
        for card in data["cards"]:
            word = click.style(f"{card['indicator']:<10}", fg=_COLOURS.get(card["indicator"]))
            rate = 1000 * card["cards"] / patients
            yield f"  {word}{card['rule']:<36}{card['cards']:>9,}{rate:>12,.1f}"
        yield ""


def _share(part: int, whole: int) -> str:
    return f" ({100 * part / whole:.1f} %)" if whole else ""


def _not_read(data: Mapping[str, Any]) -> Iterator[str]:
    lost = list(lost_lines(data))
    yield (
        click.style("Could not be read", bold=True)
        if lost
        else "All that hook calls ask for could be read."
    )
    yield from (f"  {line}" for line in lost)
    notes = list(note_lines(data))
    if notes:
        yield click.style("To know", bold=True)
        yield from (f"  {line}" for line in notes)


def lost_lines(data: Mapping[str, Any], people: Counting = counted) -> Iterator[str]:
    """What could not be read or decided about; `people` writes a count of patients."""
    yield from (printable(line) for line in _lost(data, people))


def note_lines(data: Mapping[str, Any], people: Counting = counted) -> Iterator[str]:
    """What the counts do not rest on; `people` writes a count of patients."""
    yield from (printable(line) for line in _notes(data, people))


def _lost(data: Mapping[str, Any], people: Counting) -> Iterator[str]:
    unreadable = data["unreadable"]
    for line in unreadable["lines"]:
        first = ": " + ", ".join(map(str, line["first"])) if line["first"] else ""
        more = ", ..." if first and line["lines"] > len(line["first"]) else ""
        name = line["file"]
        lines = counted(line["lines"], f"line of {name} is", f"lines of {name} are")
        yield f"{lines} no FHIR resource{first}{more}"
    yield from unreadable["documents"]
    for kind, count in unreadable["withoutPatient"].items():
        yield of_nobody(kind, count)
    for reason, count in data["notDecided"].items():
        yield f"{people(count, 'patient', 'patients')} could not be decided about: {reason}"


def of_nobody(kind: str, count: int) -> str:
    """How many resources of a type are about nobody who is known."""
    return f"{count:,} {kind} without {'an id' if kind == 'Patient' else 'a patient'}"


def _notes(data: Mapping[str, Any], people: Counting) -> Iterator[str]:
    if data["patientsWithoutPatientResource"]:
        count = data["patientsWithoutPatientResource"]
        patients = people(count, "patient has", "patients have")
        yield f"{patients} no Patient resource: age, sex and death are not known"
    if data["notKnown"]:
        yield f"Not known of anybody, as there is none: {', '.join(data['notKnown'])}"
    if data["servers"] > 1:
        yield f"Patients are named by {data['servers']} servers: equal ids on two are two patients"
    if data["notRead"]:
        kinds = ", ".join(f"{kind} ({count:,})" for kind, count in data["notRead"].items())
        yield f"Not read, with all that they contain, as no hook call asks for them: {kinds}"
    if data["filesNotRead"]:
        yield f"Files of other kinds: {', '.join(data['filesNotRead'])}"
