# SPDX-License-Identifier: Apache-2.0
"""Whole cards, from calls over HTTP: every worked example, and what stands on a card."""

import json
import re
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.servicerequest import ServiceRequest
from pyrofile_validator import Validator

from cds_service.fhir.tags import PROPOSAL_CODE, PROPOSAL_SYSTEM
from cds_service.render.texts import fits_summary
from cds_service.settings import Settings
from cds_service.web import create_app
from tests.fhir.validation import validator_of
from tests.vignettes.convert import now_of, request_of
from tests.web.http_fixtures import (
    ALP,
    ALT,
    AST,
    BILIRUBIN,
    INSTANCE,
    NOW,
    PATIENT,
    SERVICE,
    Json,
    bundle,
    call,
    client,
    empties,
    founding,
    knowledge,
    medicine,
    observation,
    order_of_alt,
    without,
)

VIGNETTES: list[Json] = json.loads(
    (Path(__file__).parents[1] / "data" / "vignettes-liver.json").read_text(encoding="utf-8")
)


def answer(body: Json, now: datetime | None = None) -> Json:
    http = client()
    if now is not None:
        settings = Settings(explain="always")
        app = create_app(settings, clock=lambda: now, knowledge=knowledge())
        http = app.test_client()
    response = http.post(SERVICE, json=body)
    assert response.status_code == 200, response.text
    found: Json = json.loads(response.text)
    return found


def card_of(body: Json, rule: str = "alt-very-low") -> Json:
    (card,) = (
        card
        for card in answer(body)["cards"]
        if card["extension"]["org.cds-service.card"]["rule"] == rule
    )
    found: Json = card
    return found


def resources_in(response: Json) -> list[Json]:
    return [
        action["resource"]
        for card in response["cards"]
        for suggestion in card.get("suggestions", [])
        for action in suggestion["actions"]
    ]


@pytest.fixture(name="validator", scope="module")
def _validator() -> Validator:
    return validator_of("ServiceRequest")


@pytest.mark.slow
@pytest.mark.parametrize("vignette", VIGNETTES, ids=lambda vignette: str(vignette["id"]))
def test_a_worked_example_is_answered_as_cds_hooks_demands(
    vignette: Json, validator: Validator
) -> None:
    response = answer(request_of(vignette), now_of(vignette))

    assert empties(response) == []
    uuids: list[str] = []
    for card in response["cards"]:
        uuids += [card["uuid"], *(suggestion["uuid"] for suggestion in card.get("suggestions", []))]
        assert fits_summary(card["summary"])
        assert ("selectionBehavior" in card) is ("suggestions" in card)
        assert re.fullmatch("[A-Za-z0-9]{1,100}", card["source"]["topic"]["code"])
        assert not re.search(r"(?<!\\)<[A-Za-z/!]", card["detail"])
        own = card["source"]["url"].rpartition("/rules/")[0]
        assert all(link["url"].startswith(("https://", f"{own}/")) for link in card["links"])
        assert all(
            set(reason) == {"code", "system", "display"} for reason in card["overrideReasons"]
        )
        assert "not known" not in card["summary"].replace("is not known", "")
    assert len(set(uuids)) == len(uuids)
    assert all(str(uuid.UUID(card_uuid)) == card_uuid for card_uuid in uuids)
    for resource in resources_in(response):
        ServiceRequest.model_validate(resource)
        assert [str(issue) for issue in validator.validate_resource(resource).issues] == []


def test_cards_come_most_severe_first() -> None:
    body = call(
        observation(ALT, 150, referenceRange=[{"high": {"value": 40, "unit": "U/L"}}]),
        observation(BILIRUBIN, 4, "mg/dL"),
        observation(AST, 20, "furlongs"),
    )

    assert [card["indicator"] for card in answer(body)["cards"]] == ["critical", "info"]


def test_a_call_that_is_repeated_gives_the_same_bytes() -> None:
    body = founding()

    first, second = (client().post(SERVICE, json=body).data for _ in range(2))

    assert first == second


def test_another_call_gives_other_cards() -> None:
    other = {**founding(), "hookInstance": INSTANCE.replace("d", "e")}

    assert card_of(founding())["uuid"] != card_of(other)["uuid"]


def test_a_card_names_its_rule_whole_and_in_letters_and_digits() -> None:
    card = card_of(founding())

    rule = knowledge().packs[0].rules["alt-very-low"]
    ours = card["extension"]["org.cds-service.card"]
    assert card["source"]["topic"]["code"] == "altverylow"
    assert (ours["rule"], ours["ruleVersion"]) == ("alt-very-low", rule.version)
    assert card["source"]["url"] == "http://localhost/rules/alt-very-low"


