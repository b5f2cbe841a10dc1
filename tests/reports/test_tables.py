# SPDX-License-Identifier: Apache-2.0
"""Tables as text: what the columns are, and values that may stand in the wrong one."""

from pathlib import Path

import pytest

from cds_service.errors import RequestError
from cds_service.reports.bounded import ReaderOptions
from cds_service.reports.formats import read_any
from cds_service.reports.read import read_report
from cds_service.reports.report import ReportRow
from cds_service.reports.tables.columns_file import columns_file
from cds_service.reports.tables.grid import read_grid
from cds_service.reports.tables.mapping import Role, role_of
from tests.call_counts import with_calls


def rows(text: str) -> tuple[ReportRow, ...]:
    (about,) = read_report(text.encode()).patients
    return about.rows


def read(text: str) -> list[tuple[str, str | None, str | None]]:
    """Name, number and doubt of each row."""
    return [(row.name, row.value.number if row.value else None, row.doubt) for row in rows(text)]


@pytest.mark.parametrize(
    "text",
    [
        "Test,Value,Unit\nALT,41,U/L\nAST,35,U/L\n",
        "Test;Value;Unit\nALT;41;U/L\nAST;35;U/L\n",
        "Test\tValue\tUnit\nALT\t41\tU/L\nAST\t35\tU/L\n",
        "Test|Value|Unit\r\nALT|41|U/L\r\nAST|35|U/L\r\n",
        '"Test","Value","Unit"\n"ALT","41","U/L"\n"AST","35","U/L"',
        "Test   Value  Unit\nALT    41     U/L\n\nAST    35     U/L",
        "\ufeffTest,Value,Unit\nALT,41,U/L\nAST,35,U/L",
        "sep=;\nTest;Value;Unit\nALT;41;U/L\nAST;35;U/L",
    ],
)
def test_cells_are_separated_in_many_ways(text: str) -> None:
    assert read(text) == [("ALT", "41", None), ("AST", "35", None)]
    assert [row.unit for row in rows(text)] == ["U/L", "U/L"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_encodings(encoding: str) -> None:
    (about,) = read_report("Analyse;Wert;Einheit\nGPT;0,67;µkat/l\n".encode(encoding)).patients

    assert [row.unit for row in about.rows] == ["µkat/l"]


@pytest.mark.parametrize(
    ("heading", "role"),
    [
        ("Test", "test"),
        ("test_name", "test"),
        ("Untersuchung", "test"),
        ("LOINC Code", "code"),
        ("Ergebnis", "value"),
        ("Résultat", "value"),
        ("Valor (actual)", "value"),
        ("05.03.2026", "value"),
        ("Units", "unit"),
        ("Referenzbereich", "range"),
        ("Valeurs de référence", "range"),
        ("Vorwert", "not read"),
        ("Flag", "flag"),
        ("Fecha", "collected"),
        ("Collection date", "collected"),
        ("MRN", "patient id"),
        ("Geburtsdatum", "birth date"),
        ("Sexe", "sex"),
        ("Favourite colour", "not read"),
        ("", "not read"),
    ],
)
def test_headings_in_several_languages(heading: str, role: Role) -> None:
    assert role_of(heading) == role


def test_a_row_with_everything_and_its_patient() -> None:
    (about,) = read_report(
        b"patient_id,name,dob,sex,test,loinc,result,units,reference_range,flag,collected,status\n"
        b"P1,Anna Muster,1980-01-02,F,ALT,1742-6,<5,U/L,7-40,L,2026-03-05 09:30,final\n"
    ).patients

    (row,) = about.rows
    who = about.patient
    assert (who.id, who.name, who.birth_date, who.sex) == (
        "P1",
        "Anna Muster",
        "1980-01-02",
        "female",
    )
    assert [code.code for code in row.codes] == ["1742-6"]
    assert row.value is not None
    assert (row.value.comparator, row.value.number, row.flag) == ("<", "5", "L")
    assert row.range is not None
    assert (row.range.low, row.range.high) == ("7", "40")
    assert (row.date, row.status) == ("2026-03-05T09:30", "final")


def test_what_stands_above_the_table_is_about_all_of_it() -> None:
    (about,) = read_report(
        b"Patient;Muster Anna\nGeburtsdatum: 02.01.1980\nEntnahme;05.03.2026\n"
        b"Analyse;Wert\nGPT;41\n"
    ).patients

    assert (about.patient.name, about.patient.birth_date) == ("Muster Anna", "1980-01-02")
    assert about.rows[0].date == "2026-03-05"


def test_patients_of_one_table_are_told_apart() -> None:
    found = read_report(b"Patient ID,Test,Value\nP1,ALT,41\nP2,ALT,5\nP1,AST,7\n").patients

    assert [(about.patient.id, len(about.rows)) for about in found] == [("P1", 2), ("P2", 1)]


def test_what_one_row_leaves_out_of_a_patient_another_may_have() -> None:
    data = b"Patient ID,DOB,Test,Value\nP1,,ALT,41\nP1,1980-01-02,AST,5\nP1,1951-07-30,AST,7\n"
    found = read_report(data).patients

    assert [(about.patient.birth_date, len(about.rows)) for about in found] == [
        ("1980-01-02", 2),
        ("1951-07-30", 1),
    ]


def test_columns_that_are_dates_have_a_row_for_each_date() -> None:
    found = rows("Test;01.02.2026;05.03.2026\nALT;41;1\nAST;;33\n")

    assert [(row.name, row.text, row.date) for row in found] == [
        ("ALT", "41", "2026-02-01"),
        ("ALT", "1", "2026-03-05"),
        ("AST", "33", "2026-03-05"),
    ]


def test_columns_that_are_tests_have_their_unit_in_the_heading() -> None:
    found = rows("Date;ALT (U/L);AST [U/L];Note\n2026-03-01;41;<5;fine\n2026-03-02;40;;\n")

    assert [(row.name, row.text, row.unit, row.date) for row in found] == [
        ("ALT", "41", "U/L", "2026-03-01"),
        ("AST", "<5", "U/L", "2026-03-01"),
        ("ALT", "40", "U/L", "2026-03-02"),
    ]


def test_a_comma_is_decided_about_for_the_whole_table() -> None:
    assert read("Test;Value\nA;1,234\nB;0,5\n") == [("A", "1.234", None), ("B", "0.5", None)]
    assert read("Test;Value\nA;1,234\nB;5\n")[0] == ("A", None, "comma-or-separator")


def test_the_order_of_day_and_month_is_decided_about_for_the_whole_table() -> None:
    one, other = rows("Test,Value,Date\nALT,41,05/03/2026\nAST,35,03/25/2026\n")
    (open_,) = rows("Test,Value,Date\nALT,41,05/03/2026\n")

    assert (one.date, other.date) == ("2026-05-03", "2026-03-25")
    assert open_.date is None


@pytest.mark.parametrize(
    "text",
    [
        "Test,Value,Unit\nALT,0,67,U/L\n",  # a decimal comma among commas
        "Test,Value,Unit\nALT,0,67\n",
        "Test,Value\nALT,0,67\n",
        "Test,Value,Date\nALT,0,67\n",
        "Test,Value,Reference range\nALT,0,67\n",
        "Test,Value,Unit\nALT,0,67 U/L\n",
        "Test,Value,Comment\nCRP,0,5\n",
        "Test;Value;Result\nALT;4;5\n",  # two columns of values
        "Test  Result  Previous\nINR  1.2\n",  # of wide gaps one may be an empty cell
        "Test  Result  Previous  Unit\nALT  41  U/L\n",
        "Test  Result  Reference range\nCRP  <5\n",
    ],
)
def test_a_value_that_may_stand_in_the_wrong_column_does_not_count(text: str) -> None:
    assert {doubt for _, _, doubt in read(text)} == {"place-unclear"}


def test_sections_of_other_fluids_are_no_blood() -> None:
    found = read("Analyse;Wert\nBlut\nAlbumin;41\nUrin\nAlbumin;12\nSerum\nGPT;5\n")

    assert found == [("Albumin", "41", None), ("Albumin", None, "not-in-blood"), ("GPT", "5", None)]


@pytest.mark.parametrize(
    ("sent", "status"),
    [("final", "final"), ("P", "preliminary"), ("Korrigiert", "corrected"), ("???", "unknown")],
)
def test_a_status_that_is_sent_is_understood_or_unknown(sent: str, status: str) -> None:
    (row,) = rows(f"Test,Value,Status\nALT,41,{sent}\n")

    assert row.status == status


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "two columns"),
        (b"Dear colleague,", "headings"),
        (b"ALT 41", "two columns"),
        (b"ALT,41\nAST,35\n", "headings"),
        (b"Test,Value\n", "at least one row"),
        (b"PK\x03\x04\x00\x00", "workbook of Excel"),
        (b'"a' + b"x" * 200_000 + b'",b\n', "table"),
    ],
)
def test_what_is_no_table_of_results_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        read_report(data)


