# SPDX-License-Identifier: Apache-2.0
"""The service behind nginx and behind Caddy, with the files of deploy/proxy as they are."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from cds_service.clock import system_clock
from cds_service.settings import Settings
from tests.conformance.server import free_port, say, serving
from tests.deploy import proxies
from tests.deploy.proxies import FILES, Proxy, proxy, text_of
from tests.trust.signing import BASE, SERVICE, URL, es384, registration, seconds, write_clients
from tests.web.http_fixtures import call, observation

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(proxies.missing() is not None, reason=f"{proxies.missing()}"),
]


@pytest.fixture(name="behind", scope="module", params=list(FILES))
def _behind(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Proxy, int]]:
    """A proxy and the port of the service behind it."""
    folder = tmp_path_factory.mktemp(request.param)
    clients = write_clients(folder / "clients.yaml", registration())
    with (
        serving(clients=clients, public_url=BASE, trusted_proxies=1) as port,
        proxy(request.param, folder, port) as before,
    ):
        yield before, port


def founding(size: int = 0) -> bytes:
    """The call of the patient with ALT 1 U/L, with blanks up to this size."""
    body = call(observation("1742-6", 1, effectiveDateTime=system_clock().isoformat()))
    return json.dumps(body).encode().ljust(size)


def headers(**claims: Any) -> dict[str, str]:
    now = system_clock()
    times: dict[str, Any] = {"exp": int(seconds(300, now)), "iat": int(seconds(0, now))}
    token = es384().token(**{"aud": URL, **times, **claims})
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}


def test_a_signed_call_is_answered_once(behind: tuple[Proxy, int]) -> None:
    signed = headers()

    status, answer = behind[0].ask("POST", SERVICE, founding(), signed)

    assert status == 200
    (card,) = json.loads(answer)["cards"]
    assert card["summary"].startswith("Very low ALT (1 U/L)")
    assert behind[0].ask("POST", SERVICE, founding(), signed)[0] == 401


def test_only_the_public_address_can_be_signed_for(behind: tuple[Proxy, int]) -> None:
    before, port = behind
    for address in (
        f"http://127.0.0.1:{port}",
        f"https://127.0.0.1:{before.port}",
        f"http{BASE[5:]}",
    ):
        signed = headers(aud=f"{address}{SERVICE}")

        assert before.ask("POST", SERVICE, founding(), signed)[0] == 401, address


def test_a_body_up_to_the_limit_of_the_service_is_taken(behind: tuple[Proxy, int]) -> None:
    limit = Settings().max_body_bytes
    refused = {413, 502}  # 502: Caddy 2.6, which passes on what it has read and then ends

    assert behind[0].ask("POST", SERVICE, founding(limit), headers())[0] == 200
    assert behind[0].ask("POST", SERVICE, founding(limit + 1), headers())[0] in refused


def test_the_metrics_are_not_for_callers(behind: tuple[Proxy, int]) -> None:
    assert behind[0].ask("GET", "/metrics")[0] == 404
    assert behind[0].ask("GET", "/cds-services")[0] == 200


def test_nothing_is_answered_without_tls(behind: tuple[Proxy, int]) -> None:
    heard, _ = say(behind[0].port, b"GET /cds-services HTTP/1.0\r\nHost: cds.example.org\r\n\r\n")

    assert b"liver" not in heard


class Recorder(BaseHTTPRequestHandler):
    """A service that says which headers came, or nothing where the path is /silent."""

    released = Event()

    def do_GET(self) -> None:
        if self.path == "/silent":
            self.released.wait(60)
            return
        body = json.dumps(dict(self.headers.items())).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(name="recorder", scope="module")
def _recorder() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Recorder) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        Recorder.released.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("kind", "patience"),
    [("nginx", "proxy_read_timeout 10s"), ("caddy", "response_header_timeout 10s")],
)
def test_what_the_service_is_told_and_how_long_it_is_waited_for(
    kind: str, patience: str, recorder: int, tmp_path: Path
) -> None:
    lies = {
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Proto": "http",
        "Authorization": "Bearer t",
    }
    shorter = {patience: patience.replace("10s", "1s")}
    with proxy(kind, tmp_path, recorder, shorter) as before:
        sent = json.loads(before.ask("GET", "/", headers=lies)[1])
        status = before.ask("GET", "/silent")[0]

    assert sent["X-Forwarded-For"] == "127.0.0.1"
    assert sent["X-Forwarded-Proto"] == "https"
    assert sent["Host"] == proxies.HOST
    assert sent["Authorization"] == "Bearer t"
    assert status == 504


@pytest.mark.parametrize("kind", FILES)
def test_a_service_that_is_away_is_an_error_and_no_empty_answer(kind: str, tmp_path: Path) -> None:
    with proxy(kind, tmp_path, free_port()) as before:
        assert before.ask("POST", SERVICE, founding(), headers())[0] == 502


TIMES = {
    "nginx": (
        "client_header_timeout", "client_body_timeout", "proxy_read_timeout", "keepalive_timeout",
    ),
    "caddy": ("read_header", "read_body", "response_header_timeout", "keepalive"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_times_fit_those_of_the_settings(kind: str) -> None:
    text, settings = text_of(kind), Settings()
    found = [re.search(rf"\s{name} (\d+)s", text) for name in TIMES[kind]]
    headers_within, body_within, answer_within, idle_for = (
        int(number[1]) for number in found if number
    )

    assert headers_within == settings.header_seconds
    assert body_within == settings.body_seconds
    assert answer_within * 1000 > settings.deadline_ms
    assert idle_for < settings.header_seconds


@pytest.mark.parametrize(
    ("kind", "limit"), [("nginx", r"client_max_body_size (\d+)m;"), ("caddy", r"max_size (\d+)MiB")]
)
def test_bodies_may_be_as_long_as_those_of_the_service(kind: str, limit: str) -> None:
    (size,) = re.findall(limit, text_of(kind))

    assert int(size) * 2**20 == Settings().max_body_bytes


@pytest.mark.parametrize("kind", FILES)
def test_a_body_that_does_not_come_ends_with_its_connection(
    kind: str, recorder: int, tmp_path: Path
) -> None:
    """Callers that send nothing more keep neither the proxy nor the service busy."""
    name = {"nginx": "client_body_timeout", "caddy": "read_body"}[kind]
    shorter = {f"{name} 10s": f"{name} 1s"}
    with proxy(kind, tmp_path, recorder, shorter) as before, ThreadPoolExecutor(1) as thread:
        connection = before.connection()
        connection.putrequest("POST", SERVICE)
        connection.putheader("Content-Length", "1000")
        connection.endheaders(b"{")
        ended = thread.submit(connection.sock.recv, 65536)

        assert b" 200 " not in ended.result(20)
        connection.close()
