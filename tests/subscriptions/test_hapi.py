# SPDX-License-Identifier: Apache-2.0
"""The commands about Subscriptions against HAPI FHIR, which differs from sekmet in many ways."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from uuid import uuid4

import pytest
import requests
from click.testing import CliRunner, Result

from cds_service.cli import cli
from cds_service.store.engine import open_store
from cds_service.subscriptions.credentials import hashed
from cds_service.subscriptions.registration import Registration, RegistrationTable
from tests.fhir_server.sekmet import put
from tests.subscriptions.notified import TOPIC, Receiver, Sent, receiving, topic_of_observations
from tests.web.http_fixtures import ALT, observation, patient

# The fixture `hapi` gives its tests their markers.
Command = Callable[..., Result]
TOPIC_PATIENCE = 30  # seconds in which HAPI reads a topic that was stored


@pytest.fixture(name="receiver")
def _receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(name="url")
def _url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'service.db'}"


@pytest.fixture(name="command")
def _command(hapi: str, receiver: Receiver, url: str) -> Iterator[Command]:
    """Runs a command, and ends what it registered."""
    environment = {
        "CDS_PROFILE": "development",
        "CDS_PORT": str(receiver.port),
        "CDS_DATABASE_URL": url,
        "PATH": os.environ["PATH"],
    }

    def run(*words: str) -> Result:
        return CliRunner(env=environment).invoke(cli, words)

    yield run
    ended = run("subscriptions", "off", "--all")
    assert ended.exit_code == 0, ended.output


def only(url: str) -> Registration:
    store = open_store(url)
    try:
        (row,) = RegistrationTable(store.database).all()
    finally:
        store.close()
    return row


def store_result(base: str) -> str:
    """Store a result of a patient of its own: tests run at the same time."""
    identity = f"of-{uuid4()}"  # HAPI takes no id of digits alone
    subject = {"reference": f"Patient/{identity}"}
    put(base, [patient(id=identity), observation(ALT, 1, id=identity, subject=subject)])
    return identity


def is_proved(sent: Sent, row: Registration) -> bool:
    headers = {name.lower(): value for name, value in sent.headers.items()}
    return hashed(headers["authorization"].removeprefix("Bearer ")) == row.secret


def test_by_criteria_it_puts_the_resource(
    command: Command, hapi: str, receiver: Receiver, url: str
) -> None:
    first = command("subscribe", "--server", hapi)
    second = command("subscribe", "--server", hapi, "--json")

    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
    said = json.loads(second.stdout)
    assert (said["made"], said["status"], said["differences"]) == (False, "active", [])
    identity = store_result(hapi)
    sent = receiver.wait_for(lambda request: identity in request.path)
    assert (sent.method, sent.resource["resourceType"]) == ("PUT", "Observation")
    assert is_proved(sent, only(url))


def test_by_criteria_without_payload_it_posts_nothing(
    command: Command, hapi: str, receiver: Receiver, url: str
) -> None:
    made = command("subscribe", "--server", hapi, "--content", "empty")

    assert made.exit_code == 0, made.output
    store_result(hapi)
    sent = receiver.wait_for(lambda request: request.method == "POST")
    assert sent.body == b""
    assert is_proved(sent, only(url))


def test_on_a_topic_that_it_knows_it_sends_events(
    command: Command, hapi: str, receiver: Receiver, url: str
) -> None:
    put(hapi, [topic_of_observations()])
    made = command("subscribe", "--server", hapi, "--kind", "topic", "--topic", TOPIC)
    assert made.exit_code == 0, made.output

    end = monotonic() + TOPIC_PATIENCE
    while not any(request.is_about("event-notification") for request in receiver.sent):
        assert monotonic() < end, receiver.sent
        store_result(hapi)
        sleep(1)

    event = next(request for request in receiver.sent if request.is_about("event-notification"))
    assert is_proved(event, only(url))


def test_a_topic_that_it_does_not_know_is_active_and_never_delivers(
    command: Command, hapi: str, receiver: Receiver
) -> None:
    topic = f"https://x.example/topics/{uuid4()}"

    made = command("subscribe", "--server", hapi, "--kind", "topic", "--topic", topic)

    if made.exit_code != 0:  # some versions refuse it, which is as good
        assert "the server was sent the Subscription" in made.stderr
        return
    assert "never delivered yet" in made.output
    store_result(hapi)
    (said,) = json.loads(command("subscriptions", "status", "--json").stdout)
    assert (said["status"], said["delivery"]) == ("active", "never delivered")
    assert said["newestResult"] is not None
    assert receiver.sent == []


def test_a_lost_database_makes_no_second_subscription(
    command: Command, hapi: str, receiver: Receiver, url: str
) -> None:
    command("subscribe", "--server", hapi)
    before = only(url)
    Path(url.removeprefix("sqlite:///")).unlink()

    again = command("subscribe", "--server", hapi)

    assert again.exit_code == 0, again.output
    assert (only(url).path, only(url).remote_id) == (before.path, before.remote_id)
    found = requests.get(f"{hapi}/Subscription?status=active&_count=200", timeout=30).json()
    ours = f":{receiver.port}/subscriptions/"
    endpoints = [entry["resource"]["channel"]["endpoint"] for entry in found["entry"]]
    assert len([endpoint for endpoint in endpoints if ours in endpoint]) == 1
