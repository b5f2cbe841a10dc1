# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.population`: screen a made-up population, against DuckDB's own count.

The resources are written as a Bulk Data export has them: one Observation of about 0.6 KB a line,
patients in no order, a tenth of them with a card. Each figure is printed beside its target. Only
the ratios are to be trusted; the amounts beside them are this machine in this minute.
"""

import argparse
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any, TypeVar

from benchmarks.hospital import NOW, SEED, read_hospital
from benchmarks.processes import fair_memory_of
from cds_service.screening.decisions import ScreeningQuestion
from cds_service.screening.engine import open_engine
from cds_service.screening.files import find_files
from cds_service.screening.lines import read_lines
from cds_service.screening.output import RunState, open_output
from cds_service.screening.prune import choose, uses_form
from cds_service.screening.run import Progress, Resources, screen
from cds_service.screening.spark.run import SparkUse, screen_on_spark
from cds_service.service import Knowledge, load_knowledge
from cds_service.settings import Settings

_CARDS = Path(__file__).parents[1] / "cards"
_LOINC = "http://loinc.org"
_UCUM = "http://unitsofmeasure.org"
_ILL = 0.18  # of whom some have no raised result of late
_RAISED = ("alt", "ast")
_DAYS = 400
# Results that no rule reads: (LOINC, unit, usual, upper)
_OTHERS = (
    ("2345-7", "mg/dL", 92, 110),
    ("2160-0", "mg/dL", 0.9, 1.2),
    ("718-7", "g/dL", 14, 17.5),
    ("2823-3", "mmol/L", 4.1, 5.1),
    ("2951-2", "mmol/L", 140, 145),
)
_MEMORY_MB = 700
_EVERY_SECONDS = 0.1
Found = TypeVar("Found")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of each step, and the peak memory of all processes together."""

    count: float
    prune: float
    whole: float
    kept: int
    with_card: int
    peak_mb: float


@dataclass(frozen=True, slots=True)
class MeasuredSpark:
    """Seconds on Spark; the start is in none of the others."""

    start: float
    prune: float
    whole: float