def test_what_the_columns_are_is_kept_in_a_file_and_corrected_there(tmp_path: Path) -> None:
    data = b"Analyse;Alt;Neu\nGPT;1;41\nGOT;2;35\n"
    file = tmp_path / "laboratory.yaml"
    file.write_text("columns: {Analyse: test, Alt: not read, Neu: value}")

    (about,) = read_report(data, file).patients
    assert [row.text for row in about.rows] == ["41", "35"]
    with pytest.raises(RequestError, match="headings of the file"):
        read_report(b"Test;Wert\nGPT;1\n", file)

    file.write_text(columns_file(read_report(data, file).columns))
    assert read_report(data, file).patients == (about,)


def test_a_table_without_headings_needs_a_file(tmp_path: Path) -> None:
    file = tmp_path / "laboratory.yaml"
    file.write_text("columns: [test, value, unit, range]")

    (about,) = read_report(b"ALT   41  U/L  7-40\nAST   35  U/L  <35\n", file).patients
    assert [(row.name, row.text, row.range_text) for row in about.rows] == [
        ("ALT", "41", "7-40"),
        ("AST", "35", "<35"),
    ]


def test_a_file_of_columns_that_is_wrong_says_where(tmp_path: Path) -> None:
    file = tmp_path / "laboratory.yaml"
    file.write_text("columns: {Analyse: tset}")

    with pytest.raises(RequestError, match=r"laboratory\.yaml:1"):
        read_report(b"Analyse;Wert\nGPT;1\n", file)


