# SPDX-License-Identifier: Apache-2.0
"""The engine says what is wrong with a file, and nothing of what is in it."""

import os
import signal
from pathlib import Path
from threading import Timer

import pytest

from cds_service.errors import RequestError
from cds_service.screening.engine import open_engine


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
