# SPDX-License-Identifier: Apache-2.0
"""What an export holds is read whatever its form, and what cannot be read is named."""

import gzip
import json
import random
from pathlib import Path

import duckdb
import pytest

from cds_service.errors import RequestError
from cds_service.screening import scans
from tests.screening.exports import DAY, Json, counted, decisions, ndjson, person, result, run


def with_cards(rows: list[Json]) -> set[str]:
    return {row["patient"] for row in rows if row["answer"] == "card"}


def bundle(*entries: Json, **elements: object) -> str:
    return json.dumps(
        {"resourceType": "Bundle", "type": "collection", "entry": entries, **elements}
    )


@pytest.fixture(name="people")
def _people() -> list[Json]:
    """Three patients with an ALT each; only b's is not low."""
    found = [person(name) for name in "abc"]
    return [
        *found,
        *(result(f"r{name}", f"Patient/{name}", 30 if name == "b" else 2) for name in "abc"),
    ]


def test_files_split_zipped_and_in_any_order_say_the_same(
    tmp_path: Path, people: list[Json]
) -> None:
    whole, split = tmp_path / "one", tmp_path / "split"
    whole.mkdir()
    (split / "more").mkdir(parents=True)
    ndjson(whole / "all.ndjson", people)
    random.Random(7).shuffle(people)
    ndjson(split / "1.ndjson", people[:2])
    ndjson(split / "more" / "2.jsonl", people[2:4])
    text = "\n".join(json.dumps(each) for each in people[4:])
    (split / "3.ndjson.gz").write_bytes(gzip.compress(text.encode()))

    rows = decisions(whole, tmp_path / "x")

    assert with_cards(rows) == {"a", "c"}
    assert decisions(split, tmp_path / "y") == rows


def test_bundles_say_the_same_as_lines(tmp_path: Path, people: list[Json]) -> None:
    whole, bundles = tmp_path / "one", tmp_path / "bundles"
    whole.mkdir()
    bundles.mkdir()
    ndjson(whole / "all.ndjson", people)
    (bundles / "1.json").write_text(bundle(*({"resource": each} for each in people[:4])))
    rest = bundle(*({"resource": each} for each in people[4:]))
    (bundles / "2.json.gz").write_bytes(gzip.compress(rest.encode()))

    assert decisions(bundles, tmp_path / "x") == decisions(whole, tmp_path / "y")


