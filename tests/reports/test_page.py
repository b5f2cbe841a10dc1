# SPDX-License-Identifier: Apache-2.0
"""The page of reports over HTTP: what is shown to be compared, and that nothing else counts."""

import json
import os
import re
from base64 import b64decode
from html import unescape

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_service.settings import Settings
from tests.reports.corpus.reports import reports
from tests.reports.filling import fields_of, read
from tests.reports.messages import message, obx
from tests.reports.workbooks import Cell, sheet_xml, workbook
from tests.web.http_fixtures import client

TABLE = (
    "Test;Wert;Einheit;Referenzbereich;Datum\n"
    "GPT;1,0;U/l;<40;14.06.2026\n"
    "GOT;30,5;U/L;10-35;14.06.2026\n"
    "Kreatinin;0,9;mg/dl;;14.06.2026\n"
    "INR;1,234;;;14.06.2026\n"
)


@pytest.fixture(name="http")
def _http() -> FlaskClient:
    return client(Settings(profile="development"))


def confirm(http: FlaskClient, report: str | bytes, *numbers: int, **more: str) -> TestResponse:
    """Read a report, tick these rows, change what is given, and ask for the cards."""
    fields = fields_of(read(http, report).text)
    ticked = {f"use-{number}": "yes" for number in numbers}
    changed = {name.replace("_", "-"): value for name, value in more.items()}
    return http.post("/report/cards", data={**fields, **ticked, **changed})


def test_the_page_is_there_where_the_sandbox_is() -> None:
    assert client(Settings(profile="development")).get("/report").status_code == 200
    assert client(Settings(sandbox=False)).get("/report").status_code == 404
    assert client(Settings(sandbox=True)).get("/report").status_code == 200


def test_rows_are_shown_with_what_was_understood(http: FlaskClient) -> None:
    page = read(http, TABLE)
    fields = fields_of(page.text)

    assert page.status_code == 200
    assert [fields[f"marker-{n}"] for n in range(4)] == ["alt", "ast", "", "inr"]
    assert [fields[f"value-{n}"] for n in range(3)] == ["1.0", "30.5", "0.9"]
    assert fields["range-0"] == "<40"
    assert fields["date-0"] == "2026-06-14"
    assert [fields[f"heading-{n}"] for n in (2, 3)] == ["Einheit", "Referenzbereich"]
    assert [fields[f"role-{n}"] for n in (2, 3)] == ["unit", "range"]


def test_no_row_of_a_table_counts_before_it_was_compared(http: FlaskClient) -> None:
    assert not any(name.startswith("use-") for name in fields_of(read(http, TABLE).text))
    refused = confirm(http, TABLE)

    assert refused.status_code == 400
    assert "at least one row" in refused.text
    assert fields_of(refused.text)["value-0"] == "1.0"  # nothing that was entered is lost


def test_rows_of_an_exact_format_are_ticked_where_they_are_certain(http: FlaskClient) -> None:
    fields = fields_of(read(http, message(obx("41"), obx("1,234"), obx("5", f3="x^x^L"))).text)

    assert [name for name in fields if name.startswith("use-")] == ["use-0"]


def test_only_what_was_confirmed_counts_and_the_rest_is_named(http: FlaskClient) -> None:
    page = confirm(http, TABLE, 0)

    assert page.status_code == 200
    assert "Very low ALT (1.0 U/l)" in page.text
    assert "Not confirmed, and so not counted:</strong> GOT, INR" in page.text
    assert "AST 30.5" not in page.text


def test_what_was_read_wrongly_is_corrected(http: FlaskClient) -> None:
    page = confirm(http, TABLE, 0, value_0="250")

    assert "Very low ALT (" not in page.text
    assert "ALT 250 U/l" in unescape(page.text)