def test_a_table_of_a_million_rows_is_refused() -> None:
    with pytest.raises(RequestError, match="rows"):
        read_grid(b"Test;Wert\n" + b"GPT;1\n" * 1_000_000)


def test_a_table_about_many_people_takes_no_longer_for_each() -> None:
    def about(people: int) -> bytes:
        many = "".join(f"P{number},ALT,41\n" for number in range(people))
        return f"ID,Test,Value\n{many}".encode()

    _, few = with_calls(lambda: read_any(about(200), ReaderOptions()))
    _, many = with_calls(lambda: read_any(about(2000), ReaderOptions()))

    assert many < 11 * few  # nobody is compared with all the others
    assert len(read_any(about(10_000), ReaderOptions())[0].patients) == 10_000


def test_a_shorter_row_counts_where_its_unit_shows_the_place() -> None:
    text = "Test  Result  Unit  Range  Flag\nALT  41  U/L  7-40  H\nAST  35  U/L  7-40\n"

    assert read(text) == [("ALT", "41", None), ("AST", "35", None)]


def test_a_unit_is_that_of_the_value_and_agrees_with_it() -> None:
    (without,) = rows("Test,Result,Unit,Previous result,Unit\nALT,41,,0.7,ukat/L\n")
    (behind,) = rows("Test,Previous,Unit,Result,Unit\nALT,0.7,ukat/L,41,U/L\n")

    assert (without.unit, behind.unit) == ("", "U/L")
    assert read("Test;Value;Unit\nALT;41 U/L;ukat/l\n") == [("ALT", None, "units-differ")]


