# SPDX-License-Identifier: Apache-2.0
"""Spark decides what DuckDB and hook calls decide, and asks what DuckDB asks."""

import gzip
import json
import random
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cds_service.errors import RequestError
from cds_service.screening import kept
from cds_service.screening.decisions import ScreeningQuestion
from cds_service.screening.engine import open_engine
from cds_service.screening.prune import FORM_COLUMNS, evidence, in_doubt
from cds_service.screening.relations import ColumnType, Row
from cds_service.screening.spark.relations import SparkRelations
from cds_service.service import Knowledge, load_knowledge
from cds_service.settings import Settings
from tests.screening.equality import CARDS, Cards, by_hook, cards_of, hospital, request_of
from tests.screening.exports import DAY, Json, ndjson, result, run
from tests.screening.on_both import EVIDENCE, LINE, random_evidence, random_lines, without_cut
from tests.screening.people import MOMENT, Randomly
from tests.screening.spark_environment import on_spark
from tests.screening.test_necessary import written

BATCH = 100  # resources, so that there are many
WORDS = ("--as-of", MOMENT.isoformat(), "--ids", "--json")
EVERY = ("--every", "7d", "--from", "2026-10-20", "--to", DAY, "--look-back", "--ids")


@pytest.fixture(name="knowledge", scope="module")
def _knowledge() -> Knowledge:
    return load_knowledge(Settings(cards=CARDS))


def everybody(knowledge: Knowledge) -> Iterator[list[Json]]:
    """Patients near every edge, and those of a hospital."""
    yield from Randomly(knowledge.packs[0], 11).patients(200)
    for _, resources in hospital(100):
        yield resources


def queries(knowledge: Knowledge) -> list[str]:
    """The condition of each rule, what is in doubt, and the evidence itself."""
    rules = written(knowledge.packs[0]).values()
    columns = ", ".join(f"{text} AS rule_{number}" for number, text in enumerate(rules))
    return [
        f"SELECT patient, {columns} FROM evidence GROUP BY patient",  # noqa: S608 - of ours
        in_doubt(knowledge),
    ]


