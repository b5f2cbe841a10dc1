# SPDX-License-Identifier: Apache-2.0
"""Notifications over HTTP: who may send them, what is kept before they are acknowledged."""

import hmac
import json
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr
from sqlalchemy import insert, select, update
from werkzeug.test import TestResponse

from cds_service.errors import SettingsError, StoreError
from cds_service.settings import Settings
from cds_service.store import Store
from cds_service.store.tables import inbox_items, inbox_queue, subscriptions
from cds_service.subscriptions.credentials import hashed, seal
from cds_service.subscriptions.registration import Registration
from cds_service.web import create_app
from tests.subscriptions.inbox_fixtures import NOW, queued, rows
from tests.subscriptions.senders import Json, Sent, every_request
from tests.web.http_fixtures import knowledge

SERVER = "https://fhir.example.org/r4"
PATH = "unguessable-path"
SECRET = "example-secret"  # what the recorded requests carry
TOPIC = "https://example.org/SubscriptionTopic/result"
KEY = "k" * 32
CANARY = "ZZTESTNAME"
REGISTERED = Registration(
    path=PATH,
    server=SERVER,
    kind="topic",
    content="id-only",
    what=TOPIC,
    secret=hashed(SECRET),
    created=NOW,
)


@pytest.fixture
def http(store: Store) -> FlaskClient:
    register(store)
    return client(store)


def register(store: Store, **more: Any) -> None:
    registration = replace(REGISTERED, **more)
    values = {name: getattr(registration, name) for name in Registration.__slots__}
    with store.database.writing() as connection:
        connection.execute(insert(subscriptions).values(**values))


def client(store: Store, **settings: Any) -> FlaskClient:
    made = create_app(Settings(**settings), clock=lambda: NOW, knowledge=knowledge(), store=store)
    return made.test_client()


def send(
    http: FlaskClient,
    body: Any = b"",
    method: str = "POST",
    below: str = "",
    headers: Json | None = None,
) -> TestResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    usual = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/fhir+json"}
    return http.open(
        f"/subscriptions/{PATH}{below}",
        method=method,
        data=raw,
        headers=usual if headers is None else headers,
    )


def observation(**more: Any) -> Json:
    meta = {"versionId": "1", "lastUpdated": "2026-06-15T08:59:59Z"}
    usual = {"resourceType": "Observation", "id": "o1", "meta": meta}
    return {**usual, "subject": {"reference": "Patient/p1"}, **more}


def status(kind: str, total: int, *events: tuple[int, str | None], **more: Any) -> Json:
    listed = [
        {"eventNumber": str(n), **({"focus": {"reference": focus}} if focus else {})}
        for n, focus in events
    ]
    first = {
        "resourceType": "SubscriptionStatus",
        "type": kind,
        "status": "active",
        "eventsSinceSubscriptionStart": str(total),
        **({"notificationEvent": listed} if listed else {}),
        **more,
    }
    return {"resourceType": "Bundle", "type": "history", "entry": [{"resource": first}]}


def registration_row(store: Store) -> Any:
    (row,) = rows(store, subscriptions)
    return row


@pytest.mark.parametrize("sent", tuple(every_request()), ids=lambda sent: sent.name)
def test_every_sender_is_answered_200_and_kept(store: Store, sent: Sent) -> None:
    register(store, kind="criteria", server=sent.server)
    headers = {**sent.headers, "Authorization": f"Bearer {SECRET}"}

    answer = send(
        client(store),
        sent.body,
        sent.method,
        f"/{sent.sub_path}" if sent.sub_path else "",
        headers,
    )

    assert answer.status_code == 200
    assert answer.content_type.startswith("application/fhir+json")
    kept = {(row.type, row.resource_id, row.gone) for row in rows(store, inbox_items)}
    assert kept == {
        (resource["type"], resource["id"], resource["gone"])
        for resource in sent.expected["resources"]
    }
    is_searched = sent.expected["search"] or "an error" in sent.name
    assert (f"search:{PATH}" in queued(store)) == is_searched


def test_a_bundle_is_answered_by_a_bundle(http: FlaskClient) -> None:
    answer = send(http, status("heartbeat", 0))

    assert json.loads(answer.data) == {"resourceType": "Bundle", "type": "transaction-response"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {SECRET}"},
        {"Authorization": "Bearer "},
        {"X-Hub-Signature": "sha256=00"},
    ],
)
def test_without_the_secret_nothing_is_read_or_kept(
    http: FlaskClient, store: Store, headers: Json
) -> None:
    for body in (observation(), b"", b"no JSON"):
        answer = send(http, body, headers=headers)

        assert answer.status_code == 401
        assert answer.get_json()["resourceType"] == "OperationOutcome"
    assert rows(store, inbox_items) == rows(store, inbox_queue) == []
    assert registration_row(store).last_received is None


