# SPDX-License-Identifier: Apache-2.0
"""Hostile files of HL7 v2 and tables end in a clear error, within bounds of time and memory."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from cds_service.errors import RequestError
from cds_service.reports import read as module
from cds_service.reports.bounded import MEMORY, SECONDS, ReaderOptions, ReadFile
from cds_service.reports.formats import read_any
from cds_service.reports.hl7v2.results import read_results
from cds_service.reports.read import MAX_BYTES, SMALL, read_report
from tests.call_counts import ended_after, with_calls
from tests.reports.messages import HEADER, PATIENT, message, obx

BLANKS = b" " * 15_000_000
HOSTILE: dict[str, Callable[[], bytes]] = {
    "a million segments": lambda: f"{HEADER}\r{PATIENT}\r".encode() + b"OBX|1\r" * 1_000_000,
    "a hundred megabytes": lambda: message(obx("1" * 100_000_000)),
    "a long segment": lambda: message(obx("^" * 15_000_000)),
    "a cell of blanks": lambda: b"Test;Value\nALT;1" + BLANKS + b"x\n",
    "blanks between cells": lambda: b"Test    Value\nALT    1" + BLANKS + b"x\n",
    "many rows": lambda: b"Test;Value\n" + b"ALT;1\n" * 2_500_000,
}


def outcome(data: bytes) -> str:
    """Why a file was refused, or the values that were read."""
    try:
        rows = [row for about in read_report(data).patients for row in about.rows]
    except RequestError as error:
        return str(error)
    return " ".join(row.value.number for row in rows if row.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_ends_in_a_clear_error_in_time(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes long is done in a process that is ended; here next to nothing is."""
    data = HOSTILE[name]()
    bounds: list[float] = []
    run = subprocess.run

    def noted(*words: Any, timeout: float, **more: Any) -> "subprocess.CompletedProcess[bytes]":
        bounds.append(timeout)
        return run(*words, timeout=timeout, **more)

    monkeypatch.setattr(subprocess, "run", noted)
    with ended_after(4):
        found = outcome(data)

    assert found.startswith("Expected") or found == ""
    assert set(bounds) <= {SECONDS}


def test_the_process_has_no_more_memory_than_it_is_given() -> None:
    asked = f"from cds_service.reports.bounded import bind; bind(); bytearray({MEMORY})"
    ended = subprocess.run([sys.executable, "-c", asked], capture_output=True, check=False)

    assert b"MemoryError" in ended.stderr


def test_only_a_small_text_is_read_without_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    read_here: list[int] = []

    def noted(data: bytes, options: ReaderOptions) -> ReadFile:
        read_here.append(len(data))
        return read_any(data, options)

    monkeypatch.setattr(module, "read_any", noted)
    small = message(obx("41"))
    large = message(obx("41"), obx("x" * SMALL, kind="TX", f3="N^Note^L"))
    (first,), (second,) = (read_report(report).patients for report in (small, large))

    assert read_here == [len(small)]
    assert first.rows[0] == second.rows[0]
    with pytest.raises(RequestError, match="at most 20 MB"):
        read_report(b"x" * (MAX_BYTES + 1))


@pytest.mark.parametrize(
    "filler",
    [" ", "1 ", "1,", "- ", "(", "<", "10^", "a/", "\u00a0", "1-", "bis ", "de 1 ", "D O N O R "],
)
@pytest.mark.parametrize(
    "written",
    [
        "Test;Wert;Referenz\nALT;1{0}x;7-40\nAST;2;7{0}x\n{0};3\n",
        "Test    Wert\nALT    1{0}x\n",
        "{0}: x\nTest;Wert;Datum\nALT;1;5.3.2026 {0}x\n",
        "Test;Wert;Einheit\nALT;1;{0}x\nAST;2;U/L {0}\n{0};3;U/L\n",
    ],
)
def test_a_small_text_of_signs_that_repeat_is_read_at_once(filler: str, written: str) -> None:
    text = written.replace("{0}", filler * (SMALL // (3 * len(filler)) - 50))

    with ended_after(2):
        outcome(text.encode()[:SMALL])


@pytest.mark.parametrize(
    ("heading", "cell"),
    [("Test;Value", "ALT;1"), ("Value;Flag;Unit", "1;H;U/L"), ("5.3.2026", "1")],
)
def test_a_wide_table_is_read_at_once(heading: str, cell: str) -> None:
    """What is said of a row is read once for all of its results."""
    many = 1500
    row = ["Test;" + ";".join([heading] * many), "ALT;" + ";".join([cell] * many)]

    with ended_after(4):
        found = read_report("\n".join(row).encode()[:SMALL])

    assert len(found.patients[0].rows) >= many


MANY_OF_ONE_ORDER: dict[str, Callable[[int], bytes]] = {
    "results and specimens": lambda many: message(
        *[obx()] * many, *["SPM|1|||SER^Serum^HL70487" + "|" * 13 + "20260305"] * many
    ),
    "results and notes": lambda many: message(*["NTE|1||no hemolysis"] * many, *[obx()] * many),
    "results and conditions of a specimen": lambda many: message(
        *[obx()] * many, "SPM|1|||SER" + "|" * 20 + "~".join(["clear"] * many)
    ),
    "results and sources": lambda many: message(*[obx()] * many).replace(
        b"|||202603050930", b"|||202603050930" + b"|" * 8 + b"~".join([b"BLD&x"] * many)
    ),
    "messages that withdraw": lambda many: message(obx(f11="D")) * many,
}


@pytest.mark.parametrize("name", MANY_OF_ONE_ORDER)
def test_what_is_sent_many_times_takes_time_by_its_count(name: str) -> None:
    """What all results of an order have in common is read once."""
    one = MANY_OF_ONE_ORDER[name]
    _, few = with_calls(lambda: read_results(one(100)))
    _, many = with_calls(lambda: read_results(one(400)))

    assert many < 5 * few
