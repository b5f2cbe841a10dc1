# SPDX-License-Identifier: Apache-2.0
"""The baseline of instruction counts: what is worse than it, and what the file holds."""

import json
import re

from benchmarks import instruction_baseline
from benchmarks.paths import CORE, DECODE, FLOOR, LOADS, POST


def test_five_percent_more_instructions_are_worse() -> None:
    counts = {LOADS: 100.0, DECODE: 105.0, CORE: 211.0, FLOOR: 50.0, POST: 100.0}
    baseline = {DECODE: 1.0, CORE: 2.0, POST: 2.5}

    ratios = instruction_baseline.ratios(counts)

    assert ratios == {DECODE: 1.05, CORE: 2.11, POST: 2.0}
    assert instruction_baseline.worse(ratios, baseline) == [CORE]
    assert [line.endswith("worse") for line in instruction_baseline.lines_of(ratios, baseline)] == [
        False,
        True,
        False,
    ]


def test_a_baseline_has_every_step_and_says_what_it_was_made_with() -> None:
    known = json.loads(instruction_baseline.FILE.read_text(encoding="utf-8"))

    assert known
    for version, baseline in known.items():
        assert re.fullmatch(r"3\.\d+", version)
        assert baseline["ratios"].keys() == instruction_baseline.FLOORS.keys()
        assert baseline["made with"]["orjson"]