def test_a_card_shows_what_it_rests_on() -> None:
    detail = card_of(founding())["detail"]

    assert "**ALT 1 U/L**, 2026-06-14 08:00 UTC; 0.03 times the upper limit of 40 U/L" in detail
    assert "method: not named by its code" in detail
    assert "Rule alt-very-low" in detail
    assert re.search(r"Sources: \[.*\]\(https://", detail)
    assert "does not replace" in detail
    assert "Not known" not in detail


def test_what_cards_of_one_call_rest_on_is_listed_on_the_first() -> None:
    body = call(observation(ALT, 3), observation("62236-5", 25, "nmol/L"))

    first, second = answer(body)["cards"]

    result = "**ALT 3 U/L**, 2026-06-14 08:00 UTC"
    assert result in first["detail"]
    assert result not in second["detail"]
    assert "- And what the first card lists." in second["detail"]
    assert "- Rule " in second["detail"]


def test_a_card_keeps_the_zeros_that_the_laboratory_sent() -> None:
    text = json.dumps(founding()).replace('"value": 1,', '"value": 1.10,')

    response = client().post(SERVICE, data=text, content_type="application/json")

    assert "1.10 U/L" in json.loads(response.text)["cards"][0]["summary"]


def test_a_value_in_another_unit_is_also_shown_in_that_of_the_marker() -> None:
    detail = card_of(call(observation(ALT, 0.02, "ukat/L")))["detail"]

    assert "**ALT 0.02 ukat/L (1.2 U/L)**" in detail


def test_a_converted_value_has_three_significant_digits() -> None:
    body = call(observation(ALT, 60), observation(BILIRUBIN, 137, "umol/L"))

    details = " ".join(card["detail"] for card in answer(body)["cards"])

    assert "**total bilirubin 137 umol/L (8.01 mg/dL)**" in details


def test_a_result_that_is_not_final_says_so() -> None:
    assert ", corrected;" in card_of(call(observation(ALT, 1, status="corrected")))["detail"]


def test_a_card_on_a_preliminary_result_has_no_orders_and_says_so() -> None:
    card = card_of(call(observation(ALT, 1500, status="preliminary")), "alt-over-1000")

    assert "suggestions" not in card
    assert "selectionBehavior" not in card
    assert "**Preliminary:**" in card["detail"]
    assert card["extension"]["org.cds-service.card"]["preliminary"] is True


def test_measures_are_shown_with_the_results_they_are_computed_from() -> None:
    body = call(
        observation(ALT, 150),
        observation(AST, 75),
        observation(ALP, 60, referenceRange=[{"high": {"value": 120, "unit": "U/L"}}]),
    )

    (card,) = answer(body)["cards"]

    assert "AST/ALT 0.5" in card["detail"]
    assert "R factor 7.5 (hepatocellular)" in card["detail"]
    assert "**ALP 60 U/L**" in card["detail"]


def test_medicines_that_count_are_named() -> None:
    body = call(observation(ALT, 1), medicationRequests=bundle(medicine("isoniazid", "6038")))

    assert re.search("Medicines and conditions that count: .*isoniazid", card_of(body)["detail"])


def test_what_was_not_sent_is_named_as_not_known() -> None:
    body = without(founding(), "prefetch", "conditions")

    detail = card_of(body)["detail"]

    assert "Not known: " in detail
    assert knowledge().packs[0].facts["on-dialysis"].title in detail


def test_an_order_that_is_withheld_says_why() -> None:
    card = card_of(call(observation(ALT, 1), serviceRequests=bundle(order_of_alt())))

    assert re.search(r"Not proposed: .*\(already ordered\)", card["detail"])
    assert not any(
        suggestion["label"].startswith("Repeat ALT") for suggestion in card["suggestions"]
    )


def test_a_proposal_is_a_draft_for_this_patient_about_this_result() -> None:
    body = founding()
    body["context"]["encounterId"] = "e1"

    resource = resources_in({"cards": [card_of(body)]})[0]

    assert (resource["status"], resource["intent"]) == ("draft", "proposal")
    assert resource["subject"] == {"reference": f"Patient/{PATIENT}"}
    assert resource["encounter"] == {"reference": "Encounter/e1"}
    assert resource["occurrencePeriod"] == {"start": "2026-06-15", "end": "2026-06-29"}
    assert resource["reasonReference"][0]["reference"].startswith("Observation/")
    assert resource["meta"]["tag"] == [{"system": PROPOSAL_SYSTEM, "code": PROPOSAL_CODE}]
    assert "requester" not in resource


def test_a_result_without_an_id_is_no_reason_that_can_be_pointed_to() -> None:
    bare = observation(ALT, 1)
    del bare["id"]

    resource: dict[str, Any] = resources_in({"cards": [card_of(call(bare))]})[0]

    assert "reasonReference" not in resource
    assert "encounter" not in resource


