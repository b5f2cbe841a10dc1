# SPDX-License-Identifier: Apache-2.0
"""Headings of a report that say whose the results below are, and of which day."""

from collections.abc import Sequence
from typing import Any
from unicodedata import normalize

import pytest

from cds_service.errors import RequestError
from cds_service.reports.pdf.reading import read_pdf
from cds_service.reports.report import DOUBTS
from cds_service.reports.report_headings import read_heading_words, subject_of
from tests.reports.corpus.sheets import Sheet
from tests.reports.test_pdf import LOOKUPS, SLOTS, report, rows_of

ROWS = (("ALT", "41", "U/L", "7 - 40"), ("AST", "52", "U/L", "7 - 40"))
COLLECTED = "Collected: 05 Mar 2026"


def tables(*parts: str | Sequence[str], headings: bool = True) -> bytes:
    """A report of texts and rows; with `headings` each row has a table of its own."""
    sheet = Sheet()
    for part in parts:
        if isinstance(part, str):
            sheet.down()
            sheet.at(50, part)
            sheet.down()
            continue
        if headings:
            sheet.headings(SLOTS)
        sheet.row(SLOTS, dict(zip((slot.key for slot in SLOTS), part, strict=True)))
    return sheet.finished()


def values(pdf: bytes) -> list[str | None]:
    return [row["value"] for row in rows_of(pdf)]


def test_the_file_of_headings_has_no_problem() -> None:
    words, problems = read_heading_words()

    assert problems == []
    assert words is not None
    assert all((words.people, words.alone, words.patient, words.beside))


@pytest.mark.parametrize(
    "heading",
    [
        "Donor",
        "DONOR",
        "Husband's results",
        "Partner",
        "Mother: Anna Muster",
        "Control",
        "Control 2",
    ]
    + ["Results of the living donor", "Ehemann", "Spenderin", "Qualitätskontrolle", "Témoin"]
    + ["Donneur vivant", "Marito", "Cónyuge", "Mãe", "Negative control", "Hans Muster (Donor)"]
    + ["Donor transplant work-up", "Control: 2", "Mother and Child Hospital: Anna", "QC: 2"]
    + ["Donor, St Mary Hospital", "Donor Anna Klinik", "Control 1: not valid"]
    + ["Control 12.03.2026", "Kontrolle", "Vater"]
    + ["Partner Hans Muster", "Werte der Mutter", "Newborn", "Donor B", "Father 01 Jan 2025"]
    + ["Child: ok", "Control: valid", "Living donor liver transplantation", "Trasplante de padre"]
    + ["Greffe de foie de donneur", "Transplante renal de mãe", "Trapianto di rene da madre"]
    + ["Kontrolle 12.03.2026 08:30", "Werte des Vaters", "Werte des Neugeborenen"]
    + ["Spender 12.03.2026 08:30", "Spenderserum", "Control interno", "Interne Kontrolle"],
)
def test_results_below_a_heading_of_somebody_else_do_not_count(heading: str) -> None:
    for is_headed in (True, False):
        pdf = tables(COLLECTED, ROWS[0], heading, ROWS[1], headings=is_headed)
        if not is_headed:
            pdf = report(ROWS[0], (f"#{heading}",), ROWS[1])
        found = rows_of(pdf)

        assert [row["value"] for row in found] == ["41", None]
        assert found[1]["why"] == DOUBTS["of-another"]
        assert found[1]["text"] == "52"


@pytest.mark.parametrize(
    "heading",
    ["Results of the kidney donor of the patient", "Ergebnisse der Lebendspenderin Anna Muster"]
    + ["Results of the donor, partner laboratory Berlin"]
    + ["Lebendspende Nierentransplantation Spender", "Résultats du donneur vivant apparenté"]
    + ["Resultados de laboratorio del donante vivo", "Risultati del donatore vivente"]
    + ["Resultados laboratoriais do doador vivo", "Laborwerte des Spenders vom Transplantationstag"]
    + ["Donor: laboratory results of the living donor candidate", "Befund des Spenders Anna Muster"]
    + ["Results of the newborn Anna Muster", "Baby Boy of Anna", "Werte des Kindes Anna Muster"]
    + ["Resultados del recién nacido Anna", "Figlio di Anna Muster", "Values of the son Hans"]
    + ["Sample of the donor Anna Muster", "Samples from the living donor Anna Muster"],
)
def test_neither_do_they_below_a_long_one_that_reaches_over_columns(heading: str) -> None:
    for pdf in (
        tables(COLLECTED, ROWS[0], heading, ROWS[1]),
        report(ROWS[0], (f"#{heading}",), ROWS[1]),
    ):
        found = values(pdf)

        assert (found[0], *set(found[1:])) == ("41", None)


