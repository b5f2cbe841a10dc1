# SPDX-License-Identifier: Apache-2.0
"""The real server in a process of its own, and sockets to talk to it byte by byte."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep

from tests.house.source import ROOT

_PATIENCE = 60  # seconds for a server to start, or to say something
HEAD = "Host: localhost\r\nContent-Type: application/json\r\n"
CLOSE = "Connection: close\r\n"
SERVICE = "/cds-services/liver-patient-view"


@contextmanager
def serving(**settings: object) -> Iterator[int]:
    """The port of a server with these settings, by their names in lower case."""
    port = free_port()
    ours = {f"CDS_{name.upper()}": str(value) for name, value in settings.items()}
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CDS_")}
    environ |= {"CDS_DATABASE_URL": "sqlite://", "CDS_LOG_LEVEL": "error", **ours}
    command = [sys.executable, "-m", "cds_service", "serve", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environ, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        wait_for(process, port)
        yield port
    finally:
        stop(process)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a server that leads a process group, with all its workers, whether it wants to or not."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(15)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Return once the process listens on the port; an error if it ends or takes too long."""
    end = monotonic() + _PATIENCE
    while monotonic() < end and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        sleep(0.05)
    raise AssertionError("the server did not start")


def say(port: int, *parts: bytes) -> tuple[bytes, bool]:
    """What the server says to these bytes, and whether it ended the connection after that."""
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE) as connection:
        with suppress(OSError):  # it may answer and end before it has read all
            for part in parts:
                connection.sendall(part)
        return heard(connection)


def heard(connection: socket.socket) -> tuple[bytes, bool]:
    """What comes until the server ends the connection, and whether it does."""
    said = b""
    try:
        while piece := connection.recv(65536):
            said += piece
    except TimeoutError:
        return said, False
    except ConnectionError:  # ended while something that we sent was not read
        return said, True
    return said, True


def post(body: bytes, *, headers: str = "", length: int | None = None) -> bytes:
    """A call, byte by byte; after its answer the server ends the connection."""
    size = len(body) if length is None else length
    head = f"POST {SERVICE} HTTP/1.1\r\n{HEAD}{headers}{CLOSE}Content-Length: {size}\r\n\r\n"
    return head.encode() + body


@contextmanager
def waiting(port: int, length: int, *, headers: str = "") -> Iterator[socket.socket]:
    """A call that the server has taken in, and whose body it waits for: no byte of it was sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE) as connection:
        connection.sendall(post(b"", headers=f"{headers}Expect: 100-continue\r\n", length=length))
        said = b""
        while not said.endswith(b"\r\n\r\n") and (piece := connection.recv(1)):
            said += piece
        assert status(said) == 100, said
        yield connection


def status(said: bytes) -> int:
    """The status of the first answer."""
    return int(said.split(b" ", 2)[1])