@pytest.mark.parametrize(
    ("above", "day"),
    [
        ("Entnahme: 05.03.2026\nDatum: 06.03.2026", "2026-03-05"),
        ("Entnahme: 2026-03-05T08:15:00Z", "2026-03-05T08:15:00Z"),
        ("Datum: 06.03.2026", None),  # of what is not said
        ("Entnahme: 05.03.2026\nAbnahme: 08.03.2026", None),
        ("Entnahme: 05.03.2026\nEntnahmezeit: 08:15", "2026-03-05T08:15"),
    ],
)
def test_a_date_above_the_table_is_that_of_collection(above: str, day: str | None) -> None:
    assert rows(f"{above}\nTest;Wert\nALT;41\n")[0].date == day


def test_a_date_of_collection_comes_before_any_other() -> None:
    (row,) = rows("Date;Collected;Test;Value\n06.03.2026;05.03.2026;ALT;41\n")

    assert row.date == "2026-03-05"


def test_a_date_of_birth_says_its_century() -> None:
    (about,) = read_report(b"Geburtsdatum: 05.03.80\nTest;Wert\nALT;41\n").patients

    assert about.patient.birth_date is None


@pytest.mark.parametrize(
    ("label", "differs"),
    [
        ("Patient;Bert", "name of a patient"),
        ("MRN: 4712", "number of a patient"),
        ("Entnahme;08.03.2026", "day of collection"),
    ],
)
def test_a_second_table_below_the_first_is_refused(label: str, differs: str) -> None:
    above = "Patient;Anna\nMRN: 4711\nEntnahme;05.03.2026\nTest;Wert\nALT;41\n"

    with pytest.raises(RequestError, match=f"one patient .* a {differs} between its rows"):
        rows(f"{above}{label}\nTest;Wert\nALT;410\n")
    assert read(f"{above}Patient;Anna\nTest;Wert\nAST;35\n") == [
        ("ALT", "41", None),
        ("AST", "35", None),
    ]


ORGANS = ["Leber/Galle", "Leber und Galle", "Transaminasen / Galle", "Leber/Galle/Pankreas"]
ORGANS += ["Foie et bile", "Liver and bile ducts"]


@pytest.mark.parametrize("heading", ORGANS)
def test_bile_beside_other_words_of_a_heading_is_no_specimen(heading: str) -> None:
    assert read(f"Test;Wert\n{heading}\nGPT;41\n") == [("GPT", "41", None)]
    assert read(f"Test;Wert\nAP ({heading});41\n") == [(f"AP ({heading})", "41", None)]
    assert read("Test;Wert\nGGT Galle;41\n") == [("GGT Galle", "41", None)]


@pytest.mark.parametrize("heading", ["Galle", "Gallenflüssigkeit", "Bile fluid", "Líquido biliar"])
def test_bile_alone_is_a_specimen(heading: str) -> None:
    assert read(f"Test;Wert\n{heading}\nGPT;41\n") == [("GPT", None, "not-in-blood")]


def test_a_specimen_stands_in_a_name_or_beside_a_label() -> None:
    text = "Test;Wert\nAlbumin im Urin;41\nMaterial;Urin\nAlbumin;3\nKlinische Chemie\nAlbumin;4\n"

    assert {doubt for _, _, doubt in read(text)} == {"not-in-blood"}


@pytest.mark.parametrize(
    ("specimen", "doubt"),
    [("Bile, T-tube", "not-in-blood"), ("Urin", "not-in-blood"), ("SER", None), ("", None)],
)
def test_the_column_of_specimens_is_read_as_a_specimen(specimen: str, doubt: str | None) -> None:
    assert [
        read_doubt for _, _, read_doubt in read(f"Test;Wert;Material\nGPT;41;{specimen}\n")
    ] == [doubt]