@pytest.mark.parametrize(
    "text",
    ["Laboratorio Padre Pio", "Laboratório Irmã Dulce", "Labor Partner Berlin"]
    + ["Partner laboratory Berlin"]
    + ["Blood donor center", "Labor Dr. Müller, Partner und Kollegen"]
    + ["Entnahme durch Schwester Anna"]
    + ["Samples from partner laboratory", "Results from our partner laboratory in Berlin"]
    + ["Serum donor specific antibodies", "Blood drawn by partner clinic"]
    + ["Werte, Entnahme durch Schwester A"],
)
def test_who_took_or_measured_a_sample_is_not_whose_it_is(text: str) -> None:
    for pdf in (
        tables(text, COLLECTED, *ROWS),
        tables(COLLECTED, ROWS[0], text, ROWS[1]),
        report(ROWS[0], (f"#{text}",), ROWS[1]),
    ):
        assert [row["value"] for row in rows_of(pdf) if row["text"]] == ["41", "52"]


@pytest.mark.parametrize(
    "heading",
    ["Liver panel", "Child-Pugh score", "Quality control passed on all analysers", "Chemistry"]
    + ["Mother and Child Hospital", "QC: passed", "Kontrollen: in Ordnung", "Mutter-Kind-Klinik"]
    + [
        "Results of the newborn screening",
        "Los resultados son normales",
        "Resultados de control anual",
        "Child health centre",
    ]
    + ["Leberwerte", "Patient", "Clinical chemistry", "Infection control unit", "Motherwell ward"],
)
def test_other_headings_change_nothing(heading: str) -> None:
    assert subject_of(heading) in {None, "patient"}
    assert values(tables(COLLECTED, ROWS[0], heading, ROWS[1])) == ["41", "52"]


@pytest.mark.parametrize(
    "heading",
    ["D O N O R", "D O N O R   R E S U L T S", "S P E N D E R :", "M è r e", "C O N T R O L  2"]
    + ["U R I N E", "U R I N", "T e s t   U r i n"],
)
@pytest.mark.parametrize("spacing", [0.0, 3.0, 6.0])
def test_a_heading_that_is_spaced_out_is_read(heading: str, spacing: float) -> None:
    sheet = Sheet()
    keys = [slot.key for slot in SLOTS]
    sheet.headings(SLOTS)
    sheet.row(SLOTS, dict(zip(keys, ROWS[0], strict=True)))
    text = heading if not spacing else heading.replace("   ", "_").replace(" ", "")
    sheet.down()
    sheet.canvas.drawString(50, sheet.y, text.replace("_", " "), charSpace=spacing)
    sheet.down()
    sheet.headings(SLOTS)
    sheet.row(SLOTS, dict(zip(keys, ROWS[1], strict=True)))

    assert values(sheet.finished()) == ["41", None]


@pytest.mark.parametrize("heading", ["Mère", "M è r e", "É p o u x", "I r m ã o"])
def test_a_letter_and_its_accent_may_be_two_characters(heading: str) -> None:
    sheet = Sheet(font="Vera")
    sheet.canvas.setPageCompression(0)
    keys = [slot.key for slot in SLOTS]
    sheet.headings(SLOTS)
    sheet.row(SLOTS, dict(zip(keys, ROWS[0], strict=True)))
    sheet.at(50, heading)
    sheet.down()
    sheet.headings(SLOTS)
    sheet.row(SLOTS, dict(zip(keys, ROWS[1], strict=True)))
    pdf = sheet.finished()
    (accented,) = (letter for letter in heading if not letter.isascii())
    one = f"<{ord(accented):04X}>".encode()  # what the font says its sign stands for
    two = normalize("NFD", accented)

    assert one in pdf
    assert values(pdf.replace(one, said_by_font(two))) == ["41", None]
    if " " in heading:  # the font does not say what the sign of the accent stands for
        assert values(pdf.replace(one, said_by_font(f"{two[0]}\0"))) == ["41", None]


def said_by_font(text: str) -> bytes:
    return f"<{text.encode('utf-16-be').hex()}>".encode()


