# SPDX-License-Identifier: Apache-2.0
"""Calls in the shapes of the public sandbox and of Epic get their cards."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from cds_service.cli import cli
from cds_service.copying import replace
from cds_service.knowledge.model.code_systems import Code
from cds_service.knowledge.model.pack import Pack
from cds_service.render.profiles import EPIC_CODES
from cds_service.service import prepare
from cds_service.settings import Settings
from cds_service.web import create_app
from tests.conformance.shapes import (
    ORDER_SELECT,
    ORDER_SIGN,
    epic_nothing,
    epic_page,
    epic_result,
    epic_sign,
    epic_view,
    sandbox_select,
    sandbox_view,
)
from tests.web.http_fixtures import (
    ALT,
    NOW,
    PATIENT,
    SERVICE,
    Json,
    bundle,
    client,
    empties,
    founding,
    knowledge,
    observation,
    patient,
)


def cards(path: str, body: Json, settings: Settings | None = None) -> list[Json]:
    response = client(settings).post(path, json=body)
    assert response.status_code == 200, response.text
    answered = json.loads(response.text)
    assert empties(answered) == []
    found: list[Json] = answered["cards"]
    return found


def topics(found: list[Json]) -> list[str]:
    return [card["source"]["topic"]["code"] for card in found]


def test_q_sb_01_patient_view_without_an_encounter_gets_its_card() -> None:
    body = sandbox_view(patient=patient(), observations=bundle(observation(ALT, 1)))

    (card,) = cards(SERVICE, body)

    assert card["suggestions"]
    assert "encounter" not in card["suggestions"][0]["actions"][0]["resource"]


def test_q_sb_01_order_select_without_bundle_type_and_with_an_object_as_category() -> None:
    body = sandbox_select(patient=patient(), observations=bundle(observation(ALT, 300)))

    assert any("isoniazid" in card["detail"].lower() for card in cards(ORDER_SELECT, body))


def test_q_sb_02_keys_that_failed_are_not_there_and_nothing_breaks() -> None:
    assert cards(SERVICE, sandbox_view(observations=bundle(observation(ALT, 1))))
    for body in (sandbox_view(), sandbox_view(patient=patient())):
        assert client().post(SERVICE, json=body).status_code == 412


def test_q_sb_07_cards_and_suggestions_have_uuids() -> None:
    for card in cards(SERVICE, founding()):
        assert card["uuid"]
        assert all(suggestion["uuid"] for suggestion in card["suggestions"])


def test_t68_the_whole_shape_of_epic_gets_its_card() -> None:
    body = epic_view(labs=epic_page(epic_result()), conditions=epic_nothing())

    (card,) = cards(SERVICE, body)

    resource = card["suggestions"][0]["actions"][0]["resource"]
    assert resource["subject"]["reference"] == f"Patient/{body['context']['patientId']}"
    assert "ZZCANARYTOKEN" not in json.dumps(card)


def test_q_ep_07_a_warning_in_place_of_results_is_no_results() -> None:
    assert cards(SERVICE, epic_view(observations=epic_nothing())) == []


def test_q_ep_09_medications_and_older_resources_among_the_orders_do_no_harm() -> None:
    body = epic_sign(labs=epic_page(epic_result(300)))

    assert any("isoniazid" in card["detail"].lower() for card in cards(ORDER_SIGN, body))


def test_t70_q_ep_05_a_call_stripped_of_its_data_is_412_with_a_reason() -> None:
    body = epic_view()
    for member in ("prefetch", "fhirAuthorization"):
        del body[member]

    response = client().post(SERVICE, json=body)

    assert response.status_code == 412
    assert "'observations'" in response.text


@pytest.mark.parametrize("key", ["-labs", "Results 90 days", "ALT", "x", "-"])
def test_ch_pf_027_a_key_may_have_any_name(key: str) -> None:
    assert cards(SERVICE, epic_view(**{key: epic_page(epic_result())}))


def test_ch_pf_027_a_key_of_the_site_that_brings_nothing_is_known_by_the_map() -> None:
    body = epic_view(**{"-alt90": epic_nothing()})

    assert client().post(SERVICE, json=body).status_code == 412
    assert cards(SERVICE, body, Settings(prefetch_keys="-alt90=observations x=patient")) == []


def with_epic_code(pack: Pack) -> Pack:
    code = Code(system=f"{EPIC_CODES}preference-list-item", code="ALT_REPEAT", name="ALT")
    orders = {**pack.orders, "repeat-alt": replace(pack.orders["repeat-alt"], site_code=code)}
    return replace(pack, orders=orders)


def epic_client() -> Any:
    packs = tuple(with_epic_code(pack) for pack in knowledge().packs)
    prepared = prepare(packs, zone=knowledge().zone)
    settings = Settings(output_profile="epic")
    return create_app(settings, clock=lambda: NOW, knowledge=prepared).test_client()


def test_q_ep_10_to_13_the_profile_of_epic() -> None:
    (plain,) = cards(SERVICE, founding())
    (card,) = json.loads(epic_client().post(SERVICE, json=founding()).text)["cards"]

    (suggestion,) = card["suggestions"]
    (action,) = suggestion["actions"]
    assert card["selectionBehavior"] == "any"
    assert action["description"].startswith("Order Repeat ALT")
    assert action["resource"]["code"]["coding"] == [
        {"system": f"{EPIC_CODES}preference-list-item", "code": "ALT_REPEAT", "display": "ALT"}
    ]
    content_type = card["extension"]["com.epic.cdshooks.card.detail.content-type"]
    assert content_type == "text/markdown; variant=GitHub"
    for other in plain["suggestions"][1:]:
        said = f"- Not offered as an order, because this site has no code for it: {other['label']}"
        assert said in card["detail"]
    assert card["uuid"] == plain["uuid"]


def test_q_ep_11_without_codes_of_the_site_epic_gets_text_and_no_suggestion() -> None:
    (card,) = cards(SERVICE, founding(), Settings(output_profile="epic"))

    assert "suggestions" not in card
    assert "selectionBehavior" not in card
    assert "Not offered as an order" in card["detail"]


def test_every_other_client_gets_one_action_a_suggestion_and_any_too() -> None:
    (card,) = cards(SERVICE, founding())

    assert card["selectionBehavior"] == "any"
    assert [len(suggestion["actions"]) for suggestion in card["suggestions"]] == [1] * len(
        card["suggestions"]
    )
    assert list(card["extension"]) == ["org.cds-service.card"]


def test_q_ep_02_the_prefetch_sheet_says_what_discovery_says() -> None:
    discovery = json.loads(knowledge().discovery)["services"]

    printed = CliRunner().invoke(cli, ["prefetch-sheet"])
    sheet = json.loads(CliRunner().invoke(cli, ["prefetch-sheet", "--json"]).output)

    assert printed.exit_code == 0
    for entry, service in zip(discovery, sheet["services"], strict=True):
        assert service["url"].endswith(f"/cds-services/{entry['id']}")
        assert {row["key"]: row["query"] for row in service["prefetch"]} == entry["prefetch"]
        assert [row["key"] for row in service["prefetch"] if row["required"]] == ["observations"]
        assert all(query in printed.output for query in entry["prefetch"].values())
    orders = {name for pack in knowledge().packs for name in pack.orders}
    assert {order["order"] for order in sheet["orders"]} == orders
    assert PATIENT not in printed.output
