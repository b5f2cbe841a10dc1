# SPDX-License-Identifier: Apache-2.0
"""The page of worker and listener where many call at once."""

import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from cds_service.cli.status_page import MOST_CALLERS, status_of, status_page
from cds_service.copying import replace
from cds_service.settings import Settings
from cds_service.store import open_store
from tests.conformance.server import free_port

pytestmark = pytest.mark.server


@contextmanager
def served(look: Callable[[], object] = lambda: None) -> Iterator[int]:
    settings = Settings(profile="development", status_port=free_port())
    assert settings.status_port is not None
    store = open_store("sqlite://")
    with status_page(settings, replace(status_of("worker", settings, store), look=look)):
        yield settings.status_port
    store.close()


@pytest.fixture
def port() -> Iterator[int]:
    with served() as number:
        yield number


def health(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=20) as answer:
        return int(answer.status)


def test_callers_who_say_nothing_keep_no_probe_out(port: int) -> None:
    before = threading.active_count()
    with ExitStack() as stack:
        for _ in range(5 * MOST_CALLERS):
            caller = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            caller.sendall(b"GET /health HTTP/1.1\r\nX-Slow: ")

        assert [health(port) for _ in range(3)] == [200] * 3
        assert threading.active_count() <= before + MOST_CALLERS


def test_a_caller_whose_answer_waits_keeps_no_probe_out() -> None:
    """Its thread does not end with its connection, and those of the silent have to."""
    asked, answers = threading.Event(), threading.Event()

    def look() -> None:
        asked.set()
        assert answers.wait(60)

    with served(look) as port, ExitStack() as stack:
        stack.callback(answers.set)
        for path in ("/metrics", *["/health"] * (MOST_CALLERS - 1)):
            caller = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            end = "\r\n\r\n" if path == "/metrics" else "\r\nX-Slow: "
            caller.sendall(f"GET {path} HTTP/1.1{end}".encode())
            assert asked.wait(20)

        with suppress(OSError):  # the first may be refused, while that shows
            health(port)
        assert health(port) == 200


def test_many_probes_are_all_answered(port: int) -> None:
    found: list[int] = []
    probes = [
        threading.Thread(target=lambda: found.extend(health(port) for _ in range(20)))
        for _ in range(MOST_CALLERS // 2)
    ]
    for probe in probes:
        probe.start()
    for probe in probes:
        probe.join()

    assert found == [200] * (20 * len(probes))
