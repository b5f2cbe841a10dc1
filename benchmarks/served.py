# SPDX-License-Identifier: Apache-2.0
"""The real server on loopback against the floor on the same server, under a short bounded load.

The robust number is the server's CPU time a request; requests a second and latencies share the
machine with the load itself. wrk makes the load where it is installed, else a few threads here.
"""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

from benchmarks.charts import chart
from benchmarks.paths import Bench
from benchmarks.report import Figure
from cds_service.clock import system_clock
from cds_service.hooks.request import read_request
from cds_service.service import answer_hook
from cds_service.settings import environment_with

_ROOT = Path(__file__).parents[1]
_CONNECTIONS = 8
_PATIENCE = 30  # seconds for a server to start
_MOST_REQUESTS = 20_000
_HEADERS = {"Content-Type": "application/json"}
_SERVICE = [sys.executable, "-m", "cds_service", "serve", "--port"]
_FLOOR = [sys.executable, "-m", "benchmarks.floors"]
_FLOOR_NAME = "Flask + orjson.loads, constant answer, same server"
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server of its own process."""

    process: "subprocess.Popen[bytes]"
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one round of load gave; CPU is that of all processes of the server."""

    requests: int
    seconds: float
    p50: float  # milliseconds
    p99: float
    cpu: float | None  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a load goes."""

    server: Server
    path: str
    body: bytes


def served(bench: Bench, size: int, *, rounds: int, seconds: float) -> list[Figure]:
    """Both servers under load in turn; raises if an answer is wrong."""
    one = chart(bench.pack, size, now=system_clock())
    with running(_SERVICE) as service, running(_FLOOR) as floor:
        answer = _checked(bench, service, one.body)
        ours = Target(server=service, path=bench.path, body=one.body)
        its = Target(server=floor, path=f"/loads/{len(answer)}", body=one.body)
        _fair(ours)
        _fair(its)
        pairs = [(_load(ours, seconds), _load(its, seconds)) for _ in range(rounds)]
        memory = memory_of(service.process.pid)
    return [*_figures(pairs, size), *_of_memory(memory, size)]


def start_up(bench: Bench) -> float:
    """Seconds from starting the service to its first answered call."""
    body = chart(bench.pack, 5, now=system_clock()).body
    begin = perf_counter()
    with running(_SERVICE) as server:
        _post(server.port, bench.path, body)
        return perf_counter() - begin


def _figures(pairs: list[tuple[Load, Load]], size: int) -> Iterator[Figure]:
    ours, its = [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    def figure(name: str, unit: str, mine: list[float], floor: list[float]) -> Figure:
        ratios = [one / max(other, 1e-9) for one, other in zip(mine, floor, strict=True)]
        return Figure(
            mode="served",
            name=f"served, {name}",
            size=size,
            floor=_FLOOR_NAME,
            ratio=median(ratios),
            amount=median(mine),
            unit=unit,
            spread=(max(ratios) - min(ratios)) / max(median(ratios), 1e-9),
        )

    if all(one.cpu is not None for one in (*ours, *its)):
        yield figure("CPU a request", "us", [_cpu(one) for one in ours], [_cpu(one) for one in its])
    yield figure(
        "requests a second", "requests/s", [_rps(one) for one in ours], [_rps(one) for one in its]
    )
    yield figure("p50", "ms", [one.p50 for one in ours], [one.p50 for one in its])
    yield figure("p99", "ms", [one.p99 for one in ours], [one.p99 for one in its])


def _of_memory(memory: float | None, size: int) -> Iterator[Figure]:
    if memory is not None:
        yield Figure(
            mode="served",
            name="served, resident memory of all processes",
            size=size,
            floor="100 MB",
            ratio=memory / 100,
            amount=memory,
            unit="MB",
        )


def _cpu(load: Load) -> float:
    return (load.cpu or 0) * 1e6 / load.requests


def _rps(load: Load) -> float:
    return load.requests / load.seconds


@contextmanager
def running(command: list[str], changes: Mapping[str, str] = {}) -> Iterator[Server]:
    """A server, until it is no longer needed; `changes` are variables of its environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen(
        [*command, str(port)],
        cwd=_ROOT,
        env=environment_with(changes),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(process, port)
        yield Server(process=process, port=port)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()


def _wait(process: "subprocess.Popen[bytes]", port: int) -> None:
    end = perf_counter() + _PATIENCE
    while perf_counter() < end and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        sleep(0.05)
    raise AssertionError("a server did not start")


def _post(port: int, path: str, body: bytes) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        return _on(connection, path, body)
    finally:
        connection.close()


def _on(connection: http.client.HTTPConnection, path: str, body: bytes) -> bytes:
    connection.request("POST", path, body, _HEADERS)
    response = connection.getresponse()
    answer = response.read()
    if response.status != http.client.OK:
        raise AssertionError(f"{path} answered {response.status}")
    return answer


def _checked(bench: Bench, server: Server, body: bytes) -> bytes:
    """The answer, which has the cards that this process finds."""
    answer = _post(server.port, bench.path, body)
    settings = bench.settings
    request = read_request(body, max_depth=settings.max_depth, max_entries=settings.max_entries)
    expected = answer_hook(bench.knowledge, request, bench.service_id, system_clock()).response
    found = [card["uuid"] for card in json.loads(answer)["cards"]]
    if found != [card.uuid for card in expected.cards]:
        raise AssertionError("the server answers otherwise; nothing is measured")
    return answer


def _fair(target: Target) -> None:
    """Every one of the kept connections is answered, twice."""
    connections = [
        http.client.HTTPConnection("127.0.0.1", target.server.port, timeout=30)
        for _ in range(_CONNECTIONS)
    ]
    for _ in range(2):
        for connection in connections:
            _on(connection, target.path, target.body)
    for connection in connections:
        connection.close()


def _load(target: Target, seconds: float) -> Load:
    before = _cpu_seconds(target.server.process.pid)
    load = (_by_wrk if shutil.which("wrk") else _by_threads)(target, seconds)
    after = _cpu_seconds(target.server.process.pid)
    cpu = None if before is None or after is None else after - before
    return Load(requests=load.requests, seconds=load.seconds, p50=load.p50, p99=load.p99, cpu=cpu)


def _by_wrk(target: Target, seconds: float) -> Load:
    with tempfile.TemporaryDirectory() as folder:
        body, script = Path(folder, "body.json"), Path(folder, "post.lua")
        body.write_bytes(target.body)
        script.write_text(
            'wrk.method = "POST"\n'
            'wrk.headers["Content-Type"] = "application/json"\n'
            f'local file = io.open("{body.as_posix()}", "rb")\n'
            'wrk.body = file:read("*a")\nfile:close()\n',
            encoding="utf-8",
        )
        address = f"http://127.0.0.1:{target.server.port}{target.path}"
        command = ["wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{max(1, round(seconds))}s"]
        command += ["--latency", "-s", str(script), address]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise AssertionError("the load met errors")
    done = re.search(r"^\s*([0-9]+) requests in ([0-9.]+)(us|ms|s|m)", said, re.MULTILINE)
    if done is None:
        raise AssertionError("wrk said nothing that can be read")
    return Load(
        requests=int(done[1]),
        seconds=float(done[2]) * _UNITS[done[3]] / 1e3,
        p50=_percentile(said, 50),
        p99=_percentile(said, 99),
        cpu=None,
    )


def _percentile(said: str, percent: int) -> float:
    found = re.search(rf"^\s*{percent}%\s+([0-9.]+)(us|ms|s)$", said, re.MULTILINE)
    if found is None:
        raise AssertionError("wrk said no percentile that can be read")
    return float(found[1]) * _UNITS[found[2]]


def _by_threads(target: Target, seconds: float) -> Load:
    begin = perf_counter()
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        running = [pool.submit(_one_thread, target, begin + seconds) for _ in range(_CONNECTIONS)]
        times = sorted(time for one in running for time in one.result())
    return Load(
        requests=len(times),
        seconds=perf_counter() - begin,
        p50=times[len(times) // 2],
        p99=times[len(times) * 99 // 100],
        cpu=None,
    )


def _one_thread(target: Target, end: float) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", target.server.port, timeout=30)
    times: list[float] = []
    while not times or (perf_counter() < end and len(times) < _MOST_REQUESTS):
        start = perf_counter()
        _on(connection, target.path, target.body)
        times.append((perf_counter() - start) * 1e3)
    connection.close()
    return times


def _family(pid: int) -> list[Path]:
    """The folders in /proc of a process and all below it; empty where there is no /proc."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            parents[int(folder.name)] = int(fields[1])
    members = {pid} & parents.keys()
    while more := {child for child, parent in parents.items() if parent in members} - members:
        members |= more
    return [Path("/proc", str(one)) for one in members]


def _cpu_seconds(pid: int) -> float | None:
    folders = _family(pid)
    ticks = 0
    for folder in folders:
        fields = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK") if folders else None


def memory_of(pid: int) -> float | None:
    """Resident megabytes of all processes; shared pages count once for each."""
    sizes = [
        int(match[1])
        for folder in _family(pid)
        if (match := re.search(r"VmRSS:\s+([0-9]+) kB", (folder / "status").read_text()))
    ]
    return sum(sizes) / 1024 if sizes else None
