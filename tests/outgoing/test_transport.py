# SPDX-License-Identifier: Apache-2.0
"""The way out over TLS: connections are kept, certificates checked, and slow servers cut off."""

import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from socket import create_server, socket
from threading import Thread

import pytest

from cds_service.clock import Deadline
from cds_service.outgoing.address_policy import AddressNotAllowed, AddressPolicy
from cds_service.outgoing.authorities import client_context, trust_also
from cds_service.outgoing.messages import (
    DeadlineExceeded,
    HttpRequest,
    PermanentTransportError,
    TransportError,
    UntrustedCertificate,
)
from cds_service.outgoing.transport import Transport
from tests.conformance.certificate import make_certificate

HERE = AddressPolicy(loopback=True)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def call(port: int, scheme: str = "https") -> HttpRequest:
    return HttpRequest(url=f"{scheme}://127.0.0.1:{port}/x", headers={}, most_bytes=1000)


class Tls:
    """A server that answers each request on a connection with the next of its answers."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.answers: list[bytes] = []
        self.connections = 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self.listener = create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            Thread(target=self._talk, args=(plain,), daemon=True).start()

    def _talk(self, plain: socket) -> None:
        try:
            with self._context.wrap_socket(plain, server_side=True) as link:
                self.connections += 1
                while link.recv(65536):
                    answer = self.answers.pop(0)
                    link.sendall(answer)
        except OSError:
            return


@pytest.fixture(name="pem", scope="module")
def _pem(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(name="server")
def _server(pem: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Tls]:
    monkeypatch.setenv("SSL_CERT_FILE", str(pem[0]))
    found = Tls(*pem)
    with closing(found.listener):
        yield found


def test_a_connection_is_used_again(server: Tls) -> None:
    server.answers = [OK, OK, OK]
    transport = Transport(HERE)

    bodies = [transport.send(call(server.port), Deadline(20)).body for _ in range(3)]

    assert bodies == [b"ok"] * 3
    assert server.connections == 1


def test_a_server_that_says_nothing_on_a_used_connection_is_cut_off(server: Tls) -> None:
    server.answers = [OK, OK[:20]]
    transport = Transport(HERE)
    transport.send(call(server.port), Deadline(20))

    with pytest.raises(DeadlineExceeded):
        transport.send(call(server.port), Deadline(0.3))

    server.answers = [OK]
    assert transport.send(call(server.port), Deadline(20)).body == b"ok"


def test_a_handshake_without_end_is_cut_off(server: Tls) -> None:
    with (
        create_server(("127.0.0.1", 0)) as silent,  # takes connections and never speaks
        pytest.raises(DeadlineExceeded),
    ):
        Transport(HERE).send(call(silent.getsockname()[1]), Deadline(0.3))


def test_a_certificate_that_nobody_vouches_for_is_refused(
    server: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    server.answers = [OK]

    with pytest.raises(PermanentTransportError, match="SSL"):
        Transport(HERE).send(call(server.port), Deadline(20))


def test_an_authority_that_the_site_names_is_trusted_besides_those_of_the_machine(
    server: Tls, pem: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    server.answers = [OK]
    before = client_context().cert_store_stats()["x509"]
    file = tmp_path / "authorities.pem"
    file.write_bytes("Behörde\n".encode() + pem[0].read_bytes())
    trust_also(file, None)
    file.unlink()
    try:
        assert Transport(HERE).send(call(server.port), Deadline(20)).body == b"ok"
        assert client_context().cert_store_stats()["x509"] == before + 1
    finally:
        trust_also()

    with pytest.raises(UntrustedCertificate, match=r"refused \(SSL: self-signed certificate\)"):
        Transport(HERE).send(call(server.port), Deadline(20))


def test_a_certificate_for_another_name_is_refused(server: Tls) -> None:
    server.answers = [OK]
    other = HttpRequest(url=f"https://localhost:{server.port}/x", headers={}, most_bytes=1000)

    with pytest.raises(UntrustedCertificate, match=r"SSL: [A-Z]") as caught:
        Transport(HERE).send(other, Deadline(20))
    assert "localhost" not in str(caught.value)


def test_what_is_closed_is_said_before_anything_is_sent(server: Tls) -> None:
    with pytest.raises(AddressNotAllowed, match="this machine"):
        Transport(AddressPolicy()).send(call(server.port), Deadline(20))
    with pytest.raises(AddressNotAllowed, match="https"):
        Transport(AddressPolicy(private=True)).send(call(server.port, "http"), Deadline(20))
    assert server.connections == 0


def test_the_reason_names_no_address(server: Tls) -> None:
    with create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]

    with pytest.raises(TransportError) as caught:
        Transport(HERE).send(call(port), Deadline(20))
    assert str(caught.value) == "the connection failed (ConnectionRefusedError)"


def test_what_cannot_be_sent_is_hopeless(server: Tls) -> None:
    odd = HttpRequest(
        url=f"https://127.0.0.1:{server.port}/x",
        headers={"Authorization": "Bearer a\nb"},
        most_bytes=1000,
    )

    with pytest.raises(PermanentTransportError) as caught:
        Transport(HERE).send(odd, Deadline(20))
    assert "Bearer" not in str(caught.value)