def test_a_resource_of_a_line_and_of_a_bundle_is_the_same(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    both = json.dumps(result("r", "Patient/p"))
    ndjson(source / "x.ndjson", [person("p"), both])
    entry = {"fullUrl": "https://ehr.example/Observation/r", "resource": json.loads(both)}
    (source / "b.json").write_text(bundle(entry))

    found = counted(source)
    words = ("--every", "1d", "--from", "2026-11-17", "--to", DAY, "--json")
    later = json.loads(run(source, *words).stdout)

    assert (found["patients"], found["patientsWithCard"]) == (1, 1)
    assert later["patientsWithCard"] == 1


def test_references_inside_a_bundle_are_resolved_in_it(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    named = [
        {"fullUrl": "urn:uuid:11", "resource": person("p")},
        {"fullUrl": "urn:uuid:12", "resource": result("r", "urn:uuid:11")},
    ]
    (source / "b.json").write_text(bundle(*named))

    assert with_cards(decisions(source, tmp_path / "out")) == {"p"}


@pytest.mark.parametrize(
    "reference",
    ["Patient/a", "https://ehr.example/r4/Patient/a", "Patient/a/_history/3", " Patient/a/"],
)
def test_a_patient_is_one_by_whatever_reference(tmp_path: Path, reference: str) -> None:
    lines = [person("a"), result("1", "Patient/a", 30), result("2", reference, 2, issued=None)]
    lines[2]["effectiveDateTime"] = "2026-11-19T18:00:00Z"
    ndjson(tmp_path / "x.ndjson", lines)

    found = counted(tmp_path)

    assert found["patients"] == 1
    assert found["patientsWithCard"] == 1


def test_equal_ids_on_two_servers_are_two_patients(tmp_path: Path) -> None:
    servers = ["https://one.example/Patient/a", "https://two.example/Patient/a"]
    ndjson(tmp_path / "x.ndjson", [result(str(place), each) for place, each in enumerate(servers)])

    found = counted(tmp_path)

    assert (found["patients"], found["patientsWithCard"], found["servers"]) == (2, 2, 2)


def test_a_bad_line_costs_itself_alone_and_is_named(tmp_path: Path) -> None:
    bad = ["{bad", "", "[1]", '{"resourceType": "Observatoin"}', '"x"', "{}"]
    ndjson(tmp_path / "x.ndjson", [result("1", "Patient/a"), *bad, result("2", "Patient/b")])
    with (tmp_path / "x.ndjson").open("ab") as out:
        out.write(b'{"resourceType": "Patient", "id": "\xff"}\n')

    found = counted(tmp_path)

    assert found["patientsWithCard"] == 2
    (lines,) = found["unreadable"]["lines"]
    assert lines == {"file": "x.ndjson", "lines": 6, "first": [2, 4, 5, 6, 7]}


def test_what_names_no_patient_is_counted_by_type(tmp_path: Path) -> None:
    nobody = [
        result("2", None),
        result("3", "Group/1"),
        result("4", "Patient?identifier=7"),
        {"resourceType": "Condition", "id": "c"},
    ]
    ndjson(tmp_path / "x.ndjson", [result("1", "Patient/a"), *nobody])

    found = counted(tmp_path)

    assert found["patients"] == 1
    assert found["unreadable"]["withoutPatient"] == {"Condition": 1, "Observation": 3}


def test_a_missing_patient_file_is_told(tmp_path: Path) -> None:
    ndjson(tmp_path / "x.ndjson", [result("1", "Patient/a")])

    shown = run(tmp_path, "--as-of", "2026-11-20").stdout

    assert "1 patient has no Patient resource" in shown
    assert "Not known of anybody, as there is none: Patient, Medication" in shown


def test_a_resource_that_cannot_be_read_is_a_notice_and_not_silence(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    wrong = result("2", "Patient/a", valueQuantity={"value": "two", "unit": "U/L"})
    twice = json.dumps(result("3", "Patient/b")).replace('"id":', '"id": "0", "id":')
    fine = [result(f"f{name}", f"Patient/{name}", 30) for name in "ab"]
    ndjson(source / "x.ndjson", [*fine, wrong, twice])

    rows = decisions(source, tmp_path / "out")

    assert {(row["patient"], row["rule"]) for row in rows} == {
        ("a", "dq-results-set-aside"),
        ("b", "dq-results-set-aside"),
    }


def test_where_no_result_can_be_read_the_patient_is_refused_as_a_call_would_be(
    tmp_path: Path,
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    wrong = result("1", "Patient/a", status=7)
    ndjson(source / "x.ndjson", [wrong, result("2", "Patient/b", 30)])

    (row,) = decisions(source, tmp_path / "out")

    assert row == {
        "patient": "a",
        "answer": "refused",
        "because": ["not one laboratory result can be read"],
    }


def test_a_medicine_by_reference_is_looked_up(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    isoniazid = {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "6038"}
    lines: list[Json] = [
        {"resourceType": "Medication", "id": "m", "code": {"coding": [isoniazid]}},
        {
            "resourceType": "MedicationRequest",
            "id": "q",
            "status": "active",
            "intent": "order",
            "subject": {"reference": "Patient/a"},
            "medicationReference": {"reference": "Medication/m"},
        },
        person("a"),
        result("1", "Patient/a", 250, referenceRange=[{"high": {"value": 40, "unit": "U/L"}}]),
    ]
    ndjson(source / "x.ndjson", lines)

    assert "isoniazid-stop-threshold" in {
        row["rule"] for row in decisions(source, tmp_path / "out")
    }


def test_a_list_that_anybody_has_is_known_of_all(tmp_path: Path) -> None:
    condition = {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/b"}}
    ndjson(tmp_path / "x.ndjson", [result("1", "Patient/a"), {**condition, "code": {"text": "x"}}])

    assert "Condition" not in counted(tmp_path)["notKnown"]


def test_without_a_single_result_there_is_nothing_to_screen(tmp_path: Path) -> None:
    ndjson(tmp_path / "x.ndjson", [person("a")])

    with pytest.raises(RequestError, match="no Observation"):
        run(tmp_path)


def test_results_of_nobody_are_nothing_to_screen(tmp_path: Path) -> None:
    ndjson(tmp_path / "x.ndjson", [result("1", None)])

    with pytest.raises(RequestError, match="no Observation names one"):
        run(tmp_path)


def test_a_folder_without_files_to_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")

    with pytest.raises(RequestError, match=r"expected \.ndjson"):
        run(tmp_path)


@pytest.mark.parametrize("name", ["Observation[1]", "Observation?", "Observation*"])
def test_a_file_is_read_by_its_name_and_not_by_a_pattern(
    tmp_path: Path, people: list[Json], name: str
) -> None:
    ndjson(tmp_path / "Observation1.ndjson", people[:4])
    ndjson(tmp_path / f"{name}.ndjson", [*people[4:], "no JSON"])

    found = counted(tmp_path)

    assert (found["patientsWithCard"], found["resources"]) == (2, 6)
    assert found["unreadable"]["lines"] == [{"file": f"{name}.ndjson", "lines": 1, "first": [3]}]


def test_bad_lines_of_files_of_one_name_are_all_counted(tmp_path: Path, people: list[Json]) -> None:
    for folder, bad in (("x", 1), ("y", 2)):
        (tmp_path / folder).mkdir()
        ndjson(tmp_path / folder / "all.ndjson", [*people, *(["no JSON"] * bad)])

    lines = counted(tmp_path)["unreadable"]["lines"]

    assert [(unread["file"], unread["lines"]) for unread in lines] == [
        ("all.ndjson", 1),
        ("y/all.ndjson", 2),
    ]


def test_a_line_that_is_no_text_is_named(tmp_path: Path, people: list[Json]) -> None:
    path = ndjson(tmp_path / "all.ndjson", people)
    with path.open("ab") as out:
        out.write(b'{"resourceType": "Observation", "id": "\xff"}\n')

    (line,) = counted(tmp_path)["unreadable"]["lines"]

    assert line["first"] == [7]


@pytest.mark.parametrize(
    "part", [b'{"id": "\xff"}', b'{"resourceType": "Observation", "id": "\xff"}']
)
def test_an_entry_that_is_no_text_does_not_stop_the_others(
    tmp_path: Path, people: list[Json], part: bytes
) -> None:
    ndjson(tmp_path / "all.ndjson", people)
    text = bundle({"resource": "HERE"}).encode().replace(b'"HERE"', part)
    (tmp_path / "1.json").write_bytes(text)

    found = counted(tmp_path)

    assert found["patientsWithCard"] == 2
    assert found["unreadable"]["documents"] == ["1.json: no FHIR Bundle or resource"]


def test_a_document_that_is_nested_too_deeply_does_not_stop_the_others(
    tmp_path: Path, people: list[Json]
) -> None:
    ndjson(tmp_path / "all.ndjson", people)
    (tmp_path / "1.json").write_text(
        '{"resourceType": "Bundle", "x": ' + "[" * 9999 + "]" * 9999 + "}"
    )

    assert counted(tmp_path)["unreadable"]["documents"] == ["1.json: no FHIR Bundle or resource"]


def test_a_damaged_archive_of_a_bundle_does_not_stop_the_others(
    tmp_path: Path, people: list[Json]
) -> None:
    ndjson(tmp_path / "all.ndjson", people)
    packed = bytearray(gzip.compress(bundle(*({"resource": person} for person in people)).encode()))
    packed[20:40] = bytes(20)
    (tmp_path / "1.json.gz").write_bytes(packed)

    assert counted(tmp_path)["unreadable"]["documents"] == ["1.json.gz: cannot be read"]


def test_a_bundle_among_lines_is_named(tmp_path: Path, people: list[Json]) -> None:
    ndjson(tmp_path / "all.ndjson", [*people, bundle({"resource": people[0]})])

    found = counted(tmp_path)

    assert found["unreadable"]["documents"] == ["1 Bundle among lines: each has to be a .json file"]
    assert found["notRead"] == {}


def test_where_no_line_can_be_read_the_message_says_so(tmp_path: Path, people: list[Json]) -> None:
    ndjson(tmp_path / "all.ndjson", [" ".join(json.dumps(person) for person in people)])

    with pytest.raises(RequestError, match=r"Could not be read: 1 line of all\.ndjson"):
        run(tmp_path)


@pytest.mark.parametrize("column", ["json", "resource"])
def test_parquet_with_the_json_of_resources_says_the_same_as_lines(
    tmp_path: Path, people: list[Json], column: str
) -> None:
    lines, tables = tmp_path / "lines", tmp_path / "tables"
    lines.mkdir()
    tables.mkdir()
    ndjson(lines / "all.ndjson", people)
    to_parquet(lines / "all.ndjson", tables / "all.parquet", f"json AS {column}")

    rows = decisions(tables, tmp_path / "x")

    assert with_cards(rows) == {"a", "c"}
    assert rows == decisions(lines, tmp_path / "y")


def test_a_bad_row_of_parquet_costs_itself_alone(tmp_path: Path, people: list[Json]) -> None:
    ndjson(tmp_path / "all.ndjson", people)
    bad = "CASE WHEN json->>'id' = 'ra' THEN '{bad' ELSE json::VARCHAR END AS json"
    to_parquet(tmp_path / "all.ndjson", tmp_path / "all.parquet", bad)
    (tmp_path / "all.ndjson").unlink()

    found = counted(tmp_path)

    assert found["patientsWithCard"] == 1
    assert found["unreadable"]["lines"] == [{"file": "all.parquet", "lines": 1, "first": []}]


def test_parquet_of_another_form_is_refused_by_name(tmp_path: Path, people: list[Json]) -> None:
    ndjson(tmp_path / "all.ndjson", people)
    to_parquet(tmp_path / "all.ndjson", tmp_path / "typed.parquet", "json->>'id' AS id, 1 AS json")

    with pytest.raises(RequestError, match=r"typed\.parquet: expected a column resource or json"):
        run(tmp_path)


def to_parquet(lines: Path, table: Path, columns: str) -> None:
    query = f"SELECT {columns} FROM read_ndjson_objects('{lines}')"  # noqa: S608
    duckdb.connect().execute(f"COPY ({query}) TO '{table}' (FORMAT parquet)")


@pytest.mark.parametrize("damage", ["cut off", "changed"])
def test_a_damaged_archive_costs_its_rest_and_is_named(
    tmp_path: Path, people: list[Json], monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr(scans, "SMALL", 0)
    many = [result(str(number), f"Patient/x{number}", 20) for number in range(20_000)]
    packed = bytearray(
        gzip.compress("".join(f"{json.dumps(resource)}\n" for resource in many).encode())
    )
    if damage == "cut off":
        del packed[len(packed) // 2 :]
    else:
        packed[len(packed) // 2 : len(packed) // 2 + 50] = bytes(50)
    ndjson(tmp_path / "all.ndjson", people)
    (tmp_path / "cut.ndjson.gz").write_bytes(packed)

    found = counted(tmp_path)

    assert 5000 < found["patients"] < 15_000
    assert found["unreadable"]["documents"] == [
        "cut.ndjson.gz: cut off or damaged, and read only as far as it goes"
    ]
    assert run(tmp_path, "--as-of", "2026-11-20", "--strict").exit_code == 1


@pytest.mark.parametrize(
    "late",
    [
        {"modifierExtension": [{"url": "x"}]},
        {"valueQuantity": {"value": "20", "unit": "U/L"}},
        {"note": [{"text": "n"}], "valueQuantity": {"value": 2, "unit": "U/L"}},
    ],
)
def test_what_is_odd_far_down_a_file_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: Json
) -> None:
    monkeypatch.setattr(scans, "SMALL", 0)
    many = [result(str(number), f"Patient/x{number}", 20) for number in range(9000)]
    ndjson(tmp_path / "all.ndjson", [*many, result("late", "Patient/late", 20, **late)])

    found = counted(tmp_path)

    assert found["patientsWithCard"] == 1
    assert found["patientsWithoutCardByTheirResults"] == 9000


def test_a_reference_without_an_id_is_nobody(tmp_path: Path) -> None:
    ndjson(tmp_path / "x.ndjson", [result("1", "Patient/a"), result("2", "Patient/")])

    found = counted(tmp_path)

    assert found["patients"] == 1
    assert found["unreadable"]["withoutPatient"] == {"Observation": 1}