def test_a_test_that_was_not_recognized_is_chosen_by_a_person(http: FlaskClient) -> None:
    page = confirm(http, "Test;Value;Unit;Date\nLeberwert;2;U/L;2026-06-14\n", 0, marker_0="alt")

    assert "Very low ALT (2 U/L)" in page.text


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"value_0": "1,234"}, "GPT: Expected a number with a point"),
        ({"value_0": ""}, "GPT: Expected a number"),
        ({"value_0": "41 or so"}, "GPT: Expected a number"),
        ({"range_0": "normal"}, "GPT: Expected a range"),
        ({"date_0": ""}, "GPT: Expected the date"),
        ({"date_0": "14.06.2026"}, "GPT: Expected a date such as"),
        ({"birth": "02.01.1980"}, "date of birth: Expected a date"),
        ({"sex": "x"}, "sex: Expected female"),
    ],
)
def test_what_cannot_be_read_in_one_way_only_is_asked_again(
    http: FlaskClient, more: dict[str, str], expected: str
) -> None:
    page = confirm(http, TABLE, 0, **more)

    assert page.status_code == 400
    assert expected in unescape(page.text)


def test_a_date_for_rows_without_one(http: FlaskClient) -> None:
    page = confirm(http, "Test;Value;Unit\nALT;2;U/L\n", 0, date="2026-06-14")

    assert "2026-06-14" in page.text
    assert "Very low ALT" in page.text


def test_the_confirmed_rows_can_be_saved_as_fhir(http: FlaskClient) -> None:
    page = confirm(http, TABLE, 0, birth="1980-01-02", sex="female")
    (saved,) = re.findall(r"data:application/fhir\+json;base64,([A-Za-z0-9+/=]+)", page.text)
    patient, result = (entry["resource"] for entry in json.loads(b64decode(saved))["entry"])

    assert (patient["birthDate"], patient["gender"]) == ("1980-01-02", "female")
    assert result["code"] == {"text": "GPT"}
    assert result["valueQuantity"] == {"value": 1.0, "unit": "U/l"}
    assert result["effectiveDateTime"] == "2026-06-14"


def test_patients_of_one_file_have_a_form_each(http: FlaskClient) -> None:
    page = read(http, message(obx("41")) + message(obx("5")).replace(b"4711", b"4712"))

    assert page.text.count('action="/report/cards"') == 2


@pytest.mark.parametrize(
    ("report", "status", "expected"),
    [
        (b"", 400, "Expected a file or a text"),
        (b"Dear colleague,", 400, "Expected a table"),
        (b"Test;Value\n" + b"ALT;1\n" * 400, 400, "at most 300 rows"),
    ],
)
def test_what_is_no_report_is_refused_on_the_page(
    http: FlaskClient, report: bytes, status: int, expected: str
) -> None:
    page = read(http, report)

    assert page.status_code == status
    assert expected in page.text


@pytest.mark.parametrize("kept", ["", "{}", '{"name": 1}', '{"name": "x", "more": 1}'])
def test_a_form_that_is_not_ours_is_refused(http: FlaskClient, kept: str) -> None:
    fields = fields_of(read(http, TABLE).text)
    page = http.post("/report/cards", data={**fields, "row-0": kept, "use-0": "yes"})

    assert page.status_code == 400


