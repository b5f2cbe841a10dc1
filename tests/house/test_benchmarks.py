# SPDX-License-Identifier: Apache-2.0
"""The benchmarks run, check their answers and print ratios. How fast anything is, is not tested."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import growth, steps, within
from benchmarks.charts import chart
from benchmarks.paths import make_bench
from tests.house.source import ROOT

pytestmark = pytest.mark.slow


def run(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_quick_run_prints_every_part_with_its_floor(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"

    said = run("--quick", "--json", str(file))

    lines = [line for line in said.splitlines() if "ratio" in line]
    assert all(re.search(r"ratio +[0-9.]+.* of: \S", line) for line in lines)
    for part in ("decode", "intake", "decide", "render", "whole POST"):
        assert any(line.startswith(f"{part} @5 ") for line in lines), part
    written = json.loads(file.read_text(encoding="utf-8"))
    assert len(written["figures"]) == len(lines)
    assert all(figure["ratio"] > 0 and figure["floor"] for figure in written["figures"])
    assert written["machine"]["versions"]["msgspec"]


def test_help_names_the_modes() -> None:
    said = run("--help")

    assert all(mode in said for mode in ("time", "batch", "served", "instructions"))


def test_a_short_soak_meets_no_failure_and_no_hang(tmp_path: Path) -> None:
    file = tmp_path / "soak.json"
    words = [
        "--count",
        "1000",
        "--seconds",
        "600",
        "--patience",
        "120",
        "--growth",
        "25",
        "--json",
        str(file),
    ]

    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.soak", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(file.read_text(encoding="utf-8"))
    assert figures["requests"] == 1000
    assert figures["faults"] == []
    assert {"200", "400", "404", "405", "412"} <= set(figures["statuses"])


def test_the_curves_are_printed_as_a_table_and_a_chart() -> None:
    bench = make_bench()

    point = growth.measured(bench, 3, (0.3, 3.0), 3, 1)
    lines = list(growth.lines_of(growth.Curve("Observations", [point], [point])))

    assert point.amount == 3
    assert point.micros > 0
    assert f"| 3 | {point.micros:,.0f} | {point.ratio:.1f} | {point.micros:,.0f} |" in lines[2]
    assert '    x-axis "Observations" [3]' in lines


def test_fewer_markers_have_more_results_each() -> None:
    bench = make_bench()

    long = chart(bench.pack, 20, markers=2)

    assert len({marker for marker, _ in long.expected}) == 2


def test_the_steps_are_measured_over_bodies_with_and_without_cards() -> None:
    bench = make_bench()

    found = {kind: steps.times_of(bench, 5, kind, count=2) for kind in ("none", "cards")}
    table = list(steps.lines_of(found, count=2))

    assert table[0] == "| | none | cards |"
    assert [line.split(" |")[0] for line in table[2:]] == [f"| {name}" for name in steps.STEPS]


def test_every_step_is_found_within_a_call_and_left_as_it_was() -> None:
    bench = make_bench()
    before = [getattr(*name) for functions in within.STEPS.values() for name in functions]

    found = within.within(bench, 5, "cards", count=2, repeats=2)

    assert list(found) == [*within.STEPS, within.REST, within.WHOLE]
    assert all(time > 0 for time in found.values())
    assert found[within.WHOLE] == pytest.approx(sum(found.values()) / 2)
    after = [getattr(*name) for functions in within.STEPS.values() for name in functions]
    assert after == before
