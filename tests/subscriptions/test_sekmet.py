# SPDX-License-Identifier: Apache-2.0
"""The commands about Subscriptions against sekmet: what they make there is what it sends by."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
import requests
from click.testing import CliRunner, Result

from cds_service.cli import cli
from cds_service.clock import system_clock
from cds_service.smart.key_rotation import add_key
from cds_service.smart.signing_keys import KeyFile
from cds_service.store.engine import open_store
from cds_service.subscriptions.credentials import hashed
from cds_service.subscriptions.registration import Registration, RegistrationTable
from tests.conformance.server import serving
from tests.fhir_server.sekmet import put, running
from tests.subscriptions.notified import (
    TOPIC,
    Receiver,
    Sent,
    receiving,
    topic_of_observations,
)
from tests.web.http_fixtures import ALT, observation, patient

pytestmark = pytest.mark.server

Json = dict[str, Any]
Command = Callable[..., Result]
PATIENCE = 20  # seconds


@pytest.fixture(name="receiver")
def _receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(name="base", scope="module")
def _base() -> Iterator[str]:
    with running(subscriptions={"notify_method": "put-resource"}) as base:
        put(base, [patient(), topic_of_observations()])
        yield base


@pytest.fixture(name="url")
def _url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'service.db'}"


@pytest.fixture(name="command")
def _command(base: str, receiver: Receiver, url: str, tmp_path: Path) -> Iterator[Command]:
    """Runs a command about the server, and ends what it registered."""
    servers = tmp_path / "servers.yaml"
    servers.write_text(
        f"servers:\n  - base: {base}\n    name: local\n    this machine: yes\n    anonymous: yes\n"
        f"    subscriptions:\n      topic: {TOPIC}\n",
        encoding="utf-8",
    )
    environment = {
        "CDS_PROFILE": "development",
        "CDS_FHIR_SERVERS": str(servers),
        "CDS_PORT": str(receiver.port),
        "CDS_DATABASE_URL": url,
        "PATH": os.environ["PATH"],
    }

    def run(*words: str) -> Result:
        return CliRunner(env=environment).invoke(cli, words)

    yield run
    assert run("subscriptions", "off", "--all").exit_code == 0


def rows_at(url: str) -> tuple[Registration, ...]:
    store = open_store(url)
    try:
        return RegistrationTable(store.database).all()
    finally:
        store.close()


def subscriptions_at(base: str, receiver: Receiver) -> list[Json]:
    found = requests.get(f"{base}/Subscription?_count=100", timeout=10).json().get("entry", [])
    ours = f":{receiver.port}/subscriptions/"
    return [
        entry["resource"]
        for entry in found
        if ours in entry["resource"]["channel"].get("endpoint", "")
    ]


def store_result(base: str, identity: str) -> None:
    put(base, [observation(ALT, 1, id=identity)])


def is_proved(sent: Sent, row: Registration) -> bool:
    scheme, _, secret = sent.headers["Authorization"].partition(" ")
    return scheme == "Bearer" and hashed(secret) == row.secret


def test_by_criteria_it_sends_the_resource_with_the_secret(
    command: Command, base: str, receiver: Receiver, url: str
) -> None:
    made = command("subscribe", "--server", "local", "--kind", "criteria")
    again = command("subscribe", "--server", base, "--kind", "criteria", "--json")

    assert (made.exit_code, again.exit_code) == (0, 0), made.output + again.output
    assert "made, active" in made.output
    assert json.loads(again.stdout)["made"] is False
    assert json.loads(again.stdout)["differences"] == []
    assert len(subscriptions_at(base, receiver)) == 1
    (row,) = rows_at(url)

    store_result(base, "with-payload")

    sent = receiver.wait_for(lambda request: request.path.endswith("/Observation/with-payload"))
    assert (sent.method, sent.path.split("/")[2]) == ("PUT", row.path)
    assert sent.resource["id"] == "with-payload"
    assert is_proved(sent, row)


def test_by_criteria_without_payload_it_sends_an_empty_body(
    command: Command, base: str, receiver: Receiver, url: str
) -> None:
    made = command("subscribe", "--server", "local", "--kind", "criteria", "--content", "empty")

    assert made.exit_code == 0, made.output
    (row,) = rows_at(url)
    store_result(base, "without-payload")
    sent = receiver.wait_for(lambda request: request.method == "POST")
    assert (sent.path, sent.body) == (f"/subscriptions/{row.path}", b"")
    assert is_proved(sent, row)


@pytest.mark.parametrize("content", ["empty", "id-only", "full-resource"])
def test_on_a_topic_it_shakes_hands_and_sends_events(
    command: Command, base: str, receiver: Receiver, url: str, content: str
) -> None:
    made = command("subscribe", "--server", "local", "--content", content, "--heartbeat", "60")

    assert made.exit_code == 0, made.output
    (row,) = rows_at(url)
    assert (row.kind, row.what, row.content, row.heartbeat_seconds) == ("topic", TOPIC, content, 60)
    assert is_proved(receiver.wait_for(lambda request: request.is_about("handshake")), row)

    store_result(base, f"event-{content}")

    assert is_proved(receiver.wait_for(lambda request: request.is_about("event-notification")), row)
    status = command("subscriptions", "status", "--json")
    (said,) = json.loads(status.stdout)
    # This receiver keeps nothing in the database: so the status tells of an event that was lost.
    assert (status.exit_code, said["status"], said["delivery"], said["events"]) == (
        1,
        "active",
        "never delivered",
        1,
    )
    assert said["problems"] == ["the server has sent 1 events, and 0 arrived"]


def test_a_renewed_one_sends_another_secret(
    command: Command, base: str, receiver: Receiver, url: str
) -> None:
    command("subscribe", "--server", "local", "--kind", "criteria")
    (before,) = rows_at(url)

    renewed = command("subscriptions", "renew", "--days", "30")

    (row,) = rows_at(url)
    assert (renewed.exit_code, row.path) == (0, before.path), renewed.output
    assert row.secret != before.secret
    assert row.expires is not None
    store_result(base, "renewed")
    assert is_proved(receiver.wait_for(lambda request: request.path.endswith("/renewed")), row)


def test_one_that_is_off_sends_nothing(
    command: Command, base: str, receiver: Receiver, url: str
) -> None:
    command("subscribe", "--server", "local", "--kind", "criteria")
    listed = command("subscriptions", "list")
    assert ": active, by criteria, full-resource" in listed.output

    ended = command("subscriptions", "off", "--server", "local")

    assert (ended.exit_code, ": off, " in ended.output) == (0, True)
    assert [subscription["status"] for subscription in subscriptions_at(base, receiver)] == ["off"]
    (row,) = json.loads(command("subscriptions", "list", "--json").stdout)
    assert row["status"] == "off"
    assert command("subscriptions", "status").exit_code == 0
    assert command("subscriptions", "renew").exit_code == 0
    assert [subscription["status"] for subscription in subscriptions_at(base, receiver)] == ["off"]


def test_a_topic_that_it_does_not_know_is_refused(command: Command, url: str) -> None:
    refused = command("subscribe", "--server", "local", "--topic", "https://x.example/unknown")

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "the server does not know this topic" in refused.stderr
    assert rows_at(url) == ()


def test_an_endpoint_that_does_not_answer_is_told(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as gone:
        monkeypatch.setenv("CDS_PUBLIC_URL", f"http://127.0.0.1:{gone.port}")

    failed = command("subscribe", "--server", "local")

    assert failed.exit_code == 1
    assert "the server says" in failed.output


def test_what_the_service_receives_is_seen_in_the_status(base: str, url: str) -> None:
    with serving(profile="development", database_url=url) as port:
        run = CliRunner(
            env={"CDS_PROFILE": "development", "CDS_PORT": str(port), "CDS_DATABASE_URL": url}
        ).invoke
        for more in (["--kind", "criteria"], ["--kind", "topic", "--topic", TOPIC]):
            made = run(cli, ["subscribe", "--server", base, *more])
            assert made.exit_code == 0, made.output

        store_result(base, "received")

        end = monotonic() + PATIENCE
        while True:
            status = run(cli, ["subscriptions", "status", "--json"])
            found = json.loads(status.stdout)
            if all(row["lastReceived"] for row in found) and found[1]["lastEvent"] == 1:
                break
            assert monotonic() < end, status.output
            sleep(0.2)
        ended = run(cli, ["subscriptions", "off", "--all"])

    assert (status.exit_code, ended.exit_code) == (0, 0), status.output
    assert [row["problems"] for row in found] == [[], []]
    assert all(row["delivery"].startswith("last notification") for row in found)


def test_wrong_use_is_exit_2(command: Command) -> None:
    assert command("subscribe", "--server", "unknown").exit_code == 2
    assert command("subscribe").exit_code == 2
    assert command("subscriptions", "off").exit_code == 2


def test_with_a_token_of_its_own_it_writes_no_more_than_subscriptions(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    add_key(keys, "ES384", system_clock())
    client = {
        "client_id": "lab-cds",
        "jwks": KeyFile(keys).current().published(),
        "scopes": "system/Subscription.cruds system/Observation.rs",
    }
    with (
        receiving() as receiver,
        running(server_auth={"types": ["smart"], "smart_clients": [client]}) as base,
    ):
        servers = tmp_path / "servers.yaml"
        servers.write_text(
            f"servers:\n  - base: {base}\n    this machine: yes\n    client id: lab-cds\n",
            encoding="utf-8",
        )
        run = CliRunner(
            env={
                "CDS_FHIR_SERVERS": str(servers),
                "CDS_SIGNING_KEYS": str(keys),
                "CDS_PUBLIC_URL": f"http://127.0.0.1:{receiver.port}",
                "CDS_DATABASE_URL": f"sqlite:///{tmp_path / 'service.db'}",
            }
        ).invoke
        made = run(cli, ["subscribe", "--server", base])
        status = run(cli, ["subscriptions", "status"])

    assert (made.exit_code, status.exit_code) == (0, 0), made.output + status.output
