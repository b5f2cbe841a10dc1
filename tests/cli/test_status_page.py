# SPDX-License-Identifier: Apache-2.0
"""The page of worker and listener where many call at once."""

import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from cds_service.cli.status_page import MOST_CALLERS, status_of, status_page
from cds_service.settings import Settings
from cds_service.store import open_store
from tests.conformance.server import free_port

pytestmark = pytest.mark.server


@pytest.fixture
def port() -> Iterator[int]:
    settings = Settings(profile="development", status_port=free_port())
    assert settings.status_port is not None
    store = open_store("sqlite://")
    with status_page(settings, status_of("worker", settings, store)):
        yield settings.status_port
    store.close()


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
