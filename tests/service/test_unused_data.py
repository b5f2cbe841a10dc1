# SPDX-License-Identifier: Apache-2.0
"""No card is silent about what was sent and could not be used."""

from copy import deepcopy
from typing import Any

import pytest

from tests.service.patients import (
    ALP,
    ALT,
    BILIRUBIN,
    FAILURE,
    INR,
    ISONIAZID,
    UNUSED,
    Json,
    bundle,
    cards,
    observation,
    refusal,
    request,
)

NOTHING: list[Any] = [
    None,
    {},
    {"resource": None},
    {**ALT, "id": "x"},  # in the entry itself
    [{"resource": ALT}],
    '{"resourceType": "Observation"}',
    5,
    {"fullUrl": "https://ehr.example/Observation/alt"},
    {"resource": {key: value for key, value in ALT.items() if key != "resourceType"}},
    {"resource": {**ALT, "resourceType": "Observationn"}},
]


def unwrapped(entry: Any) -> Json:
    """A Bundle with just this entry."""
    return {"resourceType": "Bundle", "type": "searchset", "entry": [entry]}


def alt(**more: Any) -> Json:
    return {**deepcopy(ALT), **more}


def test_the_patient_in_liver_failure_has_one_critical_card() -> None:
    shown = cards(request(*FAILURE))

    assert set(shown) == {"alf-emergency"}
    assert shown["alf-emergency"]["indicator"] == "critical"
    assert "Not used" not in shown["alf-emergency"]["detail"]


@pytest.mark.parametrize("entry", NOTHING, ids=str)
def test_an_entry_that_holds_no_resource_alone_is_refused_with_its_path(entry: Any) -> None:
    status, words = refusal(request(observations=unwrapped(entry)))

    assert status == 412
    assert "$.prefetch.observations.entry[0]" in words


@pytest.mark.parametrize("entry", NOTHING, ids=str)
def test_an_entry_that_holds_no_resource_is_named_beside_those_that_are_read(entry: Any) -> None:
    body = request(*FAILURE)
    body["prefetch"]["observations"]["entry"].insert(2, entry)

    shown = cards(body)

    assert set(shown) == {"alf-emergency", UNUSED}
    assert "**Not used:** a laboratory result" in shown["alf-emergency"]["detail"]
    assert "a laboratory result, date not known: it could not be read" in shown[UNUSED]["detail"]


def test_beside_a_normal_result_it_is_the_only_card() -> None:
    shown = cards(request(alt(valueQuantity={"value": 30, "unit": "U/L"}), {}))

    assert set(shown) == {UNUSED}
    assert shown[UNUSED]["indicator"] == "info"
    assert shown[UNUSED]["summary"].startswith("Some results or data could not be used: a lab")


@pytest.mark.parametrize(
    "wrong",
    [
        {"total": "9"},
        {"total": True},
        {"total": [4]},
        {"link": [5, {"relation": "next", "url": "https://ehr.example/r4?page=2"}]},
        {"link": [{"relation": "next"}]},
        {"link": [5]},
    ],
    ids=str,
)
def test_a_page_that_may_not_be_the_last_is_a_part(wrong: Json) -> None:
    whole = request(*FAILURE)
    whole["prefetch"]["observations"] |= wrong
    normal = request(alt(valueQuantity={"value": 30, "unit": "U/L"}))
    normal["prefetch"]["observations"] |= wrong

    assert "laboratory results: only a part" in cards(whole)["alf-emergency"]["detail"]
    assert refusal(normal)[0] == 412


def test_a_total_in_quotes_is_read() -> None:
    body = request(*FAILURE)
    body["prefetch"]["observations"]["total"] = "4"

    assert "Incomplete" not in cards(body)["alf-emergency"]["detail"]


def test_a_bundle_with_misspelt_entries_is_no_empty_bundle() -> None:
    found = bundle(*FAILURE)
    body = request(observations={"resourceType": "Bundle", "entries": found["entry"]})

    assert refusal(body)[0] == 412