def test_a_patient_whose_label_is_spaced_out_is_read() -> None:
    (about,) = read_pdf(tables("P A T I E N T :  Anna Muster", *ROWS)).patients

    assert about.patient.name == "Anna Muster"


@pytest.mark.parametrize(
    "heading",
    ["Kontrolle am 12.03.2026", "Contrôle du 12/03/2026", "Kontrolle am 12.03.2026 08:30 Uhr"]
    + ["Control del 12/03/2026", "Controllo in data 12/03/2026", "Controle em 12/03/2026, 8h30"]
    + [
        "Kontrolle vom 12.03.2026:",
        "Control de fecha 12/03/2026",
        "Contrôle en date du 12/03/2026",
    ],
)
def test_a_day_of_follow_up_names_no_control_sample(heading: str) -> None:
    assert subject_of(heading) is None
    assert values(tables(COLLECTED, ROWS[0], heading, ROWS[1])) == ["41", "52"]


@pytest.mark.parametrize("name", ["Hans Vater", "VATER, Hans"])
def test_the_name_of_the_patient_is_no_heading(name: str) -> None:
    assert values(tables(COLLECTED, f"Patient: {name}", "Vater", *ROWS)) == ["41", "52"]
    assert values(tables(COLLECTED, f"Patient: {name}", "Mutter", *ROWS)) == [None, None]


def test_between_rows_it_may_be_a_heading_as_well() -> None:
    pdf = tables(COLLECTED, "Patient: Anna Partner", ROWS[0], "Partner", ROWS[1])

    assert values(pdf) == ["41", None]


@pytest.mark.parametrize(("heading", "second"), [("Partner", None), ("Anna Partner", "52")])
def test_on_a_later_page_only_the_whole_name_is_no_heading(
    heading: str, second: str | None
) -> None:
    sheet = Sheet()
    for page, (text, row) in enumerate(zip(("Patient: Anna Partner", heading), ROWS, strict=True)):
        if page:
            sheet.next_page()
        for line in (COLLECTED, text) if page == 0 else (text,):
            sheet.at(50, line)
            sheet.down()
        sheet.headings(SLOTS)
        sheet.row(SLOTS, dict(zip((slot.key for slot in SLOTS), row, strict=True)))

    assert values(sheet.finished()) == ["41", second]


@pytest.mark.parametrize("again", ["Patient", "Recipient", "Results of the patient", "Empfänger"])
def test_a_heading_of_the_patient_ends_what_is_of_another(again: str) -> None:
    assert values(tables(COLLECTED, "Donor", ROWS[0], again, ROWS[1])) == [None, "52"]


@pytest.mark.parametrize("between", ["Patient: Anna Muster", "Liver panel", "Page 2"])
def test_nothing_else_ends_it(between: str) -> None:
    assert values(tables(COLLECTED, "Donor", ROWS[0], between, ROWS[1])) == [None, None]


def test_of_tables_side_by_side_each_has_its_heading() -> None:
    sheet = Sheet()
    sheet.at(50, COLLECTED)
    sheet.down(2)
    sheet.at(50, "Patient")
    sheet.at(310, "Donor")
    for place, texts in ((50, ("Test", "ALT", "AST")), (310, ("Test", "ALT", "AST"))):
        y = sheet.y
        for line, text in enumerate(texts, start=1):
            sheet.y = y - line * sheet.leading
            sheet.at(place, text)
            sheet.at(place + 80, "Result" if line == 1 else str(40 + line + place))
            sheet.at(place + 130, "Unit" if line == 1 else "U/L")
            sheet.at(place + 180, "Range" if line == 1 else "7 - 40")
        sheet.y = y

    assert values(sheet.finished()) == ["92", None, "93", None]


@pytest.mark.parametrize(
    "text",
    ["Donor: ALT: 41 U/L (7 - 40), AST: 52 U/L (7 - 40)"]
    + ["Donor\nALT: 41 U/L (7 - 40), AST: 52 U/L (7 - 40)"],
)
def test_text_and_lists_have_headings_too(text: str) -> None:
    sheet = Sheet()
    for line in text.split("\n"):
        sheet.at(50, line)
        sheet.down()

    assert values(sheet.finished()) == [None, None]


