# SPDX-License-Identifier: Apache-2.0
"""More reports as laboratories print them, drawn at places on the page as their own systems do.

As `portals`, they were written before the reader was taught to do without headings.
"""

from collections.abc import Callable

from tests.reports.corpus.languages import Language
from tests.reports.corpus.patients import Patient, Printed
from tests.reports.corpus.portals import date_of, is_out, limits
from tests.reports.corpus.printed_names import WORDS
from tests.reports.corpus.sheets import HEIGHT, WIDTH, Sheet

_TOP = HEIGHT - 50


def _people(sheet: Sheet, patient: Patient, language: Language) -> None:
    labels = language.labels
    sheet.at(50, "Laboratorium Nord", bold=True, size=13)
    sheet.down(2)
    for pairs in (
        (("name", patient.name), ("id", patient.identity)),
        (
            ("birth", patient.born.strftime(language.date)),
            ("sex", language.sexes[0 if patient.female else 1]),
        ),
        (("collected", date_of(patient, language)),),
    ):
        for x, (key, text) in zip((50, 300), pairs, strict=False):
            sheet.at(x, f"{labels[key]}:", size=8)
            sheet.at(x + 110, text, bold=True)
        sheet.down()
    sheet.down()


def _note(sheet: Sheet, patient: Patient, language: Language) -> None:
    sheet.down()
    sheet.at(50, language.hemolyzed if patient.hemolyzed else language.not_hemolyzed)


def bare(patient: Patient, language: Language) -> bytes:
    """No headings of columns, two pages, numbers of pages, the flag glued to the value."""
    sheet, words = Sheet(font="Vera", size=8), WORDS[language.code]
    half = len(patient.rows) // 2
    for number, rows in enumerate((patient.rows[:half], patient.rows[half:]), start=1):
        _people(sheet, patient, language)
        sheet.at(50, language.blood, bold=True)
        sheet.down(1.3)
        for row in rows:
            sheet.at(60, row.name)
            sheet.at(330, row.text + (f" {is_out(row)}" if is_out(row) else ""), align="right")
            sheet.at(345, row.unit)
            sheet.at(520, limits(row, language, "{low} - {high}", "< {high}"), align="right")
            sheet.down()
        _note(sheet, patient, language)
        sheet.y = 40
        sheet.at(500, f"{words['page']} {number}/2", size=7)
        if number == 1:
            sheet.next_page()
    return sheet.finished()


def two_panels(patient: Patient, language: Language) -> bytes:
    """Two tables beside each other without headings, each row with its range in brackets."""
    sheet = Sheet(size=7, leading=11)
    _people(sheet, patient, language)
    half, top = (len(patient.rows) + 1) // 2, sheet.y
    for x, rows in ((30, patient.rows[:half]), (310, patient.rows[half:])):
        sheet.y = top
        for row in rows:
            sheet.at(x, row.name)
            sheet.at(x + 165, row.text, align="right", bold=bool(is_out(row)))
            sheet.at(x + 172, row.unit)
            sheet.at(x + 205, limits(row, language, "({low}-{high})", "(<{high})"))
            sheet.down()
    sheet.y = 200
    _note(sheet, patient, language)
    return sheet.finished()


def rotated(patient: Patient, language: Language) -> bytes:
    """A page that lies on its side in the file and is shown upright."""
    sheet, heads = Sheet(), language.headings
    sheet.canvas.setPageSize((HEIGHT, WIDTH))
    sheet.canvas.setPageRotation(90)
    sheet.canvas.translate(HEIGHT, 0)
    sheet.canvas.rotate(90)
    sheet.y = _TOP
    _people(sheet, patient, language)
    _table(
        sheet, patient, language, (heads["name"], heads["result"], heads["unit"], heads["range"])
    )
    _note(sheet, patient, language)
    return sheet.finished()


def _table(
    sheet: Sheet, patient: Patient, language: Language, headings: tuple[str, str, str, str]
) -> None:
    places = (50, 260, 330, 430)
    for x, text in zip(places, headings, strict=True):
        sheet.at(x, text, bold=True)
    sheet.down()
    for row in patient.rows:
        value = f"{is_out(row)} {row.text}".strip()
        span = limits(row, language, "{low} - {high}", "< {high}")
        for x, text in zip(places, (row.name, value, row.unit, span), strict=True):
            sheet.at(x, text)
        sheet.down()


def wrapped(patient: Patient, language: Language) -> bytes:
    """Names that are too long for their column go on below; the value stands beside the first."""
    sheet, heads = Sheet(font="Vera", size=8, leading=16), language.headings
    _people(sheet, patient, language)
    for x, key, align in ((50, "name", "left"), (230, "result", "right"), (250, "unit", "left")):
        sheet.at(x, heads[key], align=align, bold=True)
    sheet.at(340, heads["range"], bold=True)
    sheet.down()
    for row in patient.rows:
        _wrapped_row(sheet, row, language)
    _note(sheet, patient, language)
    return sheet.finished()


def _wrapped_row(sheet: Sheet, row: Printed, language: Language) -> None:
    words, lines = row.name.split(), [""]
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        if sheet.width(longer) > 120 and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    sheet.at(230, row.text, align="right")
    sheet.at(250, row.unit)
    sheet.at(340, limits(row, language, "{low} - {high}", "< {high}"))
    for number, line in enumerate(lines):
        if number:
            sheet.y -= 9
        sheet.at(50, line)
    sheet.down()


def thin_spaces(patient: Patient, language: Language) -> bytes:
    """Non-breaking and thin spaces, a minus sign in ranges, stars behind what is out of range."""
    sheet, heads = Sheet(font="Vera", size=8), language.headings
    _people(sheet, patient, language)
    for x, key in ((50, "name"), (260, "result"), (380, "range")):
        sheet.at(x, heads[key], bold=True)
    sheet.down()
    for row in patient.rows:
        star = " *" if is_out(row) else ""
        sheet.at(50, row.name)
        sheet.at(260, f"{row.text}\u00a0{row.unit}{star}")
        sheet.at(380, limits(row, language, "{low}\u00a0\u2212\u00a0{high}", "\u2264\u00a0{high}"))
        sheet.down()
    _note(sheet, patient, language)
    return sheet.finished()


PRINTOUTS: dict[str, Callable[[Patient, Language], bytes]] = {
    "bare": bare,
    "two-panels": two_panels,
    "rotated": rotated,
    "wrapped": wrapped,
    "thin-spaces": thin_spaces,
}