@pytest.mark.parametrize(
    "outcome",
    [
        {"resourceType": "OperationOutcome", "issue": [{"code": "exception"}]},
        {"resourceType": "OperationOutcome", "issue": [{"severity": "grave"}]},
        {"resourceType": "OperationOutcome"},
    ],
    ids=str,
)
def test_an_outcome_of_unknown_severity_is_an_error(outcome: Json) -> None:
    assert refusal(request(observations=bundle(outcome)))[0] == 412
    assert "only a part" in cards(request(*FAILURE, outcome))["alf-emergency"]["detail"]


def test_an_outcome_that_warns_is_no_error() -> None:
    warning = {"resourceType": "OperationOutcome", "issue": [{"severity": "Warning"}]}
    found = bundle(warning) | {"total": 0}

    assert cards(request(observations=found)) == {}


def test_results_that_a_report_names_and_nobody_sent_are_told() -> None:
    report: Json = {
        "resourceType": "DiagnosticReport",
        "id": "report",
        "status": "final",
        "subject": {"reference": "Patient/p1"},
        "result": [{"reference": "Observation/alt"}, {"reference": "Observation/gone"}],
    }
    normal = alt(valueQuantity={"value": 30, "unit": "U/L"})

    shown = cards(request(normal, report))

    assert set(shown) == {UNUSED}
    assert "a report or panel names some that were not sent" in shown[UNUSED]["detail"]
    assert cards(request(normal, {**report, "result": report["result"][:1]})) == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "F"}, "its status is none of FHIR"),
        ({"status": None}, "it came without a status"),
        ({"status": "unknown"}, "its status is unknown to the sender"),
        ({"effectiveDateTime": None}, "its time is missing or cannot be read"),
        ({"effectiveDateTime": "yesterday"}, "its time is missing or cannot be read"),
        ({"effectiveDateTime": "2026-07-15T06:00:00Z"}, "its time lies in the future"),
        ({"valueQuantity": {"value": "1500", "unit": "U/L"}}, "its value cannot be read"),
        ({"valueQuantity": {"value": None, "unit": "U/L"}}, "it came without a value"),
        ({"valueQuantity": None}, "it came without a value"),
        ({"valueQuantity": None, "valueString": ">1,500 U/L"}, "its value cannot be read"),
        ({"valueQuantity": None, "valueString": "1500*"}, "its value cannot be read"),
        ({"valueQuantity": None, "valueString": "H 1200"}, "its value cannot be read"),
        ({"valueString": "1500 U/L"}, "its value cannot be read"),
        ({"dataAbsentReason": {"text": "unknown"}}, "it came without a value"),
        ({"valueQuantity": {"value": 1500, "unit": "U/L", "comparator": "ad"}}, "its value cannot"),
        ({"valueQuantity": {"value": 1500}}, "it came without a unit"),
        ({"valueQuantity": {"value": 1500, "unit": "furlong"}}, "its unit is not known"),
        ({"modifierExtension": [{"url": "https://ehr.example/not"}]}, "it carries a modifier"),
        ({"valueQuantity": None, "valueCodeableConcept": {"text": "5000 U/L"}}, "its value cannot"),
    ],
    ids=str,
)
def test_a_result_that_cannot_be_used_is_told_alone_and_beside_others(
    change: Json, reason: str
) -> None:
    broken = alt(**change)

    alone, beside = cards(request(broken)), cards(request(broken, BILIRUBIN, ALP, INR))

    assert set(alone) == {UNUSED}
    assert "ALT" in alone[UNUSED]["summary"]
    assert reason in alone[UNUSED]["detail"]
    assert all(reason in card["detail"] for card in beside.values())


def test_a_resource_that_cannot_be_read_alone_is_refused_and_beside_others_told() -> None:
    status, words = refusal(request(alt(subject=5)))

    assert status == 412
    assert "$.prefetch.observations.entry[0].resource.subject" in words
    for card in cards(request(alt(subject=5), BILIRUBIN, ALP, INR)).values():
        assert "ALT, 2026-06-15: it could not be read" in card["detail"]


def test_a_number_that_is_too_large_to_be_one_is_told() -> None:
    import json

    body = json.dumps(request(alt())).replace("1500", "1e400").encode()

    assert "its value cannot be read" in cards(body)[UNUSED]["detail"]


