# SPDX-License-Identifier: Apache-2.0
"""`cds-service read` and `evaluate` with a report that is not FHIR."""

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from cds_service.cli import cli
from tests.reports.messages import message, obx


def run(command: str, data: bytes, tmp_path: Path, *options: str) -> Result:
    file = tmp_path / "report.hl7"
    file.write_bytes(data)
    return CliRunner().invoke(cli, [command, str(file), *options])


def read(data: bytes, tmp_path: Path) -> dict[str, Any]:
    result = run("read", data, tmp_path, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.output)
    return found


def test_rows_as_data(tmp_path: Path) -> None:
    found = read(message(obx("<5", kind="ST", f7="7-40", f8="L")), tmp_path)

    assert found == {
        "format": "hl7v2",
        "patient": {
            "id": "4711",
            "name": "Anna B Muster",
            "birthDate": "1980-01-02",
            "sex": "female",
        },
        "rows": [
            {
                "name": "ALT",
                "marker": "alt",
                "comparator": "<",
                "value": "5",
                "text": "<5",
                "unit": "U/L",
                "low": "7",
                "high": "40",
                "range": "7-40",
                "flag": "L",
                "date": "2026-03-05T09:30",
                "status": "final",
                "hemolyzed": False,
                "certain": True,
            }
        ],
    }


def test_markers_are_found_by_code_and_by_name(tmp_path: Path) -> None:
    tests = ("1742-6^^LN", "GPT^GPT^L", "^ALAT", "x^Macro-ALT^L", "1743-4^ALT^LN^GPT^GPT^L")
    found = read(message(*(obx(f3=test) for test in tests)), tmp_path)

    assert [row["marker"] for row in found["rows"]] == ["alt", "alt", "alt", None, "alt"]


def test_what_is_not_certain_has_no_value_and_says_why(tmp_path: Path) -> None:
    open_, text, other = read(
        message(obx("1,234"), obx("see comment", kind="TX"), obx("pos", kind="TX", f3="x^HBsAg^L")),
        tmp_path,
    )["rows"]

    assert (open_["certain"], open_["value"], open_["text"]) == (False, None, "1,234")
    assert "comma" in open_["why"]
    assert (text["certain"], text["value"], text["text"]) == (False, None, "see comment")
    assert (other["certain"], other["marker"], other["text"]) == (True, None, "pos")


def test_the_albumin_of_urine_is_no_albumin(tmp_path: Path) -> None:
    (row,) = read(message(obx(f3="A^Albumin^L", f6="g/dL"), "SPM|1|||UR^Urine"), tmp_path)["rows"]

    assert (row["marker"], row["value"]) == (None, None)


def test_several_patients_are_told_apart(tmp_path: Path) -> None:
    found = read(message(obx()) + message(obx("5")).replace(b"4711", b"4712"), tmp_path)

    assert found["patient"] is None
    assert [who["id"] for who in found["patients"]] == ["4711", "4712"]
    assert [row["patient_id"] for row in found["rows"]] == ["4711", "4712"]


def test_what_cannot_be_read_is_refused_as_data_and_in_words(tmp_path: Path) -> None:
    as_data = run("read", b"Dear colleague", tmp_path, "--json")

    assert as_data.exit_code == 1
    assert json.loads(as_data.output).keys() == {"refused"}


def test_the_table_names_the_patient_and_what_is_open(tmp_path: Path) -> None:
    result = run("read", message(obx(), obx("1,234\x1b[31m")), tmp_path)

    assert result.exit_code == 0
    title, headings, first, second = result.output.splitlines()[:4]
    assert title == "Anna B Muster, 4711, 1980-01-02, female"
    assert headings.split()[:3] == ["test", "marker", "value"]
    assert "41 U/L" in first
    assert "? 1,234" in second
    assert "\x1b" not in result.output


