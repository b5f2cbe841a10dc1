# SPDX-License-Identifier: Apache-2.0
"""Hook requests and files become the same input."""

import json

import pytest

from cds_service.errors import PayloadTooLarge, RequestError
from cds_service.hooks.request import HookRequest, read_request
from cds_service.labs.patient_record import PatientRecord
from cds_service.render.reason_text import incomplete_text
from cds_service.sources.file import (
    input_from_document,
    inputs_from_document,
    read_resources,
)
from cds_service.sources.hook_request import input_from_request
from tests.intake.intake_fixtures import NOW, Json, bundle, coded, observation, read
from tests.render.decisions import PACK

PATIENT: Json = {"resourceType": "Patient", "id": "p1", "gender": "female"}
ERROR: Json = {"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]}


def draft(kind: str = "ServiceRequest", **other: object) -> Json:
    return {
        "resourceType": kind,
        "id": "d",
        "status": "draft",
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
        "code": coded("1742-6", text="the enzyme"),
        **other,
    }


def call(prefetch: Json, **context: object) -> bytes:
    hook = "order-select" if "selections" in context else "patient-view"
    if "draftOrders" in context and "selections" not in context:
        hook = "order-sign"
    made = {
        "hook": hook,
        "hookInstance": "d1577c69-dfbe-11ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/1", "patientId": "p1", **context},
        "prefetch": prefetch,
    }
    return json.dumps(made).encode()


def request(prefetch: Json, **context: object) -> HookRequest:
    return read_request(call(prefetch, **context), max_depth=4, max_entries=1000)


def record(prefetch: Json, **context: object) -> PatientRecord:
    return read(input_from_request(request(prefetch, **context)))


def notes(found: PatientRecord) -> list[str]:
    """What a card says did not come whole, without the lists that these calls leave out."""
    sent = [part for part in found.incomplete if part.lack != "not sent"]
    return [incomplete_text(part, PACK.messages_in()) for part in sent]


def test_a_whole_request_becomes_a_record() -> None:
    found = record(
        {
            "patient": PATIENT,
            "observations": bundle(observation()),
            "conditions": bundle(),
            "medicationRequests": None,
        }
    )

    assert (found.patient.sex, len(found.results)) == ("female", 1)
    assert (found.conditions, found.medicines, found.orders) == ((), (), None)
    assert found.incomplete == ()


@pytest.mark.parametrize(
    ("key", "value", "medicines"),
    [
        ("medicationRequests", None, ()),
        ("medicationStatements", {"resourceType": "Bundle"}, ()),
        ("medicationRequests", ERROR, None),
        ("medicationRequests", "garbage", None),
        ("medicationRequests", {"resourceType": "Bundle", "total": 3}, None),
        ("whatever", None, None),
    ],
)
def test_a_key_decides_what_is_known(key: str, value: object, medicines: object) -> None:
    assert record({key: value}).medicines == medicines


def test_one_of_two_questions_about_medicines_is_enough() -> None:
    found = record({"medicationRequests": None, "medicationStatements": ERROR})

    assert (found.medicines, notes(found)) == ((), ["medicines: could not be fetched"])


@pytest.mark.parametrize(
    ("prefetch", "parts"),
    [
        ({}, ["medicines", "conditions"]),
        ({"conditions": None}, ["medicines"]),
        ({"conditions": ERROR, "medicationStatements": bundle()}, []),
        ({"medicationRequests": bundle(), "conditions": bundle()}, []),
    ],
)
def test_a_list_of_which_nothing_came_was_not_sent(prefetch: Json, parts: list[str]) -> None:
    found = input_from_request(request(prefetch))

    assert [lack.part for lack in found.incomplete if lack.lack == "not sent"] == parts


def test_what_a_key_holds_counts_whatever_its_name() -> None:
    found = record({"-user": {"resourceType": "Practitioner"}, "epicLabs": bundle(observation())})

    assert len(found.results) == 1


def test_a_site_may_name_its_keys() -> None:
    made = input_from_request(request({"-rx": None}), {"-rx": "medicationRequests"})

    assert made.available == {"MedicationRequest"}


@pytest.mark.parametrize(
    ("prefetch", "note"),
    [
        (
            {
                "observations": bundle(
                    observation(), link=[{"relation": "next", "url": "https://fhir.example?p=2"}]
                )
            },
            "laboratory results: only a part was sent",
        ),
        (
            {"observations": bundle(observation(), total=9)},
            "laboratory results: only a part was sent",
        ),
        ({"observations": ERROR}, "laboratory results: could not be fetched"),
        ({"conditions": ERROR}, "conditions: could not be fetched"),
        ({"whatever": ERROR}, "some data: could not be fetched"),
        (
            {"conditions": bundle({"resourceType": "Condition", "subject": 5})},
            "conditions: some could not be read",
        ),
        (
            {"patient": {"resourceType": "Patient", "gender": 5}},
            "the patient's own data: some could not be read",
        ),
    ],
)
def test_what_is_missing_is_named_for_the_card(prefetch: Json, note: str) -> None:
    assert notes(record(prefetch)) == [note]


def test_a_bad_resource_is_listed_and_the_good_ones_are_used() -> None:
    found = record({"observations": bundle(observation(), observation(id="x", status=[5]))})

    assert len(found.results) == 1
    assert [(result.reason, result.reference) for result in found.set_aside] == [
        ("invalid-resource", "Observation/x")
    ]


def test_the_same_resource_under_two_keys_counts_once() -> None:
    found = record({"a": bundle(observation()), "b": observation()})

    assert (len(found.results), found.set_aside) == (1, ())


