# SPDX-License-Identifier: Apache-2.0
"""A notification is refused on its head: nobody's body is read before the secret is known."""

import hmac
import json
from hashlib import sha256
from typing import Any

import pytest

from cds_service.copying import replace
from cds_service.errors import StoreError
from cds_service.settings import Settings
from cds_service.store import Store
from cds_service.store.tables import inbox_items
from cds_service.subscriptions.credentials import seal
from cds_service.subscriptions.registration import RegistrationTable
from cds_service.web import create_app
from cds_service.web.server.rsgi import Bridge
from tests.subscriptions.inbox_fixtures import NOW, rows
from tests.subscriptions.test_receive import KEY, PATH, SECRET, observation, register
from tests.web.http_fixtures import knowledge
from tests.web.rsgi_client import Channel, bridge_of, scope_of, sent

SIGNING = "a-key-that-both-know"
BODY = json.dumps(observation()).encode()


@pytest.fixture(name="bridge")
def _bridge(sqlite_store: Store) -> Bridge:
    settings = Settings(subscription_key=KEY, max_notification_bytes=2000)
    app = create_app(settings, clock=lambda: NOW, knowledge=knowledge(), store=sqlite_store)
    return bridge_of(app, settings)


def post(bridge: Bridge, body: bytes = BODY, path: str = PATH, **headers: str) -> Channel:
    scope = scope_of(body, kind="application/fhir+json", **headers)
    return sent(bridge, replace(scope, path=f"/subscriptions/{path}"), body)


def signature_of(body: bytes, key: str = SIGNING) -> str:
    return f"sha256={hmac.new(key.encode(), body, sha256).hexdigest()}"


def test_the_right_secret_has_the_body_read(bridge: Bridge, sqlite_store: Store) -> None:
    register(sqlite_store)

    channel = post(bridge, authorization=f"Bearer {SECRET}")

    assert (channel.status, channel.begun) == (200, True)
    assert len(rows(sqlite_store, inbox_items)) == 1


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"authorization": "Bearer wrong"}, BODY, 401),
        ({}, BODY, 401),
        ({"x-hub-signature": signature_of(BODY)}, BODY, 401),  # it has no key
        ({"authorization": f"Bearer {SECRET}"}, b"x" * 2001, 413),
        ({"authorization": "Bearer wrong"}, b"x" * 2001, 401),
    ],
)
def test_a_body_is_not_read_without_a_right_to_it(
    bridge: Bridge, sqlite_store: Store, headers: dict[str, str], body: bytes, status: int
) -> None:
    register(sqlite_store)

    channel = post(bridge, body, **headers)

    assert (channel.status, channel.begun) == (status, False)
    assert rows(sqlite_store, inbox_items) == []


def test_nor_at_an_address_that_nobody_has(bridge: Bridge, sqlite_store: Store) -> None:
    register(sqlite_store)

    channel = post(bridge, path="another", authorization=f"Bearer {SECRET}")

    assert (channel.status, channel.begun) == (404, False)


def test_a_signature_needs_the_body_which_is_bounded(bridge: Bridge, sqlite_store: Store) -> None:
    register(sqlite_store, hmac_key=seal(SIGNING, PATH, KEY))
    wrong = post(bridge, x_hub_signature=signature_of(BODY, "another-key"))
    right = post(bridge, x_hub_signature=signature_of(BODY))
    long = post(bridge, b"x" * 2001, x_hub_signature=signature_of(b"x" * 2001))

    assert [(reply.status, reply.begun) for reply in (wrong, right, long)] == [
        (401, True),
        (200, True),
        (413, False),
    ]
    assert len(rows(sqlite_store, inbox_items)) == 1


def test_what_could_not_be_looked_up_is_not_taken_for_an_empty_notification(
    bridge: Bridge, sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is away for the head alone: the body was not read by then."""
    register(sqlite_store)
    found, looks = RegistrationTable.at, 0

    def at(table: RegistrationTable, path: str) -> Any:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise StoreError("The database does not answer.")
        return found(table, path)

    monkeypatch.setattr(RegistrationTable, "at", at)

    channel = post(bridge, authorization=f"Bearer {SECRET}")

    assert (channel.status, channel.begun, looks) == (503, False, 1)
