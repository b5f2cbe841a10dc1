# SPDX-License-Identifier: Apache-2.0
"""The listener as a process: what senders do to it, and what it does then."""

import asyncio
import json
import os
import signal
import socket
import sqlite3
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from itertools import chain, repeat
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from cds_service.cli import cli
from cds_service.clock import system_clock
from cds_service.fhir_client.servers import Server, Servers
from cds_service.metrics import make_metrics
from cds_service.mllp.connecting import closed
from cds_service.mllp.frames import framed
from cds_service.mllp.listener import ListenerLimits, MessageListener
from cds_service.mllp.receive import MessageReceiver
from cds_service.store import Store
from tests.feedback.killed_server import free_port
from tests.house.source import ROOT
from tests.mllp.listener_process import PATIENCE, Listener, code_of, stored
from tests.mllp.test_receive import SETTINGS
from tests.reports.messages import HEADER, message, obx

pytestmark = pytest.mark.server


def oru(control: str) -> bytes:
    return message(obx("1"), header=HEADER.replace("|1|P|", f"|{control}|P|"))


@pytest.fixture
def listener(tmp_path: Path) -> Listener:
    return Listener(tmp_path, f"sqlite:///{tmp_path / 'service.db'}")


@pytest.fixture(scope="module")
def short_of_time(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listener]:
    """One for tests that leave it as it was, with short times and few connections."""
    folder = tmp_path_factory.mktemp("shared")
    made = Listener(folder, f"sqlite:///{folder / 'service.db'}")
    made.settings |= {
        "CDS_MLLP_MESSAGE_SECONDS": "1",
        "CDS_MLLP_IDLE_SECONDS": "2",
        "CDS_MLLP_MAX_CONNECTIONS": "3",
        "CDS_MLLP_MAX_CONNECTIONS_PER_ADDRESS": "3",
        "CDS_MLLP_MAX_MESSAGE_BYTES": "10000",
        "CDS_STATUS_PORT": str(free_port()),
    }
    with made.running():
        yield made


@pytest.fixture
def shared(short_of_time: Listener) -> Listener:
    """The same, once nobody of another test is connected."""
    end = time.monotonic() + PATIENCE
    while "cds_hl7_connections 0.0" not in served(short_of_time, "metrics"):
        assert time.monotonic() < end
        time.sleep(0.05)
    return short_of_time


