# SPDX-License-Identifier: Apache-2.0
"""Reports with columns, headings, signs and rules by chance, printed to PDF by Chromium.

    python -m tests.reports.corpus.random_layouts [--seeds 100] [--from 0]

What no author of layouts would think of: columns in any order, headings that may be unknown,
earlier results before or behind those of now, marks and flags in any place.
"""

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from tests.reports.corpus.languages import Language
from tests.reports.corpus.patients import Patient, Printed, invented, truth_of
from tests.reports.corpus.portals import PRINTED_LANGUAGES, date_of, limits
from tests.reports.corpus.printed_names import WORDS
from tests.reports.corpus.reports import CorpusReport, lookups
from tests.reports.corpus.scoring import Score
from tests.reports.corpus.unseen import read
from tests.web.browsing import chromium

# Headings of the columns, the last of which no reader has to know.
_RESULT = {
    "en": ("Result", "Value", "Your result", "Current", "Outcome"),
    "de": ("Ergebnis", "Wert", "Messwert", "Resultat", "Befundwert"),
    "fr": ("Résultat", "Résultats", "Valeur", "Valeur trouvée"),
    "es": ("Resultado", "Valor", "Resultados", "Hallazgo"),
    "it": ("Risultato", "Esito", "Valore", "Valore rilevato"),
    "pt": ("Resultado", "Resultados", "Valor encontrado"),
}
_PREVIOUS = {
    "en": ("Previous", "Prior result", "Last result", "Before"),
    "de": ("Vorwert", "Vorbefund", "Letzter Wert", "Davor"),
    "fr": ("Antériorité", "Antérieur", "Résultat précédent", "Avant"),
    "es": ("Anterior", "Previo", "Resultado anterior", "Antes"),
    "it": ("Precedente", "Valore precedente", "Prima"),
    "pt": ("Anterior", "Resultado anterior", "Antes"),
}
_RANGES = (
    ("{low}-{high}", "<{high}"),
    ("{low} - {high}", "< {high}"),
    ("[{low} - {high}]", "[< {high}]"),
    ("({low} – {high})", "(< {high})"),
    ("{low}–{high}", "≤{high}"),
    ("{low} .. {high}", "<= {high}"),
)
_CSS = (
    "td,th{border:1px solid #999}",
    "tr{border-bottom:1px solid #ddd}",
    "tr:nth-child(even){background:#eee}",
    "",
    "td,th{padding:1px 3px}",
    "td,th{padding:5px 14px}",
)
_FONTS = ("10pt Arial", "9pt 'DejaVu Serif'", "8pt 'DejaVu Sans Mono'", "11pt 'DejaVu Sans'")


@dataclass(frozen=True, slots=True)
class _Style:
    """What chance chose for a report."""

    columns: tuple[str, ...]
    headings: dict[str, str]
    has_headings: bool
    ranges: tuple[str, str]
    flag: str
    css: str
    sections: bool
    sides: int


def _style(language: Language, chance: random.Random) -> _Style:
    columns = ["name", "result"]
    unit = chance.choice(("column", "column", "behind", "in range", "in name"))
    limits_in = chance.choice((["range"], ["range"], ["low", "high"]))
    unit = "column" if unit == "in range" and "low" in limits_in else unit
    columns += [*(["unit"] if unit == "column" else []), *limits_in]
    for extra, share in (("flag", 0.4), ("previous", 0.4), ("method", 0.2), ("code", 0.1)):
        if chance.random() < share:
            columns.append(extra)
    order = columns[1:]
    if chance.random() < 0.5:
        chance.shuffle(order)
        if "low" in order:
            order.remove("high")
            order.insert(order.index("low") + 1, "high")
    flag = "" if "flag" in columns else chance.choice(("", " {}", "{}", "{} ", " ({})", " *"))
    aligned = "".join(
        f"td:nth-child({n + 2}){{text-align:{chance.choice(('left', 'right', 'center'))}}}"
        for n in range(len(order))
        if chance.random() < 0.5
    )
    headed_alike = aligned.replace("td:", "th:") if chance.random() < 0.6 else ""
    widths = chance.choice(("width:100%", "width:80%", "width:auto"))
    css = (
        f"body{{font:{chance.choice(_FONTS)}}} td,th{{padding:2px 6px;text-align:left;"
        f"vertical-align:{chance.choice(('top', 'middle'))}}} table{{border-collapse:collapse;"
        f"{widths}}} {chance.choice(_CSS)} {aligned} {headed_alike}"
    )
    heads = language.headings
    headings = {
        "name": heads["name"],
        "result": chance.choice(_RESULT[language.code]),
        "unit": heads["unit"],
        "range": chance.choice((heads["range"], WORDS[language.code]["standard"])),
        "low": heads["low"],
        "high": heads["high"],
        "flag": chance.choice((heads["flag"], "", "*")),
        "previous": chance.choice(_PREVIOUS[language.code]),
        "method": WORDS[language.code]["method"],
        "code": "Code",
    }
    return _Style(
        columns=("name", *order),
        headings=headings | {"units": unit},
        # Without headings nobody could say which of two columns of numbers holds the results.
        has_headings=chance.random() < 0.8 or bool({"previous", "low", "code"} & set(order)),
        ranges=chance.choice(_RANGES),
        flag=flag,
        css=css,
        sections=chance.random() < 0.3,
        sides=2 if chance.random() < 0.1 and "previous" not in columns else 1,
    )