def test_the_secret_before_counts_until_the_new_one_is_confirmed(store: Store) -> None:
    register(store, secret=hashed("new"), secret_before=hashed(SECRET))
    http = client(store)

    assert send(http).status_code == 200
    assert send(http, headers={"Authorization": "bearer new"}).status_code == 200


def test_an_unknown_path_is_nothing(http: FlaskClient) -> None:
    unknown = http.post("/subscriptions/unknown", headers={"Authorization": f"Bearer {SECRET}"})
    other = http.post("/no-such-address")

    assert (unknown.status_code, other.status_code) == (404, 404)
    assert PATH not in unknown.text


def test_a_signature_over_the_bytes_stands_for_the_secret(store: Store) -> None:
    register(store, secret=None, hmac_key=seal("the key", PATH, KEY))
    http = client(store, subscription_key=SecretStr(KEY))
    body = json.dumps(observation()).encode()
    signed = hmac.new(b"the key", body, sha256).hexdigest()

    for name, value in {"X-Hub-Signature": f"sha256={signed}", "X-Signature": signed}.items():
        assert send(http, body, headers={name: value}).status_code == 200
        assert send(http, body + b" ", headers={name: value}).status_code == 401
        assert send(http, body, headers={name: value[:-1] + "é"}).status_code == 401
    assert send(http, body, headers={}).status_code == 401


def test_a_key_that_cannot_be_opened_is_found_at_start(store: Store) -> None:
    register(store, hmac_key=seal("the key", PATH, "another" * 5))

    for settings in ({}, {"subscription_key": SecretStr(KEY)}):
        with pytest.raises(SettingsError, match="CDS_SUBSCRIPTION_KEY"):
            client(store, **settings)
    with store.database.writing() as connection:
        connection.execute(update(subscriptions).values(switched_off=NOW))
    client(store)


def test_a_key_that_cannot_be_opened_is_nothing_for_who_sends(store: Store) -> None:
    http = client(store)
    register(store, hmac_key=seal("the key", PATH, "another" * 5))

    assert send(http, headers={"X-Signature": "00"}).status_code == 401
    assert send(http).status_code == 200  # the secret counts still


@pytest.mark.parametrize(
    ("body", "status_code"),
    [
        (b"<Observation/>", 400),
        (b"[" * 100, 413),
        (b" " * 2048, 413),
        ({"resourceType": CANARY, "id": CANARY}, 400),
        ({"resourceType": "Observation", "id": {CANARY: CANARY}}, 400),
        (status("event-notification", 1, (1, f"{CANARY}/1")), 400),
        (status(CANARY, 1), 400),
        (status("heartbeat", 1, topic=f"https://example.org/{CANARY}"), 400),
        (status("heartbeat", 1, subscription={"reference": "Subscription/other"}), 400),
        (status("event-notification", 1, (1, f"https://{CANARY}.example/Observation/1")), 400),
    ],
)
def test_what_cannot_be_read_is_refused_in_words_without_data(
    store: Store, body: Any, status_code: int
) -> None:
    register(store, remote_id="s1")

    answer = send(client(store, max_notification_bytes=1024), body)

    assert answer.status_code == status_code
    assert answer.get_json()["issue"][0]["diagnostics"]
    assert CANARY not in answer.text
    assert rows(store, inbox_items) == []


def test_a_subscription_may_be_heard_of_before_its_id_is_known(store: Store) -> None:
    register(store, remote_id="")

    parameters = status("handshake", 0, subscription={"reference": f"{SERVER}/Subscription/new"})

    assert send(client(store), parameters).status_code == 200


def test_what_is_acknowledged_is_kept(http: FlaskClient, store: Store) -> None:
    for _ in range(3):
        assert send(http, observation(), "PUT", "/Observation/o1").status_code == 200

    (row,) = rows(store, inbox_items)
    assert (row.server, row.patient, row.version, row.state) == (SERVER, "p1", "1", "waiting")
    assert queued(store) == ["p1"]