def served(listener: Listener, path: str) -> str:
    """What its status page says."""
    port = listener.settings["CDS_STATUS_PORT"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as answer:
        found: str = answer.read().decode()
    return found


def controls(listener: Listener) -> list[str]:
    return [row.resource_id.split("|")[2] for row in stored(listener.database)]


def test_two_messages_in_one_packet_and_one_over_many(shared: Listener) -> None:
    with shared.connected() as sender:
        sender.connection.sendall(framed(oru("a1")) + framed(oru("a2")))
        assert [code_of(sender.answer()) for _ in range(2)] == ["AA", "AA"]
        for piece in framed(oru("a3")):
            sender.connection.sendall(bytes([piece]))
        assert code_of(sender.answer()) == "AA"
    assert {"a1#1", "a2#1", "a3#1"} <= set(controls(shared))


def test_garbage_before_a_message_is_passed_over(shared: Listener) -> None:
    with shared.connected() as sender:
        sender.connection.sendall(b"GET / HTTP/1.1\r\n\r\n" + framed(oru("b1")))
        assert code_of(sender.answer()) == "AA"
    shared.logged('"found": "garbage"')


def test_nothing_but_garbage_ends_the_connection(shared: Listener) -> None:
    with shared.connected() as sender, suppress(OSError):
        for _ in range(1000):
            sender.connection.sendall(b"x" * 65_536)
            time.sleep(0.01)
        pytest.fail("it was not closed")


def test_a_message_without_its_end_is_not_stored(shared: Listener) -> None:
    with shared.connected() as sender:
        sender.connection.sendall(framed(oru("c1"))[:-2])
        assert sender.is_closed()
    shared.logged('"found": "too-slow"')
    with shared.connected() as sender:
        sender.connection.sendall(framed(oru("c2"))[:-2])
        sender.connection.shutdown(socket.SHUT_WR)
        assert sender.is_closed()
    shared.logged('"found": "cut-off"')
    assert not {"c1#1", "c2#1"} & set(controls(shared))


def test_a_slow_sender_has_its_seconds(shared: Listener) -> None:
    too_slow = '"found": "too-slow"'
    before = shared.lines().count(too_slow)
    with shared.connected() as sender:
        with suppress(OSError):
            # It never stops of itself, and never comes to the end of the message.
            for piece in chain(framed(oru("d1"))[:-2], repeat(ord("x"), 9000)):
                sender.connection.sendall(bytes([piece]))
                time.sleep(0.05)
        assert sender.is_closed()
    assert shared.lines().count(too_slow) == before + 1
    assert "d1#1" not in controls(shared)


def test_who_sends_nothing_is_let_go(shared: Listener) -> None:
    with shared.connected() as sender:
        assert code_of(sender.send(oru("e1"))) == "AA"
        assert sender.is_closed()
    shared.logged('"found": "idle"')


def test_a_message_that_is_too_long_is_refused_by_its_id(shared: Listener) -> None:
    with shared.connected() as sender:
        long = message(*[obx("1")] * 1000, header=HEADER.replace("|1|P|", "|f1|P|"))
        answer = sender.send(long)
        assert code_of(answer) == "AR"
        assert b"MSA|AR|f1|" in answer
        assert sender.is_closed()


def test_more_connections_than_are_allowed_are_closed(shared: Listener) -> None:
    with shared.connected() as one, shared.connected() as two, shared.connected() as three:
        assert [code_of(x.send(oru(f"g{n}"))) for n, x in enumerate((one, two, three))] == [
            "AA"
        ] * 3
        with shared.connected() as four:
            assert four.is_closed()
    shared.logged('"found": "too-many"')


def test_its_state_and_metrics_are_served(shared: Listener) -> None:
    with shared.connected() as sender:
        sender.send(oru("h1"))
        sender.send(oru("h1"))
    assert json.loads(served(shared, "ready")) == {"status": "ready", "problems": []}
    assert 'cds_hl7_messages_total{outcome="repeated"} 1.0' in served(shared, "metrics")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        served(shared, "")


def test_no_line_of_the_log_names_a_patient(shared: Listener) -> None:
    with shared.connected() as sender:
        sender.send(oru("i1"))
        sender.send(oru("i1").replace(b"HOSPITAL^MR", b"OTHER^MR"))
    shared.logged('"outcome": "no-patient-id"')
    assert not any(word in shared.lines() for word in ("4711", "Muster", "19800102"))


def test_an_address_that_is_not_listed_is_turned_away(listener: Listener) -> None:
    listener.addresses = "192.0.2.7"
    with listener.running(), listener.connected() as sender:
        assert sender.is_closed()
        listener.logged('"found": "address-refused"')


def test_it_says_that_local_codes_do_not_come_back(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "Results of HL7 v2 that have local codes alone"
    for name, value in listener.environment.items():
        if name.startswith("CDS_"):
            monkeypatch.setenv(name, value)
    assert said in CliRunner().invoke(cli, ["doctor"]).output
    with listener.running():
        assert said in listener.lines()
    listener.log.unlink()

    listener.settings["CDS_LAB_CATEGORY_PREFETCH"] = "true"
    monkeypatch.setenv("CDS_LAB_CATEGORY_PREFETCH", "true")
    assert said not in CliRunner().invoke(cli, ["doctor"]).output
    with listener.running():
        assert said not in listener.lines()


def test_when_it_is_stopped_what_is_being_stored_is_answered(listener: Listener) -> None:
    """The database is held by another program until after the listener was asked to stop."""
    with listener.running(), listener.connected() as idle, listener.connected() as sender:
        assert code_of(idle.send(oru("j1"))) == "AA"
        other = sqlite3.connect(listener.database.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        sender.connection.sendall(framed(oru("j2")))
        time.sleep(0.5)
        assert listener.process is not None
        listener.process.send_signal(signal.SIGTERM)
        assert idle.is_closed()
        other.execute("COMMIT")
        other.close()
        assert code_of(sender.answer()) == "AA"
        assert sender.is_closed()
        assert listener.process.wait(PATIENCE) == 0
    assert controls(listener) == ["j1#1", "j2#1"]


def test_what_cannot_be_stored_gets_no_answer(listener: Listener) -> None:
    with listener.running(), listener.connected() as sender:
        Path(listener.database.removeprefix("sqlite:///")).unlink()
        sender.connection.settimeout(PATIENCE)
        sender.connection.sendall(framed(oru("k1")))
        assert sender.is_closed()
        listener.logged('"found": "not-stored"')


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority that signed for `localhost` and for a sender."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    plain = ["-nodes", "-newkey", "rsa:2048", "-days", "2"]
    openssl("req", "-x509", *plain, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n", encoding="utf-8")
    for name in ("localhost", "sender"):
        subject = f"/CN={name}"
        openssl(
            "req", *plain[:3], "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject
        )
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"]
        openssl(
            "x509",
            "-req",
            "-in",
            f"{name}.csr",
            *signed,
            "-extfile",
            "names",
            "-out",
            f"{name}.pem",
        )
    return folder


def encrypted(certificates: Path) -> dict[str, str]:
    """Settings for TLS, with certificates of senders."""
    return {
        "CDS_MLLP_TLS_CERTIFICATE": str(certificates / "localhost.pem"),
        "CDS_MLLP_TLS_KEY": str(certificates / "localhost.key"),
        "CDS_MLLP_CLIENT_AUTHORITIES": str(certificates / "ca.pem"),
    }


def client(certificates: Path, name: str = "") -> ssl.SSLContext:
    """How a sender connects over TLS, with this certificate if any."""
    made = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    if name:
        made.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
    return made


def fingerprint(certificate: Path) -> str:
    """As `openssl x509 -fingerprint -sha256` prints it."""
    pem = certificate.read_text(encoding="utf-8")
    return sha256(ssl.PEM_cert_to_DER_cert(pem)).digest().hex(":").upper()


def test_one_address_does_not_hold_all_connections(listener: Listener, certificates: Path) -> None:
    """Nor by handshakes that it does not finish."""
    listener.settings |= encrypted(certificates) | {"CDS_MLLP_MAX_CONNECTIONS": "8"}
    with listener.running():
        listener.logged('"found": "no-tls"')  # that by which it was seen to have begun has ended
        with listener.connected(), listener.connected():
            with suppress(OSError), listener.connected(client(certificates, "sender")):
                pytest.fail("a third connection of one address")
            listener.logged('"found": "too-many-of-address"')
            with listener.connected(client(certificates, "sender"), "127.0.0.2") as sender:
                assert code_of(sender.send(oru("m1"))) == "AA"


def one_of_an_address(store: Store, handshake_seconds: float = 0.3) -> MessageListener:
    """A listener that takes one connection from each address."""
    server = Server(base="https://fhir.example/r4", anonymous=True, messages=SETTINGS)
    receiver = MessageReceiver(
        servers=Servers(listed={server.base: server}),
        database=store.database,
        clock=system_clock,
        zone=ZoneInfo("UTC"),
    )
    limits = ListenerLimits(
        message_bytes=10_000,
        message_seconds=10,
        idle_seconds=10,
        connections=8,
        connections_of_address=1,
        handshake_seconds=handshake_seconds,
    )
    return MessageListener(receiver=receiver, limits=limits, metrics=make_metrics())


def test_connections_that_come_at_once_count_as_well(store: Store) -> None:
    async def scene() -> int:
        listening = one_of_an_address(store)
        (made,) = await listening.serve("127.0.0.1", 0, None)
        # All of them wait to be accepted before the listener goes on.
        senders = [socket.create_connection(made.getsockname()) for _ in range(4)]
        ended = 0
        for sender in senders:
            reader, writer = await asyncio.open_connection(sock=sender)
            with suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    with suppress(ConnectionError):
                        await reader.read()
                    ended += 1
            await closed(writer, 1)
        listening.stop()
        await listening.until_stopped()
        return ended

    assert asyncio.run(scene()) == 3


def of_a_server(certificates: Path) -> ssl.SSLContext:
    """How a listener answers over TLS."""
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(certificates / "localhost.pem", certificates / "localhost.key")
    return made


async def until_ended(reader: asyncio.StreamReader) -> None:
    """Return once the listener has closed the connection."""
    with suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), PATIENCE) == b""


def test_a_handshake_that_is_not_finished_ends(certificates: Path, store: Store) -> None:
    """And its place is free again."""

    async def scene() -> None:
        listening = one_of_an_address(store)
        (made,) = await listening.serve("127.0.0.1", 0, of_a_server(certificates))
        for _ in range(2):
            reader, writer = await asyncio.open_connection(*made.getsockname())
            await until_ended(reader)
            await closed(writer, 1)
        listening.stop()
        await listening.until_stopped()

    asyncio.run(scene())


def test_a_handshake_that_is_not_finished_when_it_is_stopped_ends(
    certificates: Path, store: Store
) -> None:
    async def scene() -> None:
        listening = one_of_an_address(store, handshake_seconds=3600)
        (made,) = await listening.serve("127.0.0.1", 0, of_a_server(certificates))
        reader, writer = await asyncio.open_connection(*made.getsockname())
        await asyncio.sleep(0.1)
        listening.stop()
        await listening.until_stopped()
        await until_ended(reader)
        await closed(writer, 1)

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (["CN=sender"], "AA"),
        (["CN=other", "the fingerprint"], "AA"),
        (["CN=other"], "AR"),
        (["CN=sender,O=Hospital"], "AR"),
        (["00" * 32], "AR"),
    ],
)
def test_a_sender_may_be_bound_to_its_certificate(
    listener: Listener, certificates: Path, known: list[str], expected: str
) -> None:
    listener.settings |= encrypted(certificates)
    own = fingerprint(certificates / "sender.pem")
    listener.certificates = tuple(
        own if fingerprint == "the fingerprint" else fingerprint for fingerprint in known
    )
    with (
        listener.running(),
        listener.connected(client(certificates, "sender")) as sender,
    ):
        assert code_of(sender.send(oru("n1"))) == expected


