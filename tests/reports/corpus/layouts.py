# SPDX-License-Identifier: Apache-2.0
"""Ten ways in which laboratories lay out a report."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime

from tests.reports.corpus.languages import Language
from tests.reports.corpus.patients import Patient, Printed
from tests.reports.corpus.sheets import Sheet, Slot

Writer = Callable[[Patient, Language], bytes]


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout, how many dates of collection it prints, and whether with their times."""

    write: Writer
    dates: int = 1
    date_only: bool = True


def _texts(row: Printed) -> dict[str, str]:
    return {
        "name": row.name,
        "result": row.text,
        "unit": row.unit,
        "range": row.range_text,
        "flag": row.flag,
        **{f"earlier {n}": text for n, text in enumerate(row.earlier)},
        "previous": row.earlier[-1],
        "low": row.low or "",
        "high": row.high or "",
    }


def _people(sheet: Sheet, patient: Patient, language: Language, *, time: bool = False) -> None:
    """Labels with the texts beside them, in two columns."""
    labels = language.labels
    when = _date(patient.collected[0], language, time=time)
    sheet.at(50, "LABORATORIUM MUSTER", bold=True, size=14)
    sheet.down(2)
    for left, right in (
        ((labels["name"], patient.name), (labels["collected"], when)),
        (
            (labels["birth"], patient.born.strftime(language.date)),
            (labels["printed"], _printed(language)),
        ),
        (
            (labels["sex"], language.sexes[0 if patient.female else 1]),
            (labels["id"], patient.identity),
        ),
    ):
        sheet.at(50, f"{left[0]}: {left[1]}")
        sheet.at(320, f"{right[0]}: {right[1]}")
        sheet.down()
    sheet.down()


def _date(when: datetime, language: Language, *, time: bool = False) -> str:
    return when.strftime(language.date + (" %H:%M" if time else ""))


def _printed(language: Language) -> str:
    return date(2026, 10, 31).strftime(language.date)


def _specimen_note(sheet: Sheet, patient: Patient, language: Language) -> None:
    sheet.down()
    sheet.at(50, language.hemolyzed if patient.hemolyzed else language.not_hemolyzed)
    sheet.down()


def _slots(language: Language, *places: tuple[str, float, str]) -> list[Slot]:
    return [Slot(key, language.headings[key], x, align) for key, x, align in places]


def grid(patient: Patient, language: Language) -> bytes:
    """A table with all its rules."""
    sheet = Sheet()
    _people(sheet, patient, language)
    places = (
        ("name", 54, "left"),
        ("result", 230, "middle"),
        ("unit", 285, "left"),
        ("range", 370, "left"),
        ("flag", 480, "left"),
    )
    slots = _slots(language, *places)
    edges = (50, 200, 280, 365, 475, 560)
    top = sheet.y + sheet.leading - 3
    sheet.rule(50, 560)
    sheet.headings(slots)
    for row in patient.rows:
        sheet.rule(50, 560)
        sheet.row(slots, _texts(row))
    sheet.rule(50, 560)
    sheet.upright(edges, top)
    _specimen_note(sheet, patient, language)
    return sheet.finished()


def plain(patient: Patient, language: Language) -> bytes:
    """No rules; the flag is glued to the value."""
    sheet = Sheet(font="Vera", size=8)
    _people(sheet, patient, language)
    slots = _slots(
        language,
        ("name", 50, "left"),
        ("result", 290, "right"),
        ("unit", 330, "left"),
        ("range", 420, "left"),
    )
    sheet.headings(slots, bold=False)
    for row in patient.rows:
        glued = row.flag if row.truth else ""
        sheet.row(slots, {**_texts(row), "result": row.text + glued})
    _specimen_note(sheet, patient, language)
    return sheet.finished()


def with_previous(patient: Patient, language: Language) -> bytes:
    """The previous result to the right of the current one, with dates below the headings."""
    sheet = Sheet()
    _people(sheet, patient, language)
    earlier = _date(patient.collected[0].replace(year=2025), language)
    slots = [
        Slot("name", language.headings["name"], 50),
        Slot(
            "result",
            language.headings["result"],
            260,
            "right",
            _date(patient.collected[0], language),
        ),
        Slot("unit", language.headings["unit"], 275),
        Slot("range", language.headings["range"], 360),
        Slot("previous", language.headings["previous"], 560, "right", earlier),
    ]
    sheet.headings(slots)
    for row in patient.rows:
        sheet.row(slots, {**_texts(row), "result": f"{row.flag} {row.text}".strip()})
    _specimen_note(sheet, patient, language)
    return sheet.finished()


def cumulative(patient: Patient, language: Language) -> bytes:
    """Three dates side by side."""
    sheet = Sheet()
    _people(sheet, patient, language)
    slots = [
        Slot("name", language.headings["name"], 50),
        Slot("unit", language.headings["unit"], 210),
        Slot("range", language.headings["range"], 290),
        *(
            Slot(key, _date(when, language), x, "right")
            for key, when, x in zip(
                ("result", "earlier 0", "earlier 1"),
                patient.collected,
                (450, 510, 570),
                strict=False,
            )
        ),
    ]
    sheet.headings(slots)
    for row in patient.rows:
        sheet.row(slots, _texts(row))
    _specimen_note(sheet, patient, language)
    return sheet.finished()