def _cells(row: Printed, number: int, style: _Style, language: Language) -> dict[str, str]:
    unit = row.unit.replace("10^9/L", "10<sup>9</sup>/L")
    where = style.headings["units"]
    sign = {"H": "H", "L": "L", "*": "H", "+": "H"}.get(row.flag, "") if row.truth else ""
    text = escape(row.text)
    if sign and style.flag:
        mark = style.flag.format(sign)
        text = f"{mark}{text}" if style.flag == "{} " else f"{text}{mark}"
    span = limits(row, language, *(escape(bound) for bound in style.ranges))

    def shown(limit: str | None) -> str:
        return (limit or "").replace(".", ",") if language.comma else limit or ""

    return {
        "name": f"{row.name} [{unit}]" if where == "in name" and unit else row.name,
        "result": f"{text} {unit}".strip() if where == "behind" else text,
        "unit": unit,
        "range": f"{span} {unit}".strip() if where == "in range" else span,
        "low": shown(row.low) if row.marker else "5",
        "high": shown(row.high) if row.marker else "80",
        "flag": sign,
        "previous": escape(row.earlier[-1]),
        "method": ("UV", "IFCC", "ISE")[number % 3],
        "code": f"{1000 + 7 * number}",
    }


def _table(rows: Sequence[Printed], style: _Style, language: Language) -> str:
    head = "".join(f"<th>{style.headings[key]}</th>" for key in style.columns)
    lines = [f"<tr>{head}</tr>"] if style.has_headings else []
    for number, row in enumerate(rows):
        if style.sections and number % 6 == 0:
            title = language.blood if number else WORDS[language.code]["liver"]
            lines.append(f"<tr><td colspan={len(style.columns)}><b>{title}</b></td></tr>")
        cells = _cells(row, number, style, language)
        lines.append("<tr>" + "".join(f"<td>{cells[key]}</td>" for key in style.columns) + "</tr>")
    return f"<table>{''.join(lines)}</table>"


def _people(patient: Patient, language: Language, chance: random.Random) -> str:
    labels = language.labels
    pairs = [
        (labels["name"], patient.name),
        (labels["birth"], patient.born.strftime(language.date)),
        (labels["sex"], language.sexes[0 if patient.female else 1]),
        (labels["id"], patient.identity),
        (labels["collected"], date_of(patient, language)),
    ]
    if chance.random() < 0.5:
        return "".join(f"<p>{label}: {text}</p>" for label, text in pairs)
    cells = [f"<td>{label}:</td><td>{text}</td>" for label, text in pairs]
    rows = "".join(f"<tr>{''.join(cells[n : n + 2])}</tr>" for n in range(0, 5, 2))
    return f"<table style='width:90%'>{rows}</table><br>"


def page_of(seed: int) -> tuple[str, Patient, str]:
    """The page of a seed as HTML, whom it is about, and the code of its language."""
    chance = random.Random(f"layout {seed}")
    language = PRINTED_LANGUAGES[seed % len(PRINTED_LANGUAGES)]
    patient = invented(language, 20_000 + seed)
    style = _style(language, chance)
    half = (len(patient.rows) + 1) // 2
    if style.sides == 2:
        sides = (patient.rows[:half], patient.rows[half:])
        tables = "".join(f"<div>{_table(rows, style, language)}</div>" for rows in sides)
        tables = f"<div style='display:flex;gap:24px;font-size:6pt'>{tables}</div>"
    else:
        tables = _table(patient.rows, style, language)
    note = language.hemolyzed if patient.hemolyzed else language.not_hemolyzed
    people = _people(patient, language, chance)
    html = f"<meta charset=utf-8><style>{style.css}</style>{people}{tables}<p>{note}</p>"
    return html, patient, language.code


def printed(seeds: Sequence[int]) -> Iterator[CorpusReport]:
    """The reports of these seeds."""
    with chromium() as browser:
        page = browser.new_page()
        for seed in seeds:
            html, patient, code = page_of(seed)
            page.set_content(html)
            pdf = page.pdf(format="A4", print_background=True)
            truth = truth_of(patient, dates=1, date_only=True)
            yield CorpusReport(f"random-{seed}-{code}", "random", pdf, truth)


def contradictions(truth: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """The rows that are certain and say something else than is printed; a lack is none."""
    wrong: list[str] = []
    for row in found.get("rows", ()):
        if row["marker"] is None or row["value"] is None:
            continue
        alike = (
            row["value"] == printed["value"]
            and row["comparator"] == printed["comparator"]
            and (row["unit"] or "").replace("10⁹", "10^9") in {printed["unit"], ""}
            and (row["low"], row["high"]) in {(printed["low"], printed["high"]), (None, None)}
            and row["date"] in {printed["date"], None}
            for printed in truth["rows"]
            if printed["marker"] == row["marker"]
        )
        if not any(alike):
            wrong.append(f"{row['name']}: {row['text']} {row['unit']} {row['range']}")
    return wrong


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Read layouts by chance.")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--from", type=int, default=0, dest="first")
    arguments = parser.parse_args()
    known, score, contradicted = lookups(), Score(), 0
    for report in printed(range(arguments.first, arguments.first + arguments.seeds)):
        own, found = Score(), read(report.pdf, known)
        own.add(report.name, report.truth, found)
        score.add(report.name, report.truth, found)
        contradicted += len(contradictions(report.truth, found))
        if own.found < own.rows or own.wrong:
            print(f"{report.name}: {own.found} of {own.rows}, {len(own.wrong)} wrong")
    for line in score.wrong:
        print(f"wrong  {line}")
    print(
        f"found {score.found} of {score.rows} rows ({score.share:.1f} %); {len(score.wrong)} lack "
        f"their unit or range or are wrong, {contradicted} say something else than is printed"
    )


if __name__ == "__main__":
    main()
