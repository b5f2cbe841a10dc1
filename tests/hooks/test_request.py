# SPDX-License-Identifier: Apache-2.0
"""The body of a hook call."""

import json
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.errors import PayloadTooLarge, RequestError
from cds_service.hooks.request import HookRequest, read_request

Json: TypeAlias = dict[str, object]

INSTANCE = "d1577c69-dfbe-11ad-ba6d-3e05e953b2ea"
SECRET = "ZZTESTNAME"
OBSERVATION: Json = {
    "resourceType": "Observation",
    "status": "final",
    "valueQuantity": {"value": 1, "unit": "U/L"},
}
WARNING: Json = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning"}]}
ERROR: Json = {"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]}
AUTHORIZATION: Json = {
    "access_token": "secret",
    "token_type": "Bearer",
    "expires_in": 300,
    "scope": "patient/*.rs (vendor words) user/*.*",
    "subject": "client",
}


def body(**other: object) -> Json:
    made: Json = {
        "hook": "patient-view",
        "hookInstance": INSTANCE,
        "context": {"userId": "Practitioner/1", "patientId": "p1"},
        **other,
    }
    return {name: value for name, value in made.items() if value != "absent"}


def context(**other: object) -> Json:
    made: Json = {"userId": "Practitioner/1", "patientId": "p1", **other}
    return {name: value for name, value in made.items() if value != "absent"}


def read(made: object, *, max_entries: int = 100, max_depth: int = 4) -> HookRequest:
    data = made if isinstance(made, bytes) else json.dumps(made).encode()
    return read_request(data, max_depth=max_depth, max_entries=max_entries)


def refused(made: object) -> RequestError:
    with pytest.raises(RequestError) as caught:
        read(made)
    assert SECRET not in str(caught.value)
    return caught.value


def bundle(*resources: object, **other: object) -> Json:
    entries = [{"resource": resource} for resource in resources]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries, **other}


def test_a_plain_call_is_read() -> None:
    request = read(body(prefetch={"observations": bundle(OBSERVATION)}, unknown={"a": 1}))

    assert (request.hook, request.patient_id, request.user_id) == (
        "patient-view",
        "p1",
        "Practitioner/1",
    )
    assert request.prefetch["observations"].state == "found"
    assert (request.authorization, request.fhir_server, request.draft_orders) == (None, None, None)


@pytest.mark.parametrize(
    "sent",
    [INSTANCE, INSTANCE.upper(), f"urn:uuid:{INSTANCE}", f"URN:UUID:{INSTANCE.upper()}"],
)
def test_any_uuid_names_the_call(sent: str) -> None:
    assert read(body(hookInstance=sent)).hook_instance == INSTANCE


@pytest.mark.parametrize(
    ("made", "where"),
    [
        (body(hook="absent"), "$.hook"),
        (body(hook=""), "$.hook"),
        (body(hook=None), "$.hook"),
        (body(hook=[SECRET]), "$.hook"),
        (body(hookInstance="absent"), "$.hookInstance"),
        (body(hookInstance=SECRET), "$.hookInstance"),
        (body(hookInstance=5), "$.hookInstance"),
        (body(context="absent"), "$.context"),
        (body(context=SECRET), "$.context"),
        (body(context=context(patientId="absent")), "$.context.patientId"),
        (body(context=context(patientId="")), "$.context.patientId"),
        (body(context=context(patientId=7)), "$.context.patientId"),
        (body(context=context(userId="absent")), "$.context.userId"),
        (body(context=context(encounterId={"a": SECRET})), "$.context.encounterId"),
        (body(prefetch=[SECRET]), "$.prefetch"),
        (body(prefetch=SECRET), "$.prefetch"),
        (body(fhirServer=7), "$.fhirServer"),
        (body(fhirServer=SECRET), "$.fhirServer"),
        (body(fhirServer="ftp://fhir.example"), "$.fhirServer"),
        (body(fhirAuthorization=AUTHORIZATION), "$.fhirServer"),
        ([], "$"),
        (SECRET, "$"),
        (None, "$"),
    ],
)
def test_what_is_missing_or_of_another_type_is_refused_with_its_place(
    made: object, where: str
) -> None:
    assert refused(made).where == where