@pytest.mark.parametrize("identity", ["a b", "a/b", "ä1", "a_1", "a" * 65, "urn:oid:1.2", "|"])
def test_what_is_no_id_of_fhir_is_in_no_reference(identity: str, validator: Validator) -> None:
    body = call(observation(ALT, 1, id=identity))
    body["context"]["encounterId"] = identity

    resources = resources_in({"cards": [card_of(body)]})

    assert len(resources) > 1
    for resource in resources:
        assert ("reasonReference" in resource, "encounter" in resource) == (False, False)
        assert [str(issue) for issue in validator.validate_resource(resource).issues] == []


def test_a_contained_result_is_pointed_to_by_the_resource_that_holds_it(
    validator: Validator,
) -> None:
    panel = observation("24323-8", 0, id="panel", hasMember=[{"reference": "#alt"}])
    del panel["valueQuantity"]
    panel["contained"] = [observation(ALT, 1, id="alt")]

    for resource in resources_in({"cards": [card_of(call(panel))]}):
        assert resource["reasonReference"] == [{"reference": "Observation/panel"}]
        assert [str(issue) for issue in validator.validate_resource(resource).issues] == []


@pytest.mark.parametrize(
    ("identity", "subject"),
    [
        ("e" * 92, {"reference": "Patient/" + "e" * 92}),
        ("a_1", {"type": "Patient", "identifier": {"value": "a_1"}}),
        ("ä 1", {"type": "Patient", "identifier": {"value": "ä 1"}}),
    ],
)
def test_a_patient_whose_id_fhir_does_not_allow_is_named_all_the_same(
    identity: str, subject: Json, validator: Validator
) -> None:
    result = observation(ALT, 1, subject={"reference": f"Patient/{identity}"})
    body = call(result, patient={"resourceType": "Patient", "id": identity, "gender": "male"})
    body["context"]["patientId"] = identity

    for resource in resources_in({"cards": [card_of(body)]}):
        assert resource["subject"] == subject
        if "identifier" in subject:
            assert [str(issue) for issue in validator.validate_resource(resource).issues] == []


def test_our_own_proposals_never_count_as_ordered() -> None:
    own = [
        {**resource, "status": "active", "intent": "order"}
        for resource in resources_in(answer(founding()))
    ]

    again = answer(call(observation(ALT, 1), serviceRequests=bundle(*own)))

    assert again == answer(founding())


def test_days_are_those_of_the_site() -> None:
    now = datetime.fromisoformat("2026-06-15T23:30:00+00:00")
    settings = Settings(site_time_zone="Asia/Tokyo")

    http = create_app(settings, clock=lambda: now).test_client()
    response = json.loads(http.post(SERVICE, json=founding()).text)

    assert resources_in(response)[0]["occurrencePeriod"]["start"] == "2026-06-16"
    assert "2026-06-14 17:00 JST" in response["cards"][0]["detail"]


def test_the_results_that_could_not_be_used_have_one_card_with_a_line_each() -> None:
    body = call(observation(ALT, 20, "furlongs"), observation(AST, 20, "furlongs"))

    (card,) = answer(body)["cards"]

    assert card["summary"].startswith("Some results or data could not be used: ALT and AST.")
    lines = [line for line in card["detail"].splitlines() if "its unit is not known" in line]
    assert [line.split()[1].strip("*") for line in lines] == ["ALT", "AST"]


@pytest.mark.slow
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001", "9999"])
def test_results_at_the_ends_of_the_calendar_do_no_harm(time: str, zone: str) -> None:
    odd = observation(ALT, 2, effectiveDateTime=time, id="odd")
    foreign = observation(ALT, 2, "furlongs", effectiveDateTime=time, id="foreign")
    app = create_app(Settings(site_time_zone=zone), clock=lambda: NOW)

    response = app.test_client().post(SERVICE, json=call(observation(ALT, 1), odd, foreign))

    assert response.status_code == 200


def test_the_last_card_names_the_others_and_links_to_their_pages() -> None:
    medicines = [medicine(name) for name in ("isoniazid", "methotrexate", "simvastatin")]
    body = call(
        observation(ALT, 250, referenceRange=[{"high": {"value": 40, "unit": "U/L"}}]),
        observation("62236-5", 10, "nmol/L"),
        medicationRequests=bundle(
            *({**medicine, "id": f"m{n}"} for n, medicine in enumerate(medicines))
        ),
    )

    response = answer(body)
    first, second, third = response["cards"]
    line = third["detail"].splitlines()[-1]

    assert line == "Also noted: Low vitamin B6 (PLP)"
    assert "Also noted" not in first["detail"] + second["detail"]
    assert {link["url"].split("/", 3)[-1] for link in third["links"]} >= {
        "rules/statin-3x",
        "rules/plp-deficient",
    }
