# SPDX-License-Identifier: Apache-2.0
"""The state table of prefetch (conformance.md, 2.4), row by row and key by key, over HTTP."""

import json
from typing import Any

import pytest

from tests.web.http_fixtures import (
    ALT,
    LOINC,
    PATIENT,
    SERVICE,
    Json,
    bundle,
    call,
    client,
    founding,
    medicine,
    observation,
    patient,
    without,
)

ERROR = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "timeout"}]}
WARNING = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "x"}]}
INFORMATION = {"resourceType": "OperationOutcome", "issue": [{"severity": "information"}]}
FATAL = {"resourceType": "OperationOutcome", "issue": [{"severity": "fatal"}]}
NEXT = [{"relation": "next", "url": "https://169.254.169.254/latest/meta-data"}]

# The keys beside results, and the words by which a card says that it does not know them.
OTHERS = {
    "conditions": "conditions",
    "medicationRequests": "medicines",
    "serviceRequests": "open orders",
}


def outcome_in(*outcomes: Json) -> Json:
    entries = [{"resource": outcome, "search": {"mode": "outcome"}} for outcome in outcomes]
    return {"resourceType": "Bundle", "type": "searchset", "total": 0, "entry": entries}


def answer(body: Json) -> tuple[int, list[Json]]:
    response = client().post(SERVICE, json=body)
    return response.status_code, json.loads(response.text).get("cards", [])


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (None, 200),
        ({"resourceType": "Bundle", "type": "searchset", "total": 0}, 200),
        ({"resourceType": "Bundle", "entry": []}, 200),
        (outcome_in(WARNING), 200),
        (outcome_in(INFORMATION), 200),
        (outcome_in(ERROR), 412),
        (outcome_in(FATAL), 412),
        (outcome_in(WARNING, ERROR), 412),
        (ERROR, 412),
        (WARNING, 412),
        ({"resourceType": "Bundle", "link": NEXT}, 412),
        ("123", 412),
        ("<html></html>", 412),
        (7, 412),
        ([], 412),
        ({}, 412),
        ({"resourceType": "Patient", "id": PATIENT}, 412),
        (bundle({"resourceType": "Patient", "id": PATIENT}), 412),
        ({"resourceType": "Slot"}, 412),
        ({"resourceType": "DiagnosticReport", "id": "r"}, 200),
    ],
)
def test_what_the_required_key_brings(sent: Any, status: int) -> None:
    assert answer(call(observations=sent)) == (status, [])


def test_an_absent_required_key_is_412() -> None:
    assert answer(without(founding(), "prefetch", "observations")) == (412, [])


@pytest.mark.parametrize(
    "sent",
    [
        observation(ALT, 1),
        bundle(observation(ALT, 1)),
        {"resource": bundle(observation(ALT, 1))},
        {"resourceType": "Bundle", "entry": {"resource": observation(ALT, 1)}},
        bundle(observation(ALT, 1), WARNING),
        bundle(bundle(observation(ALT, 1))),
    ],
    ids=["read", "search", "wrapped", "object", "with a warning", "nested"],
)
def test_results_in_any_of_their_forms_give_the_card(sent: Json) -> None:
    status, cards = answer(call(observations=sent))

    assert (status, len(cards)) == (200, 1)
    assert "Incomplete data" not in cards[0]["detail"]


@pytest.mark.parametrize("key", OTHERS)
@pytest.mark.parametrize("sent", [ERROR, outcome_in(ERROR)])
def test_another_key_that_failed_is_said_on_the_card(key: str, sent: Json) -> None:
    status, cards = answer(call(observation(ALT, 1), **{key: sent}))

    assert (status, len(cards)) == (200, 1)
    assert f"{OTHERS[key]}: could not be fetched" in cards[0]["detail"]


@pytest.mark.parametrize("sent", ["123", "<html>", [], {}, True])
def test_another_key_with_garbage_is_as_if_absent_and_said_on_the_card(sent: Any) -> None:
    body = call(observation(ALT, 1))

    _, (absent,) = answer(without(body, "prefetch", "patient"))
    _, (card,) = answer({**body, "prefetch": {**body["prefetch"], "patient": sent}})

    said = "\n- **Incomplete data:** the patient's own data: some could not be read"
    assert card == {**absent, "detail": card["detail"]}
    assert card["detail"].replace(said, "") == absent["detail"]


def test_a_key_that_is_null_is_known_to_be_empty_and_an_absent_one_is_not_known() -> None:
    body = call(observation(ALT, 1), medicationRequests=None)
    unknown = without(
        without(body, "prefetch", "medicationRequests"), "prefetch", "medicationStatements"
    )

    ((known_card,), (unknown_card,)) = (answer(sent)[1] for sent in (body, unknown))

    assert known_card["detail"] != unknown_card["detail"]