def test_the_card_of_what_was_read_names_what_was_not() -> None:
    lost = observation("b", "1975-2", 0, "mg/dL", valueQuantity=None, valueString="3,0 mg/dL")
    mild = alt(valueQuantity={"value": 150, "unit": "U/L"})

    shown = cards(request(mild, ALP, lost))

    assert set(shown) == {"alt-mild", UNUSED}
    assert (
        "**Not used:** total bilirubin 3,0 mg/dL, 2026-06-15: its value cannot be read"
        in shown["alt-mild"]["detail"]
    )


@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
def test_it_is_told_where_orders_are_made(hook: str) -> None:
    body = request(alt(valueQuantity={"value": 300, "unit": "furlong"}), hook=hook)
    body["context"] |= {
        "selections": ["MedicationRequest/isoniazid"],
        "draftOrders": bundle({**ISONIAZID, "status": "draft"}),
    }

    assert set(cards(body, hook)) == {UNUSED}


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error", "registered", "Cancelled "])
def test_a_result_that_nobody_states_is_not_told(status: str) -> None:
    assert cards(request(alt(status=status))) == {}


def test_a_panel_that_cannot_be_read_is_told_by_its_parts() -> None:
    parts = [
        {"code": result["code"], "valueQuantity": result["valueQuantity"]} for result in FAILURE
    ]
    parts[0] = {**parts[0], "valueQuantity": {"value": 1500, "unit": ["U/L"]}}
    panel = {**ALP, "id": "panel", "valueQuantity": None, "component": parts}
    panel["code"] = {"coding": [{"system": "http://loinc.org", "code": "24325-3"}]}

    detail = cards(request(alt(valueQuantity={"value": 20, "unit": "U/L"}), panel))[UNUSED][
        "detail"
    ]

    assert "ALT" in detail
    assert "INR" in detail


def test_a_result_of_another_test_is_not_told_even_if_it_cannot_be_read() -> None:
    glucose = observation("g", "2345-7", 90, "mg/dL", status=5)

    assert cards(request(alt(valueQuantity={"value": 30, "unit": "U/L"}), glucose)) == {}


def test_a_result_too_old_to_change_a_card_is_not_told() -> None:
    old = observation("ast", "1920-8", 90, "furlong", effectiveDateTime="2025-06-15T06:00:00Z")

    assert cards(request(alt(valueQuantity={"value": 30, "unit": "U/L"}), old)) == {}


def test_an_older_result_that_a_rule_looks_back_to_is_told() -> None:
    old = alt(
        id="old", valueQuantity={"value": 90, "unit": "furlong"}, effectiveDateTime="2026-02-01"
    )

    assert UNUSED in cards(request(alt(valueQuantity={"value": 90, "unit": "U/L"}), old))


@pytest.mark.parametrize("status", ["Final", "final ", " FINAL"])
def test_a_status_in_another_spelling_is_read(status: str) -> None:
    assert set(cards(request(alt(status=status), BILIRUBIN, ALP, INR))) == {"alf-emergency"}


@pytest.mark.parametrize(
    "time",
    [
        "2026-06-15 06:00:00Z",
        "2026-06-15T06:00:00Z ",
        "2026-06-15t06:00:00z",
        "20260615T060000Z",
        "2026-06-15 06:00:00",
        "20260615",
    ],
)
def test_a_time_in_another_spelling_is_read(time: str) -> None:
    assert set(cards(request(alt(effectiveDateTime=time), BILIRUBIN, ALP, INR))) == {
        "alf-emergency"
    }


@pytest.mark.parametrize(
    "reference", ["Patient/p1 ", "Patient/p1/", "patient/p1", " Patient/p1", "PATIENT/p1", "p1"]
)
def test_a_subject_that_can_only_mean_the_patient_is_read(reference: str) -> None:
    result = alt(subject={"reference": reference})

    assert set(cards(request(result, BILIRUBIN, ALP, INR))) == {"alf-emergency"}


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("Patient?identifier=https://ehr.example|1", "whose it is cannot be told"),
        ("Patient/p2", "it is of another person"),
        ("Group/p1", "it is of another person"),
    ],
)
def test_a_result_of_someone_else_is_told(reference: str, reason: str) -> None:
    shown = cards(request(alt(subject={"reference": reference}), BILIRUBIN, ALP, INR))

    assert f", 2026-06-15: {reason}" in shown[UNUSED]["detail"]


