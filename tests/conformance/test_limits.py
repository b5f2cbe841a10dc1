# SPDX-License-Identifier: Apache-2.0
"""Every limit of the settings, on the real server where it is about sockets."""

import asyncio
import json
import select
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from threading import Event
from time import sleep

import pytest

from cds_service.settings import Settings
from cds_service.web.hook_calls import HookCall, HookCalls
from cds_service.web.server import rsgi
from cds_service.web.server.request_parts import ELAPSED, Reply
from tests.conformance.server import (
    HEAD,
    SERVICE,
    heard,
    post,
    say,
    serving,
    status,
    waiting,
)
from tests.web.http_fixtures import ALT, app, call, client, founding, observation
from tests.web.rsgi_client import Channel, bridge_of, scope_of

pytestmark = pytest.mark.server

BODY = 200_000
BODIES = 1_000_000
REQUESTS = 30
LOOKS = 6  # at the deadline, for one result


@pytest.fixture(name="port", scope="module")
def _port() -> Iterator[int]:
    """A server that waits for bodies longer than any test does."""
    with serving(
        max_body_bytes=BODY,
        max_header_bytes=8192,
        header_seconds=600,
        body_seconds=600,
        max_requests=REQUESTS,
        max_waiting_bytes=BODIES,
        threads=2,
    ) as port:
        yield port


def diagnostics(said: bytes) -> str:
    (issue,) = json.loads(said.partition(b"\r\n\r\n")[2])["issue"]
    text: str = issue["diagnostics"]
    return text


def good() -> bytes:
    """The body of a call that gets a card."""
    today = datetime.now(UTC).isoformat()
    return json.dumps(call(observation(ALT, 1, effectiveDateTime=today))).encode()


def answers(port: int) -> bool:
    """Whether the server answers a call with a card."""
    said, _ = say(port, post(good()))
    return status(said) == 200 and b'"summary"' in said


def test_a_call_to_the_real_server_gets_its_card(port: int) -> None:
    assert answers(port)


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


@pytest.fixture(name="short_of_headers", scope="module")
def _short_of_headers() -> Iterator[int]:
    with serving(header_seconds=1) as port:
        yield port


@pytest.mark.parametrize("sent", [b"", b"POST / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: local"])
def test_headers_that_do_not_come_end_the_connection(short_of_headers: int, sent: bytes) -> None:
    assert say(short_of_headers, sent) == (b"", True)


def test_a_body_that_does_not_come_is_408() -> None:
    with serving(body_seconds=1) as port:
        said, closed = say(port, post(b'{"hook', length=100))

    assert (status(said), closed) == (408, True)
    assert diagnostics(said) == "The body did not arrive in time."


def test_a_body_that_ends_before_its_length_is_400(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(post(b"{}", length=10))
        connection.shutdown(socket.SHUT_WR)
        said, closed = heard(connection)

    assert (status(said), closed) == (400, True)
    assert diagnostics(said) == "The body ended before the length that its head gives."


def test_a_body_in_pieces_that_ends_before_its_length_is_400(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rsgi, "_SHORT", 0)
    settings, body = Settings(), good()
    channel = Channel(body)

    asyncio.run(bridge_of(app(settings), settings)(scope_of(body + b" "), channel))

    assert channel.status == 400


def test_slow_bodies_do_not_keep_others_from_an_answer(port: int) -> None:
    """There are two threads, and twenty calls that are not over yet."""
    body = good()
    with ExitStack() as stack:
        slow = [stack.enter_context(waiting(port, len(body))) for _ in range(20)]
        for connection in slow:
            connection.sendall(body[:10])

        assert answers(port)

        for connection in slow:
            connection.sendall(body[10:])
        assert [status(heard(connection)[0]) for connection in slow] == [200] * 20


def test_more_requests_than_the_limit_are_503_with_the_time_to_wait(port: int) -> None:
    body = good()
    with ExitStack() as stack:
        slow = [stack.enter_context(waiting(port, len(body))) for _ in range(REQUESTS)]

        said, _ = say(port, post(body))

        assert status(said) == 503
        assert b"\r\nretry-after: 2\r\n" in said.lower()
        assert diagnostics(said) == "Too many requests are in progress; send it again later."
        slow[0].sendall(body)
        assert status(heard(slow[0])[0]) == 200
        assert answers(port)  # the place of the one that is over is free
        for connection in slow[1:]:
            connection.sendall(body)
        assert [status(heard(connection)[0]) for connection in slow[1:]] == [200] * (REQUESTS - 1)


def test_more_bytes_of_bodies_than_the_limit_are_503(port: int) -> None:
    """None of the bodies ends before all have begun: together they are more than is held."""
    body = b" " * BODY
    begun = BODY - 100
    bodies = BODIES // begun + 1

    def send(connection: socket.socket, piece: bytes) -> None:
        with suppress(OSError):  # refused in the middle
            connection.sendall(piece)

    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(bodies))
        slow = [stack.enter_context(waiting(port, BODY)) for _ in range(bodies)]
        list(pool.map(send, slow, [body[:begun]] * bodies))
        first, _, _ = select.select(slow, [], [])
        assert {status(heard(connection)[0]) for connection in first} == {503}
        others = [connection for connection in slow if connection not in first]
        list(pool.map(send, others, [body[begun:]] * len(others)))
        assert {status(heard(connection)[0]) for connection in others} <= {400, 503}

    assert answers(port)


