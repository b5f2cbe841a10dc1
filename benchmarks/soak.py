# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.soak`: many generated requests to the real server on loopback.

It reports how often each status came, what took how long, and how the memory of the server grew
after its warm-up. It fails on any 5xx, on an answer that does not come, on a server that died, and
on memory that grew by more than is allowed.
"""

import argparse
import http.client
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from threading import Lock, Thread
from time import perf_counter

from benchmarks.load import Server, running
from benchmarks.processes import memory_of
from benchmarks.requests import Sent, requests
from cds_service.knowledge.site.overlay import load_packs_at
from cds_service.settings import Settings, cards_folder

_ENVIRONMENT = {"CDS_LOG_LEVEL": "error"}
_FAILED = 500
_PARTS = 10


@dataclass(slots=True)
class Report:
    """What came of a run."""

    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    longest: float = 0.0  # seconds
    seconds: float = 0.0
    memory: list[float] = field(default_factory=list)  # MB of the server, after each tenth

    @property
    def growth(self) -> float:
        """By what part the memory grew after warm-up, which are the first two tenths."""
        return self.memory[-1] / self.memory[1] - 1 if self.memory[-1:] > [0.0] else 0.0


class _Load:
    """Sends requests from a few threads, each on a connection that it keeps."""

    def __init__(self, server: Server, patience: float) -> None:
        self._server = server
        self._patience = patience
        self._lock = Lock()
        self.report = Report()

    def run(self, sent: Iterator[Sent], *, threads: int, until: float) -> None:
        """Send all of them, or as many as there is time for."""
        runners = [Thread(target=self._some, args=(sent, until)) for _ in range(threads)]
        for runner in runners:
            runner.start()
        for runner in runners:
            runner.join()

    def _some(self, sent: Iterator[Sent], until: float) -> None:
        with closing(self._connection()) as connection:
            while perf_counter() < until and not self.report.faults:
                with self._lock:
                    request = next(sent, None)
                if request is None:
                    return
                self._send(connection, request)

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=self._patience)

    def _send(self, connection: http.client.HTTPConnection, request: Sent) -> None:
        begin = perf_counter()
        try:
            # A refusal by the head may come, and the connection end, before the body is all sent.
            with suppress(BrokenPipeError):
                connection.request(
                    request.method, request.path, request.body or None, request.headers
                )
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self._note(f"{request.method} {request.path}: no answer ({type(error).__name__})")
            return
        took = perf_counter() - begin
        with self._lock:
            self.report.statuses[response.status] += 1
            self.report.longest = max(self.report.longest, took)
        if response.status >= _FAILED:
            self._note(f"{request.method} {request.path}: {response.status}")

    def _note(self, fault: str) -> None:
        with self._lock:
            self.report.faults.append(fault)


def soak(count: int, *, seed: int, seconds: float, threads: int, patience: float) -> Report:
    """Send `count` requests in at most `seconds`; a tenth at a time, to see the memory between."""
    settings = Settings()
    pack = load_packs_at(cards_folder(settings), settings.site_file)[0]
    sent = requests(pack, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        database = {"CDS_DATABASE_URL": f"sqlite:///{folder}/soak.db"}
        with running(_command(), {**_ENVIRONMENT, **database}) as server:
            load = _Load(server, patience)
            begin = perf_counter()
            until = begin + seconds
            for _ in range(_PARTS):
                load.run(islice(sent, count // _PARTS), threads=threads, until=until)
                load.report.memory.append(memory_of(server.process.pid) or 0.0)
            load.report.seconds = perf_counter() - begin
            if server.process.poll() is not None:
                load.report.faults.append("the server died")
    return load.report


def _command() -> list[str]:
    return [sys.executable, "-m", "cds_service", "serve", "--port", "{port}"]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="[default: 100000]")
    parser.add_argument("--seed", type=int, default=0, help="[default: 0]")
    parser.add_argument("--seconds", type=float, default=1800, help="at most [default: 1800]")
    parser.add_argument("--threads", type=int, default=4, help="connections [default: 4]")
    parser.add_argument("--patience", type=float, default=20, help="seconds until a request hangs")
    parser.add_argument("--growth", type=float, default=5, help="%% of memory that may be added")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    return parser.parse_args()


def main() -> None:
    """Run, print, and leave with 1 if anything was wrong."""
    asked = _arguments()
    report = soak(
        asked.count,
        seed=asked.seed,
        seconds=asked.seconds,
        threads=asked.threads,
        patience=asked.patience,
    )
    done = sum(report.statuses.values())
    figures = {
        "requests": done,
        "seconds": round(report.seconds, 1),
        "statuses": {str(status): report.statuses[status] for status in sorted(report.statuses)},
        "longest_ms": round(report.longest * 1000, 1),
        "memory_mb": [round(megabytes, 1) for megabytes in report.memory],
        "growth_percent": round(report.growth * 100, 2),
        "faults": report.faults[:20],
    }
    print(json.dumps(figures, indent=2))
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2) + os.linesep, encoding="utf-8")
    if report.faults or done < asked.count // _PARTS * _PARTS or report.growth * 100 > asked.growth:
        sys.exit(1)


if __name__ == "__main__":
    main()