def side_by_side(patient: Patient, language: Language) -> bytes:
    """Two tables beside each other."""
    sheet = Sheet(size=7, leading=12)
    _people(sheet, patient, language)
    half = (len(patient.rows) + 1) // 2
    sides = [
        _slots(
            language,
            ("name", x, "left"),
            ("result", x + 112, "left"),
            ("unit", x + 160, "left"),
            ("range", x + 205, "left"),
        )
        for x in (25, 315)
    ]
    top = sheet.y
    for slots, rows in zip(sides, (patient.rows[:half], patient.rows[half:]), strict=True):
        sheet.y = top
        sheet.headings(slots)
        for row in rows:
            value = f"{row.text} {row.flag}" if row.truth else row.text
            sheet.row(slots, {**_texts(row), "result": value.strip()})
    sheet.y = 200
    _specimen_note(sheet, patient, language)
    return sheet.finished()


def sections(patient: Patient, language: Language) -> bytes:
    """Headings of blood and of urine, and units behind the values."""
    sheet = Sheet()
    _people(sheet, patient, language)
    slots = _slots(language, ("name", 50, "left"), ("result", 250, "left"), ("range", 400, "left"))
    sheet.headings(slots)
    for heading, rows in ((language.urine, patient.urine), (language.blood, patient.rows)):
        sheet.at(50, heading, bold=True)
        sheet.down()
        for row in rows:
            sheet.row(slots, {**_texts(row), "result": f"{row.text} {row.unit}".strip()})
    _specimen_note(sheet, patient, language)
    return sheet.finished()


def two_pages(patient: Patient, language: Language) -> bytes:
    """The headings repeated, marks of footnotes at values, a line on the method below names."""
    sheet = Sheet()
    _people(sheet, patient, language)
    slots = _slots(
        language,
        ("name", 50, "left"),
        ("result", 240, "left"),
        ("flag", 300, "left"),
        ("unit", 375, "left"),
        ("range", 455, "left"),
    )
    half = len(patient.rows) // 2
    for rows in (patient.rows[:half], patient.rows[half:]):
        sheet.headings(slots)
        for number, row in enumerate(rows):
            if number % 3 == 0:
                sheet.raised(240 + sheet.width(row.text) + 0.5, "1")
            sheet.row(slots, _texts(row))
            if number % 2:
                sheet.y += 3
                sheet.at(50, "IFCC, 37 °C", size=6)
                sheet.down()
        _specimen_note(sheet, patient, language)
        sheet.at(50, "1) ISO 15189", size=6)
        sheet.next_page()
        _people(sheet, patient, language)
    return sheet.finished()


def limits_apart(patient: Patient, language: Language) -> bytes:
    """Limits in two columns, and a second page without headings."""
    sheet = Sheet(font="Vera", size=8)
    _people(sheet, patient, language)
    slots = _slots(
        language,
        ("name", 50, "left"),
        ("result", 280, "right"),
        ("unit", 330, "left"),
        ("low", 440, "right"),
        ("high", 500, "right"),
    )
    half = len(patient.rows) // 2
    sheet.headings(slots)
    for number, row in enumerate(patient.rows):
        if number == half:
            sheet.next_page()
            _people(sheet, patient, language)
        low, high = (_shown(limit, language) for limit in (row.low, row.high))
        sheet.row(slots, {**_texts(row), "low": low, "high": high})
    _specimen_note(sheet, patient, language)
    return sheet.finished()


def _shown(limit: str | None, language: Language) -> str:
    text = limit or ""
    return text.replace(".", ",") if language.comma else text


def previous_first(patient: Patient, language: Language) -> bytes:
    """The previous result to the left of the current one, and rules between the lines."""
    sheet = Sheet(font="Vera", size=8)
    _people(sheet, patient, language, time=True)
    slots = _slots(
        language,
        ("name", 50, "left"),
        ("previous", 320, "right"),
        ("result", 385, "right"),
        ("unit", 400, "left"),
        ("range", 475, "left"),
    )
    sheet.headings(slots)
    for row in patient.rows:
        sheet.rule(50, 570)
        sheet.row(slots, _texts(row))
    _specimen_note(sheet, patient, language)
    return sheet.finished()


def labels_above(patient: Patient, language: Language) -> bytes:
    """Labels above their texts, the flag before the value, and a column of specimens."""
    sheet = Sheet()
    labels = language.labels
    for keys in (("name", "birth", "sex"), ("id", "collected", "printed")):
        texts = {
            "name": patient.name,
            "birth": patient.born.strftime(language.date),
            "sex": language.sexes[0 if patient.female else 1],
            "id": patient.identity,
            "collected": _date(patient.collected[0], language, time=True),
            "printed": _printed(language),
        }
        for x, key in zip((50, 220, 390), keys, strict=True):
            sheet.at(x, labels[key], size=7)
        sheet.down(0.9)
        for x, key in zip((50, 220, 390), keys, strict=True):
            sheet.at(x, texts[key])
        sheet.down(1.5)
    slots = _slots(
        language,
        ("name", 50, "left"),
        ("specimen", 205, "left"),
        ("flag", 265, "left"),
        ("result", 345, "left"),
        ("unit", 405, "left"),
        ("range", 475, "left"),
    )
    sheet.headings(slots)
    for row in _mixed(patient):
        specimen = "Urin" if row.in_urine else language.serum
        sheet.row(slots, {**_texts(row), "specimen": specimen})
    _specimen_note(sheet, patient, language)
    return sheet.finished()


def _mixed(patient: Patient) -> Iterable[Printed]:
    yield from patient.rows[:3]
    yield from patient.urine
    yield from patient.rows[3:]


LAYOUTS = {
    "grid": Layout(grid),
    "plain": Layout(plain),
    "with-previous": Layout(with_previous),
    "cumulative": Layout(cumulative, dates=3),
    "side-by-side": Layout(side_by_side),
    "sections": Layout(sections),
    "two-pages": Layout(two_pages),
    "limits-apart": Layout(limits_apart),
    "previous-first": Layout(previous_first, date_only=False),
    "labels-above": Layout(labels_above, date_only=False),
}
