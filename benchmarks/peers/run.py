# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks peers`: the service and its peers in one run and one table."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.paths import Bench
from benchmarks.peers.entrants import INSTALL, entrants
from benchmarks.peers.measure import Effort, alone, in_turn
from benchmarks.peers.signed import signed
from benchmarks.peers.table import as_json, lines_of
from benchmarks.peers.targets import Results
from benchmarks.peers.workloads import CARDS, MIX, NONE, name_of, workloads
from benchmarks.process import batch
from cds_service.clock import system_clock

_ROOT = Path(__file__).parents[2]
_FULL = Effort(rounds=7, seconds=3, starts=5, settle=3)
_QUICK = Effort(rounds=1, seconds=1, starts=1, settle=0.5)


def peers(bench: Bench, *, quick: bool) -> dict[str, Any]:
    """Measure and print; what was found comes back for a file."""
    subprocess.run([str(_ROOT / INSTALL)], check=True)
    effort = _QUICK if quick else _FULL
    _say("making the bodies")
    every = workloads(bench, system_clock(), few=quick)
    named = {workload.name: workload for workload in every}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        field = entrants(bench, folder)
        found = {}
        for entrant in field:
            _say(f"starting {entrant.name} alone")
            found[entrant.name] = alone(entrant, named[name_of(5, CARDS)], named[MIX], effort)
        loads = in_turn(field, every, effort, _say)
        _say("measuring signed tokens")
        tokens = signed(field[0], named[name_of(50, NONE)], folder, effort)
    _say("measuring a batch")
    (many,) = batch(bench, 5 if quick else 200, rounds=3 if quick else 7, seconds=0.05)
    results = Results(alone=found, loads=loads, signed=tokens, batch=many.amount)
    for line in lines_of(results, every):
        print(line)
    return as_json(results, every)


def _say(text: str) -> None:
    print(f"{text} ...", file=sys.stderr, flush=True)
