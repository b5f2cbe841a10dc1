# SPDX-License-Identifier: Apache-2.0
"""Web pages that call: registered origins and no other (CDS Hooks 2.0.1, "CORS")."""

import json
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_service.errors import SettingsError
from cds_service.settings import Settings
from tests.trust.signing import BASE, SERVICE, Site, es384, registration, site
from tests.web.http_fixtures import app, client, founding

ORIGIN = "https://ehr.example.org"
SANDBOX = "https://sandbox.cds-hooks.org"
ADDRESSES = ["/cds-services", SERVICE, f"{SERVICE}/feedback"]
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


@pytest.fixture(name="place", scope="module")
def _place(tmp_path_factory: pytest.TempPathFactory) -> Site:
    clients = [
        registration(origins=[ORIGIN]),
        registration(id="two", issuer="https://two", origins=["https://two.example.org:8443"]),
    ]
    return site(tmp_path_factory.mktemp("site"), *clients)


def allowed(response: TestResponse) -> str | None:
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert "Origin" in response.vary
    return response.headers.get("Access-Control-Allow-Origin")


def test_ch_cors_001_without_origins_nothing_is_allowed(tmp_path: Path) -> None:
    for http in (client(), site(tmp_path).http):
        for address in ADDRESSES:
            response = http.options(address, headers={"Origin": ORIGIN, **PREFLIGHT})
            assert allowed(response) is None


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("origin", [ORIGIN, "https://two.example.org:8443"])
def test_ch_cors_002_and_003_a_preflight_needs_no_token(
    place: Site, address: str, origin: str
) -> None:
    response = place.http.options(address, headers={"Origin": origin, **PREFLIGHT})

    assert response.status_code == 200
    assert allowed(response) == origin
    methods = response.headers["Access-Control-Allow-Methods"].split(", ")
    headers = response.headers["Access-Control-Allow-Headers"].split(", ")
    assert {"GET", "POST", "OPTIONS"} == set(methods)
    assert {"Authorization", "Content-Type"} == set(headers)


def test_ch_cors_002_a_preflight_of_protected_discovery_needs_no_token(tmp_path: Path) -> None:
    place = site(tmp_path, registration(origins=[ORIGIN]), discovery="protected")

    response = place.http.options("/cds-services", headers={"Origin": ORIGIN, **PREFLIGHT})

    assert (response.status_code, allowed(response)) == (200, ORIGIN)


def test_ch_cors_004_an_answer_has_the_headers_whatever_its_status(place: Site) -> None:
    def post(path: str = SERVICE, data: str = json.dumps(founding()), **more: str) -> TestResponse:
        token = es384().token(aud=BASE + path)
        headers = {"Origin": ORIGIN, "Authorization": f"Bearer {token}", **more}
        return place.http.post(path, data=data, headers=headers, content_type="application/json")

    stripped = {name: value for name, value in founding().items() if name != "prefetch"}
    answers = [
        (200, post()),
        (200, place.http.get("/cds-services", headers={"Origin": ORIGIN})),
        (400, post(data="{")),
        (401, post(Authorization="Bearer x")),
        (404, post("/cds-services/of-nobody")),
        (404, place.http.get("/cds-services/a/b/c", headers={"Origin": ORIGIN})),
        (405, place.http.delete(SERVICE, headers={"Origin": ORIGIN})),
        (412, post(data=json.dumps(stripped))),
    ]

    assert [(response.status_code, allowed(response)) for _, response in answers] == [
        (status, ORIGIN) for status, _ in answers
    ]


def test_ch_cors_004_a_failure_has_the_headers_too() -> None:
    application = app(Settings(profile="development", development_origins=ORIGIN))

    @application.get("/cds-services/fails/now")
    def fails() -> str:
        raise RuntimeError

    response = application.test_client().get("/cds-services/fails/now", headers={"Origin": ORIGIN})

    assert (response.status_code, allowed(response)) == (500, ORIGIN)


TRICKS = [
    "null",
    "*",
    "",
    "https://ehr.example.org.evil.example",
    "https://evil-ehr.example.org",
    "https://evil.example/https://ehr.example.org",
    "https://ehr.example.org/",
    "https://ehr.example.org:443",
    "https://ehr.example.org:8443",
    "http://ehr.example.org",
    "https://EHR.example.org",
    "https://ehr.example.org https://evil.example",
    "https://ehr.example.org, https://evil.example",
    "https://ehr.example.org@evil.example",
    "https://ehrXexample.org",
    "ehr.example.org",
]


@pytest.mark.parametrize("origin", TRICKS)
@pytest.mark.parametrize("address", ADDRESSES)
def test_ch_cors_005_no_other_origin_is_ever_named(place: Site, address: str, origin: str) -> None:
    for method in ("OPTIONS", "GET", "POST"):
        response = place.http.open(address, method=method, headers={"Origin": origin, **PREFLIGHT})
        assert allowed(response) is None
        assert "evil" not in str(response.headers)


def test_ch_cors_005_an_answer_without_origin_varies_by_it(place: Site) -> None:
    assert allowed(place.http.get("/cds-services")) is None


def test_pages_are_for_no_other_site(place: Site) -> None:
    for address in ("/", "/ready", "/metrics", "/cds-services-x"):
        headers = place.http.get(address, headers={"Origin": ORIGIN}).headers
        assert "Access-Control-Allow-Origin" not in headers


def sandbox(http: FlaskClient, method: str, address: str) -> TestResponse:
    headers = {"Origin": SANDBOX, "Referer": f"{SANDBOX}/", "Host": "localhost:8000"}
    more = PREFLIGHT if method == "OPTIONS" else {"Content-Type": "application/json"}
    body = json.dumps(founding()) if method == "POST" else None
    return http.open(address, method=method, headers={**headers, **more}, data=body)


def test_the_public_sandbox_reaches_a_service_in_development() -> None:
    """Q-SB: discovery, preflight and call of its pages, in open mode on this machine."""
    http = client(Settings(profile="development", development_origins=SANDBOX))

    for method, address in (("GET", "/cds-services"), ("OPTIONS", SERVICE), ("POST", SERVICE)):
        response = sandbox(http, method, address)
        assert (response.status_code, allowed(response)) == (200, SANDBOX)


def test_origins_of_development_are_none_in_production() -> None:
    with pytest.raises(SettingsError, match="CDS_DEVELOPMENT_ORIGINS"):
        client(Settings(development_origins=SANDBOX))


def test_origins_follow_the_registrations(tmp_path: Path) -> None:
    from tests.trust.signing import write_clients

    place = site(tmp_path)
    write_clients(place.file, registration(origins=[ORIGIN]))

    response = place.http.get("/cds-services", headers={"Origin": ORIGIN})

    assert allowed(response) == ORIGIN
