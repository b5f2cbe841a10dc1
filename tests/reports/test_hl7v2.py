# SPDX-License-Identifier: Apache-2.0
"""HL7 v2: what each kind of message says, the clean ones and the others."""

import json

import pytest

from cds_service.errors import PayloadTooLarge, RequestError
from cds_service.reports.hl7v2.results import read_results
from cds_service.reports.hl7v2.times import iso_time
from cds_service.reports.numbers import PrintedRange, PrintedValue
from cds_service.reports.observations import as_bundle
from cds_service.reports.report import DOUBTS, ReportPatient, ReportRow
from tests.reports.hl7v2_corpus import read_corpus
from tests.reports.messages import HEADER, ORDER, PATIENT, message, obx


def rows(*segments: str, header: str = HEADER) -> tuple[ReportRow, ...]:
    (about,) = read_results(message(*segments, header=header)).patients
    return about.rows


def row(*segments: str, header: str = HEADER) -> ReportRow:
    (only,) = rows(*segments, header=header)
    return only


def test_a_result_with_everything() -> None:
    read = row(obx("41", f7="7-40", f8="H", f14="202603050815+0100"))

    assert (read.name, read.value, read.unit) == ("ALT", PrintedValue(number="41"), "U/L")
    assert [(code.system, code.code) for code in read.codes] == [("http://loinc.org", "1742-6")]
    assert (read.range, read.flag) == (PrintedRange(low="7", high="40"), "H")
    assert (read.date, read.status) == ("2026-03-05T08:15+01:00", "final")
    assert not read.hemolyzed


def test_who_it_is_about() -> None:
    (about,) = read_results(message(obx())).patients

    assert about.patient == ReportPatient(
        id="4711", authority="HOSPITAL", name="Anna B Muster", birth_date="1980-01-02", sex="female"
    )


@pytest.mark.parametrize(
    ("kind", "sent", "value", "doubt"),
    [
        ("NM", "41", PrintedValue(number="41"), None),
        ("NM", "+4.10", PrintedValue(number="4.10"), None),
        (
            "NM",
            "1.234",
            PrintedValue(number="1.234"),
            None,
        ),  # the standard has a point for decimals
        ("NM", "1,234", None, "comma-or-separator"),
        ("NM", "14,2", PrintedValue(number="14.2"), None),
        ("NM", "<5", PrintedValue(number="5", comparator="<"), None),
        ("NM", "41~42", None, "several-values"),
        ("NM", '""', None, "no-value"),
        ("NM", "", None, "no-value"),
        ("SN", "<^5", PrintedValue(number="5", comparator="<"), None),
        ("SN", ">=^60", PrintedValue(number="60", comparator=">="), None),
        ("SN", "=^41", PrintedValue(number="41"), None),
        ("SN", "^41", PrintedValue(number="41"), None),
        ("SN", "<5", PrintedValue(number="5", comparator="<"), None),
        ("SN", "^1^:^128", None, "not-one-number"),
        ("SN", "^5^-^10", None, "not-one-number"),
        ("SN", "^2^+", None, "not-one-number"),
        ("SN", "<>^5", None, "not-a-number"),
        ("SN", "^^^", None, "no-value"),
        ("ST", "<0.2", PrintedValue(number="0.2", comparator="<"), None),
        ("ST", "41 H", PrintedValue(number="41"), None),
        ("ST", "1:128", None, "not-one-number"),
        ("ST", "5-10", None, "not-one-number"),
        ("ST", "41 42", None, "not-one-number"),
        ("ST", "05/03/2026", None, "not-one-number"),
        ("ST", "2+", None, "not-one-number"),
        ("ST", "+1", None, "not-one-number"),
        ("ST", "10⁹", None, "not-one-number"),
        ("ST", "<-5", None, "not-one-number"),
        ("ST", "41 100/60", None, "not-one-number"),
        ("ST", "41 ukat/L", None, "units-differ"),
        ("CE", "41^41 ukat/L^L", None, "units-differ"),
        ("ST", "150.000", None, "comma-or-separator"),
        ("ST", "41 see comment", None, "not-a-number"),
        ("TX", "negative", None, "not-a-number"),
        ("FT", r"first\.br\second", None, "not-a-number"),
        ("CE", "260385009^Negative^SCT", None, "not-a-number"),
        ("", "41", PrintedValue(number="41"), None),
        ("ED", "^application^pdf^Base64^JVBERi0=", None, "embedded-document"),
    ],
)
def test_a_value_of_each_type(
    kind: str, sent: str, value: PrintedValue | None, doubt: str | None
) -> None:
    read = row(obx(sent, kind=kind))

    assert (read.value, read.doubt) == (value, doubt)