def test_a_date_on_the_report_counts_wherever_the_report_was_sent() -> None:
    undated = [
        {key: value for key, value in result.items() if key != "effectiveDateTime"}
        for result in FAILURE
    ]
    report = {
        "resourceType": "DiagnosticReport",
        "id": "report",
        "status": "final",
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-06-15T06:00:00Z",
        "result": [{"reference": f"Observation/{result['id']}"} for result in FAILURE],
    }

    assert set(cards(request(*undated, reports=bundle(report)))) == {"alf-emergency"}
    assert "its time is missing" in cards(request(*undated))[UNUSED]["detail"]


def test_where_no_time_can_be_read_the_time_of_issue_counts_and_is_named() -> None:
    reported = alt(effectiveDateTime="15 June", issued="2026-06-15T07:00:00Z")

    shown = cards(request(reported, BILIRUBIN, ALP, INR))

    assert "(when it was issued)" in shown["alf-emergency"]["detail"]


@pytest.mark.parametrize("comparator", [">", "&gt;", " > ", "greater than", ">=", "=>", "=", ""])
def test_a_comparator_in_words_is_read(comparator: str) -> None:
    value = {"value": 1500, "unit": "U/L", "comparator": comparator}

    assert set(cards(request(alt(valueQuantity=value), BILIRUBIN, ALP, INR))) == {"alf-emergency"}