def test_a_unit_shows_the_place_of_a_value_where_cells_have_wide_gaps() -> None:
    text = "Test  Result  Unit  Range\nQuick  85  %\nALT  41  U/L\n"

    assert read(text) == [("Quick", "85", None), ("ALT", "41", None)]


def test_a_unit_with_other_words_is_what_is_not_clear() -> None:
    assert read("Test;Wert;Einheit\nALT;41;U/L bone\n") == [("ALT", None, "unit-unclear")]


@pytest.mark.parametrize("said", ["Probe hämolytisch", "échantillon hémolysé", "hemolyzed"])
def test_hemolysis_is_said_in_any_language(said: str) -> None:
    assert [row.hemolyzed for row in rows(f"Test;Wert;Kommentar\nAST;41;{said}\nALT;5;\n")] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    "said",
    ["Hemolysis: negative", "Hämolyse negativ", "Hemolysis none", "Hämolyse: nein", "Hämolyse: 0"],
)
def test_hemolysis_that_is_negative_is_none(said: str) -> None:
    assert not any(row.hemolyzed for row in rows(f"Test;Wert;Kommentar\nAST;41;{said}\n"))


@pytest.mark.parametrize(
    "said",
    [
        "Hämolyse 0,5 g/L",
        "Hämolyse +++, Lipämie negativ",
        "Probe hämolytisch, negativer Einfluss möglich",
    ],
)
def test_what_else_is_negative_denies_no_hemolysis(said: str) -> None:
    assert all(row.hemolyzed for row in rows(f"Test;Wert;Kommentar\nAST;41;{said}\n"))


def test_hemolysis_on_a_line_of_its_own_is_about_all_rows() -> None:
    assert [row.hemolyzed for row in rows("Test;Wert\nAST;41\nProbe hämolytisch;\n")] == [True]


@pytest.mark.parametrize("heading", ["Donor", "Donor;Hans Muster", "Control 1", "Mutter:"])
@pytest.mark.parametrize("again", ["", "Patient\n"])
def test_what_is_below_a_heading_of_somebody_else_does_not_count(heading: str, again: str) -> None:
    text = f"Test;Value;Unit\nALT;41;U/L\n{heading}\nAST;52;U/L\n{again}GGT;61;U/L\n"

    assert [(row.value is not None, row.doubt) for row in rows(text)] == [
        (True, None),
        (False, "of-another"),
        (bool(again), None if again else "of-another"),
    ]


@pytest.mark.parametrize("heading", ["Donor;;;", "Donor;;;lot 5"])
def test_a_heading_stands_in_the_column_of_names_too(heading: str) -> None:
    text = f"Patient;Test;Value;Unit\nAnna Vater;ALT;41;U/L\n{heading}\n;AST;52;U/L\n"

    patients = read_report(text.encode()).patients
    assert [row.doubt for about in patients for row in about.rows] == [None, "of-another"]


def test_a_heading_of_somebody_else_above_the_table_holds_for_it() -> None:
    assert {row.doubt for row in rows("Donor\nTest;Value;Unit\nALT;41;U/L\n")} == {"of-another"}


def test_a_cell_that_names_somebody_else_leaves_its_row_open() -> None:
    text = "Test;Value;Unit;Person\nALT;41;U/L;Patient\nALT;52;U/L;Donor\n"

    assert [row.doubt for row in rows(text)] == [None, "of-another"]


@pytest.mark.parametrize(
    "said",
    [
        "Laboratorio Padre Pio",
        "Partner laboratory Berlin",
        "Blood drawn by partner clinic",
        "Serum donor specific antibodies",
    ]
    + ["Results from the partner laboratory in Berlin", "Values checked with brother clinic"],
)
def test_a_cell_that_only_mentions_somebody_else_leaves_its_row(said: str) -> None:
    text = f"Test;Value;Unit;Laboratory\nALT;41;U/L;{said}\nALT;52;U/L;Labor Muster\n"

    assert [row.doubt for row in rows(text)] == [None, None]


