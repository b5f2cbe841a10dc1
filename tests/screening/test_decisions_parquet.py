# SPDX-License-Identifier: Apache-2.0
"""`--format parquet` writes the rows of `decisions.ndjson`, whatever is in them."""

import gc
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cds_service.errors import RequestError
from cds_service.screening import kept
from cds_service.screening.decisions_parquet import COLUMNS, write_parquet
from cds_service.screening.output import OutputFolder
from cds_service.service import Knowledge, load_knowledge
from cds_service.settings import Settings
from tests.screening.exports import DAY, Json, ndjson, person, result, run

NAME = "decisions.parquet"
EVERY = ("--every", "1d", "--from", "2026-11-18", "--to", DAY)


class _KilledError(Exception):
    """The end of a run, as if it were killed."""


@pytest.fixture(name="knowledge", scope="module")
def _knowledge() -> Knowledge:
    return load_knowledge(Settings())


@pytest.fixture(autouse=True)
def _loaded(knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run has the packs that were loaded once."""
    command = sys.modules["cds_service.cli.screen"]
    monkeypatch.setattr(command, "load_knowledge", lambda _: knowledge)


@pytest.fixture(name="export")
def _export(tmp_path: Path) -> Path:
    """Patients with a card, with none, with a result that is not used, and with no other."""
    source = tmp_path / "export"
    source.mkdir()
    people = [person(f"p{number}") for number in range(9)]
    results = [result(f"r{number}", f"Patient/p{number}", 2 + 9 * number) for number in range(7)]
    odd = [
        result("r7", "Patient/p7"),
        result("s7", "Patient/p7", effectiveDateTime=None, valueQuantity={"value": 3, "unit": "é"}),
        result("r8", "Patient/p8", status=7),
    ]
    ndjson(source / "all.ndjson", [*people, *results, *odd])
    return source


def rows_of(file: Path) -> list[Json]:
    """The rows of a Parquet file in their order, without what is NULL."""
    found = duckdb.read_parquet(str(file))
    return [_without_null(dict(zip(found.columns, row, strict=True))) for row in found.fetchall()]


def _without_null(row: Json) -> Json:
    inner: dict[str, Any] = {
        name: _without_null(value) if isinstance(value, dict) else value
        for name, value in row.items()
    }
    return {name: value for name, value in inner.items() if value is not None}


def lines_of(file: Path) -> list[Json]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_the_rows_are_those_of_the_lines(export: Path, tmp_path: Path) -> None:
    members: set[str] = set()
    for place, words in enumerate((("--as-of", DAY, "--all"), EVERY)):
        lines, rows = tmp_path / f"lines{place}", tmp_path / f"rows{place}"
        run(export, *words, "--ids", "--out", lines)
        run(export, *words, "--ids", "--out", rows, "--format", "parquet")

        expected = lines_of(lines / "decisions.ndjson")
        assert rows_of(rows / NAME) == expected
        assert any(row["answer"] == "refused" for row in expected)
        assert {file.name for file in rows.iterdir()} == {NAME, "report.html", "summary.json"}
        assert (rows / NAME).stat().st_mode & 0o777 == 0o600
        members.update(*expected)
    assert members == set(COLUMNS)


def test_a_run_that_was_killed_goes_on_and_writes_each_row_once(
    export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_RESOURCES_A_BATCH", 3)
    words = (export, "--as-of", DAY, "--ids", "--all")
    run(*words, "--out", tmp_path / "whole")
    written: list[int] = []

    def write(output: OutputFolder, *given: Any) -> None:
        if len(written) == 2:
            raise _KilledError
        written.append(1)
        whole(output, *given)

    whole = OutputFolder.write
    with monkeypatch.context() as killed:
        killed.setattr(OutputFolder, "write", write)
        with suppress(_KilledError):
            run(*words, "--out", tmp_path / "rows", "--format", "parquet")
    gc.collect()  # what holds the folder, as the end of a process does
    assert written
    assert not (tmp_path / "rows" / NAME).exists()
    run(*words, "--out", tmp_path / "rows", "--format", "parquet")

    expected = lines_of(tmp_path / "whole" / "decisions.ndjson")
    assert rows_of(tmp_path / "rows" / NAME) == expected


def test_a_folder_has_the_decisions_of_one_run_alone(export: Path, tmp_path: Path) -> None:
    words = (export, "--as-of", DAY, "--out", tmp_path / "out")
    run(*words)
    with pytest.raises(RequestError, match=r"There is a decisions\.ndjson in out already"):
        run(*words, "--format", "parquet")
    gc.collect()  # what holds the folder, as the end of a process does
    run(*words, "--format", "parquet", "--overwrite")

    assert not (tmp_path / "out" / "decisions.ndjson").exists()
    with pytest.raises(RequestError, match=r"There is a decisions\.parquet in out already"):
        run(*words)


def test_texts_and_what_is_missing_stay_as_they_are(tmp_path: Path) -> None:
    index = {"marker": "alt", "value": "<5 \u0000\u2028\"' NULL, é"}
    written: list[Json] = [
        {"patient": "b", "answer": "card", "index": index, "orders": [], "because": ["", "null"]},
        {"patient": "", "answer": "refused", "because": ["2026-03-05", "x" * 1_000_000]},
        {"patient": "a", "index": {**index, "time": "2026-03-05T09:00:00+02:00"}, "orders": ["1"]},
    ]
    file = ndjson(tmp_path / "[odd] 'name'.ndjson", written)

    write_parquet(file, tmp_path / NAME, tmp_path)

    assert rows_of(tmp_path / NAME) == written


def test_long_rows_need_no_more_memory_where_they_are_many(tmp_path: Path) -> None:
    file, many = tmp_path / "long.ndjson", 123_000
    with file.open("w", encoding="utf-8") as lines:
        lines.writelines(f'{{"because": ["{number:01500}"]}}\n' for number in range(many))

    write_parquet(file, tmp_path / NAME, tmp_path)

    rows = duckdb.read_parquet(str(tmp_path / NAME))
    counted = rows.aggregate("count(*), sum(because[1]::INTEGER)").fetchall()
    assert counted == [(many, many * (many - 1) // 2)]


def test_no_decision_is_a_file_without_rows(tmp_path: Path) -> None:
    (tmp_path / "none.ndjson").touch()

    write_parquet(tmp_path / "none.ndjson", tmp_path / NAME, tmp_path)

    assert rows_of(tmp_path / NAME) == []
    assert duckdb.read_parquet(str(tmp_path / NAME)).columns == list(COLUMNS)


def test_a_format_without_a_folder_is_refused(export: Path) -> None:
    refused = run(export, "--format", "parquet")

    assert refused.exit_code == 2
    assert "--format parquet: it goes with --out" in refused.stderr