def main() -> None:
    """Write a population, or take one, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=40_000)
    parser.add_argument("--observations", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--spark", action="store_true", help="too, by the Python of .venv-spark")
    parser.add_argument("--keep", type=Path, help="write the population here and leave it there")
    chosen = parser.parse_args()
    with TemporaryDirectory() as folder:
        source = chosen.keep or Path(folder) / "export"
        if not source.exists():
            write_population(source, chosen.patients, chosen.observations)
        found = measure(source, Path(folder), chosen.workers)
        spark = measure_spark(source, Path(folder), chosen.workers) if chosen.spark else None
    for line in _lines(found, chosen.observations):
        print(line)
    if spark is not None:
        print(f"the same on Spark, after {spark.start:.1f} s to start; target 5 times DuckDB")
        print(f"flatten and prune {spark.prune:8.2f} s   {spark.prune / found.prune:.1f} times")
        print(f"the whole         {spark.whole:8.2f} s   {spark.whole / found.whole:.1f} times")


def write_population(folder: Path, patients: int, observations: int, seed: int = SEED) -> None:
    """Write Patient.ndjson and Observation.ndjson."""
    folder.mkdir(parents=True)
    chance = random.Random(seed)
    ill = [chance.random() < _ILL for _ in range(patients)]
    with (folder / "Patient.ndjson").open("w", encoding="utf-8") as out:
        out.writelines(f"{_text(_person(number, chance))}\n" for number in range(patients))
    tests = list(_tests())
    with (folder / "Observation.ndjson").open("w", encoding="utf-8") as out:
        for number in range(observations):
            patient = chance.randrange(patients)
            test = chance.choice(tests)
            out.write(f"{_text(_result(number, patient, ill[patient], test, chance))}\n")


def _text(resource: Json) -> str:
    """As servers write it, without a blank between its parts."""
    return json.dumps(resource, separators=(",", ":"))


def _tests() -> Iterator[tuple[str, str, str, float, float]]:
    """Name, code, unit, usual value and upper limit of each test; half of them no rule reads."""
    for name, test in read_hospital()["tests"].items():
        if "upper" in test and name in {"alt", "ast", "alp", "ggt", "total-bilirubin"}:
            yield name, test["loinc"], test["unit"], test["usual"], test["upper"]
    for code, unit, usual, upper in _OTHERS:
        yield code, code, unit, usual, upper


def _person(number: int, chance: random.Random) -> Json:
    born = f"{chance.randint(1940, 2005)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
    gender = chance.choice(["male", "female"])
    return {"resourceType": "Patient", "id": f"p{number}", "gender": gender, "birthDate": born}


def _result(
    number: int,
    patient: int,
    ill: bool,
    test: tuple[str, str, str, float, float],
    chance: random.Random,
) -> Json:
    name, code, unit, usual, upper = test
    time = NOW - timedelta(minutes=chance.randrange(60, 60 * 24 * _DAYS))
    value = min(usual * chance.uniform(0.8, 1.2), upper * 0.99)
    if ill and name in _RAISED:
        value = upper * chance.uniform(2, 8)
    quantity = {"unit": unit, "system": _UCUM, "code": unit}
    category = "http://terminology.hl7.org/CodeSystem/observation-category"
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "meta": {"versionId": "1", "lastUpdated": time.isoformat()},
        "status": "final",
        "category": [{"coding": [{"system": category, "code": "laboratory"}]}],
        "code": {"coding": [{"system": _LOINC, "code": code}]},
        "subject": {"reference": f"Patient/p{patient}"},
        "effectiveDateTime": time.isoformat(),
        "issued": (time + timedelta(minutes=50)).isoformat(),
        "valueQuantity": {"value": round(value, 1), **quantity},
        "referenceRange": [{"high": {"value": upper, **quantity}}],
    }


def measure(source: Path, folder: Path, workers: int) -> Measured:
    """Count, prune, and screen whole; each after the files were read once."""
    knowledge = load_knowledge(Settings(cards=_CARDS))
    _timed(lambda: _count(source, folder / "warm", workers))
    count, _ = _timed(lambda: _count(source, folder / "count", workers))
    prune, kept = _timed(lambda: _prune(source, folder / "prune", knowledge, workers))
    # In a process of its own, which has no other threads, as that of the command.
    with ProcessPoolExecutor(1, get_context("spawn")) as alone:
        (pid,) = alone.map(_pid, (None,))
        with _watched(pid) as memory:
            whole, cards = alone.submit(_screen_alone, source, folder / "out", workers).result()
    return Measured(
        count=count,
        prune=prune,
        whole=whole,
        kept=kept,
        with_card=cards,
        peak_mb=max(memory),
    )


@contextmanager
def _watched(pid: int) -> Iterator[list[float]]:
    """The megabytes of a process and its workers, again and again while the block runs."""
    found = [0.0]
    over = Event()

    def watch() -> None:
        while not over.wait(_EVERY_SECONDS):
            with suppress(OSError):  # a process that ended meanwhile
                found.append(fair_memory_of(pid) or 0)

    thread = Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def _pid(_: None) -> int:
    return os.getpid()


def _screen_alone(source: Path, folder: Path, workers: int) -> tuple[float, int]:
    knowledge = load_knowledge(Settings(cards=_CARDS))
    return _timed(lambda: _screen(source, folder, knowledge, workers))


def measure_spark(source: Path, folder: Path, workers: int) -> MeasuredSpark:
    """Screen on Spark, on this machine alone, with as many cores as DuckDB has workers."""
    settings = Settings(cards=_CARDS)
    output = open_output(folder / "spark", RunState("", NOW, None), overwrite=False)
    said: list[float] = []  # when it starts, reads and decides
    progress = Progress(lambda _: said.append(time.perf_counter()))
    use = SparkUse(f"local[{workers}]", settings)
    screen_on_spark(
        find_files([source]), load_knowledge(settings), _question(NOW), use, output, progress
    )
    end = time.perf_counter()
    starts, reads, decides = said
    return MeasuredSpark(start=reads - starts, prune=decides - reads, whole=end - reads)


def _timed(work: Callable[[], Found]) -> tuple[float, Found]:
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def _count(source: Path, folder: Path, workers: int) -> int:
    folder.mkdir()
    with open_engine(folder, memory_mb=_MEMORY_MB, threads=workers) as engine:
        query = f"SELECT count(*) FROM read_ndjson_objects('{source}/*.ndjson')"  # noqa: S608
        return int(engine.value(query))


def _prune(source: Path, folder: Path, knowledge: Knowledge, workers: int) -> int:
    folder.mkdir()
    with open_engine(folder, memory_mb=_MEMORY_MB, threads=workers) as engine:
        question = _question(NOW)
        uses = uses_form(knowledge, question)
        lines = read_lines(engine, find_files([source]), folder, uses=uses)
        choose(engine, lines.known, knowledge, question, lines.specimen_of)
        return int(engine.value("SELECT count(*) FROM chosen"))


def _screen(source: Path, folder: Path, knowledge: Knowledge, workers: int) -> int:
    output = open_output(folder, RunState("", NOW, None), overwrite=False)
    machine = Resources(workers=workers, memory_mb=_MEMORY_MB)
    found = screen(find_files([source]), knowledge, _question(NOW), machine, output=output)
    output.finish({})
    return found.tally.with_card


def _question(moment: datetime) -> ScreeningQuestion:
    return ScreeningQuestion(moment=moment, cut=True, known=frozenset(), key=None)


def _lines(found: Measured, observations: int) -> Iterator[str]:
    yield f"count(*) over the same files {found.count:.2f} s"
    yield (
        f"flatten and prune            {found.prune:.2f} s, {found.prune / found.count:.1f} times "
        f"the count (target: <= 4); kept {found.kept:,}"
    )
    yield (
        f"all, decisions written       {found.whole:.2f} s, {observations / found.whole:,.0f} "
        f"observations/s (target: >= 250,000); with a card {found.with_card:,}"
    )
    yield (f"memory, engine and workers   {found.peak_mb:,.0f} MB at most (target: <= 1,500)")


if __name__ == "__main__":
    main()
