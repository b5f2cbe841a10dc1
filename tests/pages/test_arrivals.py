# SPDX-License-Identifier: Apache-2.0
"""The page of what arrives: what it shows to whom, of nothing, of much, and without a database."""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import timedelta
from html import unescape
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.test import TestResponse

from cds_service.settings import Settings
from cds_service.store import Store, open_store
from cds_service.subscriptions.inbox import Inbox
from cds_service.subscriptions.registration import Registration, RegistrationTable
from cds_service.web import create_app
from tests.call_counts import ended_after
from tests.subscriptions.inbox_fixtures import Hands, arrival
from tests.subscriptions.kept_decisions import (
    PATIENT,
    RESULT,
    SERVER,
    critical,
    keep,
    nothing,
    unknown_rule,
    very_low,
)
from tests.trust.signing import BASE, es384, registration, site, write_clients
from tests.web.http_fixtures import NOW, knowledge
from tests.web.test_openapi import DESCRIPTION

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PAGE = "/arrivals"
PATH = "zz-unguessable-path"
HOUR = timedelta(hours=1)


def subscribed(**more: Any) -> Registration:
    usual: dict[str, Any] = {
        "path": PATH,
        "server": SERVER,
        "kind": "criteria",
        "content": "full-resource",
        "what": "Observation?code=1",
        "remote_id": "s1",
        "status": "active",
        "created": NOW - 10 * HOUR,
        "last_received": NOW - 2 * HOUR,
    }
    return Registration(**usual | more)