def test_t16_a_next_page_is_never_asked_for_and_the_card_says_so() -> None:
    page = {**bundle(observation(ALT, 1)), "link": NEXT}

    status, (card,) = answer(call(observations=page))

    assert status == 200
    assert "only a part was sent" in card["detail"]
    assert "169.254" not in json.dumps(card)


def test_t17_only_matches_count_and_an_error_among_them_makes_it_a_part() -> None:
    page = bundle(observation(ALT, 1))
    page["entry"] += [
        {"resource": {"resourceType": "Specimen", "id": "s"}, "search": {"mode": "include"}},
        {"resource": ERROR, "search": {"mode": "outcome"}},
    ]

    _, (card,) = answer(call(observations=page))

    assert "only a part was sent" in card["detail"]


@pytest.mark.parametrize("key", ["-user", "surprise", "Ω", "a b", ""])
def test_t20_a_key_that_nobody_asked_for_changes_nothing(key: str) -> None:
    body = founding()
    role = {"resourceType": "PractitionerRole", "id": "r", "practitioner": "odd"}

    assert answer({**body, "prefetch": {**body["prefetch"], key: role}}) == answer(body)


@pytest.mark.parametrize(
    "reference",
    [
        f"Patient/{PATIENT}",
        f"https://fhir.example/r4/Patient/{PATIENT}",
        f"Patient/{PATIENT}/_history/2",
        f"https://fhir.example/r4/Patient/{PATIENT}/_history/2",
    ],
)
def test_t21_the_patient_by_any_reference(reference: str) -> None:
    result = observation(ALT, 1, subject={"reference": reference})

    assert len(answer({**call(result), "fhirServer": "https://fhir.example/r4"})[1]) == 1


def test_t21_a_medicine_by_a_contained_reference() -> None:
    request = medicine("x")
    del request["medicationCodeableConcept"]
    request["contained"] = [
        {"resourceType": "Medication", "id": "m", "code": {"text": "isoniazid"}}
    ]
    request["medicationReference"] = {"reference": "#m"}

    _, cards = answer(call(observation(ALT, 1), medicationRequests=bundle(request)))

    assert any("isoniazid" in card["detail"].lower() for card in cards)


def test_t22_a_result_of_another_patient_is_not_used_and_said_without_its_value() -> None:
    other = observation(ALT, 1789, id="other", subject={"reference": "Patient/another"})

    status, (card,) = answer(call(observation(ALT, 30), other))

    assert answer(call(other))[0] == 400
    assert (status, card["indicator"]) == (200, "info")
    assert "ALT, 2026-06-14: it is of another person" in card["detail"]
    assert "1789" not in str(card)


def test_t23_thousands_of_unsorted_results_are_read_whole_in_any_order() -> None:
    many = [
        observation(
            ALT,
            30 + n % 5,
            id=f"o{n}",
            effectiveDateTime=f"20{10 + n % 15}-0{1 + n % 9}-1{n % 10}T0{n % 10}:{n % 60:02}:00Z",
        )
        for n in range(5000)
    ]
    telling = observation(ALT, 1, id="telling")

    first, middle, last = (answer(call(*many[:at], telling, *many[at:])) for at in (0, 2500, 5000))

    assert first == middle == last
    assert first[0] == 200
    assert len(first[1]) == 1


def test_t24_resources_of_another_version_do_no_harm() -> None:
    stu3 = {
        "resourceType": "MedicationStatement",
        "id": "s",
        "taken": "y",
        "status": "active",
        "context": {"reference": "Encounter/1"},
        "medicationCodeableConcept": {"text": "isoniazid"},
        "subject": {"reference": f"Patient/{PATIENT}"},
    }
    dstu2 = {"resourceType": "MedicationOrder", "id": "o", "status": "active"}

    status, cards = answer(
        call(observation(ALT, 1), medicationStatements=bundle(stu3, dstu2), patient=patient())
    )

    assert (status, len(cards)) == (200, 2)  # what can be read is used


def test_ch_req_015_orders_in_the_shape_of_stu3_never_break_the_call() -> None:
    order = {
        "resourceType": "ProcedureRequest",
        "id": "p",
        "status": "draft",
        "intent": "order",
        "code": {"coding": [{"system": LOINC, "code": ALT}]},
        "subject": {"reference": f"Patient/{PATIENT}"},
    }
    body = call(observation(ALT, 1))
    body["hook"] = "order-sign"
    body["context"]["draftOrders"] = bundle(order)

    assert client().post("/cds-services/liver-order-sign", json=body).status_code == 200
