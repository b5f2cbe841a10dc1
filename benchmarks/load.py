# SPDX-License-Identifier: Apache-2.0
"""A short bounded load of eight connections on a server of its own process.

The bodies go round in turn, each call with a hook instance of its own. wrk makes the load where it
is installed, else a few threads here. The robust number is the CPU time of the server a request:
requests a second and latencies share the machine with the load itself.
"""

import http.client
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

from benchmarks.charts import HOOK_INSTANCE
from benchmarks.processes import cpu_seconds
from cds_service.settings import environment_with

CONNECTIONS = 8
_ROOT = Path(__file__).parents[1]
_PATIENCE = 30  # seconds for a server to start
_MOST_REQUESTS = 20_000
_HEADERS = {"Content-Type": "application/json"}
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
_SERIAL = HOOK_INSTANCE[-12:]  # the digits that are counted up
_serials = count(1)
_SCRIPT = """
wrk.headers["Content-Type"] = "application/json"
local mark, heads, tails = "{mark}", {{}}, {{}}
for number = 1, {bodies} do
  local file = io.open("{folder}/" .. number, "rb")
  local body = file:read("*a")
  file:close()
  local from, to = body:find(mark, 1, true)
  heads[number], tails[number] = body:sub(1, from - 1), body:sub(to + 1)
end
local calls = 0
function request()
  local number = calls % {bodies} + 1
  local serial = string.format("%04x%08x", {load}, calls)
  calls = calls + 1
  return wrk.format("POST", nil, nil, heads[number] .. serial .. tails[number])
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server of its own process."""

    process: "subprocess.Popen[bytes]"
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a load goes. With `tokens` each call carries one, and the load ends with the last."""

    server: Server
    path: str
    bodies: Sequence[bytes]
    tokens: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one round of load gave; CPU is that of all processes of the server."""

    requests: int
    seconds: float
    p50: float  # milliseconds
    p99: float
    cpu: float | None = None  # seconds

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    @property
    def cpu_each(self) -> float:
        """Microseconds of CPU a request."""
        return (self.cpu or 0) * 1e6 / self.requests


@contextmanager
def running(
    command: Sequence[str], changes: Mapping[str, str] = {}, *, wait: bool = True
) -> Iterator[Server]:
    """A server, until it is no longer needed; `changes` are variables of its environment.

    The port stands where the command or a variable says `{port}`.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen(
        [word.replace("{port}", str(port)) for word in command],
        cwd=_ROOT,
        env=environment_with(
            {name: value.replace("{port}", str(port)) for name, value in changes.items()}
        ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        if wait:
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


def first_answer(server: Server, path: str, body: bytes) -> bytes:
    """The answer of a server that is only starting, asked until it is there."""
    end = perf_counter() + _PATIENCE
    while perf_counter() < end and server.process.poll() is None:
        with suppress(OSError, http.client.HTTPException):
            return post(server.port, path, body)
        sleep(0.005)
    raise AssertionError("a server did not start")


def post(port: int, path: str, body: bytes, token: str = "") -> bytes:
    """The answer to one call on a connection of its own; raises if it is not 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        return post_on(connection, path, body, token)
    finally:
        connection.close()


def post_on(connection: http.client.HTTPConnection, path: str, body: bytes, token: str) -> bytes:
    """The answer to one call; raises if it is not 200."""
    headers = {**_HEADERS, "Authorization": f"Bearer {token}"} if token else _HEADERS
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    answer = response.read()
    if response.status != http.client.OK:
        raise AssertionError(f"{path} answered {response.status}")
    return answer


def fair(target: Target) -> None:
    """Every one of the kept connections is answered, twice."""
    connections = [
        http.client.HTTPConnection("127.0.0.1", target.server.port, timeout=30)
        for _ in range(CONNECTIONS)
    ]
    for _ in range(2):
        for connection in connections:
            post_on(connection, target.path, target.bodies[0], "")
    for connection in connections:
        connection.close()


def load_on(target: Target, seconds: float, *, rest: float = 0.0) -> Load:
    """One round of load. What the server still does in the `rest` after it counts as its CPU."""
    pid = target.server.process.pid
    before = cpu_seconds(pid)
    by_wrk = shutil.which("wrk") and not target.tokens
    load = (_by_wrk if by_wrk else _by_threads)(target, seconds)
    sleep(rest)
    after = cpu_seconds(pid)
    return replace(load, cpu=None if before is None or after is None else after - before)


def middle(loads: Sequence[Load], measure: str) -> float:
    """The median over the rounds of one of the numbers of a load."""
    found: float = median(getattr(load, measure) for load in loads)
    return found


def _by_wrk(target: Target, seconds: float) -> Load:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, body in enumerate(target.bodies, start=1):
            (folder / str(number)).write_bytes(body)
        script = folder / "load.lua"
        text = _SCRIPT.format(
            mark=_SERIAL, bodies=len(target.bodies), folder=folder.as_posix(), load=next(_serials)
        )
        script.write_text(text, encoding="utf-8")
        address = f"http://127.0.0.1:{target.server.port}{target.path}"
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s"]
        command += ["--timeout", "30s", "--latency", "-s", str(script), address]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return read_wrk(said)


def read_wrk(said: str) -> Load:
    """What wrk printed."""
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
    )


def _percentile(said: str, percent: int) -> float:
    found = re.search(rf"^\s*{percent}%\s+([0-9.]+)(us|ms|s|m)$", said, re.MULTILINE)
    if found is None:
        raise AssertionError("wrk said no percentile that can be read")
    return float(found[1]) * _UNITS[found[2]]


def _by_threads(target: Target, seconds: float) -> Load:
    serial, calls, begin = next(_serials), count(), perf_counter()
    most = len(target.tokens) or CONNECTIONS * _MOST_REQUESTS
    end = perf_counter() + (3600 if target.tokens else seconds)

    def one_thread() -> list[float]:
        connection = http.client.HTTPConnection("127.0.0.1", target.server.port, timeout=30)
        times: list[float] = []
        while (call := next(calls)) < most and (not times or perf_counter() < end):
            body = target.bodies[call % len(target.bodies)]
            body = body.replace(_SERIAL.encode(), b"%04x%08x" % (serial, call), 1)
            token = target.tokens[call] if target.tokens else ""
            start = perf_counter()
            post_on(connection, target.path, body, token)
            times.append((perf_counter() - start) * 1e3)
        connection.close()
        return times

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        started = [pool.submit(one_thread) for _ in range(CONNECTIONS)]
        times = sorted(time for future in started for time in future.result())
    return Load(
        requests=len(times),
        seconds=perf_counter() - begin,
        p50=times[len(times) // 2],
        p99=times[len(times) * 99 // 100],
    )
