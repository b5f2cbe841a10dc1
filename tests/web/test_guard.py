# SPDX-License-Identifier: Apache-2.0
"""Open mode answers this machine and nobody else."""

import json

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app

from cds_service.errors import SettingsError
from cds_service.settings import Settings, explain_mode, is_loopback, is_open
from cds_service.web import create_app
from tests.web.http_fixtures import SERVICE, app, client, founding, knowledge


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "LOCALHOST", "localhost."]
)
def test_these_are_this_machine(name: str) -> None:
    assert is_loopback(name)


@pytest.mark.parametrize(
    "name",
    ["0.0.0.0", "::", "10.0.0.1", "example.org", "localhost.example.org", "127.0.0.1.nip.io", ""],  # noqa: S104
)
def test_these_are_not(name: str) -> None:
    assert not is_loopback(name)


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        (Settings(host="0.0.0.0"), "CDS_HOST"),  # noqa: S104
        (Settings(public_url="https://cds.example"), "CDS_PUBLIC_URL"),
    ],
    ids=["address", "public url"],
)
def test_a_service_that_others_could_reach_does_not_start(
    settings: Settings, variable: str
) -> None:
    with pytest.raises(SettingsError, match=variable):
        create_app(settings, knowledge=knowledge())


@pytest.mark.parametrize(
    "header",
    [
        "Forwarded",
        "X-Forwarded-For",
        "x-forwarded-proto",
        "X-Forwarded-Anything",
        "X-Real-IP",
        "Via",
    ],
)
@pytest.mark.parametrize("address", ["/cds-services", "/health", "/"])
def test_a_request_that_came_through_a_proxy_is_refused(header: str, address: str) -> None:
    response = client().get(address, headers={header: "for=192.0.2.1"})

    assert response.status_code == 403
    assert response.json is not None
    assert response.json["issue"][0]["code"] == "forbidden"
    assert "192.0.2.1" not in response.text


@pytest.mark.parametrize(
    "host", ["cds.example", "127.0.0.1.cds.example:8000", "192.168.0.2", "[::2]", "a_b"]
)
def test_a_request_for_another_host_is_refused(host: str) -> None:
    assert client().get("/cds-services", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize(
    "host",
    [
        "", " ", "[", "[::1", "[::g]", "[127.0.0.1]", "::1", "a@127.0.0.1", "127.0.0.1@a",
        "localhost,a", "localhost, localhost", "localhost:x", "localhost:65536", "localhost:+80",
        "localhost/a", "localhost?a", "localhost#a", "local host", "localhost\\a", "%6cocalhost",
        "löcalhost", "http://localhost",
    ],
)  # fmt: skip
def test_a_host_that_is_none_is_400(host: str) -> None:
    response = client().get("/cds-services", environ_overrides={"HTTP_HOST": host})

    assert response.status_code == 400
    assert "Expected one Host header" in response.text


@pytest.mark.parametrize(("version", "status"), [("HTTP/1.0", 200), ("HTTP/1.1", 400)])
def test_only_http_1_0_may_name_no_host(version: str, status: int) -> None:
    environ = EnvironBuilder("/cds-services").get_environ()
    del environ["HTTP_HOST"]
    environ |= {"SERVER_PROTOCOL": version, "REMOTE_ADDR": "127.0.0.1"}

    _, answered, _ = run_wsgi_app(app(), environ)

    assert answered.startswith(f"{status} ")


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "localhost:1", "[::1]:8000"])
def test_a_request_for_this_machine_is_answered(host: str) -> None:
    assert client().get("/cds-services", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("peer", ["192.0.2.1", ""])
def test_a_request_of_another_machine_is_refused(peer: str) -> None:
    environ = {"REMOTE_ADDR": peer}

    assert client().get("/cds-services", environ_overrides=environ).status_code == 403


def test_what_is_refused_is_refused_before_the_body_is_read() -> None:
    response = client().post(
        SERVICE,
        data=json.dumps(founding()),
        content_type="application/json",
        headers={"X-Forwarded-For": "192.0.2.1"},
    )

    assert response.status_code == 403


@pytest.mark.parametrize(
    ("settings", "mode"),
    [
        (Settings(), "on-request"),
        (Settings(profile="development", public_url="https://cds.example"), "on-request"),
        (Settings(public_url="https://cds.example"), "off"),
        (Settings(explain="always", public_url="https://cds.example"), "always"),
        (Settings(explain="off"), "off"),
    ],
    ids=["open", "development", "production", "always", "off"],
)
def test_reasons_are_given_where_nothing_leaves_the_machine(settings: Settings, mode: str) -> None:
    assert explain_mode(settings) == mode
    assert is_open(settings) == (settings.public_url is None)
