# SPDX-License-Identifier: Apache-2.0
"""The engine says what is wrong with a file, and nothing of what is in it."""

import json
import os
import signal
from pathlib import Path
from threading import Timer
from typing import Final

import pytest

from cds_service.errors import RequestError
from cds_service.screening.engine import Engine, open_engine
from tests.screening.exports import counted, ndjson, result

_LINES: Final = 550
_BLANKS: Final = " " * 60_000  # make files large, of which nothing is kept


def test_an_error_says_no_value(tmp_path: Path) -> None:
    opened = open_engine(tmp_path, memory_mb=200, threads=1)
    with opened as engine, pytest.raises(RequestError) as refused:
        engine.rows("SELECT 'anna'::INTEGER")

    assert "ConversionException" in str(refused.value)
    assert "anna" not in str(refused.value)


def test_the_engine_loads_nothing_from_the_network(tmp_path: Path) -> None:
    with open_engine(tmp_path, memory_mb=200, threads=1) as engine:
        settings = engine.rows(
            "SELECT value FROM duckdb_settings() "
            "WHERE name IN ('autoinstall_known_extensions', 'autoload_known_extensions')"
        )

    assert settings == [("false",), ("false",)]


def test_an_interrupt_ends_a_query_as_it_ends_everything_else(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    later = Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    try:
        with open_engine(tmp_path, memory_mb=200, threads=1) as engine:
            later.start()
            with pytest.raises(KeyboardInterrupt):
                engine.rows("SELECT count(*) FROM range(20000000000) WHERE range % 7 = 3")
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
def test_files_that_have_no_room_together_are_read_one_after_the_other(tmp_path: Path) -> None:
    source = tmp_path / "export"
    source.mkdir()
    low = {"low": {"value": 10, "unit": "U/L"}, "high": {"value": 40, "unit": "U/L"}}
    lines = [
        json.dumps(result(f"r{name}", f"Patient/p{name}", 30, referenceRange=[low]))
        for name in range(_LINES)
    ]
    for number in range(5):
        ndjson(source / f"Observation_{number}.ndjson", (f"{line}{_BLANKS}" for line in lines))

    found = counted(source, "--memory", 200, "--workers", 2)

    assert found["patients"] == _LINES
    assert found["unreadable"]["lines"] == []


def test_a_source_for_which_there_is_too_little_memory_is_refused_with_what_to_do(
    tmp_path: Path,
) -> None:
    with (
        open_engine(tmp_path, memory_mb=200, threads=2) as engine,
        pytest.raises(RequestError, match=r"such as --memory 400\. It says: Out of Memory"),
    ):
        engine.rows("SELECT len(list(range)) FROM range(100_000_000)")


def test_a_statement_that_lacks_memory_is_carried_out_by_fewer_threads(tmp_path: Path) -> None:
    class OutOfMemoryException(Exception): ...

    class Connection:
        threads = 8

        def execute(self, sql: str, _values: object = None) -> None:
            if sql.startswith("SET threads = "):
                self.threads = int(sql.rpartition(" ")[2])
            elif self.threads > 3:
                raise OutOfMemoryException

    connection = Connection()
    engine = Engine(connection, OutOfMemoryException, memory_mb=200, threads=8)
    engine.run("SELECT 1")

    assert connection.threads == 2


def test_what_is_wrong_is_named_where_it_is_found_only_in_later_rows(tmp_path: Path) -> None:
    late = "SELECT CASE WHEN range < 900000 THEN 'fine' ELSE error('anna') END FROM range(1000000)"
    for asked in (lambda engine: engine.rows(late), lambda engine: list(engine.batches(late, 5))):
        with open_engine(tmp_path, memory_mb=200, threads=1) as engine:
            with pytest.raises(RequestError) as refused:
                asked(engine)
            assert "anna" not in str(refused.value)