@pytest.mark.parametrize(
    ("hook", "sent", "where"),
    [
        ("order-select", context(draftOrders=bundle()), "selections"),
        ("order-select", context(selections=[]), "draftOrders"),
        ("order-select", context(selections=SECRET, draftOrders=bundle()), "selections"),
        ("order-select", context(selections=[], draftOrders=OBSERVATION), "draftOrders"),
        ("order-sign", context(draftOrders=SECRET), "draftOrders"),
        ("order-sign", context(), "draftOrders"),
        ("encounter-start", context(), "encounterId"),
        ("encounter-discharge", context(encounterId=""), "encounterId"),
        ("org.example.result-review", context(patientId="absent"), "patientId"),
    ],
)
def test_each_hook_requires_its_context(hook: str, sent: Json, where: str) -> None:
    assert refused(body(hook=hook, context=sent)).where == f"$.context.{where}"


@pytest.mark.parametrize(
    ("hook", "sent"),
    [
        ("encounter-start", context(encounterId="e")),
        ("encounter-discharge", context(encounterId="e")),
        ("order-sign", context(draftOrders={"resourceType": "Bundle"})),
        ("order-select", context(selections=["x"], draftOrders=bundle(), new="member")),
        ("org.example.result-review", context(userId="absent")),
    ],
)
def test_a_complete_context_is_read(hook: str, sent: Json) -> None:
    assert read(body(hook=hook, context=sent)).hook == hook


def test_long_ids_and_a_typed_patient_id_are_read() -> None:
    sent = context(patientId="Patient/" + "e." * 60, userId="PractitionerRole/" + "x-" * 60)

    request = read(body(context=sent))

    assert (request.patient_id, request.user_id) == ("e." * 60, "PractitionerRole/" + "x-" * 60)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("access_token", "absent"), ("access_token", ""), ("access_token", 5),
        ("token_type", "absent"), ("token_type", "MAC"),
        ("expires_in", "absent"), ("expires_in", "300"), ("expires_in", True),
        ("scope", "absent"), ("scope", ["a"]),
        ("subject", "absent"), ("subject", 1),
        ("patient", 5), ("patient", "another"),
    ],
)  # fmt: skip
def test_each_member_of_the_authorization_is_checked(member: str, value: object) -> None:
    sent = {
        name: value for name, value in {**AUTHORIZATION, member: value}.items() if value != "absent"
    }

    error = refused(body(fhirServer="https://fhir.example", fhirAuthorization=sent))

    assert error.where == f"$.fhirAuthorization.{member}"


@pytest.mark.parametrize("patient", [None, "", "p1", "Patient/p1"])
def test_an_authorization_is_read_and_never_shown(patient: str | None) -> None:
    sent = {**AUTHORIZATION, "token_type": "bearer", "patient": patient, "other": 1}
    request = read(body(fhirServer="https://fhir.example/r4", fhirAuthorization=sent))

    assert request.has_authorization
    assert request.authorization is not None
    assert request.authorization.access_token == "secret"
    assert "secret" not in repr(request)


@pytest.mark.parametrize(
    ("sent", "state", "count"),
    [
        (None, "nothing", 0),
        (OBSERVATION, "found", 1),
        ({**OBSERVATION, "resourceType": "Slot"}, "found", 1),
        (bundle(OBSERVATION, OBSERVATION), "found", 2),
        ({"resourceType": "Bundle"}, "nothing", 0),
        (bundle(total=0), "nothing", 0),
        (bundle(WARNING, total=0), "nothing", 0),
        (bundle(ERROR), "failed", 0),
        (ERROR, "failed", 0),
        (WARNING, "failed", 0),
        (bundle(bundle(OBSERVATION)), "found", 1),
        ({"resource": OBSERVATION}, "found", 1),
        ({"resource": bundle(OBSERVATION)}, "found", 1),
        ({"resourceType": "Bundle", "entry": {"resource": OBSERVATION}}, "found", 1),
        (bundle(OBSERVATION, {"resourceType": "Unheard"}), "found", 1),
    ],
)
def test_what_a_key_holds_is_told_apart(sent: object, state: str, count: int) -> None:
    found = read(body(prefetch={"labs": sent})).prefetch["labs"]

    assert (found.state, len(found.entries)) == (state, count)
    assert not found.partial


