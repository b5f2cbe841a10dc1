# SPDX-License-Identifier: Apache-2.0
"""What the head of a request tells is refused before its body is taken in (CH-JWT-018)."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import current_thread
from typing import Any

import pytest

from cds_service.errors import StoreError
from cds_service.settings import Settings
from cds_service.web.access.clients import VERDICT
from cds_service.web.server.request_parts import environ_of
from cds_service.web.server.rsgi import Bridge
from tests.trust.signing import Site, es384, registration, settings_for, site, write_clients
from tests.web.http_fixtures import SERVICE, app, founding
from tests.web.rsgi_client import Channel, Scope, bridge_of, scope_of, sent

BODY = json.dumps(founding()).encode()
ORIGIN = "https://ehr.example.org"


@pytest.fixture(name="open_bridge", scope="module")
def _open_bridge() -> Bridge:
    return bridge_of(app(), Settings())


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Site:
    return site(tmp_path, registration(origins=[ORIGIN]))


def call(place: Site, token: str, **headers: str) -> Channel:
    scope = scope_of(BODY, authorization=f"Bearer {token}", **headers)
    return sent(bridge_of(place.http.application, place.settings), scope, BODY)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"path": "/nowhere"}, 404),
        ({"path": "/cds-services/nobody"}, 404),
        ({"path": "/cds-services/nobody/feedback"}, 404),
        ({"method": "PUT"}, 405),
        ({"client": "192.0.2.1:50000"}, 403),
        ({"headers": {**scope_of(BODY).headers, "x-forwarded-for": "192.0.2.1"}}, 403),
        ({"headers": {**scope_of(BODY).headers, "host": "elsewhere.example"}}, 403),
        ({"headers": scope_of(BODY, kind="text/xml").headers}, 415),
        ({"headers": scope_of(BODY, content_encoding="gzip").headers}, 415),
        ({"headers": {**scope_of(BODY).headers, "content-length": "99999999999"}}, 413),
    ],
)
def test_a_body_that_nobody_wants_is_not_taken_in(
    open_bridge: Bridge, change: dict[str, Any], status: int
) -> None:
    channel = sent(open_bridge, replace(scope_of(BODY), **change), BODY)

    assert (channel.status, channel.begun) == (status, False)
    assert channel.headers["Connection"] == "close"
    assert b"OperationOutcome" in channel.answer


@pytest.mark.parametrize("path", [SERVICE, f"{SERVICE}/", f"{SERVICE}/feedback"])
def test_what_has_the_right_head_is_read(open_bridge: Bridge, path: str) -> None:
    channel = sent(open_bridge, replace(scope_of(BODY), path=path), BODY)

    assert channel.read.is_set()
    assert "Connection" not in channel.headers


@pytest.mark.parametrize(
    "change", [{"path": f"/{SERVICE}"}, {"path": f"//{SERVICE}/"}, {"method": "post"}]
)
def test_a_call_that_flask_would_find_is_answered(
    open_bridge: Bridge, change: dict[str, Any]
) -> None:
    channel = sent(open_bridge, replace(scope_of(BODY), **change), BODY)

    assert channel.status == 200
    assert len(json.loads(channel.answer)["cards"]) == 1


def test_a_token_for_the_address_is_good_with_one_slash_more(place: Site) -> None:
    scope = replace(scope_of(BODY, authorization=f"Bearer {es384().token()}"), path=f"/{SERVICE}")

    channel = sent(bridge_of(place.http.application, place.settings), scope, BODY)

    assert channel.status == 200


def test_ch_jwt_018_a_bad_token_is_refused_before_the_body_is_taken_in(place: Site) -> None:
    channel = call(place, es384().token(aud="x"), origin=ORIGIN)

    assert (channel.status, channel.begun) == (401, False)
    assert channel.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert channel.headers["WWW-Authenticate"] == "Bearer"
    assert dict(place.refusals()) == {"audience": 1}


def test_ch_jwt_018_a_token_is_looked_at_once_and_then_used_up(place: Site) -> None:
    token = es384().token()

    first, again = call(place, token), call(place, token)

    assert (first.status, first.begun) == (200, True)
    assert (again.status, again.begun) == (401, False)
    assert dict(place.refusals()) == {"replayed": 1}


class Store:
    """A replay store that notes who asks it, and may be away."""

    def __init__(self, *, away: bool) -> None:
        self.away = away
        self.asked: list[str] = []

    may_wait = True

    def first_use(
        self,
        issuer: str,  # noqa: ARG002 - the signature is the store's
        jti: str,  # noqa: ARG002
        *,
        until: datetime,  # noqa: ARG002
        now: datetime,  # noqa: ARG002
    ) -> bool:
        self.asked.append(current_thread().name)
        if self.away:
            raise StoreError("away")
        return True


@pytest.mark.parametrize(("away", "status"), [(False, 200), (True, 503)])
def test_a_token_is_looked_at_by_a_thread_that_may_wait(
    tmp_path: Path, *, away: bool, status: int
) -> None:
    store = Store(away=away)
    file = write_clients(tmp_path / "clients.yaml", registration())

    channel = call(Site(file, settings_for(file), replay=store), es384().token())

    assert (channel.status, channel.begun) == (status, not away)
    assert [name.partition("_")[0] for name in store.asked] == ["check"]


def test_a_token_of_a_request_without_a_body_is_looked_at_there_too(tmp_path: Path) -> None:
    store = Store(away=False)
    file = write_clients(tmp_path / "clients.yaml", registration())
    headers = {"host": "localhost", "authorization": f"Bearer {es384().token()}"}
    place = Site(file, settings_for(file), replay=store)

    channel = sent(bridge_of(place.http.application, place.settings), Scope(headers=headers), b"")

    assert (channel.status, "Connection" in channel.headers) == (415, False)
    assert [name.partition("_")[0] for name in store.asked] == ["check"]


def test_a_request_too_many_has_no_token_looked_at(tmp_path: Path) -> None:
    store = Store(away=False)
    file = write_clients(tmp_path / "clients.yaml", registration())
    place = Site(file, settings_for(file), replay=store)
    bridge = bridge_of(place.http.application, place.settings)
    bridge._requests = place.settings.max_requests

    channel = sent(bridge, scope_of(BODY, authorization=f"Bearer {es384().token()}"), BODY)

    assert (channel.status, store.asked) == (503, [])


def test_discovery_is_open_to_a_request_with_a_body(place: Site) -> None:
    scope = replace(scope_of(b"{}"), method="GET", path="/cds-services")

    assert sent(bridge_of(place.http.application, place.settings), scope, b"{}").status == 200


@pytest.mark.parametrize(
    "name", [VERDICT, VERDICT.upper(), f"HTTP_{VERDICT}", "cds-service.verdict"]
)
def test_no_header_can_say_that_a_token_was_good(place: Site, name: str) -> None:
    scope = Scope(headers={**scope_of(BODY).headers, name: "accepted"})

    assert VERDICT not in environ_of(scope)
    channel = sent(bridge_of(place.http.application, place.settings), scope, BODY)
    assert (channel.status, channel.begun) == (401, False)


def test_a_token_that_waits_for_nobody_is_looked_at_at_once(tmp_path: Path) -> None:
    store = Store(away=False)
    store.may_wait = False
    file = write_clients(tmp_path / "clients.yaml", registration())

    channel = call(Site(file, settings_for(file), replay=store), es384().token())

    assert channel.status == 200
    assert store.asked == [current_thread().name]