def test_bodies_that_are_promised_and_do_not_come_leave_room_for_others(port: int) -> None:
    """Together they are longer than all that may wait."""
    with ExitStack() as stack:
        for _ in range(BODIES // BODY + 2):
            stack.enter_context(waiting(port, BODY))

        assert answers(port)


def test_a_call_that_is_late_is_503_and_never_a_list_without_cards() -> None:
    body = call(observation(ALT, 30))  # nothing to say about it, were there time
    http_client = client(Settings(deadline_ms=50))
    late = {ELAPSED: lambda: 50.0}
    in_time = {ELAPSED: lambda: 49.9}

    refused = http_client.post(SERVICE, json=body, environ_overrides=late)
    answered = http_client.post(SERVICE, json=body, environ_overrides=in_time)

    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "2"
    assert "not enough time" in refused.text
    assert (answered.status_code, answered.json) == (200, {"cards": []})


@pytest.mark.parametrize("steps", range(LOOKS))
def test_the_deadline_is_looked_at_between_all_steps(steps: int) -> None:
    asked = iter([0.0] * steps)

    def elapsed() -> float:
        return next(asked, 10_000.0)

    response = client().post(SERVICE, json=founding(), environ_overrides={ELAPSED: elapsed})

    assert response.status_code == 503


def test_cards_that_are_made_are_sent_even_if_it_is_late() -> None:
    asked = iter([0.0] * LOOKS)

    def elapsed() -> float:
        return next(asked, 10_000.0)

    response = client().post(SERVICE, json=founding(), environ_overrides={ELAPSED: elapsed})

    assert response.text.count('"summary"') == 1


def test_a_process_without_threads_to_spare_sheds_what_waited_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The only thread is busy with something else while the deadline of a call passes."""
    now = [0.0]
    monkeypatch.setattr(rsgi, "stopwatch", lambda: lambda begin=now[0]: now[0] - begin)
    settings = Settings(threads=1, deadline_ms=1000)
    busy = bridge_of(app(settings), settings)
    body = json.dumps(founding()).encode()
    scope = scope_of(body)
    first, second, third = Channel(body), Channel(body), Channel(body)
    begun, free = Event(), Event()

    def something_else() -> bool:
        begun.set()
        return free.wait(60)

    async def calls() -> None:
        await busy(scope, first)
        working = busy._threads.submit(something_else)
        assert begun.wait(60)
        waits = asyncio.create_task(busy(scope, second))
        await second.read.wait()
        now[0] = 1001.0
        free.set()
        await waits
        assert working.result()
        await busy(scope, third)

    asyncio.run(calls())

    assert [reply.status for reply in (first, second, third)] == [200, 503, 200]


def test_long_calls_are_answered_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Side by side each would only hold the objects of its body longer."""
    monkeypatch.setattr(rsgi, "_SHORT", 0)
    settings = Settings()
    bridge = bridge_of(app(settings), settings)
    body = json.dumps(founding()).encode()
    in_progress: list[int] = []
    most = 0
    read = HookCalls.read

    def watched(calls: HookCalls, call: HookCall, body: bytes) -> None:
        nonlocal most
        in_progress.append(1)
        most = max(most, len(in_progress))
        sleep(0.01)
        read(calls, call, body)
        in_progress.pop()

    monkeypatch.setattr(HookCalls, "read", watched)
    channels = [Channel(body) for _ in range(4)]

    async def calls() -> None:
        await asyncio.gather(*(bridge(scope_of(body), channel) for channel in channels))

    asyncio.run(calls())

    assert [channel.status for channel in channels] == [200] * 4
    assert most == 1


def test_a_long_call_that_waits_for_another_server_does_not_keep_the_next_one_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rsgi, "_SHORT", 0)
    settings = Settings()
    bridge = bridge_of(app(settings), settings)
    body = json.dumps(founding()).encode()
    first, second = Channel(body), Channel(body)
    begun, free, asking = Event(), Event(), [True, False]
    judge = HookCalls.judge

    def judged(calls: HookCalls, call: HookCall) -> Reply:
        if call.asks:
            begun.set()
            assert free.wait(60)
        return judge(calls, call)

    def waits(_calls: HookCalls, call: HookCall) -> bool:
        call.asks = asking.pop(0) if call.asks is None else call.asks
        return call.asks

    monkeypatch.setattr(HookCalls, "judge", judged)
    monkeypatch.setattr(HookCalls, "waits", waits)

    async def calls() -> None:
        kept = asyncio.create_task(bridge(scope_of(body), first))
        await asyncio.to_thread(begun.wait, 60)
        await asyncio.wait_for(bridge(scope_of(body), second), 30)
        assert not kept.done()
        free.set()
        await kept

    asyncio.run(calls())

    assert (first.status, second.status) == (200, 200)


def test_health_is_answered_while_every_thread_waits_for_another_server() -> None:
    settings = Settings(threads=1)
    busy = bridge_of(app(settings), settings)
    scope = scope_of(b"")
    scope.method, scope.path = "GET", "/health"
    del scope.headers["content-length"], scope.headers["content-type"]
    health, free = Channel(b""), Event()
    waits = busy._threads.submit(free.wait, 60)

    asyncio.run(asyncio.wait_for(busy(scope, health), 30))

    assert not waits.done()
    assert health.status == 200
    free.set()