@pytest.mark.parametrize(
    "sent", ["123", 5, True, [], [OBSERVATION], {}, {"a": SECRET}, "<html>", {"resource": "x"}]
)
def test_a_key_with_garbage_counts_as_absent(sent: object) -> None:
    request = read(body(prefetch={"user": sent, "labs": OBSERVATION}))

    assert set(request.prefetch) == {"labs"}
    assert [part.where.startswith("$.prefetch.user") for part in request.unreadable] == [True]


@pytest.mark.parametrize(
    "sent",
    [
        bundle(OBSERVATION, link=[{"relation": "next", "url": "https://fhir.example?p=2"}]),
        bundle(OBSERVATION, total=2),
        bundle(OBSERVATION, ERROR),
        bundle(OBSERVATION, OBSERVATION, total=5),
        bundle(total=3),
    ],
)
def test_a_part_of_the_answer_is_partial(sent: Json) -> None:
    assert read(body(prefetch={"labs": sent})).prefetch["labs"].partial


def test_included_resources_are_not_among_the_total() -> None:
    made = {
        "resourceType": "Bundle",
        "total": 1,
        "link": {"relation": "self", "url": "x"},
        "entry": [
            {"resource": OBSERVATION, "search": {"mode": "match"}},
            {"resource": {"resourceType": "Specimen"}, "search": {"mode": "include"}},
            {"resource": WARNING, "search": {"mode": "outcome"}},
        ],
    }
    found = read(body(prefetch={"labs": made})).prefetch["labs"]

    assert (found.partial, found.next_page, len(found.entries)) == (False, None, 2)


def test_a_bad_resource_costs_itself_only() -> None:
    bad = {
        "resourceType": "Observation",
        "id": "bad",
        "valueQuantity": {"value": 1, "unit": [SECRET]},
    }
    request = read(body(prefetch={"labs": bundle(OBSERVATION, bad, OBSERVATION), "x": OBSERVATION}))

    assert len(request.prefetch["labs"].entries) == 2
    assert "x" in request.prefetch
    (fault,) = request.unreadable
    assert fault.where == "$.prefetch.labs.entry[1].resource.valueQuantity.unit"
    assert fault.expected == "expected a string or null"
    assert (fault.resource_type, fault.id) == ("Observation", "bad")
    assert SECRET not in repr(request.unreadable)


@pytest.mark.parametrize(
    ("entry", "where"),
    [
        (None, "entry[0]"),
        ("x", "entry[0]"),
        ({"resource": 5}, "entry[0].resource"),
        ({"resource": {"id": "no type"}}, "entry[0].resource.resourceType"),
        ({"resource": {"resourceType": 5}}, "entry[0].resource.resourceType"),
    ],
)
def test_a_bad_entry_is_named(entry: object, where: str) -> None:
    made = {"resourceType": "Bundle", "entry": [entry, {"resource": OBSERVATION}]}
    request = read(body(prefetch={"labs": made}))

    assert len(request.prefetch["labs"].entries) == 1
    assert [part.where for part in request.unreadable] == [f"$.prefetch.labs.{where}"]


def test_a_key_that_is_no_plain_name_is_not_shown() -> None:
    request = read(body(prefetch={f"{SECRET} 1": "x", "": "y"}))

    assert [part.where for part in request.unreadable] == ["$.prefetch[0]", "$.prefetch[1]"]


def test_draft_orders_of_any_kind_are_kept() -> None:
    orders = [
        {"resourceType": "ServiceRequest", "category": {"text": "object"}},
        {"resourceType": "Medication"},
        {"resourceType": "ProcedureRequest"},
        {"resourceType": "ServiceRequest", "status": 7},
    ]
    made = {"resourceType": "Bundle", "entry": [{"resource": order} for order in orders]}
    request = read(body(hook="order-sign", context=context(draftOrders=made)))

    assert len(request.draft_orders or ()) == 2
    assert [part.where for part in request.unreadable] == [
        "$.context.draftOrders.entry[2].resource.resourceType",
        "$.context.draftOrders.entry[3].resource.status",
    ]