def test_a_unit_that_stands_with_the_value() -> None:
    read = row(obx("41 ukat/L", kind="ST", f6=""))

    assert (read.value and read.value.number, read.unit) == ("41", "ukat/L")


def test_the_decimal_comma_of_one_result_decides_about_the_others() -> None:
    read = rows(obx("1,234"), obx("0,5"))

    assert [row.value and row.value.number for row in read] == ["1.234", "0.5"]


@pytest.mark.parametrize(
    ("sent", "unit", "ucum"),
    [
        ("U/L", "U/L", ""),
        ("U/L^^UCUM", "U/L", "U/L"),
        ("U/L^units per liter^UCUM", "U/L", "U/L"),
        ("IUL^IU/L^L", "IU/L", ""),
        ("IUL^IU/L^L^[iU]/L^^UCUM", "IUL", "[iU]/L"),
        (r"10\S\9/L", "10^9/L", ""),
        ("10^9/L", "10^9/L", ""),
        ("10^9/L^^UCUM", "10^9/L", "10^9/L"),
        ("10*3/uL", "10*3/uL", ""),
        ('""', "", ""),
        ("", "", ""),
    ],
)
def test_a_unit_as_printed_and_its_code(sent: str, unit: str, ucum: str) -> None:
    read = row(obx(f6=sent))

    assert (read.unit, read.ucum) == (unit, ucum)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("7-40", PrintedRange(low="7", high="40")),
        ("<40", PrintedRange(high="40", high_is_exclusive=True)),
        (">5", PrintedRange(low="5", low_is_exclusive=True)),
        (">=60", PrintedRange(low="60")),
        ("M 7-40 F 7-30", None),
    ],
)
def test_a_range_keeps_its_sides(sent: str, read: PrintedRange | None) -> None:
    found = row(obx(f7=sent))

    assert (found.range, found.range_text) == (read, sent)


@pytest.mark.parametrize(
    ("own", "of_order", "status"),
    [
        ("F", "", "final"),
        ("f", "", "final"),
        ("C", "F", "corrected"),
        ("P", "", "preliminary"),
        ("R", "", "preliminary"),
        ("D", "", "entered-in-error"),
        ("W", "", "entered-in-error"),
        ("X", "", "cancelled"),
        ("I", "", "registered"),
        ("Q", "F", "unknown"),
        ("", "F", "final"),
        ("", "P", "preliminary"),
        ("", "", "unknown"),
    ],
)
def test_a_status_is_that_of_the_result_or_of_its_order(
    own: str, of_order: str, status: str
) -> None:
    order = f"OBR|1|||p^Panel^L|||202603050930{'|' * 18}{of_order}"
    data = "\r".join([HEADER, PATIENT, order, obx(f11=own)]).encode()

    assert read_results(data).patients[0].rows[0].status == status


@pytest.mark.parametrize(
    ("segments", "hemolyzed"),
    [
        (("NTE|1||Specimen slightly hemolysed",), True),
        (("NTE|1|L|No hemolysis",), False),
        (("NTE|1|L|Probe hämolytisch",), True),
        (("NTE|1|L|Keine Hämolyse",), False),
        (("SPM|1|||SER|||||||||||||||||||||HEM",), False),  # the 25th field, not the condition
        (("SPM|1|||SER||||||||||||||||||||HEM^Hemolyzed^HL70493",), True),
        ((), False),
    ],
)
def test_hemolysis_stands_in_notes_and_specimens(
    segments: tuple[str, ...], hemolyzed: bool
) -> None:
    assert row(obx(), *segments).hemolyzed is hemolyzed


def test_a_note_on_the_order_is_about_all_of_its_results_and_no_others() -> None:
    read = rows("NTE|1||hemolyzed", obx(), obx(), "OBR|2|||p", obx())

    assert [row.hemolyzed for row in read] == [True, True, False]


@pytest.mark.parametrize(
    ("specimen", "is_blood"),
    [
        ("SPM|1|||SER^Serum^HL70487", True),
        ("SPM|1|||119364003^Serum specimen^SCT", True),
        ("SPM|1|||PLAS", True),
        ("SPM|1|||UR^Urine^HL70487", False),
        ("SPM|1|||CSF", False),
    ],
)
def test_what_was_not_measured_in_blood_has_no_value(specimen: str, is_blood: bool) -> None:
    read = row(obx(), specimen)

    assert (read.value is not None) is is_blood
    assert read.doubt == (None if is_blood else "not-in-blood")