def test_without_a_database_nothing_is_acknowledged(
    http: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise StoreError("The database does not answer.")

    monkeypatch.setattr(store.database, "writing", fail)

    answer = send(http, observation())

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")


def test_a_thousand_empty_notifications_ask_for_one_search(http: FlaskClient, store: Store) -> None:
    for _ in range(1000):
        assert send(http).status_code == 200

    assert queued(store) == [f"search:{PATH}"]
    assert rows(store, inbox_items) == []


def test_a_thousand_false_posts_leave_no_trace(http: FlaskClient, store: Store) -> None:
    for number in range(1000):
        assert send(http, headers={"Authorization": f"Bearer {number}"}).status_code == 401

    assert rows(store, inbox_items) == rows(store, inbox_queue) == []


def test_a_resource_of_another_server_is_left_out(http: FlaskClient, store: Store) -> None:
    foreign = "https://elsewhere.example.com/Observation/o1"

    answer = send(http, status("event-notification", 2, (1, foreign), (2, "Observation/o2")))

    assert answer.status_code == 200
    assert [row.resource_id for row in rows(store, inbox_items)] == ["o2"]


def test_events_that_were_skipped_are_asked_for_after_a_while(
    http: FlaskClient, store: Store
) -> None:
    send(http, status("handshake", 0))
    send(http, status("event-notification", 1, (1, "Observation/o1")))
    assert f"gap:{PATH}" not in queued(store)

    send(http, status("event-notification", 3, (3, "Observation/o3")))

    row = registration_row(store)
    assert (row.last_event, row.missing) == (3, [[2, 2]])
    with store.database.reading() as connection:
        due = connection.execute(
            select(inbox_queue.c.due).where(inbox_queue.c.patient == f"gap:{PATH}")
        ).scalar_one()
    assert due == NOW + timedelta(seconds=10)

    send(http, status("event-notification", 3, (2, "Observation/o2")))
    assert registration_row(store).missing == []


def test_where_events_are_not_numbered_through_none_is_missing(store: Store) -> None:
    register(store, numbered=False)
    http = client(store)
    for _ in range(2):
        send(http, status("event-notification", 2, (1, "Observation/o1"), (2, "Observation/o2")))
        send(http, status("event-notification", 9, (9, "Observation/o9")))

    assert registration_row(store).last_event is None
    assert f"gap:{PATH}" not in queued(store)


def test_what_the_server_says_of_the_subscription_is_kept(http: FlaskClient, store: Store) -> None:
    send(http, status("heartbeat", 0, status="error"))

    row = registration_row(store)
    assert (row.status, row.last_received) == ("error", NOW)
    assert f"search:{PATH}" in queued(store)  # something may have been lost


def test_the_inbox_shows_in_ready_and_metrics(http: FlaskClient) -> None:
    send(http, observation())

    assert http.get("/ready").get_json()["inbox"] == {"waiting": 1, "dead": 0, "refused": 0}
    samples = http.get("/metrics").text.splitlines()
    assert "cds_inbox_waiting 1.0" in samples
    assert 'cds_notifications_total{kind="resource"} 1.0' in samples


def test_a_number_far_off_makes_one_search_and_counting_begins_anew(
    http: FlaskClient, store: Store
) -> None:
    send(http, status("event-notification", 5, (5, "Observation/o5")))
    send(http, status("event-notification", 9_000_000_000_000_000_000))

    assert f"search:{PATH}" in queued(store)
    assert f"gap:{PATH}" not in queued(store)
    assert registration_row(store).last_event is None
    send(http, status("event-notification", 6, (6, "Observation/o6")))
    assert registration_row(store).last_event == 6


@pytest.mark.parametrize("version", ["²", "\0", "a b", "9" * 5000, "x" * 256, "..", ""])
def test_a_version_that_can_be_none_is_refused(
    http: FlaskClient, store: Store, version: str
) -> None:
    answer = send(http, observation(meta={"versionId": version}))

    assert answer.status_code == 400
    assert "$.meta.versionId" in answer.text
    assert rows(store, inbox_items) == []


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_no_calendar_has_is_refused(http: FlaskClient, store: Store, time: str) -> None:
    answer = send(http, observation(meta={"versionId": "1", "lastUpdated": time}))

    assert answer.status_code == 400
    assert "$.meta.lastUpdated" in answer.text
    assert rows(store, inbox_items) == []


def test_what_is_switched_off_takes_nothing(store: Store) -> None:
    register(store, switched_off=NOW)

    answer = send(client(store), observation())

    assert answer.status_code == 404
    assert rows(store, inbox_items) == []