UNREADABLE_LISTS: list[Any] = [
    {"resourceType": "Bundle", "entry": [None]},
    {"resourceType": "Bundle", "entry": [{"resource": {"status": "active"}}]},
    {"resourceType": "Bundle", "entry": [{"resource": {**ISONIAZID, "status": 5}}]},
    "a list of medicines",
    5,
    {"resourceType": "Bundle", "total": 3, "entry": []},
    {"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]},
]


@pytest.mark.parametrize("medicines", UNREADABLE_LISTS, ids=str)
def test_medicines_that_cannot_be_read_are_not_known(medicines: Any) -> None:
    raised = alt(valueQuantity={"value": 130, "unit": "U/L"})
    normal = alt(valueQuantity={"value": 30, "unit": "U/L"})

    shown = cards(request(raised, medicationRequests=medicines))

    assert "isoniazid-symptom-check" in cards(request(raised, medicationRequests=bundle(ISONIAZID)))
    assert UNUSED not in shown  # the cards that are there say so themselves
    assert all("medicines: " in card["detail"] for card in shown.values())
    assert set(cards(request(normal, medicationRequests=medicines))) == {UNUSED}


def test_conditions_that_cannot_be_read_are_not_known() -> None:
    body = request(*FAILURE, conditions={"resourceType": "Bundle", "entry": [{}]})

    assert "conditions: some could not be read" in cards(body)["alf-emergency"]["detail"]


def test_a_patient_that_cannot_be_read_is_told() -> None:
    normal = alt(valueQuantity={"value": 30, "unit": "U/L"})
    patient = {"resourceType": "Patient", "id": "p1", "birthDate": 2018}

    assert set(cards(request(normal, patient=patient))) == {UNUSED}


def test_death_is_not_believed_beside_a_patient_that_cannot_be_read() -> None:
    dead = {"resourceType": "Patient", "id": "p1", "deceasedBoolean": True}
    body = request(*FAILURE, dead, patient={"resourceType": "Patient", "id": ["p1"]})

    assert "alf-emergency" in cards(body)


@pytest.mark.parametrize(
    "other", [{"birthDate": "2018-02-03"}, {"gender": "female"}, {"deceasedBoolean": True}]
)
def test_patients_that_contradict_each_other_are_told_alone_and_on_cards(other: Json) -> None:
    man = {"resourceType": "Patient", "id": "p1", "birthDate": "1960-01-01", "gender": "male"}
    normal = alt(valueQuantity={"value": 20, "unit": "U/L"})
    critical = cards(request(*FAILURE, {**man, **other}, patient=man))

    assert set(cards(request(normal, {**man, **other}, patient=man))) == {UNUSED}
    assert set(critical) >= {"alf-emergency"}
    assert all("contradict each other" in card["detail"] for card in critical.values())


@pytest.mark.parametrize(
    "code",
    [
        None,
        {},
        {"coding": []},
        {"coding": [{}]},
        {"coding": [{"system": "http://loinc.org"}]},
        {"coding": [{"system": "http://loinc.org", "code": "17426"}]},
        {"coding": [{"code": "ALT-1"}]},
    ],
    ids=str,
)
def test_a_result_without_a_readable_code_is_told(code: Any) -> None:
    shown = cards(request(alt(code=code), BILIRUBIN, ALP, INR))

    assert "a laboratory result" in shown[UNUSED]["detail"]
    assert "it came without a code or name that can be read" in shown[UNUSED]["detail"]


def test_a_code_of_the_pack_under_an_unknown_system_is_told() -> None:
    code = {"coding": [{"system": "http://loinc.example", "code": "1742-6"}]}

    detail = cards(request(alt(code=code)))[UNUSED]["detail"]

    assert "ALT 1500 U/L, 2026-06-15: its code is of a system that is not known" in detail


def test_a_local_code_without_a_name_is_of_another_test() -> None:
    code = {"coding": [{"system": "https://ehr.example/codes", "code": "GLU"}]}

    assert cards(request(alt(code=code))) == {}


def test_a_panel_with_nothing_inside_is_told() -> None:
    panel = observation("panel", "24325-3", 0, "1", valueQuantity=None)

    assert "it came without a value" in cards(request(panel))[UNUSED]["detail"]
    assert cards(request({**panel, "status": "cancelled"})) == {}


LOW = {"value": 20, "unit": "U/L"}


def test_two_results_that_share_an_id_are_both_read() -> None:
    shown = cards(request({**BILIRUBIN, "id": "1"}, alt(id="1"), ALP, INR))

    assert set(shown) == {"alf-emergency"}


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_versions_that_nothing_orders_the_higher_counts_and_the_other_is_named(
    turned: bool,
) -> None:
    both = [alt(valueQuantity=LOW), alt()]

    shown = cards(request(*(both[::-1] if turned else both), BILIRUBIN, ALP, INR))

    assert set(shown) == {"alf-emergency", UNUSED}
    assert "ALT 20 U/L" in shown[UNUSED]["detail"]


def test_the_same_id_on_two_servers_is_of_two_results() -> None:
    body = request(BILIRUBIN, ALP, INR)
    body["prefetch"]["observations"]["entry"][0]["fullUrl"] = "https://a.example/Observation/1"
    more = {"fullUrl": "https://b.example/Observation/1", "resource": alt(id="1")}
    body["prefetch"]["observations"]["entry"].append(more)

    assert "alf-emergency" in cards(body)


COMMENT = [{"code": {"text": "comment"}, "valueString": "x"}]


@pytest.mark.parametrize(
    "change",
    [
        {"valueQuantity": {"unit": "U/L"}, "component": COMMENT},
        {"valueQuantity": None, "component": COMMENT},
        {"dataAbsentReason": {"text": "x"}, "hasMember": [{"reference": "Observation/bilirubin"}]},
        {"valueQuantity": None, "hasMember": [{"display": "x"}]},
        {"code": {"coding": [{"system": "x", "code": "1742-6"}]}, "component": COMMENT},
        {"code": None, "hasMember": [{"display": "x"}]},
    ],
    ids=str,
)
def test_parts_do_not_hide_that_the_whole_could_not_be_used(change: Json) -> None:
    assert UNUSED in cards(request(alt(**change), BILIRUBIN, ALP, INR))


@pytest.mark.parametrize(
    "member", [{"reference": "#nope"}, {"display": "ALT 1500"}, {"identifier": {"value": "1"}}]
)
def test_a_member_that_is_nowhere_is_named(member: Json) -> None:
    report: Json = {
        "resourceType": "DiagnosticReport",
        "id": "report",
        "status": "final",
        "subject": {"reference": "Patient/p1"},
        "result": [member],
    }

    assert "that were not sent" in cards(request(alt(valueQuantity=LOW), report))[UNUSED]["detail"]


def test_what_a_withdrawn_report_contains_is_withdrawn() -> None:
    report = {
        "resourceType": "DiagnosticReport",
        "id": "report",
        "status": "entered-in-error",
        "subject": {"reference": "Patient/p1"},
        "contained": [{**ALT, "id": "a"}],
        "result": [{"reference": "#a"}],
    }

    assert cards(request(alt(valueQuantity=LOW), report)) == {}


def test_an_upper_limit_above_which_all_is_usual_is_no_limit() -> None:
    limit = [{"high": {"value": 100, "unit": "U/L", "comparator": ">"}}]

    shown = cards(request(alt(valueQuantity={"value": 300, "unit": "U/L"}, referenceRange=limit)))

    assert "40 U/L" in shown["alt-moderate"]["detail"]


def ordering(draft: Json, *more: Json, selection: str = "MedicationRequest/isoniazid") -> Json:
    """The choice of a medicine for a patient with an ALT of 300 U/L."""
    body = request(alt(valueQuantity={"value": 300, "unit": "U/L"}), hook="order-select")
    body["context"] |= {"draftOrders": bundle(draft), "selections": [selection]}
    body["prefetch"]["medications"] = bundle(*more)
    return body


DRAFT: Json = {**ISONIAZID, "status": "draft"}
PRODUCT: Json = {"resourceType": "Medication", "id": "m", "code": {"text": "isoniazid"}}
REFERRED: Json = {
    **DRAFT,
    "medicationCodeableConcept": None,
    "medicationReference": {"reference": "Medication/m"},
}
PARTED: Json = {
    **DRAFT,
    "medicationCodeableConcept": None,
    "medicationReference": {"reference": "#p"},
    "contained": [
        {
            "resourceType": "Medication",
            "id": "p",
            "ingredient": [{"itemReference": {"reference": "Medication/m"}}],
        }
    ],
}


@pytest.mark.parametrize(
    "body",
    [
        ordering(DRAFT),
        ordering(REFERRED, PRODUCT),
        ordering(PARTED, PRODUCT),
    ],
    ids=["coded", "by reference", "by ingredient"],
)
def test_a_medicine_that_is_being_ordered_is_understood(body: Json) -> None:
    assert "isoniazid-stop-threshold" in cards(body, "order-select")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (ordering({**DRAFT, "modifierExtension": [{"url": "x"}]}), "medicines: some were not used"),
        (ordering({**DRAFT, "subject": {"reference": "Patient/p2"}}), "medicines: some were not"),
        (ordering(REFERRED), "medicines: one has neither a name nor a code that is known here"),
        (ordering(DRAFT, selection="MedicationRequest/another"), "open orders: those being made"),
    ],
    ids=["modifier", "of another patient", "not sent", "not selected"],
)
def test_a_draft_that_cannot_be_used_is_named(body: Json, words: str) -> None:
    assert words in cards(body, "order-select")[UNUSED]["detail"]


def without_lists(*observations: Json) -> Json:
    """The call of a client that sends results and the patient alone."""
    body = request(*observations)
    body["prefetch"] = {key: body["prefetch"][key] for key in ("patient", "observations")}
    return body


def test_lists_that_no_answer_waits_for_are_not_missed() -> None:
    assert cards(without_lists(alt(valueQuantity={"value": 30, "unit": "U/L"}))) == {}


def test_lists_that_an_answer_waits_for_are_named_though_nothing_else_is_found() -> None:
    shown = cards(without_lists({**INR, "valueQuantity": {"value": 3.0, "unit": "{INR}"}}))

    assert set(shown) == {UNUSED}
    assert "medicines: not sent" in shown[UNUSED]["detail"]
    assert "conditions: not sent" in shown[UNUSED]["detail"]


def test_a_list_that_came_empty_is_not_missed() -> None:
    body = without_lists({**INR, "valueQuantity": {"value": 3.0, "unit": "{INR}"}})
    body["prefetch"] |= {"conditions": None, "medicationRequests": bundle()}

    assert cards(body) == {}
