# SPDX-License-Identifier: Apache-2.0
"""Whom the engine drops has neither a card nor a notice, whatever the patient is like."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cds_service.copying import replace
from cds_service.prefetch_keys import KINDS
from cds_service.screening import scans
from cds_service.screening.decisions import Decided, ScreeningQuestion, decide_patient
from cds_service.screening.engine import open_engine
from cds_service.screening.files import find_files
from cds_service.screening.lines import read_lines
from cds_service.screening.prune import choose, uses_form
from cds_service.service import Knowledge, load_knowledge
from cds_service.settings import Settings
from cds_service.sources.lines import ResourceText
from tests.screening.exports import Json, ndjson, person, result
from tests.screening.people import MOMENT, Randomly

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Chosen:
    """Who was kept and who dropped, and what the core decides about each."""

    kept: set[str]
    dropped: set[str]
    rows: dict[str, tuple[Decided, ...]]

    @property
    def missed(self) -> dict[str, list[str]]:
        """Those who were dropped though they have a card or a notice, and what they have."""
        return {
            name: [str(row.get("rule", row["because"])) for row in self.rows[name]]
            for name in sorted(self.dropped)
            if self.rows[name]
        }


@pytest.fixture(name="knowledge", scope="module")
def _knowledge() -> Knowledge:
    return load_knowledge(Settings(cards=ROOT / "cards"))


def chosen(
    knowledge: Knowledge, folder: Path, resources: Iterable[Json], *, cut: bool = True
) -> Chosen:
    """What becomes of everybody whom these resources are about."""
    source = folder / "source"
    source.mkdir()
    lines = [json.dumps(resource) for resource in resources]
    ndjson(source / "all.ndjson", lines)
    with open_engine(folder, memory_mb=400, threads=1) as engine:
        question = ScreeningQuestion(moment=MOMENT, cut=cut, known=frozenset(), key=None)
        uses = uses_form(knowledge, question)
        read = read_lines(engine, find_files([source]), folder, uses=uses)
        question = replace(question, known=read.known)
        choose(engine, read.known, knowledge, question, read.specimen_of)
        kept = {row[0] for row in engine.rows("SELECT patient FROM chosen")}
        everybody = {row[0] for row in engine.rows("SELECT patient FROM patient")}
    texts = defaultdict(list)
    for line in lines:
        resource = json.loads(line)
        owner = (
            resource["id"]
            if resource["resourceType"] == "Patient"
            else _id(resource["subject"]["reference"])
        )
        if resource["resourceType"] in KINDS:
            texts[owner].append(ResourceText(resource["resourceType"], line))
    rows = {name: decide_patient(knowledge, name, texts[name], question).rows for name in everybody}
    return Chosen(kept, everybody - kept, rows)


def _id(reference: str) -> str:
    return reference.rpartition("/")[2]


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "cut"), [(1, True), (2, True), (3, False)])
def test_nobody_who_is_dropped_has_a_card_or_a_notice(
    knowledge: Knowledge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, cut: bool
) -> None:
    if seed > 1:
        monkeypatch.setattr(scans, "SMALL", 0)
    pack = knowledge.packs[0]
    everybody = Randomly(pack, seed).patients(1200)

    found = chosen(
        knowledge, tmp_path, (resource for each in everybody for resource in each), cut=cut
    )

    assert found.missed == {}
    assert len(found.dropped) > 150  # else nothing was tested
    assert sum(bool(found.rows[name]) for name in found.kept) > 300


def plain(name: str, value: object, **elements: object) -> list[Json]:
    return [person(name), result(f"r-{name}", f"Patient/{name}", value, **elements)]


def test_who_has_ordinary_results_alone_is_dropped(knowledge: Knowledge, tmp_path: Path) -> None:
    unread = {
        "code": {"coding": [{"system": "http://loinc.org", "code": "2345-7", "display": "Glucose"}]}
    }
    everybody = [
        *plain("low", 2),
        *plain("fine", 20),
        *plain("other-test", 2000, **unread),
        *plain("old", 2, effectiveDateTime="2026-01-01T08:00:00Z"),
        *plain("cancelled", 2, status="cancelled"),
        *plain("staying", 20),
        {"resourceType": "Encounter", "id": "e", "subject": {"reference": "Patient/staying"}},
    ]

    found = chosen(knowledge, tmp_path, everybody)

    assert found.kept == {"low"}


@pytest.mark.parametrize(
    "elements",
    [
        {"valueQuantity": {"value": "20", "unit": "U/L"}},
        {"valueQuantity": {"value": 20, "unit": "parsec"}},
        {"valueQuantity": {"value": 20}},
        {"effectiveDateTime": None},
        {"effectiveDateTime": "2026-11"},
        {"code": {"text": "ALT of somebody"}},
        {"modifierExtension": [{"url": "x"}]},
        {"meta": []},
        {"subject": {"reference": "Patient/p", "identifier": {"system": "x", "value": "1"}}},
        {"component": [{"code": {"text": "x"}}]},
    ],
)
def test_what_is_not_plain_keeps_its_patient(
    knowledge: Knowledge, tmp_path: Path, elements: Json
) -> None:
    assert chosen(knowledge, tmp_path, plain("p", 20, **elements)).kept == {"p"}


def test_a_key_that_comes_twice_keeps_its_patient(knowledge: Knowledge, tmp_path: Path) -> None:
    name = [{"family": "F", "given": ["A"]}]
    everybody = [*plain("p", 20), *plain("q", 20)]
    everybody[0]["name"] = everybody[2]["name"] = name
    source = tmp_path / "source"
    source.mkdir()
    lines = [json.dumps(line) for line in everybody]
    lines[2] = lines[2].replace('"family": "F"', '"family": "F", "family": "G"')
    ndjson(source / "all.ndjson", lines)

    with open_engine(tmp_path, memory_mb=400, threads=1) as engine:
        read = read_lines(engine, find_files([source]), tmp_path)
        question = ScreeningQuestion(moment=MOMENT, cut=True, known=read.known, key=None)
        choose(engine, read.known, knowledge, question, read.specimen_of)

        assert engine.rows("SELECT patient FROM chosen") == [("q",)]


def test_of_a_result_that_no_rule_reads_no_time_is_read(
    knowledge: Knowledge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scans, "SMALL", 0)
    other = result("glucose", "Patient/p", 20)
    other["code"] = {"coding": [{"system": "http://loinc.org", "code": "2345-7"}]}
    ndjson(tmp_path / "all.ndjson", [*plain("p", 20), other])
    question = ScreeningQuestion(moment=MOMENT, cut=True, known=frozenset(), key=None)
    uses = uses_form(knowledge, question)

    with open_engine(tmp_path, memory_mb=400, threads=1) as engine:
        read_lines(engine, find_files([tmp_path / "all.ndjson"]), tmp_path, uses=uses)
        read = engine.rows(
            "SELECT number IS NOT NULL, begins IS NOT NULL FROM line "
            "WHERE kind = 'Observation' ORDER BY ALL"
        )

    assert read == [(False, False), (True, True)]


def test_a_result_of_which_too_little_was_read_keeps_its_patient(
    knowledge: Knowledge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scans, "SMALL", 0)
    ndjson(tmp_path / "all.ndjson", plain("p", 20))
    with open_engine(tmp_path, memory_mb=400, threads=1) as engine:
        files = find_files([tmp_path / "all.ndjson"])
        read = read_lines(engine, files, tmp_path, uses=lambda _: False)
        question = ScreeningQuestion(moment=MOMENT, cut=True, known=read.known, key=None)
        choose(engine, read.known, knowledge, question, read.specimen_of)

        assert engine.rows("SELECT patient FROM chosen") == [("p",)]


def test_two_results_of_one_time_that_differ_keep_their_patient(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    everybody = [*plain("p", 20), result("again", "Patient/p", 21)]
    everybody += [*plain("q", 20), result("q-again", "Patient/q", 20)]

    assert chosen(knowledge, tmp_path, everybody).kept == {"p"}


def test_a_list_that_is_a_notice_for_everybody_keeps_everybody(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    statement = {"resourceType": "MedicationStatement", "id": "s", "status": "active"}
    statements = [{**statement, "subject": {"reference": "Patient/q"}}]

    found = chosen(knowledge, tmp_path, [*plain("p", 20), *statements])

    assert found.kept == {"p", "q"}


@pytest.mark.parametrize("unit", ["U/L", "kU/L", "kat/L", "IU/mL"])
@pytest.mark.parametrize("value", [999_999, 1_000_000, 999_999_999])
def test_an_amount_that_is_too_great_for_the_engine_stops_nobody(
    knowledge: Knowledge, tmp_path: Path, value: int, unit: str
) -> None:
    large = plain("p", value, valueQuantity={"value": value, "unit": unit})
    viral_load = {"coding": [{"system": "http://loinc.org", "code": "11011-4"}]}
    not_read = plain("q", value, code=viral_load)

    assert chosen(knowledge, tmp_path, [*large, *not_read, *plain("r", 20)]).kept == {"p"}


@pytest.mark.parametrize(
    "elements",
    [
        {"effectiveDateTime": "2026-11-19T24:00:00Z"},
        {"effectiveDateTime": "9999-12-31T23:59:59Z"},
        {"issued": "2026-11-25T24:00:00Z", "valueQuantity": {"value": 5000, "unit": "U/L"}},
        {"issued": "9999-12-31T23:59:59Z", "valueQuantity": {"value": 5000, "unit": "U/L"}},
    ],
)
def test_a_time_that_the_engine_alone_can_read_keeps_its_patient(
    knowledge: Knowledge, tmp_path: Path, elements: Json
) -> None:
    found = chosen(knowledge, tmp_path, [*plain("p", 20, **elements), *plain("q", 20)])

    assert (found.kept, found.missed) == ({"p"}, {})


def test_less_than_nothing_keeps_its_patient_in_a_smaller_unit(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    platelets = {"coding": [{"system": "http://loinc.org", "code": "777-3"}]}
    less = {"value": 0, "unit": "/uL", "comparator": "<"}

    found = chosen(knowledge, tmp_path, plain("p", 0, code=platelets, valueQuantity=less))

    assert (found.kept, found.missed) == ({"p"}, {})


def test_a_previous_test_is_judged_by_the_limit_of_the_index(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    def upper(amount: int) -> list[Json]:
        return [{"high": {"value": amount, "unit": "U/L"}}]

    index = {"effectiveDateTime": "2026-08-27T08:00:00Z", "referenceRange": upper(12)}
    before = {"effectiveDateTime": "2026-06-15T08:00:00Z", "referenceRange": upper(60)}
    everybody = [*plain("p", 13, **index), result("before", "Patient/p", 34, **before)]

    found = chosen(knowledge, tmp_path, everybody)

    assert (found.kept, found.missed) == ({"p"}, {})