def test_a_sender_bound_to_a_certificate_needs_certificates(
    listener: Listener, certificates: Path
) -> None:
    listener.certificates = ("CN=sender",)
    with pytest.raises(AssertionError, match="need CDS_MLLP_CLIENT_AUTHORITIES"):
        listener.start()
    listener.settings |= encrypted(certificates)
    listener.certificates = ("sender",)
    with pytest.raises(AssertionError, match="and no subject of a certificate"):
        listener.start()


def test_messages_come_over_tls_from_senders_with_a_certificate(
    listener: Listener, certificates: Path
) -> None:
    listener.settings |= encrypted(certificates)
    known, without = client(certificates, "sender"), client(certificates)
    with listener.running():
        with listener.connected(known) as sender:
            assert code_of(sender.send(oru("l1"))) == "AA"
        with suppress(OSError), listener.connected(without) as sender:
            sender.connection.sendall(framed(oru("l2")))
            assert sender.connection.recv(10) == b""
        with listener.connected() as sender:  # in the clear
            sender.connection.sendall(framed(oru("l3")))
            assert sender.connection.recv(10) != b"\x0b"
    assert controls(listener) == ["l1#1"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"CDS_MLLP_HOST": "192.0.2.1"}, "CDS_MLLP_HOST: other machines need TLS"),
        ({"CDS_FHIR_SERVERS": ""}, "has senders under 'hl7 v2'"),
        ({"CDS_MLLP_TLS_KEY": "pyproject.toml"}, "set both or neither"),
        ({"CDS_MLLP_CLIENT_AUTHORITIES": "pyproject.toml"}, "needs CDS_MLLP_TLS_CERTIFICATE"),
        (
            {"CDS_MLLP_TLS_KEY": "README.md", "CDS_MLLP_TLS_CERTIFICATE": "README.md"},
            "CDS_MLLP_TLS_CERTIFICATE: expected PEM",
        ),
    ],
)
def test_what_is_not_safe_does_not_start(
    listener: Listener, settings: dict[str, str], said: str
) -> None:
    found = subprocess.run(
        [ROOT / ".venv" / "bin" / "cds-service", "listen", "mllp"],
        cwd=ROOT,
        env=listener.environment | settings,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert found.returncode == 2
    assert said in found.stderr


def test_a_port_that_is_taken_is_said(listener: Listener) -> None:
    with socket.create_server(("127.0.0.1", listener.port)):
        found = subprocess.run(
            [ROOT / ".venv" / "bin" / "cds-service", "listen", "mllp"],
            env=listener.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert found.returncode == 2
    assert "expected a free port" in found.stderr
    assert os.environ.get("CDS_MLLP_PORT") is None