@pytest.mark.parametrize(
    ("sent", "expected"), [({"com.epic.x": "60"}, {"com.epic.x": "60"}), (None, {}), ([1], {})]
)
def test_extensions_are_passed_on(sent: object, expected: Json) -> None:
    assert read(body(extension=sent)).extension == expected


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"hook": "patient-view",}',
        b'{"hook": NaN}',
        b'{"x": Infinity}',
        b"\xef\xbb\xbf{}",
        b'{"x": "\xff"}',
        b'{"x": 01}',
        json.dumps(body()).encode()[:-1],
        json.dumps(body()).encode() + b"x",
        json.dumps(body()).encode().replace(b'"hook"', b'"skipped": NaN, "hook"'),
        json.dumps(body(note="?")).encode().replace(b"?", b"\xc3"),
    ],
)
def test_what_is_not_json_is_refused(data: bytes) -> None:
    with pytest.raises(RequestError):
        read(data)


@pytest.mark.parametrize("member", ["skipped", "prefetch", "extension"])
@pytest.mark.parametrize("pair", [("[", "]"), ('{"resource":', "}")])
def test_deep_nesting_never_ends_the_process(member: str, pair: tuple[str, str]) -> None:
    deep = pair[0] * 50_000 + "1" + pair[1] * 50_000
    data = json.dumps(body()).replace('"hook"', f'"{member}": {deep}, "hook"', 1).encode()

    with pytest.raises(RequestError):
        read(data)


def test_bundles_in_bundles_are_opened_to_the_limit() -> None:
    inner = bundle(OBSERVATION)
    for _ in range(3):
        inner = bundle(inner)

    assert len(read(body(prefetch={"x": inner})).prefetch["x"].entries) == 1
    with pytest.raises(PayloadTooLarge):
        read(body(prefetch={"x": bundle(inner)}))


def test_too_many_resources_are_refused() -> None:
    made = body(prefetch={"a": bundle(*[OBSERVATION] * 6), "b": bundle(*[OBSERVATION] * 5)})

    assert len(read(made, max_entries=11).prefetch) == 2
    with pytest.raises(PayloadTooLarge):
        read(made, max_entries=10)


@pytest.mark.parametrize(
    ("once", "twice", "where"),
    [
        ('"hook"', '"hook": "order-sign", "hook"', "$.hook"),
        ('"status"', '"status": "final", "status"', "entry[0].resource.status"),
        ('"status"', '"st\\u0061tus": "cancelled", "status"', "entry[0].resource.status"),
        ('"status"', '"status" :"cancelled", "status"', "entry[0].resource.status"),
        ('"valueQuantity"', '"valueQuantity": {}, "valueQuantity"', "resource.valueQuantity"),
        ('"unit"', '"unit": "g/L:", "unit"', "resource.valueQuantity.unit"),
        ('"resource"', '"resource": null, "resource"', "$.prefetch.labs.entry[0].resource"),
        ('"entry"', '"entry": [], "entry"', "$.prefetch.labs.entry"),
        ('"labs"', '"labs": null, "labs"', "$.prefetch.labs"),
        ('"status"', f'"{SECRET}": 1, "{SECRET}": 2, "status"', "entry[0].resource[1]"),
        # What would hide a lost colon from one who counts them.
        ('"status"', '"note": "\\u003a", "status": "x", "status"', "entry[0].resource.status"),
        ('"value"', '"x": 1e400, "value": 2, "value"', "resource.valueQuantity.value"),
    ],
)
@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":")], ids=["blanks", "none"])
def test_a_key_that_comes_twice_is_refused_with_its_place(
    once: str, twice: str, where: str, separators: tuple[str, str]
) -> None:
    data = json.dumps(body(prefetch={"labs": bundle(OBSERVATION)}), separators=separators)
    error = refused(data.replace(once, twice, 1).encode())

    assert error.where is not None
    assert error.where.endswith(where)
    assert "twice" in error.message


@pytest.mark.parametrize("text", ["a:b", "\\u003a", '"status": ', "1e400"], ids=ascii)
def test_a_text_is_not_taken_for_a_key(text: str) -> None:
    sent = body(prefetch={"labs": bundle({**OBSERVATION, "note": text}, OBSERVATION)})
    data = json.dumps(sent).replace('"1e400"', "1e400").replace('a:b"', 'a\\u003ab"').encode()

    assert len(read(data).prefetch["labs"].entries) == 2