def test_a_patient_whose_name_is_such_a_word_is_no_heading() -> None:
    text = "Patient;Test;Value\nAnna Vater;AST;\nAnna Vater;ALT;41\n"

    assert [(row.name, row.value is not None, row.doubt) for row in rows(text)] == [
        ("AST", False, "no-value"),
        ("ALT", True, None),
    ]


@pytest.mark.parametrize(
    ("heading", "day"),
    [("Results of 01 Jan 2025", None), ("Results of 05 Mar 2026", "2026-03-05")],
)
def test_below_a_heading_with_another_date_the_day_is_not_known(
    heading: str, day: str | None
) -> None:
    above = "Collected;05 Mar 2026\nTest;Value;Unit\nALT;41;U/L\n"

    assert [row.date for row in rows(f"{above}{heading}\nAST;52;U/L\n")] == ["2026-03-05", day]


def test_one_date_of_birth_written_in_two_ways_is_that_of_one_patient() -> None:
    above = "DOB;02.01.1980\nDate of birth;1980-01-02\nCollected;13.03.2026\n"

    (row,) = rows(f"{above}Test;Value;Unit\nALT;41;U/L\n")

    assert row.value is not None


@pytest.mark.parametrize(
    ("above", "differs"),
    [
        ("Patient;Anna Muster\nPatient;Hans Maier", "name of a patient"),
        ("Patient ID;1\nPatient ID;2", "number of a patient"),
        ("DOB;02 Jan 1980\nDOB;03 Feb 1950", "date of birth"),
    ],
)
def test_a_table_below_two_patients_is_nobodys(above: str, differs: str) -> None:
    with pytest.raises(RequestError, match=f"about one patient .* more than one {differs} above"):
        rows(f"{above}\nTest;Value;Unit\nALT;41;U/L\n")


@pytest.mark.parametrize(
    ("cell", "unit", "flag"),
    [("U/L H", "U/L", "H"), ("+ U/L", "U/L", "+"), ("U/L L", "U/L", "L"), ("% L", "%", "L")],
)
def test_a_flag_beside_a_unit_is_no_part_of_it(cell: str, unit: str, flag: str) -> None:
    (row,) = rows(f"Test;Value;Unit\nALT;41;{cell}\n")

    assert (row.unit, row.flag) == (unit, flag)
    assert row.value is not None


@pytest.mark.parametrize("cell", ["L", "U/L at 37", "mg/d L", "g/d L", "mg/ d L"])
def test_a_value_whose_unit_may_be_another_is_open(cell: str) -> None:
    (row,) = rows(f"Test;Value;Unit\nALT;41;{cell}\n")

    assert (row.value, row.unit, row.flag) == (None, cell, "")


def test_a_letter_and_its_accent_may_be_two_characters() -> None:
    (row,) = rows("Test;Value;Range\nALT;41 e\u0301leve\u0301;jusqu'a\u0300 40\n")

    assert row.value is not None
    assert row.range is not None
    assert (row.flag, row.range.high) == ("élevé", "40")


@pytest.mark.parametrize("unit", ["mg/d L", "g/d L"])
def test_a_letter_behind_a_value_that_may_belong_to_its_unit_is_no_flag(unit: str) -> None:
    (row,) = rows(f"Test;Value\nBilirubin;1.2 {unit}\n")

    assert (row.value, row.flag) == (None, "")


@pytest.mark.parametrize("heading", ["D O N O R", "U R I N E", "S p e n d e r:", "M E\u0300 R E"])
def test_a_heading_that_is_spaced_out_is_read(heading: str) -> None:
    found = read(f"Test;Value;Unit\nALT;41;U/L\n{heading}\nAST;52;U/L\n")

    assert [number for _, number, _ in found] == ["41", None]
