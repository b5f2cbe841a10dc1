# SPDX-License-Identifier: Apache-2.0
"""The same patients by `screen` and by hook calls: `python -m tests.screening.equality 100000`.

With `--engine spark` it is for the Python of `.venv-spark`.
"""

import argparse
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.hospital import NOW, patients, read_hospital
from cds_service.errors import MissingData, RequestError
from cds_service.hooks.request import read_request
from cds_service.screening.decisions import TRIGGER, ScreeningQuestion
from cds_service.screening.files import find_files
from cds_service.screening.output import DECISIONS, RunState, open_output
from cds_service.screening.run import Resources, Screened, screen
from cds_service.screening.spark.run import SparkUse, screen_on_spark
from cds_service.service import Knowledge, answer_hook, load_knowledge
from cds_service.settings import Settings
from tests.screening.exports import Json

CARDS = Path(__file__).parents[2] / "cards"
REFUSED = ("refused", "")
_KEYS = {
    "Patient": "patient",
    "Observation": "observations",
    "Condition": "conditions",
    "MedicationRequest": "medicationRequests",
    "MedicationStatement": "medicationStatements",
    "ServiceRequest": "serviceRequests",
}
Cards = list[tuple[str, str]]


def by_hook(knowledge: Knowledge, request: Json, moment: datetime) -> Cards:
    """The rule and the severity of each card that a call shows, or that it is refused."""
    shown: Cards = []
    for name, hooks in knowledge.services.items():
        if TRIGGER not in hooks:
            continue
        try:
            answer = answer_hook(
                knowledge,
                read_request(json.dumps(request).encode(), max_depth=64, max_entries=10_000),
                name,
                moment,
            )
        except (MissingData, RequestError):
            return [REFUSED]
        shown.extend(
            (decision.rule.id, decision.indicator)
            for decision in answer.outcome.decisions
            if decision.shown
        )
    return sorted(shown)


def request_of(patient: str, resources: Sequence[Json], known: Iterable[str]) -> Json:
    """A call about a patient with these resources; of each kind that is known all were sent."""
    prefetch: Json = {}
    for kind in known:
        there = [resource for resource in resources if resource["resourceType"] == kind]
        prefetch[_KEYS[kind]] = {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [{"resource": resource} for resource in there],
        }
    return {
        "hook": TRIGGER,
        "hookInstance": "5a4b5f7e-0d3c-4a56-9d63-1b0f6f0c0003",
        "context": {"userId": "Practitioner/example", "patientId": patient},
        "prefetch": prefetch,
    }


def by_screen(
    knowledge: Knowledge,
    source: Path,
    out: Path,
    moment: datetime,
    workers: int = 1,
    engine: str = "duckdb",
) -> tuple[dict[str, Cards], Screened]:
    """The same for everybody in a folder, and what was counted."""
    question = ScreeningQuestion(moment=moment, cut=False, known=frozenset(), key=None)
    output = open_output(out, RunState("", moment, None), overwrite=True)
    files = find_files([source])
    if engine == "spark":
        use = SparkUse(f"local[{workers}]", Settings(cards=CARDS))
        found = screen_on_spark(files, knowledge, question, use, output)
    else:
        machine = Resources(workers=workers, memory_mb=500)
        found = screen(files, knowledge, question, machine, output=output)
    output.finish({})
    return cards_of(out / DECISIONS), found


def cards_of(decisions: Path) -> dict[str, Cards]:
    """The cards of each patient who has any, of a file of decisions."""
    cards: dict[str, Cards] = {}
    with decisions.open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            card = (row["rule"], row["indicator"]) if row["answer"] == "card" else REFUSED
            cards.setdefault(row["patient"], []).append(card)
    return {name: sorted(each) for name, each in cards.items()}


def hospital(count: int) -> Iterator[tuple[str, list[Json]]]:
    """The resources of the patients of a made-up hospital."""
    for request in patients(read_hospital(), count, even=True):
        prefetch, patient = request["prefetch"], request["context"]["patientId"]
        subject = {"subject": {"reference": f"Patient/{patient}"}}
        resources = [prefetch["patient"]]
        for name, bundle in prefetch.items():
            if name != "patient":
                resources.extend(
                    {**entry["resource"], **subject} for entry in bundle.get("entry", ())
                )
        yield patient, resources


def differences(
    knowledge: Knowledge,
    everybody: Iterable[tuple[str, list[Json]]],
    folder: Path,
    moment: datetime,
    workers: int = 1,
    engine: str = "duckdb",
) -> tuple[dict[str, tuple[Cards, Cards]], Screened]:
    """The patients of whom the two ways do not say the same, with what each says."""
    source = folder / "source"
    source.mkdir()
    known: set[str] = set()
    with (source / "all.ndjson").open("w", encoding="utf-8") as out:
        for _, resources in everybody:
            known.update(resource["resourceType"] for resource in resources)
            out.writelines(f"{json.dumps(resource)}\n" for resource in resources)
    screened, found = by_screen(knowledge, source, folder / "out", moment, workers, engine)
    different: dict[str, tuple[Cards, Cards]] = {}
    for name, resources in _again(source / "all.ndjson"):
        called = by_hook(knowledge, request_of(name, resources, sorted(known)), moment)
        if called != screened.get(name, []):
            different[name] = called, screened.get(name, [])
    return different, found


def _again(path: Path) -> Iterator[tuple[str, list[Json]]]:
    """The patients of a file in which the resources of each stand together."""
    owner = ""
    resources: list[Json] = []
    with path.open(encoding="utf-8") as lines:
        for resource in map(json.loads, lines):
            name = resource["id"] if resource["resourceType"] == "Patient" else _subject(resource)
            if name != owner and resources:
                yield owner, resources
                resources = []
            owner = name
            resources.append(resource)
    if resources:
        yield owner, resources


def _subject(resource: Json) -> str:
    return str(resource["subject"]["reference"]).removeprefix("Patient/")


def main() -> None:
    """Compare so many patients of the made-up hospital."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patients", type=int)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engine", choices=["duckdb", "spark"], default="duckdb")
    chosen = parser.parse_args()
    knowledge = load_knowledge(Settings(cards=CARDS))
    with TemporaryDirectory() as folder:
        start = time.monotonic()
        different, found = differences(
            knowledge,
            hospital(chosen.patients),
            Path(folder),
            NOW,
            chosen.workers,
            chosen.engine,
        )
    print(f"{found.patients} patients, {found.tally.with_card} with a card, {found.pruned} dropped")
    took = time.monotonic() - start
    print(f"{len(different)} differ, in {took:.0f} s: {list(different.items())[:3]}")


if __name__ == "__main__":
    main()
