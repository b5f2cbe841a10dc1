# SPDX-License-Identifier: Apache-2.0
"""Reports as PDF: what is read, and what is left open."""

import io
import json
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from cds_service.cli import cli
from cds_service.errors import PayloadTooLarge, RequestError
from cds_service.reports import bounded
from cds_service.reports.pdf.reading import read_pdf
from cds_service.reports.read import as_json, read_report
from tests.reports.corpus.reports import CorpusReport, lookups, reports
from tests.reports.corpus.scoring import Score
from tests.reports.corpus.sheets import Sheet, Slot

ROOT = Path(__file__).parents[2]
LOOKUPS = lookups()
SLOTS = [
    Slot("name", "Test", 50),
    Slot("result", "Result", 230),
    Slot("unit", "Unit", 300),
    Slot("range", "Reference range", 370),
]


def report(
    *rows: Sequence[str],
    slots: Sequence[Slot] = SLOTS,
    above: Sequence[str] = ("Collected: 05 Mar 2026",),
    below: Sequence[str] = (),
) -> bytes:
    """A report with these rows; a text that begins with `#` is a heading of a section."""
    sheet = Sheet()
    for text in above:
        sheet.at(50, text)
        sheet.down()
    sheet.headings(slots)
    for row in rows:
        if row[0].startswith("#"):
            sheet.at(50, row[0][1:], bold=True)
            sheet.down()
        else:
            sheet.row(slots, dict(zip((slot.key for slot in slots), row, strict=False)))
    for text in below:
        sheet.down()
        sheet.at(50, text)
    return sheet.finished()