def test_a_form_of_another_site_is_refused(http: FlaskClient) -> None:
    for path in ("/report/rows", "/report/cards"):
        answer = http.post(path, data={"text": TABLE}, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403


def test_signs_of_a_report_do_not_become_html(http: FlaskClient) -> None:
    page = read(http, 'Test;Value\n<script>alert(1)</script>;1\n"><img src=x>;2\n')

    assert "<script>alert" not in page.text
    assert "<img" not in page.text


def test_a_pdf_is_shown_with_the_places_of_its_rows(http: FlaskClient) -> None:
    report = next(reports())
    page = read(http, report.pdf)
    known = [row for row in report.truth["rows"] if row["marker"]]

    assert page.status_code == 200
    assert page.text.count("data:image/jpeg;base64,") >= 1
    assert page.text.count("<rect ") >= len(known)
    assert "img-src data:" in page.headers["Content-Security-Policy"]
    assert not any(name.startswith("use-") for name in fields_of(page.text))


def test_a_mistake_in_the_form_does_not_cost_the_pictures(http: FlaskClient) -> None:
    report = next(reports())
    shown = read(http, report.pdf)
    fields = fields_of(shown.text)
    again = http.post("/report/cards", data={**fields, "use-0": "yes", "date-0": "tomorrow"})

    assert again.status_code == 400
    assert again.text.count("data:image/jpeg;base64,") == shown.text.count(
        "data:image/jpeg;base64,"
    )
    forged = http.post("/report/cards", data={**fields, "picture-0": '"><script>'})
    assert forged.status_code == 400
    assert "<script>" not in forged.text


def columns_of(page: str) -> dict[str, str]:
    """What the form about the columns would send."""
    kept = ("heading-", "role-", "kept-file")
    return {name: text for name, text in fields_of(page).items() if name.startswith(kept)}


def test_the_columns_of_a_pasted_table_and_its_text_are_corrected(http: FlaskClient) -> None:
    table = TABLE.replace("Einheit", "Favourite")
    first = http.post("/report/rows", data={"text": table})
    assert fields_of(first.text)["unit-0"] == ""
    assert "GPT;1,0" in first.text  # the text can be corrected where it stands

    sent = {**columns_of(first.text), "role-2": "unit", "text": table.replace("1,0", "2,0")}
    second = fields_of(http.post("/report/rows", data=sent).text)

    assert (second["value-0"], second["unit-0"], second["role-2"]) == ("2.0", "U/l", "unit")


@pytest.mark.parametrize("is_workbook", [False, True])
def test_the_columns_of_a_file_are_corrected_without_it_being_sent_again(
    http: FlaskClient, is_workbook: bool
) -> None:
    cells: list[tuple[Cell, ...]] = [("Test", "Value", "Gear"), ("GPT", 41, "U/l")]
    csv = "".join(f"{';'.join(map(str, row))}\n" for row in cells)
    first = read(http, workbook(sheet_xml(cells)) if is_workbook else csv)
    second = http.post("/report/rows", data={**columns_of(first.text), "role-2": "unit"})

    assert fields_of(second.text)["unit-0"] == "U/l"
    (saved,) = re.findall(r"data:application/yaml;base64,([A-Za-z0-9+/=]+)", second.text)
    assert b64decode(saved) == b"columns:\n  Test: test\n  Value: value\n  Gear: unit\n"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"role-1": "not read"}, "at least one row"),
        ({"role-1": "secret"}, "one of: test, code"),
        ({"heading-1": "x"}, "with the headings"),
        ({"kept-file": "?"}, "of the page before"),
    ],
)
def test_columns_that_cannot_be_are_refused(
    http: FlaskClient, changed: dict[str, str], said: str
) -> None:
    first = read(http, TABLE)
    page = http.post("/report/rows", data={**columns_of(first.text), **changed})

    assert page.status_code == 400
    assert said in unescape(page.text)


@pytest.mark.parametrize("kind", ["", '; filename="x"'])
def test_a_part_of_a_form_without_a_name_that_can_be_read_is_refused(
    http: FlaskClient, kind: str
) -> None:
    part = f'--b\r\nContent-Disposition: form-data; title="x"{kind}\r\n\r\nx\r\n--b--\r\n'
    page = http.post(
        "/report/cards", data=part.encode(), content_type="multipart/form-data; boundary=b"
    )

    assert page.status_code == 400
    assert "a name for each part" in page.text


def test_the_card_of_one_report_cannot_be_dismissed_for_another(http: FlaskClient) -> None:
    page = confirm(http, TABLE, 0)

    assert page.text.count('<li class="card ') == 1
    assert "Accept: " not in page.text
    assert "Dismiss" not in page.text


def test_a_report_of_two_pages_is_shown_with_less_than_two_seconds_of_work() -> None:
    two = next(report for report in reports() if report.name == "limits-apart-en-0")
    before = os.times()
    page = read(client(Settings(profile="development")), two.pdf)
    after = os.times()

    assert page.text.count('<image id="picture-') == 2
    assert sum(after[:4]) - sum(before[:4]) < 2
