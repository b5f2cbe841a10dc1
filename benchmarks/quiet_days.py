# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.quiet_days`: memory and start with many cards that are quiet.

The service starts on an empty table of the days on which cards were shown, and on one with as many
entries as are asked for. It holds only so many of them (`memory/shown_days.py`); the others stay in
the database.
"""

import argparse
import random
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, sleep

from benchmarks.charts import chart
from benchmarks.load import first_answer, running
from benchmarks.paths import make_bench
from benchmarks.processes import fair_memory_of
from cds_service.clock import system_clock
from cds_service.store import open_store
from cds_service.store.store import ShownDay

_AT_ONCE = 10_000
_REST = 3  # seconds in which the service takes in what is stored
_SERVE = [sys.executable, "-m", "cds_service", "serve", "--port", "{port}"]


def fill(url: str, entries: int) -> None:
    """Store so many cards as shown today."""
    store = open_store(url)
    chance, today = random.Random(0), datetime.now(UTC).date()
    for begin in range(0, entries, _AT_ONCE):
        count = min(_AT_ONCE, entries - begin)
        store.add_shown_days([ShownDay(chance.randbytes(8), today) for _ in range(count)])
    store.close()


def measured(entries: int) -> tuple[float, float | None]:
    """Seconds to the first answer, and megabytes (PSS) of all processes of the service."""
    bench = make_bench()
    body = chart(bench.pack, 5, now=system_clock()).body
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder, 'cards.db')}"
        fill(url, entries)
        settings = {"CDS_DATABASE_URL": url, "CDS_HASH_KEY": "of a benchmark, 32 letters or more"}
        begin = perf_counter()
        with running(_SERVE, settings, wait=False) as server:
            first_answer(server, bench.path, body)
            start = perf_counter() - begin
            sleep(_REST)
            return start, fair_memory_of(server.process.pid)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quiet_days",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--entries", type=int, default=1_000_000, metavar="N")
    given = parser.parse_args()
    print("| entries | start to first answer, s | memory (PSS), MB |")
    print("| ---: | ---: | ---: |")
    for entries in (0, given.entries):
        start, memory = measured(entries)
        size = "not known here" if memory is None else f"{memory:.0f}"
        print(f"| {entries:,} | {start:.2f} | {size} |", flush=True)


if __name__ == "__main__":
    main()