@pytest.mark.parametrize(
    ("heading", "day"),
    [
        ("Results of 01 Jan 2025", "2025-01-01"),
        ("01 Jan 2025", "2025-01-01"),
        ("Blood test 2025-01-01", "2025-01-01"),
        ("Ergebnisse vom 01.01.2025", "2025-01-01"),
        ("Sample of 01 Jan 2025", "2025-01-01"),
        ("Collected 01 Jan 2025", "2025-01-01"),
        ("Collected: 01 Jan 2025", "2025-01-01"),
        ("Kontrolle am 01.01.2025", "2025-01-01"),
        ("Kontrolle vom 01.01.2025 08:30", "2025-01-01T08:30"),
        ("Control del 13/01/2025", "2025-01-13"),
        ("Contrôle du 1er janvier 2025", "2025-01-01"),
        ("Befund vom 01.01.2025", None),  # of the report, or of its results
        ("Results of 05 Mar 2026", "2026-03-05"),
        ("Liver panel", "2026-03-05"),
        ("Visit 3, 01 Jan 2025", None),  # what it dates is not known
        ("Results of 06 Mar 2026", None),  # perhaps the day of the report
        ("Results of 01 Jan 2025 and 02 Jan 2025", None),
        ("Results of 01/02/2025", None),
    ],
)
def test_a_date_in_a_heading_is_that_of_its_table(heading: str, day: str | None) -> None:
    for pdf in (
        tables(COLLECTED, ROWS[0], heading, ROWS[1]),
        report(ROWS[0], (f"#{heading}",), ROWS[1]),
    ):
        assert [row["date"] for row in rows_of(pdf)] == ["2026-03-05", day]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("05 Mar 2026 08:30 - 09:30", "2026-03-05"),
        ("05 Mar 2026 08:30 +0100", "2026-03-05T08:30+01:00"),
        ("05 Mar 2026 - 06 Mar 2026", None),
    ],
)
def test_a_span_is_no_more_exact_than_it_is(text: str, day: str | None) -> None:
    assert {row["date"] for row in rows_of(tables(f"Collected: {text}", *ROWS))} == {day}


def test_a_date_above_the_label_of_the_collection_is_not_that_of_results() -> None:
    pdf = tables("Laboratory report 07 Mar 2026", COLLECTED, *ROWS)

    assert {row["date"] for row in rows_of(pdf)} == {"2026-03-05"}


@pytest.mark.parametrize(
    "lines",
    [
        ("Patient: Anna Muster", "Patient: Hans Maier"),
        ("Patient: Anna Muster DOB: 02 Jan 1980", "Patient: Hans Maier DOB: 03 Feb 1950"),
        ("DOB: 02 Jan 1980", "DOB: 03 Feb 1950"),
        ("Patient ID: 4711", "Patient ID: 4712"),
    ],
)
def test_two_patients_are_not_put_together(lines: tuple[str, str]) -> None:
    with pytest.raises(RequestError, match="about one patient"):
        read_pdf(tables(lines[0], ROWS[0], lines[1], ROWS[1]))


@pytest.mark.parametrize(
    "lines",
    [
        ("Patient: Anna Muster", "Patient: Muster, Anna"),
        ("Patient: Anna Muster", "Patient: Anna Maria Muster"),
        ("Patient: Anna Muster", "Patient: A. MUSTER"),
        ("DOB: 02 Jan 1980", "DOB: 02 Jan 1980 (46 y)"),
        ("Patient ID: 47-11", "Patient ID: 4711"),
    ],
)
def test_one_patient_who_is_written_in_two_ways_is_one(lines: tuple[str, str]) -> None:
    assert values(tables(lines[0], ROWS[0], lines[1], ROWS[1])) == ["41", "52"]


@pytest.mark.parametrize(
    ("lines", "name", "number"),
    [
        (("ID: 99887", "Patient ID: 4711"), "", "4711"),
        (("MRN: 99887", "Patient ID: 4711"), "", ""),  # which of them is not known
        (("Name: Dr. Hans Maier", "Patient: Anna Muster"), "Anna Muster", ""),
        (("Full name: Dr. Hans Maier", "Name: Anna Muster"), "", ""),
        (("ID: 4711", "ID: 4712"), "", ""),
    ],
)
def test_the_label_that_is_the_patients_says_who_it_is(
    lines: tuple[str, str], name: str, number: str
) -> None:
    (about,) = read_pdf(tables(*lines, *ROWS)).patients

    assert (about.patient.name, about.patient.id) == (name, number)