def rows_of(pdf: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = as_json(read_pdf(pdf), LOOKUPS)["rows"]
    return found


def row_of(*cells: str, **other: Any) -> dict[str, Any]:
    (row,) = rows_of(report(cells, **other))
    return row


def score_of(whole: Iterable[CorpusReport]) -> Score:
    score = Score()
    for report in whole:
        score.add(report.name, report.truth, as_json(read_pdf(report.pdf), LOOKUPS))
    return score


def test_a_sixth_of_the_corpus_is_read_without_a_wrong_value() -> None:
    score = score_of(report for n, report in enumerate(reports()) if n % 6 == n // 6 % 6)

    assert score.wrong == []
    assert score.share >= 98


@pytest.mark.slow
def test_the_whole_corpus_is_read_without_a_wrong_value() -> None:
    score = score_of(reports())
    guide = (ROOT / "docs" / "how-to" / "reports.md").read_text(encoding="utf-8")

    assert score.wrong == []
    assert f": {score.found} of {score.rows} rows are found" in guide


def test_a_row_as_data() -> None:
    row = row_of("ALT (SGPT)", "<5 L", "U/L", "7 - 40")

    assert row.pop("place")["page"] == 1
    assert row == {
        "name": "ALT (SGPT)",
        "marker": "alt",
        "comparator": "<",
        "value": "5",
        "text": "<5 L",
        "unit": "U/L",
        "low": "7",
        "high": "40",
        "range": "7 - 40",
        "flag": "L",
        "date": "2026-03-05",
        "status": "final",
        "hemolyzed": False,
        "certain": True,
    }


@pytest.mark.parametrize("printed", ["41H", "41 H", "H 41", "41*", "* 41", "41 +", "41 (H)", "▲41"])
def test_a_flag_at_the_value_is_no_part_of_it(printed: str) -> None:
    if "▲" not in printed:  # Helvetica has none
        row = row_of("ALT", printed, "U/L", "7-40")
        assert (row["value"], row["certain"]) == ("41", True)
        assert row["flag"] in {"H", "*", "+"}


@pytest.mark.parametrize(
    "printed",
    [
        "-41",
        "41 45",
        "41/45",
        "41 - 45",
        "1,234",
        "41 (corrected)",
        "4 1",
        "see note",
        "1:128",
        "41 (138)",
    ],
)
def test_what_a_careful_reader_would_not_decide_has_no_value(printed: str) -> None:
    row = row_of("ALT", printed, "U/L", "7-40")

    assert (row["value"], row["certain"], row["text"]) == (None, False, printed)
    assert row["why"]


@pytest.mark.parametrize(
    ("printed", "low", "high"),
    [
        ("7-40", "7", "40"),
        ("(7 - 40)", "7", "40"),
        ("<40", None, "40"),
        ("up to 40", None, "40"),
        ("bis 40", None, "40"),
        ("jusqu'à 40", None, "40"),
        ("> 60", "60", None),
        ("more than 60", "60", None),
        ("ab 60", "60", None),
        ("de 7 a 40", "7", "40"),
        ("7 - 40 U/L", "7", "40"),
        ("M: 10-50 F: 10-35", None, None),
        ("<40 (m)", None, None),
        ("40 - 7", None, None),
    ],
)
def test_ranges(printed: str, low: str | None, high: str | None) -> None:
    row = row_of("ALT", "41", "U/L", printed)

    assert (row["low"], row["high"], row["range"]) == (low, high, printed)


@pytest.mark.parametrize(("first", "second"), [(("previous", "result")), (("result", "previous"))])
@pytest.mark.parametrize("align", ["left", "right", "middle"])
@pytest.mark.parametrize("shift", [0, 30])
def test_the_heading_says_which_result_is_the_current_one(
    first: str, second: str, align: str, shift: float
) -> None:
    words = {"result": "Result", "previous": "Previous"}
    sheet = Sheet()
    headings = [
        Slot("name", "Test", 50),
        Slot(first, words[first], 250, align),
        Slot(second, words[second], 330, align),
        Slot("unit", "Unit", 400),
    ]
    sheet.headings(headings)
    shifted = [
        Slot(s.key, s.heading, s.x + (shift if s.key in words else 0), s.align) for s in headings
    ]
    for name, value in (("ALT", "41"), ("AST", "1042"), ("GGT", "7")):
        sheet.row(shifted, {"name": name, "result": value, "previous": f"9{value}", "unit": "U/L"})

    read = [row["value"] for row in rows_of(sheet.finished())]

    assert [value for value in read if value not in {"41", "1042", "7"}] in ([], [None] * 3)
    if shift == 0:
        assert read == ["41", "1042", "7"]


def test_several_dates_are_a_row_each() -> None:
    slots = [SLOTS[0], Slot("result", "05.03.2026", 230), Slot("old", "01.12.2025", 320), SLOTS[3]]
    rows = rows_of(report(("ALT", "41", "52", "7-40"), ("AST", "", "33", "<35"), slots=slots))

    assert [(row["marker"], row["value"], row["date"]) for row in rows] == [
        ("alt", "41", "2026-03-05"),
        ("alt", "52", "2025-12-01"),
        ("ast", "33", "2025-12-01"),
    ]


def test_rows_of_urine_are_no_results_of_blood() -> None:
    albumin = ("Albumin", "3.9", "g/dL", "3.5-5.2")
    found = rows_of(report(albumin, ("#Urine",), albumin, ("#Serum",), albumin))

    assert [(row["marker"], row["value"]) for row in found] == [
        ("albumin", "3.9"),
        (None, None),
        ("albumin", "3.9"),
    ]


@pytest.mark.parametrize(
    ("material", "value"),
    [
        ("Ascites", None),
        ("blood-stained ascites", None),
        ("Ascites, EDTA", None),
        ("Bile, T-tube", None),
        ("Serum, Urin", "3.9"),
        ("EDTA-Blut und Urin", "3.9"),
        ("Serum", "3.9"),
    ],
)
def test_the_material_of_a_whole_report(material: str, value: str | None) -> None:
    above = ("Collected: 05 Mar 2026", f"Material: {material}")

    assert row_of("Albumin", "3.9", "g/dL", "3.5-5.2", above=above)["value"] == value


@pytest.mark.parametrize("heading", ["Leber/Galle", "Transaminasen / Galle", "Foie et bile"])
def test_rows_below_an_organ_are_results_of_blood(heading: str) -> None:
    albumin = ("Albumin", "3.9", "g/dL", "3.5-5.2")
    found = rows_of(report(albumin, (f"#{heading}",), albumin))

    assert [row["value"] for row in found] == ["3.9", "3.9"]


def test_the_second_line_of_a_name_belongs_to_it() -> None:
    sheet = Sheet(leading=16)
    sheet.headings(SLOTS)
    for _ in range(3):
        sheet.row(SLOTS, {"name": "Bilirubin", "result": "1.4", "unit": "mg/dL", "range": "<1.2"})
    sheet.y += 6
    sheet.at(50, "indirect")

    assert [row["marker"] for row in rows_of(sheet.finished())] == ["total-bilirubin"] * 2 + [None]


def test_a_raised_sign_is_no_digit() -> None:
    sheet = Sheet()
    sheet.headings(SLOTS)
    sheet.raised(230 + sheet.width("41") + 0.3, "1")
    sheet.row(SLOTS, {"name": "Platelets", "result": "41", "unit": "10", "range": "150-400"})
    sheet.y += sheet.leading
    sheet.raised(300 + sheet.width("10") + 0.2, "9")
    sheet.at(300 + sheet.width("10") + 4, "/L")
    (row,) = rows_of(sheet.finished())

    assert (row["value"], row["unit"]) == ("41", "10⁹/L")


def test_letters_printed_twice_to_look_bold_are_read_once() -> None:
    sheet = Sheet()
    sheet.headings(SLOTS)
    sheet.at(230.3, "41")
    sheet.row(SLOTS, {"name": "ALT", "result": "41", "unit": "U/L", "range": "7-40"})

    assert [row["value"] for row in rows_of(sheet.finished())] == ["41"]


@pytest.mark.parametrize(
    ("label", "date"),
    [
        ("Collected: 2026-03-05 09:30", "2026-03-05T09:30"),
        ("Collected: March 5, 2026 9:30 PM", "2026-03-05T21:30"),
        ("Entnahme: 05.03.2026, 09:30 Uhr", "2026-03-05T09:30"),
        ("Prélevé le 05/03/2026 à 09h30", "2026-03-05T09:30"),
        ("Data da coleta: 5 de março de 2026", "2026-03-05"),
        ("Collected: 05/03/2026", None),  # in March, or in May?
        ("Collected: 03/25/2026", "2026-03-25"),
        ("Printed: 05 Mar 2026", None),
        ("Date of Birth: 05 Mar 1980", None),
    ],
)
def test_the_date_is_that_of_collection(label: str, date: str | None) -> None:
    other = ("Né(e) le 25/12/1980",) if "Prélevé" in label else ()

    assert row_of("ALT", "41", "U/L", "7-40", above=(label, *other))["date"] == date


def test_who_the_report_is_about() -> None:
    above = (
        "Patient: Anna Muster   Geschlecht: weiblich",
        "Geb.-Datum: 02.01.1980",
        "Pat.-Nr.: 4711",
    )
    read = as_json(read_pdf(report(("ALT", "41", "U/L", "7-40"), above=above)), [])

    assert read["patient"] == {
        "id": "4711",
        "name": "Anna Muster",
        "birthDate": "1980-01-02",
        "sex": "female",
    }


@pytest.mark.parametrize(
    ("note", "says_so"),
    [
        ("Specimen hemolyzed.", True),
        ("Probe stark hämolytisch", True),
        ("Échantillon hémolysé", True),
        ("Muestra hemolizada", True),
        ("Muestra no hemolizada", False),
        ("Keine Hämolyse", False),
        ("Hämolyse-Index: 5", False),
    ],
)
def test_a_hemolysed_specimen(note: str, says_so: bool) -> None:
    assert row_of("ALT", "41", "U/L", "7-40", below=(note,))["hemolyzed"] is says_so


@pytest.mark.parametrize(
    "text",
    ["Vorläufiger Befund", "PROVISORISCHER BEFUND", "Zwischenbefund", "Résultats provisoires"]
    + [
        "Resultados provisionales",
        "Risultati provvisori",
        "Resultado provisório",
        "Interim report",
    ],
)
def test_a_preliminary_report_says_so(text: str) -> None:
    assert row_of("ALT", "41", "U/L", "7-40", above=(text,))["status"] == "preliminary"


def drawn(text: str = "", **canvas: Any) -> bytes:
    buffer = io.BytesIO()
    page = Canvas(buffer, invariant=1, **canvas)
    page.drawString(50, 700, text)
    page.rect(0, 0, 500, 500)
    page.save()
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("pdf", "reason"),
    [
        (drawn(), "text"),
        (drawn("Dear colleague, the ALT was 41 U/L."), "table"),
        (drawn("ALT", encrypt=StandardEncryption("secret")), "password"),
        (b"%PDF-1.7 and nothing else", "whole"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(pdf: bytes, reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        read_pdf(pdf)


def test_a_text_that_a_machine_laid_over_a_scan_is_refused() -> None:
    buffer = io.BytesIO()
    made = Canvas(buffer, pagesize=(400, 400), invariant=1)
    made.drawImage(ImageReader(Image.new("L", (8, 8))), 0, 0, 400, 400)
    made.drawString(50, 350, "Test Result Unit")
    made.drawString(50, 330, "ALT 41 U/L")
    made.save()

    with pytest.raises(RequestError, match="scan"):
        read_pdf(buffer.getvalue())


def test_a_report_is_read_in_a_process_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "report.pdf"
    file.write_bytes(report(("ALT", "41", "U/L", "7-40")))
    result = CliRunner().invoke(cli, ["read", str(file), "--json"])

    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.output)["rows"]
    assert (row["marker"], row["value"], row["unit"]) == ("alt", "41", "U/L")


def test_evaluate_takes_no_pdf(tmp_path: Path) -> None:
    file = tmp_path / "report.pdf"
    file.write_bytes(report(("ALT", "41", "U/L", "7-40")))

    assert CliRunner().invoke(cli, ["evaluate", str(file)]).exit_code == 1


def _pdf(content: bytes, *, pages: int = 1) -> bytes:
    """A PDF whose pages have this compressed content."""
    kids = b" ".join(b"%d 0 R" % (n + 4) for n in range(pages))
    stream = b"<</Filter/FlateDecode/Length %d>>stream\n" % len(content) + content
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[" + kids + b"]/Count %d>>" % pages,
        stream + b"\nendstream",
        *[b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 3 0 R>>"] * pages,
    ]
    data = b"%PDF-1.7\n"
    for number, body in enumerate(objects, start=1):
        data += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    return data + b"trailer<</Root 1 0 R>>\n%%EOF"


@pytest.mark.slow
def test_a_file_that_grows_or_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "SECONDS", 3)
    growing = zlib.compressobj(9)
    zeros = b"".join(growing.compress(b" " * 10_000_000) for _ in range(150)) + growing.flush()
    rules = zlib.compress(b"0 0 5 5 re S\n" * 2_000_000)
    for pdf in (_pdf(zeros), _pdf(rules), _pdf(zlib.compress(b" "), pages=500)):
        with pytest.raises(PayloadTooLarge):
            read_report(pdf)


def test_the_lines_of_a_heading_can_stand_beside_each_other() -> None:
    sheet = Sheet()
    for step, texts in enumerate(
        (("Current result", "Previous result"), ("", ""), ("and flag", "and date"))
    ):
        for x, text in zip((200, 300), texts, strict=True):
            sheet.at(x, text)
        if step == 1:
            sheet.at(50, "Test")
            sheet.at(420, "Units")
        sheet.down(0.4)
    sheet.down()
    slots = [
        Slot("name", "", 50),
        Slot("now", "", 200),
        Slot("old", "", 300),
        Slot("unit", "", 420),
    ]
    for name, now, old in (("ALT", "57 High", "40  25 Jan 2026"), ("AST", "24", "22  25 Jan 2026")):
        sheet.row(slots, {"name": name, "now": now, "old": old, "unit": "IU/L"})

    assert [row["value"] for row in rows_of(sheet.finished())] == ["57", "24"]


def test_results_in_and_out_of_range_can_have_a_column_each() -> None:
    slots = [SLOTS[0], Slot("in", "In Range", 200), Slot("out", "Out Of Range", 280), SLOTS[3]]
    rows = (
        ("ALT", "", "61 H", "9-46 U/L"),
        ("AST", "22", "", "10-35 U/L"),
        ("GGT", "5", "6", "<60 U/L"),
    )
    found = rows_of(report(*rows, slots=slots))

    assert [(row["value"], row["unit"]) for row in found] == [
        ("61", "U/L"),
        ("22", "U/L"),
        (None, "U/L"),
        (None, "U/L"),
    ]


def test_a_unit_without_a_heading_belongs_to_its_result() -> None:
    slots = [
        Slot("name", "Analyses", 50),
        Slot("result", "Résultats", 200),
        Slot("unit", "", 260),
        Slot("range", "Valeurs de référence", 330),
    ]
    rows = (
        ("Transaminases ALAT (TGP)", "58", "UI/L", "(Inf. à 41)"),
        ("Gamma GT", "75", "UI/L", "(8 à 61)"),
    )
    found = rows_of(report(*rows, slots=slots))

    assert [(row["marker"], row["value"], row["unit"]) for row in found] == [
        ("alt", "58", "UI/L"),
        ("ggt", "75", "UI/L"),
    ]


@pytest.mark.parametrize("order", [("Previous", "", "Result"), ("", "Result", "Unit")])
def test_an_earlier_result_without_a_heading_is_not_taken_for_one_of_now(
    order: Sequence[str],
) -> None:
    slots = [SLOTS[0], *(Slot(str(n), text, 200 + 80 * n) for n, text in enumerate(order))]
    shifted = [
        Slot(slot.key, "", slot.x + 50, "right") if slot.key != "name" else slot for slot in slots
    ]
    sheet = Sheet()
    sheet.headings(slots)
    for name in ("ALT", "AST", "GGT"):
        sheet.row(shifted, {"name": name, "0": "138", "1": "41", "2": "U/L"})

    assert "138" not in {row["value"] for row in rows_of(sheet.finished())}


def test_a_table_below_a_heading_of_earlier_results_is_left_open() -> None:
    sheet = Sheet()
    sheet.at(50, "Collected: 05 Mar 2026")
    for title, value in (("Results", "41"), ("Previous results", "99")):
        sheet.down(2)
        sheet.at(50, title, bold=True)
        sheet.down()
        sheet.headings(SLOTS)
        for name in ("ALT", "AST"):
            sheet.row(SLOTS, {"name": name, "result": value, "unit": "U/L", "range": "7 - 40"})

    assert [row["value"] for row in rows_of(sheet.finished())] == ["41", "41", None, None]


def test_a_date_above_results_that_cannot_be_read_is_not_replaced_by_another() -> None:
    slots = [SLOTS[0], Slot("a", "05/03/2026", 200), Slot("b", "01/02/2025", 300)]
    rows = [("ALT", "41", "99"), ("AST", "52", "98"), ("GGT", "61", "97")]

    found = rows_of(report(*rows, slots=[*slots, Slot("unit", "Unit", 400)]))

    assert {row["date"] for row in found} == {None}


def test_a_range_in_the_column_of_units_leaves_the_row_open() -> None:
    assert row_of("ALT", "41", "U/L 7 - 40", "")["value"] is None
    assert row_of("Platelets", "200", "x 10 9/L", "150 - 400")["value"] == "200"


@pytest.mark.parametrize(("height", "value"), [(0.3, None), (-0.15, "41"), (1.1, "41")])
def test_a_value_that_is_struck_out_does_not_count(height: float, value: str | None) -> None:
    sheet = Sheet()
    sheet.headings(SLOTS)
    sheet.canvas.setLineWidth(0.5)
    y = sheet.y + height * sheet.size  # through the middle, under the letters, or above them
    sheet.canvas.line(229, y, 241, y)
    sheet.row(SLOTS, {"name": "ALT", "result": "41", "unit": "U/L", "range": "7 - 40"})
    sheet.row(SLOTS, {"name": "AST", "result": "52", "unit": "U/L", "range": "7 - 40"})

    assert [row["value"] for row in rows_of(sheet.finished())] == [value, "52"]
