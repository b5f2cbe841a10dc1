# SPDX-License-Identifier: Apache-2.0
"""The real server in a process of its own, and sockets to talk to it byte by byte."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep

from tests.house.source import ROOT

_PATIENCE = 60  # seconds for a server to start
HEAD = "Host: localhost\r\nContent-Type: application/json\r\n"
SERVICE = "/cds-services/liver-patient-view"


@contextmanager
def serving(**settings: object) -> Iterator[int]:
    """The port of a server with these settings, by their names in lower case."""
    port = free_port()
    ours = {f"CDS_{name.upper()}": str(value) for name, value in settings.items()}
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CDS_")}
    environ |= {"CDS_DATABASE_URL": "sqlite://", "CDS_LOG_LEVEL": "error", **ours}
    command = [sys.executable, "-m", "cds_service", "serve", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.DEVNULL)
    try:
        _wait(process, port)
        yield port
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        process.kill()
        process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait(process: "subprocess.Popen[bytes]", port: int) -> None:
    end = monotonic() + _PATIENCE
    while monotonic() < end and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        sleep(0.05)
    raise AssertionError("the server did not start")


def say(port: int, *parts: bytes, pause: float = 0.0, patience: float = 15.0) -> tuple[bytes, bool]:
    """What the server says to these bytes, and whether it closed the connection after that."""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
        with suppress(OSError):
            for part in parts:
                connection.sendall(part)
                sleep(pause)
        said = b""
        try:
            while piece := connection.recv(65536):
                said += piece
        except OSError:
            return said, False
        return said, True


def post(body: bytes, *, headers: str = "", length: int | None = None) -> bytes:
    """A call, byte by byte; by default it ends the connection."""
    size = len(body) if length is None else length
    head = f"POST {SERVICE} HTTP/1.1\r\n{HEAD}{headers}Content-Length: {size}\r\n\r\n"
    return head.encode() + body


def status(said: bytes) -> int:
    """The status of the first answer."""
    return int(said.split(b" ", 2)[1])