def test_the_specimen_of_old_versions_stands_in_the_order() -> None:
    order = f"OBR|1|||p^Panel^L{'|' * 11}UR&Urine&HL70070"
    data = f"{HEADER}\r{PATIENT}\r{order}\r{obx()}".encode()

    assert read_results(data).patients[0].rows[0].specimen == "Urine"


def test_a_time_without_a_zone_has_that_of_the_message_if_there_is_one() -> None:
    zoned = HEADER.replace("20260305100000", "20260305100000-0500")

    assert row(obx()).date == "2026-03-05T09:30"
    assert row(obx(), header=zoned).date == "2026-03-05T09:30-05:00"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2026", "2026"),
        ("202603", "2026-03"),
        ("20260305", "2026-03-05"),
        ("2026030509", "2026-03-05"),
        ("20260305093015.1234+0100", "2026-03-05T09:30:15+01:00"),
        ("20260305093015-1330", "2026-03-05T09:30:15-13:30"),
        ("20260305093015+1400", "2026-03-05T09:30:15+14:00"),
        ("20260305093015+1401", None),
        ("20260305093015+1459", None),
        ("20261305", None),
        ("20260230", None),
        ("202603052501", None),
        ("05.03.2026", None),
        ("", None),
    ],
)
def test_a_time_is_no_more_exact_than_it_was_sent(text: str, read: str | None) -> None:
    assert iso_time(text) == read


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r"])
def test_segments_end_in_any_way(end: str) -> None:
    data = end.join([HEADER, PATIENT, "ZPI|x", ORDER, obx()]).encode()

    assert len(read_results(data).patients[0].rows) == 1


def test_other_separators() -> None:
    data = (
        b"MSH#*!?@#LAB####20260305##ORU*R01#1#P#2.3\rPID###1\rOBX#1#NM#1742-6*ALT*LN##41#U/L#####F"
    )

    (read,) = read_results(data).patients[0].rows
    assert (read.name, read.codes[0].code, read.value) == (
        "ALT",
        "1742-6",
        PrintedValue(number="41"),
    )


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [("UNICODE UTF-8", "utf-8"), ("8859/1", "latin-1"), ("8859/15", "iso8859-15"), ("", "utf-8")]
    + [("", "cp1252"), ("ISO IR6", "latin-1"), ("UNICODE UTF-8", "latin-1")],
)
def test_character_sets(charset: str, encoding: str) -> None:
    header = f"{HEADER}||||||{charset}"
    data = message(obx("0,41", f6="µkat/L"), header=header).decode().encode(encoding)

    assert read_results(data).patients[0].rows[0].unit == "µkat/L"


def test_frames_and_batches_hold_messages_of_several_patients() -> None:
    other = message(obx("5")).replace(b"4711", b"4712")
    again = message(obx("7"))
    data = (
        b"FHS|^~\\&\rBHS|^~\\&\r\x0b"
        + message(obx())
        + b"\x1c\r\x0b"
        + other
        + again
        + b"BTS|3\rFTS|1"
    )

    found = read_results(data)

    values = {
        about.patient.id: [row.value.number for row in about.rows if row.value]
        for about in found.patients
    }
    assert values == {"4711": ["41", "7"], "4712": ["5"]}


def test_several_patients_in_one_message() -> None:
    data = message(obx(), PATIENT.replace("4711", "4712"), ORDER, obx("5"))

    assert [about.patient.id for about in read_results(data).patients] == ["4711", "4712"]


@pytest.mark.parametrize("before", [" ", "\t", "\N{NO-BREAK SPACE}", "\0", "\ufeff"])
def test_a_patient_behind_a_blank_is_not_the_one_before(before: str) -> None:
    data = message(obx(), before + PATIENT.replace("4711", "4712"), ORDER, obx("5"))

    assert [about.patient.id for about in read_results(data).patients] == ["4711", "4712"]


@pytest.mark.parametrize("withdrawn", ["D", "W"])
def test_a_result_that_is_withdrawn_does_not_count_any_more(withdrawn: str) -> None:
    again = message(obx("4100", f11=withdrawn), obx("41"))
    (about,) = read_results(message(obx("4100"), obx("5", f3="1920-8^AST^LN")) + again).patients

    assert [row.status for row in about.rows] == [
        "entered-in-error",
        "final",
        "entered-in-error",
        "final",
    ]