@pytest.fixture(name="source", scope="module")
def _source(knowledge: Knowledge, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export that is split, packed, in part of Bundles, with lines that are no resources."""
    folder = tmp_path_factory.mktemp("spark") / "source of [all]"
    folder.mkdir()
    patients = list(everybody(knowledge))
    lines = [resource for each in patients[30:] for resource in each]
    random.Random(3).shuffle(lines)
    half = len(lines) // 2
    ndjson(folder / "1.ndjson", [*lines[:half], "no JSON", "", '{"resourceType": "Other"}'])
    with (folder / "1.ndjson").open("ab") as out:
        out.write(b'{"resourceType": "Observation", "id": "\xff"}\r\n')
    text = "\n".join(json.dumps(line) for line in lines[half:])
    (folder / "2 {x}.ndjson.gz").write_bytes(gzip.compress(text.encode()))
    for number, each in enumerate(patients[:30]):
        entries = [{"resource": resource} for resource in each]
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        (folder / f"{number}.json").write_text(json.dumps(bundle), encoding="utf-8")
    return folder


@pytest.fixture(name="done", scope="module")
def _done(knowledge: Knowledge, source: Path) -> Json:
    """Everything that Spark is asked, in one process."""
    out = source.parent
    cut, few, nobody, rows = out / "cut", out / "few", out / "nobody", out / "rows"
    for folder in (cut, few, nobody, rows):
        folder.mkdir()
    (cut / "cut off.ndjson.gz").write_bytes((source / "2 {x}.ndjson.gz").read_bytes()[:-200])
    ndjson(few / "all.ndjson", (resource for _, each in hospital(15) for resource in each))
    ndjson(nobody / "all.ndjson", [result("r", None)])
    texts = [json.dumps(one, indent=1) for _, each in hospital(15) for one in each]
    table(rows / "of json.parquet", texts[::2], "json JSON")  # as the engine makes it of lines
    bad = [None, "", " \n", "no JSON", '{"resourceType": 7}']
    table(rows / "of [all].parquet", [*texts[1::2], *bad])
    words = [str(source), *WORDS, "--out", str(out / "spark")]
    calls = [
        {"words": words, "batch": BATCH, "stopped": True},
        {"words": words, "batch": BATCH},
        {"words": [str(few), *WORDS, "--all", "--out", str(out / "spark-few")], "batch": BATCH},
        {"words": [str(cut)]},
        {"words": [str(nobody)]},
        {"words": [str(few), *EVERY, "--out", str(out / "spark-every")], "batch": BATCH},
        {"words": [str(rows), *WORDS, "--out", str(out / "spark-rows")], "batch": BATCH},
    ]
    relations = {
        "evidence": (EVIDENCE, random_evidence(knowledge.packs[0])),
        "line": (LINE, random_lines()[0]),
        "form": (FORM_COLUMNS, random_lines()[1]),
    }
    asked = [*queries(knowledge), *evidence_queries(SparkRelations)]
    return on_spark({"calls": calls, "relations": relations, "queries": asked})


def table(path: Path, texts: Iterable[str | None], column: str = "resource VARCHAR") -> None:
    """A Parquet file with a resource in each row."""
    with duckdb.connect() as engine:
        engine.execute(f"CREATE TABLE resources ({column})")
        engine.executemany("INSERT INTO resources VALUES (?)", [(text,) for text in texts])
        engine.table("resources").write_parquet(str(path))


def of_both(file: Path) -> bytes:
    """What does not depend on the engine: DuckDB reads fewer numbers, and so drops fewer."""
    return re.sub(rb'"patientsWithoutCardByTheirResults": \d+', b"", file.read_bytes())


def evidence_queries(engine: Any) -> list[str]:
    questions = [
        ScreeningQuestion(moment=MOMENT, cut=cut, known=frozenset(), key=None)
        for cut in (True, False)
    ]
    return [evidence(engine, question) for question in questions]


@pytest.mark.slow
def test_both_engines_write_the_same_decisions_and_once(
    done: Json, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_RESOURCES_A_BATCH", BATCH)
    command = sys.modules["cds_service.cli.screen"]
    monkeypatch.setattr(command, "_question", without_cut(command._question))
    run(source, *WORDS, "--out", source.parent / "duckdb")
    few = source.parent / "few"
    run(few, *WORDS, "--all", "--out", source.parent / "duckdb-few")
    run(few, *EVERY, "--out", source.parent / "duckdb-every")
    run(source.parent / "rows", *WORDS, "--out", source.parent / "duckdb-rows")

    stopped, resumed, with_all = done["calls"][:3]
    assert (stopped["error"], stopped["parts"]) == ("_Stopped", 1)
    assert resumed["parts"] > 5
    for name, file in product(
        ("", "-few", "-every", "-rows"), ("decisions.ndjson", "summary.json")
    ):
        ours, other = (source.parent / f"{engine}{name}" / file for engine in ("spark", "duckdb"))
        assert of_both(ours) == of_both(other)
    summary = json.loads(resumed["stdout"])
    assert summary["patientsWithCard"] > 100
    assert summary["patientsWithoutCardByTheirResults"] > 20
    assert summary["unreadable"]["lines"][0]["lines"] == 3
    assert with_all["exit"] == 0
    of_rows = json.loads((source.parent / "spark-rows" / "summary.json").read_bytes())
    assert of_rows["unreadable"]["lines"][0]["lines"] == 5
    assert b"first_shown" in (source.parent / "spark-every" / "decisions.ndjson").read_bytes()


@pytest.mark.slow
def test_spark_decides_what_hook_calls_decide(
    knowledge: Knowledge, done: Json, source: Path
) -> None:
    by_spark = cards_of(source.parent / "spark" / "decisions.ndjson")
    by_call: dict[str, Cards] = {}
    patients = list(everybody(knowledge))
    known = sorted({resource["resourceType"] for each in patients for resource in each})
    for each in patients:
        own = [resource for resource in each if "ehr.example" not in str(resource.get("subject"))]
        name = str(own[0].get("subject", {"reference": own[0]["id"]})["reference"])
        if len(own) == len(each):
            call = request_of(name, own, known)
            by_call[name.removeprefix("Patient/")] = by_hook(knowledge, call, MOMENT)

    different = {
        name: (cards, by_spark.get(name, []))
        for name, cards in by_call.items()
        if cards != by_spark.get(name, [])
    }
    assert different == {}
    assert len(by_call) > 250


@pytest.mark.slow
def test_a_file_that_is_cut_off_is_named_and_nothing_else_said(done: Json) -> None:
    assert done["calls"][3]["error"] == RequestError.__name__
    assert done["calls"][3]["message"] == "Spark could not read cut off.ndjson.gz."
    assert not re.search(r"WARN|ERROR|Exception|resourceType", done["said"])


@pytest.mark.slow
def test_a_source_whose_results_name_no_patient_is_refused(done: Json) -> None:
    expected = "There are no laboratory results of a patient: no Observation names one."
    assert done["calls"][4]["error"] == RequestError.__name__
    assert done["calls"][4]["message"] == expected


@pytest.mark.slow
def test_both_engines_answer_the_same_queries_alike(
    knowledge: Knowledge, done: Json, tmp_path: Path
) -> None:
    relations: dict[str, tuple[dict[str, ColumnType], list[Row]]] = {
        "evidence": (EVIDENCE, random_evidence(knowledge.packs[0])),
        "line": (LINE, random_lines()[0]),
        "form": (FORM_COLUMNS, random_lines()[1]),
    }
    with open_engine(tmp_path, memory_mb=300, threads=1) as engine:
        for name, (columns, rows) in relations.items():
            engine.fill(name, columns, rows)
        asked = [*queries(knowledge), *evidence_queries(engine)]
        found = [engine.rows(query) for query in asked]

    for ours, theirs, query in zip(found, done["queries"], asked, strict=True):
        assert sorted(map(str, map(list, ours))) == sorted(map(str, theirs)), query
    holds = [sum(row[place] for row in found[0]) for place in range(1, len(found[0][0]))]
    assert sum(0 < count < len(found[0]) for count in holds) > 10
    assert all(len(rows) > 20 for rows in found)


def test_options_of_the_other_engine_are_refused(tmp_path: Path) -> None:
    for words, said in (
        (("--master", "local"), "--master: it goes with --engine spark"),
        (("--engine", "spark", "--memory", "900"), "--memory: it goes with --engine duckdb"),
        (("--engine", "spark", "--workers", "2"), "--workers: it goes with --engine duckdb"),
    ):
        refused = run(tmp_path, *words)
        assert refused.exit_code == 2
        assert said in refused.stderr


def test_without_pyspark_the_extra_is_named(tmp_path: Path) -> None:
    ndjson(tmp_path / "x.ndjson", [{"resourceType": "Patient", "id": "p"}])

    with pytest.raises(RequestError, match=r"pip install 'cds-service\[spark\]'"):
        run(tmp_path, "--engine", "spark")