@pytest.mark.parametrize(
    ("inside", "where"),
    [
        ({"resourceType": "Parameters", "parameter": [{"resource": OBSERVATION}]}, "parameter[0]"),
        ({"resourceType": "DiagnosticReport", "result": [OBSERVATION]}, "result[0]"),
        ({"resourceType": "DiagnosticReport", "result": [{"resource": OBSERVATION}]}, "result[0]"),
        ({"resourceType": "Observation", "hasMember": OBSERVATION}, "hasMember"),
        ({"resourceType": "Encounter", "contained": [OBSERVATION]}, "contained[0]"),
        ({"resourceType": "List", "contained": [OBSERVATION]}, "contained[0]"),
    ],
)
def test_a_result_that_stands_where_none_is_read_is_named(inside: Json, where: str) -> None:
    request = read(body(prefetch={"labs": bundle(OBSERVATION, inside)}))

    (fault,) = request.unreadable
    assert fault.where.startswith(f"$.prefetch.labs.entry[1].resource.{where}")
    assert fault.resource_type == "Observation"


MEDICINE: Json = {"resourceType": "MedicationRequest", "status": "active"}
PROBLEM: Json = {"resourceType": "Condition"}


@pytest.mark.parametrize("made", [MEDICINE, PROBLEM, {"resourceType": "MedicationStatement"}])
def test_so_is_a_medicine_or_a_condition(made: Json) -> None:
    nested = {"resourceType": "Parameters", "parameter": [{"resource": made}]}
    request = read(body(prefetch={"chart": bundle(MEDICINE, nested)}))

    (fault,) = request.unreadable
    assert fault.where == "$.prefetch.chart.entry[1].resource.parameter[0].resource"
    assert fault.resource_type == made["resourceType"]


@pytest.mark.parametrize(("made", "named"), [(MEDICINE, True), (PROBLEM, False)])
def test_a_condition_may_be_contained_and_a_medicine_is_named(made: Json, named: bool) -> None:
    held = {"resourceType": "Encounter", "contained": [made]}
    request = read(body(prefetch={"chart": bundle(MEDICINE, held)}))

    assert bool(request.unreadable) is named


def test_a_result_among_the_orders_being_made_is_named_and_a_medicine_is_read() -> None:
    drafts = bundle(MEDICINE, OBSERVATION)
    request = read(body(hook="order-sign", context=context(draftOrders=drafts)))

    assert [part.resource_type for part in request.unreadable] == ["Observation"]


@pytest.mark.parametrize(
    "inside",
    [
        {"resourceType": "DiagnosticReport", "contained": OBSERVATION},
        {"resourceType": "DiagnosticReport", "contained": [bundle(OBSERVATION)]},
        {**OBSERVATION, "contained": [{**OBSERVATION, "contained": [OBSERVATION]}]},
        {**OBSERVATION, "component": [{**OBSERVATION, "component": [OBSERVATION]}]},
        {"resource": OBSERVATION},
    ],
)
def test_a_result_that_is_nested_where_results_are_read_is_none(inside: Json) -> None:
    assert read(body(prefetch={"labs": bundle(OBSERVATION, inside)})).unreadable == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)
NAMES = st.sampled_from(
    ["resourceType", "entry", "resource", "link", "total", "issue", "status", "code", "id", "meta"]
)
WORDS = st.sampled_from(["Bundle", "Observation", "OperationOutcome", "Patient", "Unheard", "next"])
LIKELY = st.recursive(
    JSON | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=25,
)
CALL = st.fixed_dictionaries(
    {"hook": st.just("order-select") | JSON, "hookInstance": st.just(INSTANCE) | JSON},
    optional={
        "context": st.fixed_dictionaries(
            {"patientId": st.just("p1") | JSON, "userId": st.just("u") | JSON},
            optional={"selections": st.just([]) | JSON, "draftOrders": LIKELY},
        ),
        "prefetch": st.dictionaries(st.text(max_size=4), LIKELY, max_size=3) | JSON,
        "extension": JSON,
        "fhirServer": JSON,
        "fhirAuthorization": JSON,
    },
)


@given(JSON | CALL)
def test_any_json_is_read_or_refused(made: object) -> None:
    try:
        request = read(made)
    except RequestError:
        return

    assert request.hook_instance == INSTANCE


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(RequestError):
        read(data)
