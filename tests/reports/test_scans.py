# SPDX-License-Identifier: Apache-2.0
"""Scanned reports, read by Tesseract: what is proposed, and that nothing of it counts by itself."""

import io
import json
import shutil
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from cds_service.cli import cli
from cds_service.clock import Deadline
from cds_service.copying import replace
from cds_service.errors import PayloadTooLarge, RequestError
from cds_service.reports import bounded
from cds_service.reports.numbers import PrintedRange, PrintedValue
from cds_service.reports.pdf import scans as scanning
from cds_service.reports.pdf.pages import PageLine, PageWord
from cds_service.reports.pdf.pictures import page_picture
from cds_service.reports.pdf.reading import read_pdf, read_picture, report_of
from cds_service.reports.pdf.scanned_rows import scanned as scanned_row
from cds_service.reports.pdf.straightening import Straightening, skew_of
from cds_service.reports.read import as_json, read_report
from cds_service.reports.report import Place, ReportRow
from cds_service.settings import Settings
from tests.reports.corpus.reports import lookups
from tests.reports.corpus.scans import CONDITIONS, ScanScore, read_scan, scanned, scans
from tests.reports.filling import fields_of
from tests.reports.test_pdf import report
from tests.web.http_fixtures import client

LOOKUPS = lookups()
ROWS = (
    ("ALT", "41", "U/L", "7-40"),
    ("GGT", "1,234", "U/L", "<60"),
    ("INR", "1.05", "", "0.90-1.20"),
)
NEEDS_TESSERACT = pytest.mark.skipif(
    shutil.which("tesseract") is None,
    reason="needs Tesseract: apt-get install tesseract-ocr tesseract-ocr-deu tesseract-ocr-fra "
    "tesseract-ocr-spa tesseract-ocr-ita tesseract-ocr-por",
)


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is refused because other tests are running too."""
    monkeypatch.setattr(bounded, "SECONDS", 60)


def scan(*rows: Sequence[str], dpi: int = 200) -> bytes:
    return scanned(report(*(rows or ROWS)), dpi, lambda page: page)


def picture(kind: str) -> bytes:
    held = io.BytesIO()
    page_picture(report(*ROWS), 1).picture.convert("RGB").save(held, kind)
    return held.getvalue()


def rows_of(read: Any) -> list[tuple[Any, ...]]:
    keys = ("marker", "proposed", "value", "certain")
    return [tuple(row[key] for key in keys) for row in as_json(read, LOOKUPS)["rows"]]


EXPECTED = [("alt", "41", None, False), ("ggt", None, None, False), ("inr", "1.05", None, False)]


@NEEDS_TESSERACT
def test_a_scan_is_read_and_nothing_of_it_is_certain() -> None:
    assert rows_of(read_pdf(scan())) == EXPECTED


@NEEDS_TESSERACT
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_a_file_that_is_a_picture_is_read_like_a_scan(kind: str) -> None:
    assert rows_of(read_picture(picture(kind))) == EXPECTED


@NEEDS_TESSERACT
def test_a_report_with_pages_of_text_and_scanned_pages_is_read_whole() -> None:
    from pdfminer.high_level import extract_text  # comes with pdfplumber

    held = io.BytesIO()
    made = Canvas(held, pagesize=(595, 842), invariant=1)
    for y, texts in ((760, ("Test", "Result", "Unit")), (740, ("AST", "33", "U/L"))):
        for x, text in zip((50, 230, 300), texts, strict=True):
            made.drawString(x, y, text)
    made.showPage()
    made.drawImage(ImageReader(page_picture(report(*ROWS), 1).picture), 0, 0, 595, 842)
    made.save()
    rows = as_json(read_pdf(held.getvalue()), LOOKUPS)["rows"]

    assert "GGT" not in extract_text(BytesIO(held.getvalue()))
    assert [(row["marker"], row["value"], row.get("scanned", False)) for row in rows] == [
        ("ast", "33", False),
        ("alt", None, True),
        ("ggt", None, True),
        ("inr", None, True),
    ]


@NEEDS_TESSERACT
@pytest.mark.slow
def test_no_wrong_value_is_proposed_of_a_part_of_the_corpus() -> None:
    wanted = dict(zip(CONDITIONS, ("grid", "plain", "sections", "limits-apart"), strict=True))
    score = ScanScore()
    for condition, scan in scans(lambda condition, layout: layout == wanted[condition]):
        score.add(scan.name, scan.truth, read_scan(scan.pdf, LOOKUPS))
        wanted[condition] = ""

    assert not any(wanted.values())
    assert (score.accepted, score.wrong) == ([], [])
    assert score.right >= 0.5 * score.rows


@NEEDS_TESSERACT
def test_the_command_marks_what_it_read_from_a_picture(tmp_path: Path) -> None:
    file = tmp_path / "photo.png"
    file.write_bytes(picture("PNG"))
    found = json.loads(CliRunner().invoke(cli, ["read", str(file), "--json"]).output)

    assert found["format"] == "picture"
    assert [row["scanned"] for row in found["rows"]] == [True] * 3
    assert CliRunner().invoke(cli, ["evaluate", str(file)]).exit_code == 1


@NEEDS_TESSERACT
def test_a_person_compares_each_row_of_a_scan_beside_its_picture() -> None:
    http = client(Settings(profile="development"))
    page = http.post("/report/rows", data={"file": (BytesIO(scan()), "scan.pdf")})
    fields = fields_of(page.text)

    assert not any(name.startswith("use-") for name in fields)
    assert [fields[f"value-{n}"] for n in range(3)] == ["41", "", "1.05"]
    assert page.text.count('<use href="#picture-1"/>') == 3
    assert "a point can be lost" in page.text


@NEEDS_TESSERACT
def test_a_scan_of_too_many_pages_or_too_slow_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "MAX_SCANS", 0)
    with pytest.raises(PayloadTooLarge, match="scanned pages"):
        read_pdf(scan())
    monkeypatch.setattr(scanning, "MAX_SCANS", 4)
    with pytest.raises(PayloadTooLarge, match="seconds"):
        read_pdf(scan(), Deadline(0))


@NEEDS_TESSERACT
def test_a_page_on_which_nothing_is_legible_is_refused() -> None:
    held = io.BytesIO()
    page = Image.new("L", (300, 400), 255)
    page.paste(Image.effect_noise((300, 20), 200), (0, 100))  # of a whole page it takes 18 seconds
    page.save(held, "PNG")

    with pytest.raises(RequestError, match="too unclear"):
        read_picture(held.getvalue())


@NEEDS_TESSERACT
def test_the_blank_back_of_a_sheet_is_passed_over() -> None:
    front, held = page_picture(report(*ROWS), 1).picture.convert("L"), io.BytesIO()
    front.save(
        held, "PDF", save_all=True, append_images=[Image.new("L", front.size, 250)], resolution=282
    )

    assert [row[0] for row in rows_of(read_pdf(held.getvalue()))] == ["alt", "ggt", "inr"]


@NEEDS_TESSERACT
def test_a_page_of_faint_print_is_no_blank_one() -> None:
    front, held = page_picture(report(*ROWS), 1).picture.convert("L"), io.BytesIO()
    front.point(lambda shade: 160 + shade * 90 // 255).save(held, "PNG")

    assert [row[0] for row in rows_of(read_picture(held.getvalue()))] == ["alt", "ggt", "inr"]


def test_without_tesseract_the_refusal_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scanning, "which", lambda _: None)

    with pytest.raises(RequestError, match=r"scan.*Tesseract.*installed"):
        read_pdf(scan())


@pytest.mark.parametrize(
    "data",
    [b"\x89PNG\r\n\x1a\n and nothing else", b"\xff\xd8\xff", b"II*\x00\x08\x00\x00\x00"],
)
def test_a_broken_picture_is_refused(data: bytes) -> None:
    with pytest.raises(RequestError, match="whole"):
        read_report(data)


def test_a_huge_picture_is_refused() -> None:
    held = io.BytesIO()
    Image.new("1", (9000, 9000)).save(held, "PNG")

    with pytest.raises(PayloadTooLarge, match="pixels"):
        read_picture(held.getvalue())


PRINTED = ReportRow(
    name="Bilirubin",
    text="1.5",
    value=PrintedValue(number="1.5"),
    unit="mg/dL",
    range_text="0.2-1.2",
    range=PrintedRange(low="0.2", high="1.2"),
    flag="H",
)


@pytest.mark.parametrize(
    ("changes", "is_proposed"),
    [
        ({}, True),
        ({"flag": ""}, True),
        ({"value": PrintedValue(number="15")}, False),  # a point was lost
        ({"value": PrintedValue(number="05")}, False),
        ({"flag": "L"}, False),
        ({"value": PrintedValue(number="0.5")}, False),  # which is not high
        ({"value": PrintedValue(number="0.5"), "flag": "*"}, False),
        ({"value": PrintedValue(number="0.1"), "flag": "-"}, True),
        ({"range": None}, False),  # there is one, which was not read
        ({"range": None, "range_text": ""}, False),  # nothing to compare the flag with
        ({"range": None, "range_text": "", "flag": ""}, True),
        ({"range": PrintedRange(low="02", high="1.2")}, False),
        ({"range": PrintedRange(low="2", high="12")}, False),
        ({"unit": "pmol/L"}, False),  # µ
        ({"unit": "109/L"}, False),
        ({"unit": "mg/dL:"}, False),
        ({"unit": "10^9/L"}, True),
    ],
)
def test_a_value_is_proposed_if_all_that_stands_beside_it_agrees(
    changes: dict[str, Any], is_proposed: bool
) -> None:
    row = scanned_row(replace(PRINTED, **changes), is_sure=True)

    assert row.value is None
    assert (row.proposed is not None) is is_proposed
    assert row.doubt == ("scanned" if is_proposed else "scan-unclear")
    assert scanned_row(replace(PRINTED, **changes), is_sure=False).proposed is None


def page_of(*lines: Sequence[tuple[float, str]], unsure: str = "") -> list[PageLine]:
    """The lines of a scanned page, of words at places; one word can be unsure."""
    turn = Straightening(angle=0, x=0, y=0)
    return [
        PageLine(
            1,
            tuple(
                PageWord(
                    text=text,
                    x0=x,
                    x1=x + 5 * len(text),
                    top=14.0 * number,
                    bottom=14.0 * number + 8,
                    size=9,
                    is_sure=text != unsure,
                )
                for x, text in line
            ),
            scan=turn,
        )
        for number, line in enumerate(lines)
    ]


HEADING = ((50, "Analyses"), (220, "Résultat"), (276, "Unités"), (360, "Référence"))
PRINTED_ROWS = (
    ((50, "ALAT"), (225, "33"), (276, "U/L"), (360, "<41")),
    ((50, "ASAT"), (225, "29"), (276, "U/L"), (360, "<35")),
)


def proposed(page: list[PageLine]) -> list[str | None]:
    rows = report_of([page], "picture").patients[0].rows
    return [row.proposed.number if row.proposed else None for row in rows]


def test_nothing_is_proposed_below_a_heading_that_is_not_sure() -> None:
    assert proposed(page_of(HEADING, *PRINTED_ROWS)) == ["33", "29"]
    for unsure in ("Résultat", "Unités", "Référence"):
        assert proposed(page_of(HEADING, *PRINTED_ROWS, unsure=unsure)) == [None, None]


def test_limits_are_not_proposed_where_the_heading_of_results_was_misread() -> None:
    heading = ((50, "Analyses"), (220, "Ka"), (276, "Unités"), (360, "Valeurs"), (410, "Référence"))

    assert proposed(page_of(heading, *PRINTED_ROWS)) == [None, None]


def test_nothing_is_proposed_where_a_range_stands_among_the_results() -> None:
    odd = ((50, "GGT"), (220, "8-61"), (276, "U/L"))

    assert proposed(page_of(HEADING, *PRINTED_ROWS, odd)) == [None, None, None]


@pytest.mark.parametrize("angle", [-3.0, 0.0, 2.0])
def test_a_page_that_is_askew_is_set_straight(angle: float) -> None:
    page = page_picture(report(*ROWS * 5), 1).picture.convert("L")
    turned = page.rotate(-angle, Image.Resampling.BICUBIC, fillcolor=255)

    assert abs(skew_of(turned) - angle) <= 0.3


def test_a_place_on_a_straight_page_is_found_on_the_page_as_scanned() -> None:
    turn = Straightening(angle=90, x=100, y=100)
    place = turn.undone(Place(page=1, x0=150, top=90, x1=160, bottom=110))

    assert (round(place.x0), round(place.x1)) == (90, 110)
    assert (round(place.top), round(place.bottom)) == (150, 160)