def test_a_repeated_code_counts_too() -> None:
    read = row(obx(f3="1742-6^ALT^LN~1920-8^AST^LN"))

    assert [code.code for code in read.codes] == ["1742-6", "1920-8"]


def test_two_specimens_of_different_days_leave_the_date_open() -> None:
    first, second = (f"SPM|1|||SER{'|' * 13}{day}" for day in ("20260301", "20260305"))
    data = [
        message(obx(), *some).replace(f"{ORDER}\r".encode(), b"")
        for some in ((first,), (first, second))
    ]

    dates = [read_results(report).patients[0].rows[0].date for report in data]
    assert dates == ["2026-03-01", None]


def test_results_without_patient_and_order() -> None:
    (about,) = read_results(f"{HEADER}\r{obx()}".encode()).patients

    assert about.patient == ReportPatient()
    assert about.rows[0].date is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "begins with the segment MSH"),
        (b"MSH|^~\\&", "results"),
        (b"PID|1\rMSH|^~\\&", "segment 1"),
        (b"MSH", "MSH"),
        (HEADER.replace("ORU^R01", "ADT^A01").encode(), "message 1: MSH-9"),
        (message(), "OBX"),
        (b"BHS|^~\\&\rBTS|0", "MSH"),
    ],
)
def test_what_holds_no_results_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        read_results(data)


def test_a_million_segments_are_refused() -> None:
    with pytest.raises(PayloadTooLarge):
        read_results(message("Z\r" * 1_000_000))


@pytest.mark.parametrize("sent", [r"4\X\1", r"\.brx\41", "\\", r"\Xzz\41", "4\x001"])
def test_odd_escapes_cost_no_more_than_their_row_and_are_not_logged(
    sent: str, caplog: pytest.LogCaptureFixture
) -> None:
    read = rows(obx(sent, kind="ST"), obx("41"))

    assert read[1].value == PrintedValue(number="41")
    assert caplog.records == []


def test_the_corpus_is_read_without_a_wrong_value() -> None:
    figures = read_corpus()

    assert figures.wrong == []
    assert figures.known > 600
    assert figures.found == figures.known  # docs/how-to/reports.md has it


def test_messages_without_an_id_are_about_different_people() -> None:
    for patient in ("PID|1", "PID|1||||Muster^Anna||19800102|F", "ZPI|1"):
        data = "\r".join([HEADER, patient, ORDER, obx(), HEADER, patient, ORDER, obx("5"), ""])

        assert [len(about.rows) for about in read_results(data.encode()).patients] == [1, 1]


@pytest.mark.parametrize(
    ("old", "new", "people"),
    [
        (b"^Anna^B", b"^Anna", 1),
        (b"19800102|F", b"|", 1),
        (b"19800102", b"19510730", 2),
        (b"|F", b"|M", 2),
        (b"^HOSPITAL^MR", b"^ANOTHER^MR", 2),
    ],
)
def test_the_same_id_is_the_same_patient_unless_something_contradicts(
    old: bytes, new: bytes, people: int
) -> None:
    report = read_results(message(obx()) + message(obx("5")).replace(old, new))
    entries = json.loads(as_bundle(report))["entry"]
    subjects = [
        entry["resource"]["subject"]["reference"]
        for entry in entries
        if "subject" in entry["resource"]
    ]

    assert len(report.patients) == people
    assert len(set(subjects)) == people
    assert report.patients[0].patient.birth_date == "1980-01-02"


@pytest.mark.parametrize(("role", "counts"), [("P", True), ("R", True), ("", True), ("Q", False)])
def test_what_was_measured_in_a_control_is_no_result_of_the_patient(
    role: str, counts: bool
) -> None:
    for sent in (
        message(f"SPM|1|||SER|||||||{role}^^HL70369", obx("41")),
        message(obx("41"), f"SPM|1|||SER|||||||{role}"),
        message(f"OBR|1||A1|24325-3^Hepatic panel^LN|||||||||||SER^^^^^^{role}", obx("41")),
    ):
        (about,) = read_results(sent).patients
        (row,) = about.rows
        assert (row.value is not None, row.doubt) == (counts, None if counts else "of-another")
        assert counts or "heading" not in DOUBTS["of-another"]  # a message has none
