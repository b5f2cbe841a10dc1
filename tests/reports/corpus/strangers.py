# SPDX-License-Identifier: Apache-2.0
"""Layouts made to mislead the reader, printed to PDF by Chromium.

    python -m tests.reports.corpus.strangers

They were written after the reader, and say how it does with what it was not written for. Each
result, now and earlier, is unlike any other on the page, so that a wrong one shows.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cds_service.errors import RequestError
from cds_service.intake.marker_lookup import MarkerLookup
from cds_service.reports.pdf.reading import read_pdf
from cds_service.reports.read import as_json
from tests.reports.corpus.reports import lookups
from tests.web.browsing import chromium


class Test(NamedTuple):
    """A test with its result now and earlier."""

    name: str
    marker: str | None
    now: str
    earlier: str
    unit: str
    limits: str


TESTS = (
    Test("ALT (GPT)", "alt", "41", "138", "U/L", "7 - 40"),
    Test("AST (GOT)", "ast", "52", "149", "U/L", "< 35"),
    Test("Alkaline phosphatase", "alp", "163", "270", "U/L", "40 - 129"),
    Test("Gamma-GT", "ggt", "74", "181", "U/L", "< 60"),
    Test("Bilirubin, total", "total-bilirubin", "1.4", "2.5", "mg/dL", "0.2 - 1.2"),
    Test("Bilirubin, direct", "direct-bilirubin", "0.5", "1.6", "mg/dL", "< 0.3"),
    Test("Albumin", "albumin", "3.9", "4.8", "g/dL", "3.5 - 5.2"),
    Test("INR", "inr", "1.2", "2.3", "", "0.9 - 1.2"),
    Test("Platelets", "platelets", "245", "352", "10^9/L", "150 - 400"),
    Test("CK", "ck", "96", "203", "U/L", "< 190"),
    Test("Glucose", None, "5.1", "6.2", "mmol/L", "3.9 - 5.6"),
)
EARLIER, NOW = "01/25/2026", "03/25/2026"
_HEAD = f"""<style>body{{font:9pt Arial,sans-serif}} table{{border-collapse:collapse;width:100%}}
td,th{{padding:2px 6px;text-align:left}} CSS</style><h2>City Lab</h2>
<p>Patient Name: Anna Muster &nbsp; DOB: 02/01/1980 &nbsp; Sex: F</p>
<p>Collected: {NOW} &nbsp; Reported: 03/26/2026</p>"""
_RIGHT = "td:nth-child(2),td:nth-child(3){text-align:right}"
_ALL = "Test,Result,Unit,Reference Range"
_PLAIN = ("{name}", "{now}", "{unit}", "{limits}")
# Other tests and specimens, whose names take two lines.
_TWO_LINES = tuple(
    Test(name, None, value, "", unit, "<1")
    for name, value, unit in (
        ("Bilirubin<br>indirect", "0.9", "mg/dL"),
        ("Albumin<br>in urine", "0.8", "g/dL"),
        ("ALT<br>in pleural fluid", "77", "U/L"),
        ("Bone<br>ALP", "77", "U/L"),
        ("Indirect<br>Bilirubin", "0.9", "mg/dL"),
        ("CK<br>MB", "12", "U/L"),
    )
)
_URINE = (
    Test("Albumin", None, "0.8", "", "g/dL", "<1"),
    Test("Bilirubin", None, "3.3", "", "mg/dL", "<1"),
)


def _row(cells: Sequence[str], test: Test, tag: str = "td") -> str:
    texts = (cell.format(**test._asdict()) for cell in cells)
    return "<tr>" + "".join(f"<{tag}>{text}</{tag}>" for text in texts) + "</tr>"


def _headings(headings: str) -> str:
    return "<tr>" + "".join(f"<th>{text}</th>" for text in headings.split(",")) + "</tr>"


def _table(
    headings: str,
    cells: Sequence[str],
    css: str = "",
    *,
    more: str = "",
    first: Sequence[Test] = (),
) -> str:
    rows = "".join(_row(cells, test) for test in (*first, *TESTS))
    head = headings if headings.startswith("<") else _headings(headings)
    return f"{_HEAD.replace('CSS', css)}<table>{head}{rows}{more}</table>"


def _fixed(heading: str, line: str) -> str:
    lines = "\n".join([heading, *(line.format(**test._asdict()) for test in TESTS)])
    return f"{_HEAD.replace('CSS', '')}<pre>{lines}</pre>"


def _beside(offset: int, cells: Sequence[str], headings: str) -> str:
    sides = "".join(
        f"<div style='padding-top:{top}px'><table>{_headings(headings)}"
        f"{''.join(_row(cells, test) for test in part)}</table></div>"
        for top, part in ((0, TESTS[:6]), (offset, TESTS[6:]))
    )
    return f"{_HEAD.replace('CSS', '')}<div style='display:flex;gap:20px'>{sides}</div>"


def _previous(order: str) -> tuple[str, tuple[str, ...]]:
    first = ("{earlier}", "{now}") if order.startswith("Prev") else ("{now}", "{earlier}")
    return f"Test,{order},Unit,Reference Range", ("{name}", *first, "{unit}", "{limits}")


_URINE_ROWS = "".join(_row(_PLAIN, test) for test in _URINE)
_BEFORE = _previous("Previous,Result")
_AFTER = _previous("Result,Previous")
LAYOUTS = {
    "centred, previous": _table(*_AFTER, "td,th{text-align:center}"),
    "previous first, numbers right": _table(*_BEFORE, _RIGHT),
    "previous last, numbers right": _table(*_AFTER, _RIGHT),
    "headings right, numbers left": _table(*_BEFORE, "th{text-align:right}"),
    "one heading over two": _table(
        "<tr><th>Test<th colspan=2>Results<th>Unit<th>Reference</tr>"
        "<tr><th><th>Current<th>Previous<th><th>Range</tr>",
        _AFTER[1],
    ),
    "one heading over two, ruled": _table(
        "<tr><th rowspan=2>Test<th colspan=2>Results<th rowspan=2>Unit<th rowspan=2>Range</tr>"
        "<tr><th>Previous<th>Current</tr>",
        _BEFORE[1],
        "td,th{text-align:center;border:1px solid #888}",
    ),
    "two systems of units": _table(
        "Test,Result,Units,Range,SI Result,SI Units",
        (*_PLAIN, "{earlier}", "mol/L"),
    ),
    "narrow": _table(_ALL, _PLAIN, "td:first-child{width:60px} table{width:50%}"),
    **{
        f"names of two lines, {css}": _table(_ALL, _PLAIN, f"td{{{css}}}", first=_TWO_LINES)
        for css in (
            "vertical-align:top",
            "vertical-align:middle",
            "vertical-align:bottom",
            "border:1px solid #999",
        )
    },
    "unit behind the result": _table(
        "Test,Result (unit),Reference Range", ("{name}", "{now} {unit}", "{limits}")
    ),
    "all in one cell": _table("Test,Result / Unit / Range", ("{name}", "{now} {unit} ({limits})")),
    "previous in brackets": _table(
        "Test,Result (previous),Unit", ("{name}", "{now} ({earlier})", "{unit}")
    ),
    "ranges by sex": _table(_ALL, (*_PLAIN[:3], "M: {limits}<br>F: < 30")),
    "range before result": _table(
        "Test,Reference Range,Result,Unit", ("{name}", "{limits}", "{now}", "{unit}")
    ),
    "urine, plain heading": _table(_ALL, _PLAIN, more=f"<tr><td>Urine</td></tr>{_URINE_ROWS}"),
    "urine, then its chemistry": _table(
        _ALL,
        _PLAIN,
        more="<tr><td colspan=4 style='text-align:center'>URINALYSIS (spot)</td></tr>"
        f"<tr><td>Chemistry</td></tr>{_URINE_ROWS}",
    ),
    "urine in a comment": _table(
        f"{_ALL},Comment", (*_PLAIN, "{earlier}"), first=[_URINE[0]._replace(earlier="spot urine")]
    ),
    "urine in a table of its own": _table(
        _ALL, _PLAIN, more=f"</table><h3>Urine</h3><table>{_headings(_ALL)}{_URINE_ROWS}"
    ),
    **{
        f"sign at the number: {sign}": _table(_ALL, ("{name}", sign, *_PLAIN[2:]))
        for sign in (
            "{now}H",
            "<b>{now}</b> *",
            "▲{now}",
            "{now}<sup>1</sup>",
            "{now}<sub>2</sub>",
            "-{now}",
        )
        + ("{now} [!]", "{now} (corrected)", "<s>{earlier}</s> {now}", "<s>{earlier}</s><br>{now}")
    },
    "tight": _table(*_BEFORE, "td,th{padding:0 2px} table{width:auto}"),
    "tight and right": _table(*_BEFORE, "td,th{padding:0 2px;text-align:right} table{width:auto}"),
    "result and last": _table(
        "Test,Last,Result,Change,Unit", ("{name}", "{earlier}", "{now}", "+7", "{unit}"), _RIGHT
    ),
    "target": _table("Test,Target,Result,Unit", ("{name}", "{earlier}", "{now}", "{unit}"), _RIGHT),
    "trend": _table("Test,Result,Trend,Unit", ("{name}", "{now}", "{earlier} → {now}", "{unit}")),
    "no heading of results": _table("Test,,Unit,Reference Range", _PLAIN),
    **{
        f"no heading of earlier results, {order} {css}": _table(
            f"Test,{order},Unit", ("{name}", *cells, "{unit}"), css
        )
        for order, cells in ((",Result", _BEFORE[1][1:3]), ("Result,", _AFTER[1][1:3]))
        for css in ("", _RIGHT)
    },
    **{
        f"no heading of earlier results, {order} {css}, {last}": _table(
            f"Test,{order},{last}", ("{name}", *cells, cell), css
        )
        for order, cells in ((",Result", _BEFORE[1][1:3]), ("Result,", _AFTER[1][1:3]))
        for css in ("", _RIGHT)
        for last, cell in (("Reference Range", "{limits}"), ("Flag", ""), ("Comment", ""))
    },
    "unit behind the range": _table(
        "Test,Result,Range (unit)", ("{name}", "{now}", "{limits} {unit}")
    ),
    "letters apart": _table(_ALL, _PLAIN, "td{letter-spacing:2px}"),
    "fixed width": _fixed(
        f"{'Test':28}{'Previous':>9} {'Result':>7} {'Units':8} Reference",
        "{name:28}{earlier:>9} {now:>7} {unit:8} {limits}",
    ),
    "fixed width, headings left": _fixed(
        f"{'Test':24}{'Previous':12}{'Result':10}{'Units':8} Reference",
        "{name:24}{earlier:>11} {now:>9} {unit:8} {limits}",
    ),
    "dots": _fixed(
        f"{'Test':33}{'Result':>8} {'Units':8} Range", "{name:.<33}{now:>8} {unit:8} {limits}"
    ),
    "low, normal and high": _table(
        "Test,Low,Normal,High,Units", ("{name}", "", "{now}", "", "{unit}")
    ),
    "side by side": _beside(
        0, ("{name}", "{now}", "{earlier}", "{unit}"), "Test,Result,Previous,Unit"
    ),
    "side by side, uneven": _beside(
        37, ("{name}", "{earlier}", "{now}", "{unit}"), "Test,Previous,Result,Unit"
    ),
    "dates": _table(f"Test,{EARLIER},{NOW},Unit", _BEFORE[1][:4], _RIGHT),
    "result and a date": _table(f"Test,Result,{EARLIER},Unit", _AFTER[1][:4]),
}


def printed() -> Iterator[tuple[str, bytes]]:
    """The layouts as PDF."""
    with chromium() as browser:
        page = browser.new_page()
        for name, html in LAYOUTS.items():
            page.set_content(html)
            yield name, page.pdf(format="A4")


def judged(pdf: bytes, known: Sequence[MarkerLookup]) -> tuple[int, list[str]]:
    """How many of the results of now are read, and what is wrong."""
    try:
        rows = as_json(read_pdf(pdf), known)["rows"]
    except RequestError:
        return 0, []
    found: set[str] = set()
    wrong: list[str] = []
    for row in rows:
        test = next(
            (known_test for known_test in TESTS if known_test.marker == row["marker"]), None
        )
        if row["marker"] is None or row["value"] is None or test is None:
            continue
        is_old = row["date"] == "2026-01-25"
        if row["value"] != (test.earlier if is_old else test.now) or row["unit"] not in {
            test.unit or None,
            None,
        }:
            wrong.append(f"{row['name']}: {row['text']} {row['unit']} {row['date']}")
        elif not is_old:
            found.add(row["marker"])
    return len(found), wrong


def main() -> None:
    """Print the figures."""
    known, total, failed = lookups(), 0, 0
    for name, pdf in printed():
        found, wrong = judged(pdf, known)
        total, failed = total + found, failed + len(wrong)
        print(f"{name:62} {found:2} of 10", *wrong)
    print(f"read {total} of {10 * len(LAYOUTS)} rows of {len(LAYOUTS)} layouts, {failed} wrong")


if __name__ == "__main__":
    main()
