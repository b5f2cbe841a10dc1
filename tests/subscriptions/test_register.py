# SPDX-License-Identifier: Apache-2.0
"""Registering against a server that loses answers, refuses, changes and forgets."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cds_service.fhir_client.client import Access, FhirClient, NoToken
from cds_service.fhir_client.servers import ANYWHERE, Server
from cds_service.fhir_client.writer import FhirWriter
from cds_service.store.engine import open_store
from cds_service.subscriptions.credentials import hashed, unseal
from cds_service.subscriptions.health import health_of
from cds_service.subscriptions.register import Registrar, renewal_plan
from cds_service.subscriptions.registration import Registration, RegistrationTable
from cds_service.subscriptions.remote_subscriptions import RegistrationError, RemoteSubscriptions
from cds_service.subscriptions.resource import HMAC_KEY, differences, stored_subscription
from cds_service.subscriptions.write_subscription import SubscriptionSender
from tests.fhir_client.faulty import Faulty, Reply, faulty
from tests.subscriptions.subscribing import KEY, NOW, PLAN, TOPIC, Subscribing

Json = dict[str, Any]


@pytest.fixture(name="server")
def _server() -> Iterator[tuple[Faulty, Subscribing]]:
    with faulty() as state:
        behaviour = Subscribing()
        state.answers = behaviour  # type: ignore[assignment]
        yield state, behaviour


@pytest.fixture(name="held")
def _held(server: tuple[Faulty, Subscribing]) -> Subscribing:
    return server[1]


@pytest.fixture(name="rows")
def _rows() -> Iterator[RegistrationTable]:
    store = open_store("sqlite://")
    yield RegistrationTable(store.database)
    store.close()


@pytest.fixture(name="remote")
def _remote(server: tuple[Faulty, Subscribing]) -> RemoteSubscriptions:
    access = Access(Server(base=server[0].base, policy=ANYWHERE), NoToken())
    return RemoteSubscriptions(
        access=access, client=FhirClient(most_bytes=1_000_000, most_pages=10)
    )


@pytest.fixture(name="registrar")
def _registrar(remote: RemoteSubscriptions, rows: RegistrationTable) -> Registrar:
    sender = SubscriptionSender(
        remote=remote,
        writer=FhirWriter(most_bytes=1_000_000),
        wait_seconds=0,
        pause=lambda _: None,
    )
    return Registrar(sender=sender, rows=rows, clock=lambda: NOW, key_setting=KEY)


def only(rows: RegistrationTable) -> Registration:
    (row,) = rows.all()
    return row


def secret_of(held: Subscribing) -> bytes:
    return hashed(stored_subscription(held.only).secret or "")


def test_it_is_made_once_and_written_again_with_another_secret(
    registrar: Registrar, rows: RegistrationTable, held: Subscribing
) -> None:
    first = registrar.subscribe(PLAN)
    secret = secret_of(held)
    assert (first.made, first.registration.status, first.differences) == (True, "active", ())
    assert (only(rows).secret, only(rows).secret_before) == (secret, None)

    second = registrar.subscribe(replace(PLAN, results="code=http://loinc.org|1743-4"))

    assert (second.made, second.reference, second.endpoint) == (
        False,
        first.reference,
        first.endpoint,
    )
    assert held.only["criteria"] == only(rows).what == "Observation?code=http://loinc.org|1743-4"
    assert secret_of(held) != secret
    assert (only(rows).secret, only(rows).secret_before) == (secret_of(held), None)


@pytest.mark.parametrize("hides", [False, True])
def test_a_lost_answer_doubles_nothing(
    registrar: Registrar, rows: RegistrationTable, held: Subscribing, hides: bool
) -> None:
    held.cuts, held.hides = 1, hides

    found = registrar.subscribe(PLAN)

    assert (found.registration.status, only(rows).remote_id) == ("active", held.only["id"])
    assert (only(rows).secret, only(rows).secret_before) == (secret_of(held), None)


def test_the_old_secret_counts_until_the_new_one_is_confirmed(
    registrar: Registrar, rows: RegistrationTable, held: Subscribing
) -> None:
    registrar.subscribe(PLAN)
    before = secret_of(held)
    held.refuses = Reply(status=500)

    with pytest.raises(RegistrationError) as caught:
        registrar.subscribe(PLAN)

    assert caught.value.outside
    assert only(rows).secret_before == before
    held.refuses = None
    registrar.subscribe(PLAN)
    assert (only(rows).secret, only(rows).secret_before) == (secret_of(held), None)


def test_a_server_that_goes_on_with_another_secret_ends_none(
    registrar: Registrar, rows: RegistrationTable, held: Subscribing
) -> None:
    registrar.subscribe(PLAN)
    before = secret_of(held)
    held.keep = lambda *_, **__: Reply(held.only)  # type: ignore[method-assign]

    found = registrar.subscribe(PLAN)

    assert [difference.element for difference in found.differences] == ["header"]
    assert only(rows).secret_before == before


def test_what_the_server_refuses_leaves_no_row_and_no_secret_in_the_error(
    registrar: Registrar, rows: RegistrationTable, held: Subscribing
) -> None:
    def refusing(sent: Json, *_: object, **__: object) -> Reply:
        header = sent["channel"]["header"][0]
        held.sees.append(header)
        issue = {"severity": "error", "code": "invalid", "diagnostics": f"no criteria; {header}"}
        return Reply({"resourceType": "OperationOutcome", "issue": [issue]}, 422)

    held.keep = refusing  # type: ignore[method-assign]

    with pytest.raises(RegistrationError, match="no criteria; Authorization: Bearer") as caught:
        registrar.subscribe(PLAN)

    assert not caught.value.outside
    assert held.sees[0].rpartition(" ")[2] not in str(caught.value)
    assert rows.all() == ()


def test_ours_is_found_again_without_a_database(
    registrar: Registrar, rows: RegistrationTable, held: Subscribing
) -> None:
    first = registrar.subscribe(PLAN)
    held.stored["9"] = {
        **held.only,
        "id": "9",
        "channel": {"type": "rest-hook", "endpoint": "https://other.example/subscriptions/x"},
    }
    store = open_store("sqlite://")
    empty = RegistrationTable(store.database)

    second = replace(registrar, rows=empty).subscribe(PLAN)

    assert (second.made, second.reference, second.endpoint) == (
        False,
        first.reference,
        first.endpoint,
    )
    assert only(empty).secret == hashed(stored_subscription(held.stored["1"]).secret or "")
    store.close()


def test_one_that_the_server_lost_is_made_again_and_counts_anew(
    registrar: Registrar, rows: RegistrationTable, held: Subscribing
) -> None:
    registrar.subscribe(PLAN)
    held.stored = {"1": {"resourceType": "Subscription", "id": "1", "meta": {"versionId": "1"}}}

    found = registrar.subscribe(PLAN)

    assert (found.made, found.reference) == (True, "Subscription/2")
    assert only(rows).remote_id == "2"


def test_a_double_is_set_off(registrar: Registrar, held: Subscribing) -> None:
    registrar.subscribe(PLAN)
    held.stored["2"] = {**held.only, "id": "2"}

    found = registrar.subscribe(PLAN)

    assert found.reference == "Subscription/1"
    assert {name: subscription["status"] for name, subscription in held.stored.items()} == {
        "1": "active",
        "2": "off",
    }


def test_a_public_url_that_changed_is_written(registrar: Registrar, held: Subscribing) -> None:
    registrar.subscribe(PLAN)

    found = registrar.subscribe(replace(PLAN, endpoints="https://new.example/subscriptions"))

    assert not found.made
    assert held.only["channel"]["endpoint"] == found.endpoint
    assert found.endpoint.startswith("https://new.example/subscriptions/")


def test_a_version_that_changed_meanwhile_is_read_again(
    registrar: Registrar, held: Subscribing
) -> None:
    registrar.subscribe(PLAN)
    held.conflicts = 2
    assert registrar.subscribe(PLAN).registration.status == "active"
    held.conflicts = 99

    with pytest.raises(RegistrationError, match="again and again"):
        registrar.subscribe(PLAN)


def test_one_that_stays_requested_is_written_again_as_active(
    registrar: Registrar, held: Subscribing
) -> None:
    held.activates = False

    found = registrar.subscribe(PLAN)

    assert (held.sees, found.registration.status) == (["requested", "active"], "active")
    assert found.written_as_active


def test_a_topic_that_waits_for_its_handshake_is_not_forced(
    registrar: Registrar, held: Subscribing
) -> None:
    held.activates, held.topics = False, (TOPIC,)

    found = registrar.subscribe(replace(PLAN, topic=TOPIC))

    assert (found.registration.kind, found.registration.status) == ("topic", "requested")


def test_a_topic_that_the_server_does_not_list_is_refused_before_it_is_sent(
    registrar: Registrar, rows: RegistrationTable, held: Subscribing
) -> None:
    held.topics = ("https://fhir.example.org/topics/other",)

    with pytest.raises(RegistrationError, match=r"does not know this topic; it lists .*other"):
        registrar.subscribe(replace(PLAN, topic=TOPIC))

    assert (held.stored, rows.all()) == ({}, ())


def test_what_cannot_be_asked_for_is_refused(registrar: Registrar) -> None:
    with pytest.raises(RegistrationError, match="name the topic"):
        registrar.subscribe(replace(PLAN, kind="topic"))
    with pytest.raises(RegistrationError, match="no content id-only"):
        registrar.subscribe(replace(PLAN, content_matters=True))
    with pytest.raises(RegistrationError, match="set CDS_SUBSCRIPTION_KEY"):
        replace(registrar, key_setting=None).subscribe(replace(PLAN, hmac_key=""))


@pytest.mark.parametrize(
    ("version", "topics", "topic", "kind"),
    [
        ("4.0.1", (), None, "criteria"),
        ("4.0.1", (), TOPIC, "criteria"),
        ("4.0.1", (TOPIC,), None, "criteria"),
        ("4.0.1", (f"{TOPIC}|1.0",), TOPIC, "topic"),
        ("5.0.0", (), TOPIC, "r5"),
    ],
)
def test_the_kind_is_what_the_server_declares(
    registrar: Registrar,
    held: Subscribing,
    version: str,
    topics: tuple[str, ...],
    topic: str | None,
    kind: str,
) -> None:
    held.version, held.topics = version, topics

    found = registrar.subscribe(replace(PLAN, topic=topic))

    assert (found.registration.kind, stored_subscription(held.only).kind) == (kind, kind)


def test_an_hmac_key_is_kept_encrypted_and_stays_when_it_is_written_again(
    registrar: Registrar, rows: RegistrationTable, held: Subscribing
) -> None:
    registrar.subscribe(replace(PLAN, hmac_key=""))
    (extension,) = held.only["extension"]

    registrar.subscribe(PLAN)

    row = only(rows)
    assert extension["url"] == HMAC_KEY
    assert held.only["extension"] == [extension]
    assert unseal(row.hmac_key or b"", row.path, KEY) == extension["valueString"]
    with pytest.raises(RegistrationError, match="does not open"):
        replace(registrar, key_setting="z" * 32).subscribe(PLAN)


def test_it_is_renewed_as_it_is_with_a_later_end(
    registrar: Registrar, rows: RegistrationTable, held: Subscribing, remote: RemoteSubscriptions
) -> None:
    held.topics = (TOPIC,)
    registrar.subscribe(
        replace(
            PLAN,
            topic=TOPIC,
            content="full-resource",
            heartbeat_seconds=60,
            timeout_seconds=5,
            max_count=7,
            days=3,
            results="",
        )
    )
    before = held.only
    assert only(rows).expires == NOW + timedelta(days=3)

    plan = renewal_plan(only(rows), remote, replace(PLAN, payload=False))
    registrar.subscribe(replace(plan, days=30))

    assert [difference.element for difference in differences(before, held.only)] == [
        "end",
        "header",
    ]
    assert only(rows).expires == NOW + timedelta(days=30)
    assert only(rows).heartbeat_seconds == 60


def test_it_is_set_off_and_on_again(
    registrar: Registrar, rows: RegistrationTable, held: Subscribing
) -> None:
    registrar.subscribe(PLAN)

    assert registrar.end(only(rows))
    assert (held.only["status"], only(rows).status) == ("off", "off")
    assert registrar.subscribe(PLAN).registration.status == "active"
    held.stored = {}
    assert not registrar.end(only(rows))


def health(
    remote: RemoteSubscriptions, rows: RegistrationTable, later: timedelta, **changes: Any
) -> tuple[str, str, str]:
    row = replace(only(rows), **changes)
    found = health_of(row, remote, rows, "Observation?code=x", NOW + later)
    return found.status, found.delivery, "; ".join(found.problems)


HOUR, MINUTES = timedelta(hours=1), timedelta(minutes=5)


def test_active_proves_nothing(
    registrar: Registrar, rows: RegistrationTable, held: Subscribing, remote: RemoteSubscriptions
) -> None:
    registrar.subscribe(PLAN)
    assert health(remote, rows, HOUR) == ("active", "never delivered", "")
    held.newest = (NOW + MINUTES).isoformat()

    assert "no notification came since" in health(remote, rows, HOUR)[2]
    came = NOW + 2 * MINUTES
    assert health(remote, rows, HOUR, last_received=came) == (
        "active",
        f"last notification {came.isoformat()}",
        "",
    )
    assert health(remote, rows, MINUTES)[2] == ""  # it may still be on its way


def test_events_that_did_not_arrive_and_heartbeats_that_stopped_are_problems(
    registrar: Registrar, rows: RegistrationTable, held: Subscribing, remote: RemoteSubscriptions
) -> None:
    held.topics, held.events = (TOPIC,), 5
    registrar.subscribe(replace(PLAN, topic=TOPIC, heartbeat_seconds=60))

    minute = timedelta(minutes=1)
    assert health(remote, rows, minute)[2] == "the server has sent 5 events, and 0 arrived"
    assert health(remote, rows, minute, last_event=5)[2] == ""
    assert health(remote, rows, minute, numbered=False)[2] == ""
    late = health(remote, rows, MINUTES, last_event=5)[2]
    assert late == "no heartbeat came within twice 60 seconds"


def test_an_end_that_comes_near_is_a_problem(
    registrar: Registrar, rows: RegistrationTable, held: Subscribing, remote: RemoteSubscriptions
) -> None:
    registrar.subscribe(replace(PLAN, days=10))

    assert health(remote, rows, timedelta(days=6))[2] == ""
    assert "renew it" in health(remote, rows, timedelta(days=8))[2]


@pytest.mark.parametrize(
    ("held_as", "status", "problem"),
    [
        ({"status": "error", "error": "no route"}, "error", "the server has it as error: no route"),
        ({"status": "off"}, "off", "the server has set the Subscription off"),
        (None, "gone", "the server no longer has this Subscription"),
    ],
)
def test_what_became_of_it_on_the_server_is_a_problem(
    registrar: Registrar,
    rows: RegistrationTable,
    held: Subscribing,
    remote: RemoteSubscriptions,
    held_as: Json | None,
    status: str,
    problem: str,
) -> None:
    registrar.subscribe(PLAN)
    held.stored = {} if held_as is None else {"1": {**held.only, **held_as}}

    assert health(remote, rows, HOUR) == (status, "never delivered", problem)


def test_a_server_that_is_away_is_not_a_subscription_that_is_gone(
    registrar: Registrar, rows: RegistrationTable, server: tuple[Faulty, Subscribing]
) -> None:
    registrar.subscribe(PLAN)
    server[0].answers = {"Subscription/1": Reply(status=500)}

    with pytest.raises(RegistrationError) as caught:
        health_of(only(rows), registrar.remote, rows, "Observation?code=x", NOW)
    assert caught.value.outside
    assert only(rows).status == "active"