def cards(data: bytes, tmp_path: Path) -> list[Any]:
    result = run("evaluate", data, tmp_path, "--as-of", "2026-03-06", "--json")
    assert result.exit_code == 0, result.output
    (patient,) = json.loads(result.output)["patients"]
    return [(card["summary"], card["indicator"], card["detail"]) for card in patient["cards"]]


def test_the_same_results_as_messages_and_as_fhir_give_the_same_cards(tmp_path: Path) -> None:
    tests = {"1742-6": ("1", "U/L"), "1920-8": ("<5", "U/L"), "777-3": ("14,5", "10^9/L")}
    segments = [
        obx(value, kind="ST", f3=f"{code}^test^LN", f6=unit.replace("^", r"\S\ ".strip()))
        for code, (value, unit) in tests.items()
    ]
    observations = [
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "subject": {"reference": "Patient/4711"},
            "effectiveDateTime": "2026-03-05T09:30:00Z",
            "valueQuantity": quantity,
        }
        for code, quantity in {
            "1742-6": {"value": 1, "unit": "U/L"},
            "1920-8": {"value": 5, "comparator": "<", "unit": "U/L"},
            "777-3": {"value": 14.5, "unit": "10^9/L"},
        }.items()
    ]
    patient = {
        "resourceType": "Patient",
        "id": "4711",
        "birthDate": "1980-01-02",
        "gender": "female",
    }
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": resource} for resource in (patient, *observations)],
    }

    as_fhir = cards(json.dumps(bundle).encode(), tmp_path)
    assert cards(message(*segments), tmp_path) == as_fhir
    assert any(summary.startswith("Very low ALT") for summary, *_ in as_fhir)


def test_a_value_that_is_open_is_named_on_a_card(tmp_path: Path) -> None:
    assert [summary for summary, *_ in cards(message(obx("1,234")), tmp_path) if "not" in summary]


STRANGE = (
    "Was;Messung;Vorher;Masse;Grenzen;Tag\nGPT;1,5;2,5;U/l;7-40;14.06.2026\nGOT;30,5;31;U/L;<35;\n"
)


def test_columns_that_no_heading_names_are_proposed_and_confirmed(tmp_path: Path) -> None:
    strange = STRANGE.encode()
    assert run("read", strange, tmp_path).exit_code == 1

    kept = tmp_path / "laboratory.yaml"
    shown = run("read", strange, tmp_path, "--propose", "--write-columns", str(kept))
    assert shown.exit_code == 0, shown.output
    assert "Nothing was read" in shown.output
    # Of two columns of numbers nobody knows which is of now.
    assert kept.read_text().splitlines()[1:] == [
        "  Was: test",
        "  Messung: not read",
        "  Vorher: not read",
        "  Masse: unit",
        "  Grenzen: range",
        "  Tag: collected",
    ]
    kept.write_text(kept.read_text().replace("Messung: not read", "Messung: value"))

    result = run("read", strange, tmp_path, "--columns", str(kept), "--json")
    assert [row["value"] for row in json.loads(result.output)["rows"]] == ["1.5", "30.5"]


def test_columns_without_headings_are_proposed_as_a_list(tmp_path: Path) -> None:
    result = run("read", STRANGE.partition("\n")[2].encode(), tmp_path, "--propose", "--json")

    found = json.loads(result.output)
    assert found["columns"] == ["test", "not read", "not read", "unit", "range", "collected"]
    assert found["sample"][0][:3] == ["GPT", "1,5", "2,5"]
    assert found["rows"] == []
    assert found["patient"] is None


def test_a_text_without_numbers_is_no_table(tmp_path: Path) -> None:
    assert run("read", b"Dear colleague, hello", tmp_path, "--propose").exit_code == 1


def test_a_file_of_columns_that_says_one_twice_is_refused(tmp_path: Path) -> None:
    kept = tmp_path / "laboratory.yaml"
    kept.write_text("columns:\n  Test: test\n  Wert: value\n  Wert: unit\n")
    result = run("read", b"Test;Wert\nALT;1\n", tmp_path, "--columns", str(kept))

    assert result.exit_code == 1
    assert result.exception is not None
