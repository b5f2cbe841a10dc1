# SPDX-License-Identifier: Apache-2.0
"""`screen` says what hook calls say, patient by patient, and once whatever happens to it."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.hospital import NOW
from cds_service.service import Knowledge, load_knowledge
from cds_service.settings import Settings
from tests.screening.equality import CARDS, differences, hospital
from tests.screening.exports import Json, ndjson
from tests.screening.people import MOMENT, Randomly

ROOT = Path(__file__).parents[2]


@pytest.fixture(name="knowledge", scope="module")
def _knowledge() -> Knowledge:
    return load_knowledge(Settings(cards=CARDS))


def randomly(knowledge: Knowledge, count: int) -> Iterator[tuple[str, list[Json]]]:
    for resources in Randomly(knowledge.packs[0], 11).patients(count):
        own = [
            resource for resource in resources if "ehr.example" not in str(resource.get("subject"))
        ]
        yield str(own[0].get("subject", {"reference": own[0]["id"]})["reference"]), own


def test_patients_of_a_hospital_get_the_cards_of_a_call(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    different, found = differences(knowledge, hospital(270), tmp_path, NOW)

    assert different == {}
    assert found.tally.with_card > 100
    assert found.pruned > 20


def test_patients_near_every_edge_get_the_cards_of_a_call(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    different, found = differences(knowledge, randomly(knowledge, 300), tmp_path, MOMENT)

    assert different == {}
    assert found.tally.with_card > 100


@pytest.mark.slow
def test_a_killed_run_goes_on_and_says_everything_once(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    ndjson(source / "all.ndjson", (resource for _, each in hospital(3000) for resource in each))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    key = tmp_path / "key"
    key.write_text("a secret")
    words = ["screen", str(source), "--as-of", NOW.isoformat(), "--key-file", str(key)]

    subprocess.run(command(*words, "--out", str(whole)), cwd=ROOT, check=True, capture_output=True)
    with subprocess.Popen(
        command(*words, "--out", str(killed)), cwd=ROOT, start_new_session=True
    ) as run:
        wait_for(killed / ".unfinished" / "part-000000.json", run)
        run.send_signal(signal.SIGKILL)
    parts = list((killed / ".unfinished").glob("part-*.json"))
    assert parts
    assert not (killed / "decisions.ndjson").exists()
    subprocess.run(command(*words, "--out", str(killed)), cwd=ROOT, check=True, capture_output=True)

    names = ["decisions.ndjson", "report.html", "summary.json"]
    for name in names:
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
    assert (whole / "decisions.ndjson").stat().st_size > 100_000
    assert sorted(path.name for path in killed.iterdir()) == names


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "cds_service", *words, "--workers", "1"]


def wait_for(path: Path, run: "subprocess.Popen[bytes]") -> None:
    for _ in range(1200):
        if path.exists():
            return
        assert run.poll() is None, "it ended before it was killed"
        time.sleep(0.05)
    raise AssertionError(f"there is no {path.name}")
