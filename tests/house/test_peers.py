# SPDX-License-Identifier: Apache-2.0
"""The comparison with peers: its rule, its ratios and targets, and its page. No server starts."""

import importlib
import json
import random
import re
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest

from benchmarks.load import Load, read_wrk
from benchmarks.paths import make_bench
from benchmarks.peers import workloads
from benchmarks.peers.apps.alt_rule import RULE, cards_for
from benchmarks.peers.entrants import FASTAPI, FLASK, HEALTHCHAIN, OURS, PYTHON
from benchmarks.peers.measure import Alone
from benchmarks.peers.signed import Signed
from benchmarks.peers.table import as_json, lines_of
from benchmarks.peers.targets import WANTED, Results
from benchmarks.peers.workloads import CARDS, MIX, NONE, SIZES, Body, Workload, name_of
from cds_service.clock import system_clock
from tests.house.source import ROOT

APPS = ROOT / "benchmarks" / "peers" / "apps"
README = (ROOT / "benchmarks" / "peers" / "README.md").read_text(encoding="utf-8")
NAMES = [*(name_of(size, kind) for size in SIZES for kind in (NONE, CARDS)), MIX]
ASK = """
import json, sys
from fastapi.testclient import TestClient
from {module} import app
print(json.dumps(TestClient(app).post(sys.argv[1], json=json.load(sys.stdin)).json()))
"""


def sheet(value: float, **changes: Any) -> dict[str, Any]:
    usual = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": RULE["system"], "code": RULE["code"]}]},
        "effectiveDateTime": "2026-01-02T08:00:00+00:00",
        "valueQuantity": {"value": value, "code": RULE["unit"]},
    }
    return {**usual, **changes}


def call(*sheets: dict[str, Any]) -> dict[str, Any]:
    entries = [{"resource": sheet} for sheet in sheets]
    return {
        "hook": "patient-view",
        "hookInstance": "one",
        "context": {"userId": "Practitioner/one", "patientId": "one"},
        "prefetch": {"observations": {"resourceType": "Bundle", "entry": entries}},
    }


CALLS = [
    (call(sheet(4.9)), 1),
    (call(sheet(5)), 0),
    (call(), 0),
    (call(sheet(4, status="preliminary")), 0),
    (call(sheet(4, valueQuantity={"value": 4, "code": "ukat/L"})), 0),
    (call(sheet(4, code={"coding": [{"system": "urn:other", "code": RULE["code"]}]})), 0),
    (call(sheet(4), sheet(40, effectiveDateTime="2026-01-03T08:00:00+00:00")), 0),
    (call(sheet(40), sheet(4, effectiveDateTime="2026-01-03T08:00:00+00:00")), 1),
]


@pytest.mark.parametrize(("request_", "cards"), CALLS)
def test_the_rule_of_the_peers_answers_right(request_: dict[str, Any], cards: int) -> None:
    assert len(cards_for(request_["prefetch"])) == cards


