# SPDX-License-Identifier: Apache-2.0
"""Every limit of the settings, on the real server where it is about sockets."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from time import monotonic, sleep

import pytest

from cds_service.settings import Settings
from cds_service.web.bridge import ELAPSED
from tests.conformance.server import HEAD, SERVICE, post, say, serving, status
from tests.web.calls import ALT, call, client, founding, observation

BODY = 200_000
SECONDS = 2


@pytest.fixture(name="port", scope="module")
def _port() -> Iterator[int]:
    with serving(
        max_body_bytes=BODY,
        max_header_bytes=8192,
        header_seconds=SECONDS,
        body_seconds=SECONDS,
        max_requests=30,
        max_waiting_bytes=1_000_000,
        threads=2,
    ) as port:
        yield port


def diagnostics(said: bytes) -> str:
    (issue,) = json.loads(said.partition(b"\r\n\r\n")[2])["issue"]
    text: str = issue["diagnostics"]
    return text


def test_a_call_to_the_real_server_gets_its_card(port: int) -> None:
    result = observation(ALT, 1, effectiveDateTime=datetime.now(UTC).isoformat())

    said, _ = say(port, post(json.dumps(call(result)).encode(), headers="Connection: close\r\n"))

    assert status(said) == 200
    assert json.loads(said.partition(b"\r\n\r\n")[2])["cards"]


def test_a_long_body_is_413_before_it_is_sent(port: int) -> None:
    said, closed = say(port, post(b"", length=BODY + 1))

    assert (status(said), closed) == (413, True)
    assert diagnostics(said) == "The body is longer than this service reads."


def test_a_long_body_in_chunks_is_read_no_further_than_the_limit(port: int) -> None:
    head = f"POST {SERVICE} HTTP/1.1\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode()
    chunk = b"%x\r\n" % 100_000 + b" " * 100_000 + b"\r\n"

    said, closed = say(port, head, chunk, chunk, chunk)

    assert (status(said), closed) == (413, True)


@pytest.mark.parametrize(
    "headers", ["X: " + "a" * 9000 + "\r\n", "".join(f"X{n}: a\r\n" for n in range(200))]
)
def test_long_headers_are_431(port: int, headers: str) -> None:
    said, closed = say(port, post(b"{}", headers=headers))

    assert (status(said), closed) == (431, True)


@pytest.mark.parametrize("sent", [b"", b"POST / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: local"])
def test_headers_that_do_not_come_end_the_connection(port: int, sent: bytes) -> None:
    begin = monotonic()

    assert say(port, sent) == (b"", True)
    assert monotonic() - begin < SECONDS + 5


def test_a_body_that_does_not_come_is_408(port: int) -> None:
    begin = monotonic()

    said, closed = say(port, post(b'{"hook', length=100))

    assert (status(said), closed) == (408, True)
    assert diagnostics(said) == "The body did not arrive in time."
    assert monotonic() - begin < SECONDS + 5


def test_slow_bodies_do_not_keep_others_from_an_answer(port: int) -> None:
    with ExitStack() as slow:
        for _ in range(20):
            one = slow.enter_context(socket.create_connection(("127.0.0.1", port)))
            one.sendall(post(b"{", length=1000))
        begin = monotonic()
        said, _ = say(port, post(json.dumps(founding()).encode(), headers="Connection: close\r\n"))

    assert status(said) == 200
    assert monotonic() - begin < SECONDS  # without a thread for each, none has to wait


def test_more_requests_than_the_limit_are_503_with_the_time_to_wait(port: int) -> None:
    with ExitStack() as slow:
        for _ in range(30):
            one = slow.enter_context(socket.create_connection(("127.0.0.1", port)))
            one.sendall(post(b"{", length=1000))
        for _ in range(50):  # until the server has taken all of them in
            said, _ = say(port, post(b"{}", headers="Connection: close\r\n"))
            if status(said) == 503:
                break
            sleep(0.1)
    later, _ = say(port, post(json.dumps(founding()).encode(), headers="Connection: close\r\n"))

    assert status(said) == 503
    assert b"\r\nretry-after: 2\r\n" in said.lower()
    assert diagnostics(said) == "Too many requests are in progress; send it again later."
    assert status(later) in {200, 503}  # the slow ones go when their connections are seen to end


def test_more_bytes_of_bodies_than_the_limit_are_503(port: int) -> None:
    with ExitStack() as slow:
        for _ in range(6):
            one = slow.enter_context(socket.create_connection(("127.0.0.1", port)))
            one.sendall(post(b" " * (BODY - 100), length=BODY))
        said, _ = say(port, post(b" " * BODY, headers="Connection: close\r\n"))

    assert status(said) == 503


def test_after_all_that_it_answers_as_before(port: int) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", "/health")

        assert connection.getresponse().status == 200


def test_a_call_that_is_late_is_503_and_never_a_list_without_cards() -> None:
    body = call(observation(ALT, 30))  # nothing to say about it, were there time
    http_client = client(Settings(deadline_ms=50))
    late = {ELAPSED: lambda: 51.0}
    in_time = {ELAPSED: lambda: 50.0}

    refused = http_client.post(SERVICE, json=body, environ_overrides=late)
    answered = http_client.post(SERVICE, json=body, environ_overrides=in_time)

    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "2"
    assert "not enough time" in refused.text
    assert (answered.status_code, answered.json) == (200, {"cards": []})


@pytest.mark.parametrize("steps", range(4))
def test_the_deadline_is_looked_at_between_all_steps(steps: int) -> None:
    asked = iter([0.0] * steps)

    def elapsed() -> float:
        return next(asked, 10_000.0)

    response = client().post(SERVICE, json=founding(), environ_overrides={ELAPSED: elapsed})

    assert response.status_code == 503


def test_cards_that_are_made_are_sent_even_if_it_is_late() -> None:
    asked = iter([0.0] * 4)

    def elapsed() -> float:
        return next(asked, 10_000.0)

    response = client().post(SERVICE, json=founding(), environ_overrides={ELAPSED: elapsed})

    assert response.text.count('"summary"') == 1


def test_a_process_without_threads_to_spare_sheds_what_waited_too_long() -> None:
    with serving(threads=1, deadline_ms=1) as port:
        statuses = set()
        for _ in range(20):
            said, _ = say(
                port, post(json.dumps(founding()).encode(), headers="Connection: close\r\n")
            )
            statuses.add(status(said))

    assert statuses <= {200, 503}
    assert 503 in statuses
