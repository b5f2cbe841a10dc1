# SPDX-License-Identifier: Apache-2.0
"""Authentication through the production server: its workers, and requests as bytes."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
import requests

from cds_service.cli.demo import wait_until_ready
from cds_service.clock import system_clock
from cds_service.settings import environment_with
from tests.conformance.server import heard, post, status, stop, waiting
from tests.trust.signing import SERVICE, es384, registration, seconds, write_clients
from tests.web.http_fixtures import call, observation

pytestmark = pytest.mark.server

FRAMES = {"header": b"\r\n", "body": b"\r\n\r\n"}


@dataclass(frozen=True)
class Server:
    port: int

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def token(self, **claims: Any) -> str:
        now = system_clock()
        times = {"exp": int(seconds(300, now)), "iat": int(seconds(0, now))}
        return es384().token(**{"aud": self.base + SERVICE, **times, **claims})

    def raw(self, *authorizations: str, more: bytes = b"", length: int | None = None) -> bytes:
        """The status line of the answer to these bytes."""
        body = json.dumps(founding_today(system_clock())).encode()
        head = f"POST {SERVICE} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
        head += "Content-Type: application/json\r\nConnection: close\r\n"
        head += f"Content-Length: {len(body) if length is None else length}\r\n"
        head += "".join(f"Authorization: {authorization}\r\n" for authorization in authorizations)
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as link:
            link.sendall(head.encode() + more + b"\r\n" + (body if length is None else b""))
            return link.recv(65536).partition(b"\r\n")[0]


def founding_today(now: datetime) -> dict[str, Any]:
    return call(observation("1742-6", 1, effectiveDateTime=now.isoformat()))


@pytest.fixture(name="server", scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        server = Server(probe.getsockname()[1])
    environment = {
        "CDS_CLIENTS": str(write_clients(folder / "clients.yaml", registration())),
        "CDS_PROFILE": "development",
        "CDS_PUBLIC_URL": server.base,
        "CDS_DATABASE_URL": f"sqlite:///{folder / 'store.db'}",
        "CDS_LOG_LEVEL": "error",
        "CDS_BODY_SECONDS": "600",  # longer than any test waits
    }
    command = [sys.executable, "-m", "cds_service", "serve", "--workers", "2"]
    process = subprocess.Popen(
        [*command, "--port", str(server.port)],
        env=environment_with(environment),
        start_new_session=True,
    )
    try:
        wait_until_ready(server.base, process, seconds=60)
        yield server
    finally:
        stop(process)


def send(server: Server, token: str) -> int:
    """The status of a call over a connection of its own, so that either worker can take it."""
    return requests.post(
        server.base + SERVICE,
        json=founding_today(system_clock()),
        headers={"Authorization": f"Bearer {token}", "Connection": "close"},
        timeout=60,
    ).status_code


def test_ch_jwt_014_t52_a_replay_is_refused_whichever_worker_gets_it(server: Server) -> None:
    for _ in range(10):
        token = server.token()
        assert sorted(send(server, token) for _ in range(6)) == [200, *[401] * 5]


def test_one_header_as_bytes_is_answered(server: Server) -> None:
    assert b"200" in server.raw(f"Bearer {server.token()}")


def test_t55_two_authorization_headers_are_none(server: Server) -> None:
    good = f"Bearer {server.token()}"

    for pair in ((good, good), (good, "Bearer x"), ("Bearer x", good), ("Basic eDp5", good)):
        assert b"401" in server.raw(*pair), pair


def test_a_header_with_the_name_in_another_spelling_is_not_taken_for_it(server: Server) -> None:
    """WSGI writes - and _ alike (CVE-2015-0219)."""
    good = f"Bearer {server.token()}".encode()

    for name in (b"Authorization ", b"Authorization_", b"_Authorization", b"HTTP_AUTHORIZATION"):
        assert b" 200" not in server.raw(more=name + b": " + good + b"\r\n"), name


def test_a_huge_header_is_refused(server: Server) -> None:
    assert server.raw("Bearer " + "A" * 20_000)[9:12] in {b"401", b"400", b"431"}


@pytest.mark.parametrize("length", [100, 10**9])
def test_ch_jwt_018_a_bad_token_is_401_while_the_body_does_not_come(
    server: Server, length: int
) -> None:
    for token in ("x", server.token(aud="x"), server.token(iss="https://nobody")):
        assert b"401" in server.raw(f"Bearer {token}", length=length)


def test_ch_jwt_018_a_good_token_stays_good_while_its_body_is_slow(server: Server) -> None:
    body = json.dumps(founding_today(system_clock())).encode()
    head = post(b"", headers=f"Authorization: Bearer {server.token()}\r\n", length=len(body))

    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as link:
        link.sendall(head)
        assert send(server, server.token()) == 200  # others are answered meanwhile
        for begin in range(0, len(body), 500):
            link.sendall(body[begin : begin + 500])
        said, _ = heard(link)

    assert status(said) == 200
    assert b'"summary"' in said


def test_ch_jwt_014_a_token_whose_body_never_came_is_used_up(server: Server) -> None:
    token = server.token()
    headers = f"Authorization: Bearer {token}\r\n"
    with waiting(server.port, 100, headers=headers):  # the body is waited for: it was let in
        pass

    assert send(server, token) == 401