@pytest.mark.parametrize(
    ("lines", "differs"),
    [
        (("Patient: Anna Muster", "Patient: Hans Maier"), "names of patients"),
        (("Patient ID: 4711", "Patient ID: 4712"), "numbers of patients"),
        (("DOB: 02 Jan 1980", "DOB: 03 Feb 1950"), "dates of birth"),
    ],
)
def test_a_report_about_two_patients_says_what_differs(
    lines: tuple[str, str], differs: str
) -> None:
    with pytest.raises(RequestError, match=f"several {differs}: read"):
        read_pdf(tables(lines[0], ROWS[0], lines[1], ROWS[1]))


def struck(sheet: Sheet, x: float, width: float) -> None:
    y = sheet.y + 0.3 * sheet.size
    sheet.canvas.setLineWidth(0.5)
    sheet.canvas.line(x - 1, y, x + width, y)


@pytest.mark.parametrize(("text", "what"), [(COLLECTED, "date"), ("DOB: 02 Jan 1980", "birthDate")])
def test_a_date_that_is_struck_out_is_not_read(text: str, what: str) -> None:
    def read(*, is_struck: bool) -> dict[str, Any]:
        from cds_service.reports.read import as_json

        sheet = Sheet()
        sheet.at(50, text)
        if is_struck:
            struck(sheet, 50, 150)
        sheet.down()
        sheet.headings(SLOTS)
        sheet.row(SLOTS, dict(zip((slot.key for slot in SLOTS), ROWS[0], strict=True)))
        found = as_json(read_pdf(sheet.finished()), LOOKUPS)
        return {**found["rows"][0], **found["patient"]}

    assert read(is_struck=False)[what] is not None
    assert read(is_struck=True)[what] is None


@pytest.mark.parametrize("slot", SLOTS, ids=lambda slot: slot.key)
def test_a_row_of_which_anything_is_struck_out_is_open(slot: Any) -> None:
    sheet = Sheet()
    sheet.headings(SLOTS)
    struck(sheet, slot.x, 40)
    sheet.row(SLOTS, dict(zip((one.key for one in SLOTS), ROWS[0], strict=True)))

    (row,) = rows_of(sheet.finished())
    assert (row["value"], row["certain"]) == (None, False)


def test_a_name_that_is_struck_out_is_nobodys() -> None:
    sheet = Sheet()
    sheet.at(50, "Patient: Anna Muster")
    struck(sheet, 50, 150)
    sheet.down()
    sheet.headings(SLOTS)
    sheet.row(SLOTS, dict(zip((slot.key for slot in SLOTS), ROWS[0], strict=True)))

    (about,) = read_pdf(sheet.finished()).patients
    assert about.patient.name == ""


@pytest.mark.parametrize(
    ("first", "second", "is_noted"),
    [
        ("Hemolysis", "index", False),
        ("Hämolyse", "H Index", False),
        ("Haemolyse", "Index", False),
        ("Índice de", "hemólise", False),
        ("hemolyzed sample", "Index", True),
        ("Probe hämolytisch", "H Index", True),
        ("Hemolytic", "index", True),
        ("Hämolyse +++", "Index", True),
        ("Hämolyse 3+", "H Index", True),
        ("Hemolysis 16", "index", True),
        ("Indice", "d'hémolyse", False),
        ("Índice de", "hemólisis", False),
        ("Indice di", "emolisi", False),
        ("Hemolysis", "Icterus", True),
        ("Sample hemolyzed", "index 3", True),
        ("Hämolyse", "", True),
    ],
)
def test_an_index_on_two_lines_is_no_hemolysis(first: str, second: str, *, is_noted: bool) -> None:
    sheet = Sheet()
    keys = [slot.key for slot in SLOTS]
    sheet.headings(SLOTS)
    sheet.row(SLOTS, dict(zip(keys, ROWS[0], strict=True)))
    sheet.row(SLOTS, dict(zip(keys, (first, "16.2", "", ""), strict=True)))
    sheet.down(-0.2)
    sheet.at(50, second)

    assert {row["hemolyzed"] for row in rows_of(sheet.finished())} == {is_noted}


@pytest.mark.parametrize(
    ("said", "is_noted"), [("+++", True), ("2+", True), ("positive", True), ("negativ", False)]
)
def test_an_index_on_two_lines_may_say_that_there_is_hemolysis(
    said: str, *, is_noted: bool
) -> None:
    for pdf in (
        report(ROWS[0], ("Hämolyse", said), ("Index",)),
        report(ROWS[0], ("Hämolyse", ""), ("Index", said)),
    ):
        assert {row["hemolyzed"] for row in rows_of(pdf)} == {is_noted}
