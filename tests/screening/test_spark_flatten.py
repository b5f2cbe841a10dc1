# SPDX-License-Identifier: Apache-2.0
"""What Spark's workers make of a line is what DuckDB makes of it, or more careful."""

import json
from pathlib import Path
from typing import Any

import pytest

from cds_service.prefetch_keys import KINDS
from cds_service.screening.engine import open_engine
from cds_service.screening.files import find_files
from cds_service.screening.forms import FormReader, FormRow
from cds_service.screening.lines import read_lines
from cds_service.screening.spark.flatten import Flat, flat, head_of, specimen_of
from cds_service.screening.spark.workers import (
    PatientFilter,
    WorkerError,
    batch_of,
    named_form,
    work_of,
)
from cds_service.service import Knowledge, load_knowledge
from cds_service.settings import Settings
from tests.screening.equality import CARDS
from tests.screening.exports import Json, ndjson, person, result
from tests.screening.people import MOMENT, Randomly

MAYBE = [FormRow(maybe=True)]


@pytest.fixture(name="knowledge", scope="module")
def _knowledge() -> Knowledge:
    return load_knowledge(Settings(cards=CARDS))


def _about(patient: str, resource: Json) -> Json:
    """The resource of a patient of its own, by whom the line is found again."""
    if resource["resourceType"] == "Patient":
        return {**resource, "id": patient}
    return {**resource, "subject": {"reference": f"Patient/{patient}"}}


def test_numbers_times_and_forms_are_those_of_duckdb(knowledge: Knowledge, tmp_path: Path) -> None:
    everybody = [
        resource for each in Randomly(knowledge.packs[0], 4).patients(120) for resource in each
    ]
    lines = [json.dumps(_about(str(place), resource)) for place, resource in enumerate(everybody)]
    (tmp_path / "in").mkdir()
    ndjson(tmp_path / "in" / "x.ndjson", lines)
    reader = FormReader(knowledge, frozenset(KINDS), MOMENT)

    with open_engine(tmp_path, memory_mb=300, threads=1) as engine:
        read = read_lines(engine, find_files([tmp_path / "in"]), tmp_path)
        rows = engine.rows(
            "SELECT owner, kind, form, number, begins, ends, by_day, issued, is_born_oddly "
            "FROM line"
        )

    assert len(rows) == len(lines)
    plain = 0
    for identity, kind, form, number, *times in rows:
        ours = flat(lines[int(identity)])
        assert head_of(lines[int(identity)]).kind == kind
        # DuckDB leaves out the times of what has no form.
        assert form is None or list(ours[2:]) == times, lines[int(identity)]
        assert number is None or ours.number == number
        specimen = None if form is None else read.specimen_of(kind, form)
        by_duckdb = MAYBE if specimen is None else reader.read(kind, specimen)
        by_us = MAYBE if ours.form is None else reader.read(kind, specimen_of(ours.form.decode()))
        assert by_us in (by_duckdb, MAYBE), (lines[int(identity)], form)
        plain += by_us != MAYBE
    assert plain > len(rows) // 2


@pytest.mark.parametrize(
    "change",
    [
        {"meta": []},
        {"meta": {"versionId": 7}},
        {"subject": {"reference": "Patient/p", "identifier": {"value": "1"}}},
        {"effectiveDateTime": 7},
        {"id": 7},
        {"modifierExtension": [{"url": "x"}]},
        {"component": []},
        {"valueQuantity": {}},
        {"valueQuantity": None, "valueString": "x", "extra": 1},
        {"valueQuantity": {"value": 2, "extension": []}},
    ],
)
def test_what_is_not_plain_has_no_form(change: Json) -> None:
    assert flat(json.dumps(result("r", "Patient/p"))).form is not None
    assert flat(json.dumps({**result("r", "Patient/p"), **change})).form is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2", 2_000_000),
        ("0", 0),
        ("0.0", 0),
        ("0.0000001", 0),
        ("1e-400", None),
        ("1e400", None),
        ("1000000000", None),
        ("-1", None),
        ('"2"', None),
        ("true", None),
        ("999999999.999999", 999_999_999_999_999),
    ],
)
def test_a_number_is_known_to_a_millionth_or_not_at_all(text: str, number: int | None) -> None:
    line = json.dumps(result("r", "Patient/p", "HERE")).replace('"HERE"', text, 1)

    assert flat(line).number == number


def test_a_key_that_comes_twice_makes_a_resource_anything() -> None:
    text = json.dumps({**person("p"), "name": [{"family": "F"}]})

    assert flat(text).form is not None
    for twice in ('"family": "F", "family": "G"', '"family": "F", "\\u003a": ":", "family": "G"'):
        assert flat(text.replace('"family": "F"', twice)) == Flat()


def test_batches_are_those_of_duckdb(tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(50)] + ["ehr.example/ü"]

    with open_engine(tmp_path, memory_mb=200, threads=1) as engine:
        engine.fill("one", {"patient": "STRING"}, [(name,) for name in names])
        rows = engine.rows("SELECT patient, md5_number_lower(patient) % 17 FROM one")

    assert {name: batch_of(name, 17) for name in names} == dict(rows)


def test_the_filter_lets_all_of_its_patients_through_and_few_others() -> None:
    wanted = PatientFilter((f"p{number}" for number in range(2000)), 2000)

    assert all(f"p{number}" in wanted for number in range(2000))
    assert sum(f"q{number}" in wanted for number in range(2000)) < 300


def test_an_error_of_a_worker_says_no_value() -> None:
    def work(_batches: Any) -> Any:
        raise ValueError("Anna")
        yield

    with pytest.raises(WorkerError, match=r"^ValueError$"):
        list(work_of(work)(iter([])))


def test_what_is_remembered_of_forms_is_bounded_in_bytes() -> None:
    sent: dict[bytes, str] = {}
    short, long = b"short", b"x" * 1_000_000

    names = [named_form(form, sent) for form in (short, long, short, long)]

    assert [is_new for _, is_new in names] == [True, True, False, False]
    assert names[0][0] == names[2][0] != names[1][0] == names[3][0]
    assert sum(map(len, sent)) < 100
    for number in range(50_000):
        named_form(b"%d" % number, sent)
    assert len(sent) <= 20_000