def test_only_selected_orders_are_judged() -> None:
    drafts = bundle(draft(), draft(id="e", code=coded("1975-2")))

    found = record({}, selections=["ServiceRequest/d", "ServiceRequest/gone"], draftOrders=drafts)

    assert [draft.reference for draft in found.ordering] == ["ServiceRequest/d"]
    assert found.ordering[0].texts == ("the enzyme",)
    assert [order.reference for order in found.orders or ()] == [
        "ServiceRequest/d",
        "ServiceRequest/e",
    ]


@pytest.mark.parametrize("name", ["d", "https://fhir.example/ServiceRequest/d"])
def test_a_selection_may_be_an_id_or_an_address(name: str) -> None:
    assert len(record({}, selections=[name], draftOrders=bundle(draft())).ordering) == 1


def test_all_orders_are_judged_when_they_are_signed() -> None:
    product: Json = {"resourceType": "Medication", "id": "m", "code": {"text": "isoniazid"}}
    prescription = draft(
        "MedicationRequest", id="r", medicationReference={"reference": "Medication/m"}
    )
    over = draft(id="z", status="revoked")
    other = draft(id="y", subject={"reference": "Patient/p2"})
    found = record({}, draftOrders=bundle(draft(), prescription, product, over, other))

    assert [draft.texts for draft in found.ordering] == [("the enzyme",)]
    assert [draft.texts for draft in found.prescribing] == [("isoniazid",)]
    assert [result.reason for result in found.set_aside] == ["other-patient"]
    assert found.medicines is None


def test_an_order_being_made_is_made_now() -> None:
    found = record({"serviceRequests": None}, draftOrders=bundle(draft()))

    assert [order.authored for order in found.orders or ()] == [NOW]
    assert notes(found) == []


def test_orders_being_made_are_not_all_orders() -> None:
    found = record({}, draftOrders=bundle(draft()))

    assert notes(found) == ["open orders: only those being made now were sent"]


def test_a_file_may_be_a_hook_request() -> None:
    document = read_resources(call({"observations": bundle(observation())}))

    assert document.kind == "request"
    assert input_from_document(document).patient_id == "p1"


@pytest.mark.parametrize(
    ("data", "kind", "count"),
    [
        (json.dumps(bundle(observation(), PATIENT)), "bundle", 2),
        (json.dumps(observation()), "resource", 1),
        (json.dumps(observation(), indent=2), "resource", 1),
        (f"{json.dumps(observation())}\n\n{json.dumps(PATIENT)}\n", "ndjson", 2),
        (f"\ufeff{json.dumps(observation())}", "resource", 1),
        (json.dumps({"resourceType": "Bundle", "type": "transaction"}), "bundle", 0),
        (json.dumps(bundle(bundle(observation()))), "bundle", 1),
    ],
)
def test_a_file_may_hold_resources(data: str, kind: str, count: int) -> None:
    document = read_resources(data.encode())

    assert (document.kind, len(document.found.entries)) == (kind, count)


def test_a_bad_line_is_named() -> None:
    bad = json.dumps(observation(status=5))

    document = read_resources(f"{json.dumps(PATIENT)}\n{bad}\n".encode())

    assert [part.where for part in document.unreadable] == ["line 2: $.status"]


def test_a_key_that_comes_twice_in_a_line_is_refused_with_its_place() -> None:
    twice = json.dumps(observation()).replace('"status"', '"status": "cancelled", "status"')

    with pytest.raises(RequestError) as caught:
        read_resources(f"{json.dumps(PATIENT)}\n{twice}\n".encode())

    assert caught.value.where == "line 2: $.status"


def test_a_result_of_a_file_that_stands_where_none_is_read_is_named() -> None:
    nested: Json = {"resourceType": "Parameters", "parameter": [{"resource": observation()}]}

    document = read_resources(json.dumps(bundle(observation(), nested)).encode())

    (fault,) = document.unreadable
    assert fault.where == "$.entry[1].resource.parameter[0].resource"


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"[]", b'{"a": 1}\nx', b'{"a": 1}', b'{"resourceType": "Unheard"}', b"\xff", b"5"],
)
def test_another_file_is_refused(data: bytes) -> None:
    with pytest.raises(RequestError):
        read_resources(data)


def test_a_file_of_too_many_resources_is_refused() -> None:
    data = json.dumps(bundle(*[observation()] * 3)).encode()

    with pytest.raises(PayloadTooLarge):
        read_resources(data, max_entries=2)
    with pytest.raises(PayloadTooLarge):
        read_resources(b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def test_a_patient_of_a_file_is_found_by_the_address_of_its_entry() -> None:
    address = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    girl = {**PATIENT, "id": "example", "birthDate": "2018-02-03"}
    other = {**observation(id="r2"), "subject": {"reference": "Patient/p2"}}
    entries = [
        {"fullUrl": address, "resource": girl},
        {"fullUrl": "urn:uuid:2", "resource": observation(subject={"reference": address})},
        {"fullUrl": "urn:uuid:3", "resource": other},
    ]
    made = {"resourceType": "Bundle", "type": "collection", "entry": entries}

    found = [
        read(patient_input)
        for patient_input in inputs_from_document(read_resources(json.dumps(made).encode()))
    ]

    assert [(record.patient.reference, len(record.results)) for record in found] == [
        ("Patient/example", 1),
        ("Patient/p2", 1),
    ]
    assert found[0].patient.born is not None
