# SPDX-License-Identifier: Apache-2.0
"""Reports as portals and laboratories of several countries print them, in six languages.

Each is a page that Chromium prints to PDF. They were written before the reader was taught to do
without headings, and it was first tried on them when it was done: so they say how it does with
layouts that it was not made for.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape

from tests.reports.corpus.languages import LANGUAGES, Language
from tests.reports.corpus.patients import Patient, Printed
from tests.reports.corpus.printed_names import NAMES, WORDS

Page = Callable[[Patient, Language], str]


@dataclass(frozen=True, slots=True)
class Portal:
    """A page, how many dates of collection it prints, and whether with their times."""

    page: Page
    dates: int = 1
    date_only: bool = True


PRINTED_LANGUAGES = tuple(replace(language, tests=NAMES[language.code]) for language in LANGUAGES)


def _limit(text: str | None, language: Language) -> str:
    return (text or "").replace(".", ",") if language.comma else text or ""


def limits(row: Printed, language: Language, both: str, upper: str) -> str:
    """The limits of a row; `both` and `upper` say how, with {low} and {high}."""
    if row.marker is None:
        return both.format(low="5", high="80")
    low, high = _limit(row.low, language), _limit(row.high, language)
    return both.format(low=low, high=high) if row.low else upper.format(high=high)


def is_out(row: Printed) -> str:
    """`H` or `L` where a row is flagged."""
    return {"H": "H", "+": "H", "*": "H", "L": "L"}.get(row.flag, "") if row.truth else ""


def date_of(patient: Patient, language: Language, number: int = 0, *, time: bool = False) -> str:
    """A date of collection as printed."""
    return patient.collected[number].strftime(language.date + (" %H:%M" if time else ""))


def _people(patient: Patient, language: Language, *, time: bool = False) -> str:
    labels = language.labels
    pairs = (
        (labels["name"], patient.name),
        (labels["birth"], patient.born.strftime(language.date)),
        (labels["sex"], language.sexes[0 if patient.female else 1]),
        (labels["id"], patient.identity),
        (labels["collected"], date_of(patient, language, time=time)),
    )
    cells = [f"<td><b>{label}:</b></td><td>{text}</td>" for label, text in pairs]
    rows = ["".join(cells[n : n + 2]) for n in range(0, len(cells), 2)]
    return "<table class=who>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table><br>"


def _note(patient: Patient, language: Language) -> str:
    return f"<p>{language.hemolyzed if patient.hemolyzed else language.not_hemolyzed}</p>"


def _sheet(css: str, *parts: str) -> str:
    base = (
        "body{font:10pt Arial,sans-serif} table{border-collapse:collapse;width:100%} "
        "td,th{padding:3px 6px;text-align:left;vertical-align:top}"
    )
    return f"<meta charset=utf-8><style>{base} {css}</style>{''.join(parts)}"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], attributes: str = "") -> str:
    head = "".join(f"<th>{text}</th>" for text in headings)
    body = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table {attributes}>{f'<tr>{head}</tr>' if headings else ''}{body}</table>"


def _unit(row: Printed) -> str:
    return row.unit.replace("10^9/L", "10<sup>9</sup>/L")


def ice(patient: Patient, language: Language) -> str:
    """No headings of columns, ranges in square brackets, a word for what is out of range."""
    words = WORDS[language.code]
    rows = []
    for row in patient.rows:
        out = {"H": words["above"], "L": words["below"], "": ""}[is_out(row)]
        rows.append(
            (
                row.name,
                f"<b>{escape(row.text)}</b>" if out else escape(row.text),
                row.unit,
                limits(row, language, "[{low} - {high}]", "[&lt; {high}]"),
                out,
            )
        )
    return _sheet(
        "table.r td{font-size:9pt}",
        _people(patient, language),
        f"<h3>{words['liver']}</h3>",
        _table((), rows, "class=r"),
        _note(patient, language),
    )


def component_table(patient: Patient, language: Language) -> str:
    """The unit stands behind the value and behind the range."""
    words = WORDS[language.code]
    rows = [
        (
            row.name,
            limits(
                row, language, f"{{low}} - {{high}} {_unit(row)}", f"&lt;={{high}} {_unit(row)}"
            ),
            f"{escape(row.text)} {_unit(row)}",
            is_out(row),
        )
        for row in patient.rows
    ]
    headings = (words["component"], words["standard"], words["yours"], language.headings["flag"])
    return _sheet(
        "tr{border-bottom:1px solid #ccc}",
        "<h1>MyPortal</h1>",
        _people(patient, language),
        _table(headings, rows),
        _note(patient, language),
    )


def cards(patient: Patient, language: Language) -> str:
    """A block for each test: its name, its range, its value."""
    words = WORDS[language.code]
    blocks = []
    for row in patient.rows:
        out = {"H": words["high"], "L": words["low"], "": ""}[is_out(row)]
        span = limits(
            row, language, f"{{low}} - {{high}} {_unit(row)}", f"&lt; {{high}} {_unit(row)}"
        )
        blocks.append(
            f"<div class=c><h4>{row.name}</h4><div>{words['ref']}: {span}</div>"
            f"<div>{words['value']}: <b>{escape(row.text)}</b> {_unit(row)} {out}</div></div>"
        )
    return _sheet(
        ".c{border:1px solid #aaa;margin:6px 0;padding:4px;break-inside:avoid} h4{margin:2px}",
        _people(patient, language),
        *blocks,
        _note(patient, language),
    )


def result_and_flag(patient: Patient, language: Language) -> str:
    """Marks of the laboratory raised behind names, a column of earlier results with their date."""
    earlier = patient.collected[0].replace(year=2025).strftime(language.date)
    rows = [
        (
            f"{row.name} <sup>01</sup>",
            f"{escape(row.text)} {is_out(row)}",
            f"{escape(row.earlier[-1])} &nbsp; {earlier}",
            row.unit,
            limits(row, language, "{low}-{high}", "&lt;{high}"),
        )
        for row in patient.rows
    ]
    heads = language.headings
    headings = (heads["name"], heads["result"], heads["previous"], heads["unit"], heads["range"])
    return _sheet(
        "th{border-bottom:2px solid #000;font-size:8pt}",
        _people(patient, language, time=True),
        _table(headings, rows),
        _note(patient, language),
    )


def befund(patient: Patient, language: Language) -> str:
    """Sections, methods in small letters, the flag before a value that is aligned right."""
    words, heads = WORDS[language.code], language.headings
    rows = []
    for number, row in enumerate(patient.rows):
        sign = {"H": "+", "L": "-", "": ""}[is_out(row)]
        method = f"<br><i>({words['method']}: IFCC)</i>" if number % 4 == 1 else ""
        cells = (
            f"{row.name}{method}",
            sign,
            escape(row.text),
            row.unit,
            limits(row, language, "{low} – {high}", "&lt; {high}"),
            escape(row.earlier[-1]),
        )
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    last = patient.collected[0].replace(year=2025).strftime("%d.%m.%y")
    headings = (heads["name"], "", heads["result"], heads["unit"], heads["range"])
    head = "".join(f"<th>{text}</th>" for text in headings)
    return _sheet(
        "td:nth-child(3),th:nth-child(3){text-align:right} i{font-size:7pt}",
        _people(patient, language),
        f"<table><tr>{head}<th>{heads['previous']}<br>{last}</th></tr>"
        f"<tr><td colspan=6><b>{language.blood}</b></td></tr>{''.join(rows)}</table>",
        _note(patient, language),
    )


def flowsheet(patient: Patient, language: Language) -> str:
    """Dates with times below them across the page, arrows at the values."""
    rows = []
    for row in patient.rows:
        arrow = {"H": " ↑", "L": " ↓", "": ""}[is_out(row)]
        rows.append(
            (
                row.name,
                limits(row, language, "{low}-{high}", "&lt;{high}"),
                row.unit,
                f"{escape(row.text)}{arrow}",
                *(escape(text) for text in row.earlier[:2]),
            )
        )
    days = [f"{date_of(patient, language, n)}<br>08:30" for n in range(3)]
    heads = language.headings
    return _sheet(
        "td,th{border:1px solid #999;text-align:center} td:first-child{text-align:left}",
        _people(patient, language, time=True),
        _table((heads["name"], heads["range"], heads["unit"], *days), rows),
        _note(patient, language),
    )


def leaders(patient: Patient, language: Language) -> str:
    """Dots from the name to a bold value, the range in brackets, the method below."""
    words, heads = WORDS[language.code], language.headings
    rows = []
    for number, row in enumerate(patient.rows):
        span = limits(row, language, "({low} à {high})", "(&lt; {high})").replace(
            " à ", " - " if language.code != "fr" else " à "
        )
        method = f"<div class=m>{words['method']}: Roche Cobas</div>" if number % 3 == 0 else ""
        rows.append(
            (
                f"<div class=d>{row.name} {'.' * 60}</div>{method}",
                f"<b>{escape(row.text)}</b>",
                row.unit,
                span,
            )
        )
    headings = ("", heads["result"], "", heads["range"])
    return _sheet(
        ".d{width:230px;overflow:hidden;white-space:nowrap} .m{font:italic 7pt Arial} "
        "td:nth-child(2),th:nth-child(2){text-align:right}",
        _people(patient, language),
        _table(headings, rows),
        _note(patient, language),
    )


def laudo(patient: Patient, language: Language) -> str:
    """A block for each test, with labels for material, method, result and range."""
    words, heads = WORDS[language.code], language.headings
    blocks = []
    for row in patient.rows:
        up_to = f"{language.up_to} {{high}} {_unit(row)}"
        span = limits(row, language, f"{{low}} - {{high}} {_unit(row)}", up_to)
        blocks.append(
            f"<div class=b><b>{row.name}</b><br>"
            f"<small>{heads['specimen']}: {language.serum} &nbsp;&nbsp; "
            f"{words['method']}: UV</small><br>"
            f"{heads['result']}: <b>{escape(row.text)} {_unit(row)}</b><br>"
            f"<small>{words['ref']}: {span}</small></div>"
        )
    return _sheet(
        ".b{margin:10px 0;break-inside:avoid}",
        _people(patient, language),
        *blocks,
        _note(patient, language),
    )


def lines_of_text(patient: Patient, language: Language) -> str:
    """A list: name, colon, value, unit and the range in brackets."""
    items = "".join(
        f"<li>{row.name}: {escape(row.text)} {_unit(row)} "
        f"({limits(row, language, '{low} - {high}', '&lt; {high}')})</li>"
        for row in patient.rows
    )
    return _sheet("", _people(patient, language), f"<ul>{items}</ul>", _note(patient, language))


def units_in_names(patient: Patient, language: Language) -> str:
    """The unit in brackets behind the name."""
    heads = language.headings
    rows = [
        (
            f"{row.name} [{_unit(row)}]" if row.unit else row.name,
            f"{escape(row.text)} {is_out(row)}",
            limits(row, language, "{low} - {high}", "&le;{high}"),
        )
        for row in patient.rows
    ]
    return _sheet(
        "table{width:70%} tr:nth-child(even){background:#eee}",
        _people(patient, language),
        _table((heads["name"], heads["result"], heads["range"]), rows),
        _note(patient, language),
    )


def unknown_headings(patient: Patient, language: Language) -> str:
    """Headings in a language that the reader was not taught."""
    rows = [
        (
            row.name,
            escape(row.text),
            row.unit,
            limits(row, language, "{low} - {high}", "&lt; {high}"),
            {"H": "H", "L": "L", "": ""}[is_out(row)],
        )
        for row in patient.rows
    ]
    headings = ("Bepaling", "Uitslag", "Eenheid", "Referentiewaarden", "Afw.")
    return _sheet(
        "td,th{border:1px solid #bbb}",
        _people(patient, language),
        _table(headings, rows),
        _note(patient, language),
    )


def two_heading_rows(patient: Patient, language: Language) -> str:
    """Limits in two columns below a heading that spans them."""
    heads = language.headings
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td>{text}</td>"
            for text in (
                row.name,
                f"{escape(row.text)} {is_out(row)}",
                row.unit,
                _limit(row.low, language) if row.marker else "5",
                _limit(row.high, language) if row.marker else "80",
            )
        )
        + "</tr>"
        for row in patient.rows
    )
    head = (
        f"<tr><th rowspan=2>{heads['name']}<th rowspan=2>{heads['result']}"
        f"<th rowspan=2>{heads['unit']}<th colspan=2>{heads['range']}</tr>"
        f"<tr><th>{heads['low']}<th>{heads['high']}</tr>"
    )
    return _sheet(
        "td,th{border:1px solid #888}",
        _people(patient, language),
        f"<table>{head}{rows}</table>",
        _note(patient, language),
    )


def prose(patient: Patient, language: Language) -> str:
    """A letter: values one after the other in running text."""
    chance = random.Random(language.code)
    parts = [
        f"{row.name} {escape(row.text)} {_unit(row)} "
        f"({limits(row, language, '{low}-{high}', '&lt;{high}')})"
        for row in patient.rows
    ]
    cut = chance.randint(6, 10)
    return _sheet(
        "p{line-height:1.4}",
        _people(patient, language),
        f"<p><b>{language.blood}:</b> {', '.join(parts[:cut])}.</p>",
        f"<p>{', '.join(parts[cut:])}.</p>",
        _note(patient, language),
    )


PORTALS = {
    "ice": Portal(ice),
    "component-table": Portal(component_table),
    "cards": Portal(cards),
    "result-and-flag": Portal(result_and_flag, date_only=False),
    "befund": Portal(befund),
    "flowsheet": Portal(flowsheet, dates=3, date_only=False),
    "leaders": Portal(leaders),
    "laudo": Portal(laudo),
    "lines-of-text": Portal(lines_of_text),
    "units-in-names": Portal(units_in_names),
    "unknown-headings": Portal(unknown_headings),
    "two-heading-rows": Portal(two_heading_rows),
    "prose": Portal(prose),
}