@dataclass
class Place:
    """A service, and the database that it shows."""

    store: Store
    http: FlaskClient

    def add(self, *registrations: Registration) -> None:
        table = RegistrationTable(self.store.database)
        for row in registrations:
            table.reserve(row)

    def text(self) -> str:
        response = self.http.get(PAGE)
        assert response.status_code == 200
        return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", "", response.text)))

    def local(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """The application, called by this machine."""
        return self.http.application({**environ, "REMOTE_ADDR": "127.0.0.1"}, start)

    def json(self) -> Any:
        return self.http.get(PAGE, headers={"Accept": "application/json"}).json


@contextmanager
def service(folder: Path, **more: Any) -> Iterator[Place]:
    servers = folder / "servers.yaml"
    servers.write_text(f"servers:\n  - base: {SERVER}\n    name: general\n", encoding="utf-8")
    url = f"sqlite:///{folder / 'service.db'}"
    settings = Settings(database_url=SecretStr(url), fhir_servers=servers, **more)
    store = open_store(url)
    app = create_app(settings, clock=lambda: NOW, knowledge=knowledge(), store=store)
    yield Place(store, app.test_client())
    store.close()


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Iterator[Place]:
    with service(tmp_path) as found:
        yield found


def test_without_anything_it_says_what_to_do(place: Place) -> None:
    text = place.text()

    assert "0 items wait. 0 dead letters." in text
    assert "No FHIR server notifies the service yet: cds-service subscribe --server NAME" in text
    assert "Nothing has been decided yet." in text
    assert "Left out" not in text


def test_each_subscription_has_its_server_state_and_inbox(place: Place) -> None:
    place.add(
        subscribed(),
        subscribed(
            path="another",
            server="https://gone.example/r4",
            kind="topic",
            what="https://fhir.example.org/topic",
            content="id-only",
            status="error",
            last_received=None,
            heartbeat_seconds=60,
            expires=NOW + HOUR,
            revivals=2,
        ),
        subscribed(path="off", server="https://off.example/r4", switched_off=NOW - HOUR),
    )
    hands = Hands(Inbox(place.store.database), now=NOW - 12 * HOUR)
    hands.add(replace(arrival(9, patient="p9"), subscription=PATH))
    while (lease := hands.after(2 * HOUR).inbox.lease("worker", hands.now)) is not None:
        hands.inbox.fail(lease, "crash", hands.now, retry=False)
    hands.now = NOW - HOUR
    hands.add(*(replace(arrival(n), subscription=PATH) for n in range(3)))

    text = place.text()

    second, first = text.split("Decisions")[0].split("general active")
    second, third = second.split("https://off.example/r4 ", 1)
    for said in (
        f"Server{SERVER}",
        "Subscription/s1",
        "Notifies oflaboratory results, whole",
        "(2 hours ago)",
        "Waiting3, the first for 60 minutes",
        "Dead letters1",
        "Write backsilent",
    ):
        assert said in first, said
    for said in (
        "https://gone.example/r4 error heartbeat not heard",
        "Notifies ofhttps://fhir.example.org/topic, by name",
        "never, since 2026-06-14 23:00 UTC; a heartbeat is due every 60 seconds",
        "Write backnone: the file of servers no longer lists this server",
        "Written again2 times, for it was not well",
        "Ends2026-06-15 10:00 UTC",
    ):
        assert said in second, said
    assert "switched off" in third
    assert "Switched off2026-06-15 08:00 UTC, here" in third
    assert "3 items wait, the first for 60 minutes. 1 dead letter." in text


def test_what_would_have_been_written_is_shown_without_any_patient(place: Place) -> None:
    place.add(subscribed())
    keep(place.store, nothing(), very_low(), critical(), unknown_rule())

    page, text, body = place.http.get(PAGE), place.text(), place.json()

    assert "would have been written" in text
    assert "Repeat ALT within 14 days" in text
    assert "cds-service replay 2" in text
    assert "Left out here: 1 decision without anything to write." in text
    assert [decision["advice"][0]["rule"] for decision in body["decided"]["decisions"]] == [
        "<b>gone</b>",
        "hys-law-pattern",
        "alt-very-low",
    ]
    assert 'href="/rules/alt-very-low"' in page.text
    for canary in (PATIENT, RESULT, PATH, "<b>gone"):
        assert canary not in page.text
    for canary in (PATIENT, RESULT, PATH):
        assert canary not in json.dumps(body)
    assert "The packs of today have no such rule." in text
    assert page.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "<script" not in page.text


def test_the_json_is_as_described(place: Place) -> None:
    place.add(subscribed(), subscribed(path="b", kind="topic", last_received=None))
    keep(place.store, very_low(), critical(), unknown_rule())
    described = schemathesis.openapi.from_dict(deepcopy(DESCRIPTION))
    described.app = place.local

    for query in ({"format": "json"}, {"format": "html"}):
        described[PAGE]["GET"].Case(query=query).call_and_validate()


def test_ten_thousand_decisions_are_one_page_that_says_what_is_left_out(place: Place) -> None:
    keep(place.store, *[very_low(), nothing()] * 5000)

    with ended_after(5):
        text = place.text()

    assert text.count("cds-service replay ") == 51
    assert (
        "Left out here: 250 decisions without anything to write, 200 older with advice, "
        "9,500 older ones that were not looked at." in text
    )


def test_the_text_of_a_server_does_not_become_markup(place: Place) -> None:
    place.add(subscribed(status="<script>alert(1)</script>" * 10, remote_id="<i>"))

    page = place.http.get(PAGE).text

    assert "<script" not in page
    assert "<i>" not in page
    assert "&lt;script&gt;" in page


def test_a_database_that_hangs_costs_seconds_and_says_so(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = Event()
    answered: list[object] = []

    def hang(*_: object) -> None:
        ended.wait(300)
        answered.append(None)

    monkeypatch.setattr(RegistrationTable, "all", hang)

    page = place.http.get(PAGE)
    body = place.http.get(f"{PAGE}?format=json")

    assert answered == []  # nobody waited for the database
    ended.set()
    assert (page.status_code, body.status_code) == (503, 503)
    assert "The database does not answer." in page.text
    assert page.headers["Retry-After"] == body.headers["Retry-After"]
    assert body.json is not None
    assert body.json["resourceType"] == "OperationOutcome"


@dataclass
class Signed:
    """A service with a registered client."""

    place: Any
    store: Store

    def get(self, *, token: str | None = None, query: str = "") -> TestResponse:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        found: TestResponse = self.place.http.get(f"{PAGE}{query}", headers=headers)
        return found


def signed(folder: Path, client: dict[str, Any] | None = None, **more: Any) -> Signed:
    url = f"sqlite:///{folder / 'service.db'}"
    store = open_store(url)
    keep(store, very_low())
    keep(store, very_low(), server="https://other.example/r4")
    write_clients(folder / "clients.yaml", client or registration())
    place = site(folder, client or registration(), database_url=SecretStr(url), **more)
    return Signed(place, store)


def token() -> str:
    return es384().token(aud=f"{BASE}{PAGE}")


def test_in_production_a_stranger_sees_nothing(tmp_path: Path) -> None:
    service = signed(tmp_path)

    for response in (service.get(), service.get(token="x"), service.get(token=es384().token())):
        assert response.status_code == 401
        assert "decided" not in response.text


def test_a_stranger_sees_no_patient_where_the_site_shows_the_page(tmp_path: Path) -> None:
    service = signed(tmp_path, arrivals_page=True)

    response = service.get()

    assert response.status_code == 200
    assert "would have been written" in response.text
    assert PATIENT not in response.text
    assert service.get(token="x").status_code == 401


@pytest.mark.parametrize("more", [{}, {"arrivals_page": True}], ids=str)
def test_a_registered_client_sees_patients(tmp_path: Path, more: dict[str, Any]) -> None:
    service = signed(tmp_path, **more)
    service.get()  # what a stranger is shown is not what the client gets

    page, body = service.get(token=token()), service.get(token=token(), query="?format=json")

    assert page.text.count(f"<code>{PATIENT}</code>") == 2
    assert page.text.count(f"<code>{RESULT}</code>") == 2
    assert "Authorization" in page.headers["Vary"]
    assert body.json is not None
    assert body.json["withPatients"] is True
    assert {decision["patient"] for decision in body.json["decided"]["decisions"]} == {PATIENT}
    if more:
        assert PATIENT not in service.get().text


def test_a_registered_client_sees_patients_of_its_own_servers_alone(tmp_path: Path) -> None:
    service = signed(tmp_path, registration(**{"fhir servers": [SERVER]}))

    body = service.get(token=token(), query="?format=json").json

    assert body is not None
    shown = {
        decision["server"]: decision.get("patient") for decision in body["decided"]["decisions"]
    }
    assert shown == {SERVER: PATIENT, "https://other.example/r4": None}


def test_a_token_is_good_for_one_look(tmp_path: Path) -> None:
    service = signed(tmp_path)
    used = token()

    assert [service.get(token=used).status_code for _ in range(2)] == [200, 401]


def test_a_site_can_do_without_the_page_in_open_mode() -> None:
    settings = Settings(arrivals_page=False, database_url=SecretStr("sqlite://"))

    assert create_app(settings).test_client().get("/arrivals").status_code == 404