def test_the_service_with_flask_answers_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(APPS))
    client = importlib.import_module("flask_app").app.test_client()

    for request, cards in CALLS:
        assert len(client.post("/cds-services/alt", json=request).get_json()["cards"]) == cards


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "path"),
    [("fastapi_app", "/cds-services/alt"), ("healthchain_app", "/cds/cds-services/alt")],
)
def test_the_other_peers_answer_right_where_they_are_installed(module: str, path: str) -> None:
    if PYTHON.exists():  # made on demand, so never in CI
        done = subprocess.run(
            [str(PYTHON), "-c", ASK.format(module=module), path],
            cwd=APPS,
            input=json.dumps(CALLS[0][0]),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert len(json.loads(done.stdout.splitlines()[-1])["cards"]) == 1


@pytest.mark.slow
def test_bodies_differ_and_have_the_cards_of_their_workload() -> None:
    bench, now = make_bench(), system_clock()
    for kind in (NONE, CARDS):
        found = workloads.bodies(bench, 5, kind, now=now, chance=random.Random(1))
        some = [next(found) for _ in range(5)]

        assert len({body.data for body in some}) == 5
        assert all(bool(body.ours) is bool(body.theirs) is (kind == CARDS) for body in some)


def load(cpu: float | None = 1.0, *, requests: int = 100, p99: float = 2.0) -> Load:
    return Load(requests=requests, seconds=2.0, p50=1.0, p99=p99, cpu=cpu)


def results(
    ours: Sequence[Load] = (load(),),
    theirs: Sequence[Load] = (load(),),
    memory: float | None = 50.0,
    signed: Sequence[Signed] = (),
) -> Results:
    names = (OURS, FLASK, FASTAPI, HEALTHCHAIN)
    return Results(
        alone={name: Alone(starts=[1.0, 3.0, 2.0], idle=memory, loaded=memory) for name in names},
        loads={
            (name, workload): ours if name == OURS else theirs
            for name in names
            for workload in NAMES
        },
        signed=signed,
        batch=3000.0,
    )


def found(made: Results) -> dict[str, tuple[float | None, str]]:
    return {target.name: (target.found(made), target.met(target.found(made))) for target in WANTED}


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds() -> None:
    ours = [load(1.0), load(3.0), load(8.0)]
    theirs = [load(1.0), load(2.0), load(2.0)]

    row = found(results(ours, theirs))[f"CPU a request of {FLASK}: 50, none"]

    assert row == (1.5, "no")


def test_more_requests_are_better_and_more_cpu_is_worse() -> None:
    made = found(results([load(0.7, requests=260)], [load(0.7, requests=100)]))

    assert made[f"requests/s of {HEALTHCHAIN}, at least: 50, none"] == (2.6, "aim")
    assert made[f"requests/s of {HEALTHCHAIN}, at least: 500, none"] == (2.6, "must")
    assert made[f"CPU a request of {FLASK}: 50, cards"][1] == "aim"


def test_tail_memory_start_and_tokens_are_judged() -> None:
    token = Signed(algorithm="RS384", share=0.12, added=1.0, bare=1.0, shares=[0.12])
    made = found(results([load(p99=2.5)], memory=140.0, signed=[token]))

    assert made["p99 / p50, largest of one size"] == (2.5, "must")
    assert made["memory (PSS), idle or loaded"] == (140.0, "no")
    assert made["start to first answer"] == (2.0, "no")
    assert made["CPU added by a token, RS384: 50, none"] == (0.12, "must")
    assert made["batch of 25 Observations a patient, at least"] == (3000.0, "must")


def test_what_the_machine_cannot_tell_is_said_to_be_not_measured() -> None:
    made = found(results([load(None)], [load(None)], memory=None))

    assert made[f"CPU a request of {FLASK}: 5, cards"] == (None, "not measured")
    assert made["memory (PSS), idle or loaded"] == (None, "not measured")


def test_the_table_has_every_entrant_workload_and_target() -> None:
    body = Body(data=b"{}", ours=[], theirs=[])
    every = [Workload(name=name, bodies=[body]) for name in NAMES]

    said = list(lines_of(results(), every))
    written = as_json(results(), every)

    assert all(name in said[0] for name in (OURS, FLASK, FASTAPI, HEALTHCHAIN))
    assert all(sum(line.startswith(f"  {name} ") for line in said) == 4 for name in NAMES)
    assert all(any(line.startswith(target.title) for line in said) for target in WANTED)
    assert [target["name"] for target in written["targets"]] == [target.name for target in WANTED]
    assert json.loads(json.dumps(written)) == written


def test_the_page_has_the_targets_and_workloads_of_the_code() -> None:
    rows = re.findall(r"^\| ([^|`]+) \| ([0-9.]+) \| ([0-9.]+) \|$", README, flags=re.MULTILINE)

    assert rows == [(target.title, f"{target.must:g}", f"{target.aim:g}") for target in WANTED]
    assert all(f"`{name}`" in README for name in NAMES)
    for size, count in workloads.BODIES.items():
        assert f"| `{size}, none`, `{size}, cards` | {count} each |" in README
    mix = f"{workloads.CALLS_OF_MIX} calls, {workloads.QUIET_SHARE:.0%} of them without".replace(
        "%", " %"
    )
    assert mix in README
    for size, share in workloads.SIZES_OF_MIX.items():
        assert re.search(rf"{share * 100:.0f} % have {size}\b", README)
    assert f"below {RULE['below']}." in README


def test_what_wrk_prints_is_read() -> None:
    said = """
    Latency     2.73ms    1.02ms  31.50ms   86.50%
  Latency Distribution
     50%    2.50ms
     99%    1.20s
  2396 requests in 1.00s, 2.20MB read
"""
    load = read_wrk(said)

    assert (load.requests, load.seconds, load.p50, load.p99) == (2396, 1.0, 2.5, 1200.0)
