# SPDX-License-Identifier: Apache-2.0
"""Every card of every worked example (conformance.md, 2.6 to 2.9), and cards about orders."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import pytest

from cds_service.settings import Settings
from cds_service.web import create_app
from tests.conformance.shapes import ORDER_SELECT, ORDER_SIGN
from tests.house.source import ROOT
from tests.vignettes.convert import now_of, request_of
from tests.web.http_fixtures import (
    ALT,
    LOINC,
    NAME,
    NOW,
    PATIENT,
    SERVICE,
    Json,
    bundle,
    call,
    client,
    founding,
    knowledge,
    medicine,
    observation,
)

VIGNETTES: list[Json] = json.loads(
    (ROOT / "tests" / "data" / "vignettes-liver.json").read_text(encoding="utf-8")
)
DISCHARGE = "/cds-services/liver-encounter-discharge"


@cache
def responses() -> tuple[Json, ...]:
    """The answers to all worked examples."""

    def answered(vignette: Json) -> Json:
        now: datetime = now_of(vignette)
        app = create_app(Settings(), clock=lambda: now, knowledge=knowledge())
        found: Json = json.loads(app.test_client().post(SERVICE, json=request_of(vignette)).text)
        return found

    return tuple(map(answered, VIGNETTES))


def all_cards() -> Iterator[Json]:
    return (card for response in responses() for card in response.get("cards", []))


def suggestions() -> Iterator[Json]:
    return (suggestion for card in all_cards() for suggestion in card.get("suggestions", []))


def actions() -> Iterator[Json]:
    return (action for suggestion in suggestions() for action in suggestion["actions"])


def test_the_worked_examples_give_cards_with_suggestions() -> None:
    assert len(list(all_cards())) > 50
    assert len(list(actions())) > 50


def test_ch_resp_003_ch_sys_002_there_are_cards_and_never_actions_of_the_system() -> None:
    for response in responses():
        assert set(response) == {"cards"}


def test_ch_card_005_to_010_indicator_source_label_url_and_topic() -> None:
    for card in all_cards():
        assert card["indicator"] in {"info", "warning", "critical"}
        source = card["source"]
        assert set(source) == {"label", "url", "topic"}
        assert source["label"]
        assert urlsplit(source["url"]).scheme in {"http", "https"}
        assert PATIENT not in source["url"]
        assert set(source["topic"]) == {"code", "system", "display"}


def test_ch_sug_001_to_006_suggestions() -> None:
    for card in all_cards():
        assert card.get("selectionBehavior") == ("any" if "suggestions" in card else None)
        labels = [suggestion["label"] for suggestion in card.get("suggestions", [])]
        assert all(labels)
        assert len(set(labels)) == len(labels)
    for suggestion in suggestions():
        assert set(suggestion) <= {"label", "uuid", "isRecommended", "actions"}
        assert isinstance(suggestion.get("isRecommended", True), bool)


def test_ch_act_001_to_003_actions_create_whole_resources() -> None:
    for suggestion in suggestions():
        assert suggestion["actions"]
    for action in actions():
        assert set(action) == {"type", "description", "resource"}
        assert action["type"] == "create"
        assert action["description"]
        assert isinstance(action["resource"], dict)


def test_ch_act_008_a_proposal_invents_nobody() -> None:
    for action in actions():
        resource = action["resource"]
        assert (resource["status"], resource["intent"]) == ("draft", "proposal")
        assert resource["subject"]["reference"].startswith("Patient/")
        assert "requester" not in resource
        assert "id" not in resource
        assert resource["reasonCode"][0]["text"]


def test_ch_link_001_to_007_links_are_pages_without_a_patient() -> None:
    for card in all_cards():
        for link in card["links"]:
            assert set(link) == {"label", "url", "type"}
            assert link["type"] == "absolute"
            parts = urlsplit(link["url"])
            own = parts.hostname == "localhost"
            assert parts.scheme == "https" or own
            assert not (own and parts.query)


def test_ch_ext_001_extensions_are_objects_under_names_of_ours() -> None:
    for card in all_cards():
        for name, value in card["extension"].items():
            assert name.startswith("org.cds-service.")
            assert isinstance(value, dict)


def test_ch_ovr_002_override_reasons_are_whole_and_each_is_there_once() -> None:
    for card in all_cards():
        reasons = card["overrideReasons"]
        assert all(reason["code"] and reason["system"] and reason["display"] for reason in reasons)
        assert len({reason["code"] for reason in reasons}) == len(reasons)


def test_ch_card_013_ch_stale_002_a_card_says_value_limit_time_and_version() -> None:
    old = (NOW - timedelta(days=80)).isoformat()
    limits = [{"high": {"value": 41, "unit": "U/L"}}]
    result = observation(ALT, 1, effectiveDateTime=old, referenceRange=limits, status="amended")

    (card,) = json.loads(client().post(SERVICE, json=call(result)).text)["cards"]

    for part in ("1 U/L", "41 U/L", "2026-03-27", "amended", "Rule alt-very-low "):
        assert part.replace("-", "\\-") in card["detail"] or part in card["detail"], part


def order(name: str, number: int, **more: Any) -> Json:
    return {**medicine(name), "id": f"m{number}", "status": "draft", **more}


def select(selections: list[str], *drafts: Json, hook: str = "order-select") -> Json:
    body = call(observation(ALT, 300))
    body["hook"] = hook
    body["context"] |= {"selections": selections, "draftOrders": bundle(*drafts)}
    return body


def told(path: str, body: Json) -> str:
    response = client().post(path, json=body)
    assert response.status_code == 200, response.text
    return " ".join(card["detail"] for card in json.loads(response.text)["cards"]).lower()


def test_t04_ch_card_012_of_two_drafts_the_selected_one_is_judged_and_named() -> None:
    drafts = order("isoniazid", 1), order("paracetamol", 2)

    assert "isoniazid" in told(ORDER_SELECT, select(["MedicationRequest/m1"], *drafts))
    assert "isoniazid" not in told(ORDER_SELECT, select(["MedicationRequest/m2"], *drafts))


@pytest.mark.parametrize("selection", ["MedicationRequest/gone", "", "#", "urn:uuid:x", "a/b/c/d"])
def test_hk_r5_a_selection_that_is_not_among_the_drafts_is_passed_over(selection: str) -> None:
    assert "isoniazid" not in told(ORDER_SELECT, select([selection], order("isoniazid", 1)))


def test_t05_thirty_orders_about_to_be_signed() -> None:
    drafts = [order("paracetamol", n) for n in range(29)]

    said = told(ORDER_SIGN, select([], *drafts, order("isoniazid", 30), hook="order-sign"))

    assert "isoniazid" in said


@pytest.mark.parametrize("state", ["draft", "active", "on-hold", "unknown"])
def test_hk_03_an_order_that_is_signed_again_may_have_any_open_status(state: str) -> None:
    body = select([], order("isoniazid", 1, status=state), hook="order-sign")

    assert "isoniazid" in told(ORDER_SIGN, body)


def test_hk_02_a_sparse_order_without_code_or_subject_does_no_harm() -> None:
    sparse = {"resourceType": "MedicationRequest", "id": "m1"}
    text_only = {"resourceType": "ServiceRequest", "code": {"text": NAME}}

    told(ORDER_SELECT, select(["MedicationRequest/m1"], sparse, text_only))


@pytest.mark.parametrize("state", ["registered", "preliminary"])
def test_t06_hk_07_a_pending_result_at_discharge_is_named(state: str) -> None:
    pending = observation(ALT, 1, status=state)
    if state == "registered":
        del pending["valueQuantity"]
    body = call(pending)
    body["hook"] = "encounter-discharge"
    body["context"]["encounterId"] = "e1"

    response = client().post(DISCHARGE, json=body)

    assert "pending" in response.text.lower()


@pytest.mark.parametrize(
    "user", ["Patient/999888777", "RelatedPerson/1", "https://ehr.example/r4/Patient/999888777"]
)
def test_t08_hk_01_a_patient_or_relative_gets_no_cards_for_clinicians(user: str) -> None:
    body = founding()
    body["context"]["userId"] = user

    assert json.loads(client().post(SERVICE, json=body).text) == {"cards": []}


@pytest.mark.parametrize("user", ["Practitioner/1", "PractitionerRole/e-x.Y9", "Practitioner/a.b"])
def test_ch_req_014_any_clinician_gets_cards(user: str) -> None:
    body = founding()
    body["context"]["userId"] = user

    assert json.loads(client().post(SERVICE, json=body).text)["cards"]


def test_hk_r3_members_that_a_newer_hook_adds_are_passed_over() -> None:
    body = select(["MedicationRequest/m1"], order("isoniazid", 1))
    body["context"] |= {"userRole": {"coding": []}, "locationId": 7, "performer": ["x"]}

    assert "isoniazid" in told(ORDER_SELECT, body)


@pytest.mark.parametrize("kind", [None, "collection", "searchset", "odd", 7])
def test_hk_r4_the_bundle_of_drafts_may_have_any_type_and_other_entries(kind: Any) -> None:
    body = select(["MedicationRequest/m1"], order("isoniazid", 1))
    drafts = body["context"]["draftOrders"]
    drafts.pop("type")
    drafts["entry"] += [{"resource": {"resourceType": "Medication", "id": "x"}}, {"fullUrl": "u"}]
    if kind is not None:
        drafts["type"] = kind

    assert "isoniazid" in told(ORDER_SELECT, body)


def test_hk_r1_a_hook_for_new_results_is_not_offered() -> None:
    hooks = {service["hook"] for service in json.loads(knowledge().discovery)["services"]}

    assert hooks <= {"patient-view", "order-select", "order-sign", "encounter-discharge"}
    assert LOINC  # results arrive by Subscription, never by a hook


def test_hk_r2_a_hook_of_a_site_is_named_in_reverse_domain_style() -> None:
    standard = {
        "patient-view", "order-select", "order-sign", "order-dispatch", "appointment-book",
        "encounter-start", "encounter-discharge", "problem-list-item-create",
        "allergyintolerance-create", "medication-refill",
    }  # fmt: skip
    for pack in knowledge().packs:
        for service in pack.services:
            assert service.hook in standard or service.hook.count(".") >= 2
