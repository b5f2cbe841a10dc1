# SPDX-License-Identifier: Apache-2.0
"""The addresses around the service, and the headers that every answer has."""

import json
import re

import pytest
from flask.testing import FlaskClient

from cds_service.web.routes import operations as pages
from tests.web.http_fixtures import PATIENT, SERVICE, bundle, client, empties, founding, knowledge


@pytest.fixture(name="http", scope="module")
def _http() -> FlaskClient:
    return client()


def test_discovery_lists_every_service_of_every_pack(http: FlaskClient) -> None:
    body = json.loads(http.get("/cds-services").text)

    assert [service["id"] for service in body["services"]] == [
        service.id for pack in knowledge().packs for service in pack.services
    ]
    assert empties(body) == []


def test_discovery_is_not_sent_again_while_nothing_changed(http: FlaskClient) -> None:
    first = http.get("/cds-services")

    again = http.get("/cds-services", headers={"If-None-Match": first.headers["ETag"]})
    other = http.get("/cds-services", headers={"If-None-Match": '"another"'})

    assert (again.status_code, again.data) == (304, b"")
    assert other.status_code == 200
    assert first.headers["Cache-Control"] == "max-age=300, must-revalidate"


def test_every_service_that_discovery_lists_answers_a_call(http: FlaskClient) -> None:
    for service in json.loads(http.get("/cds-services").text)["services"]:
        body = {**founding(), "hook": service["hook"]}
        every_member = {"encounterId": "e", "selections": [], "draftOrders": bundle()}
        body["context"].update(every_member)

        response = http.post(f"/cds-services/{service['id']}", json=body)

        assert response.status_code == 200


def test_the_process_says_that_it_is_up_and_ready(http: FlaskClient) -> None:
    packs = [{"id": pack.id, "version": pack.version} for pack in knowledge().packs]

    assert http.get("/health").json == {"status": "up"}
    inbox = {"waiting": 0, "dead": 0, "refused": 0}
    ready = http.get("/ready").json
    assert ready is not None
    words = ready.pop("problems")
    assert len(words) == 3
    assert words[0].startswith("The time zone of the site is not set")
    assert "No clinician has approved these rules yet." in words[2]
    assert ready == {
        "status": "ready",
        "packs": packs,
        "inbox": inbox,
        "subscriptions": {"failing": 0, "searches_failing": 0},
        "worker": "working",
    }


def test_the_start_page_leads_to_every_rule_and_every_link_of_it_works(http: FlaskClient) -> None:
    page = http.get("/")

    links = re.findall(r'href="(/[^"]*)"', page.text)
    assert page.content_type == "text/html; charset=utf-8"
    assert {link for link in links if http.get(link).status_code != 200} == set()
    rules = {f"/rules/{rule}" for pack in knowledge().packs for rule in pack.rules}
    assert rules <= set(links)


def test_the_page_of_a_rule_is_where_its_card_points(http: FlaskClient) -> None:
    (card,) = json.loads(http.post(SERVICE, json=founding()).text)["cards"]

    page = http.get(card["source"]["url"].removeprefix("http://localhost"))

    assert page.status_code == 200
    assert "below 5 U/L" in page.text


def test_pages_run_no_script_and_load_nothing(http: FlaskClient) -> None:
    for address in ("/", "/rules/alt-very-low"):
        page = http.get(address)

        assert "<script" not in page.text
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'self';")


@pytest.mark.parametrize(
    "address", ["/", "/cds-services", "/health", "/metrics", "/openapi.yaml", "/nowhere"]
)
def test_every_answer_has_the_headers_of_care(http: FlaskClient, address: str) -> None:
    headers = http.get(address).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_cards_are_stored_nowhere_and_no_cookie_is_set(http: FlaskClient) -> None:
    response = http.post(SERVICE, json=founding())

    assert response.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in response.headers


def test_metrics_count_calls_and_rules_and_name_no_patient() -> None:
    http = client()
    http.post(SERVICE, json=founding())
    http.post("/cds-services/of-nobody", json=founding())

    counts = http.get("/metrics").text

    call = 'hook="patient-view",outcome="cards",service="liver-patient-view"'
    assert f"cds_requests_total{{{call}}} 1.0" in counts
    assert 'cds_cards_total{indicator="info",rule="alt-very-low"} 1.0' in counts
    assert re.search(r'cds_decisions_total{answer="not-enough-data",rule="[a-z0-9-]+"} 1.0', counts)
    assert 'cds_pack_info{pack="liver"' in counts
    assert PATIENT not in counts
    assert "of-nobody" not in counts


def test_the_description_is_found_in_the_source_tree() -> None:
    assert pages.openapi_file().name in {"openapi.yaml", "_openapi.yaml"}
