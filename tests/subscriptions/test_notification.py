# SPDX-License-Identifier: Apache-2.0
"""What a request to the endpoint of a Subscription tells: every sender of `data/notifications`."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.errors import CdsServiceError, RequestError, UnsupportedMediaType
from cds_service.subscriptions.notification import Notification, read_notification
from tests.subscriptions.senders import FOLDER, Json, Sent, every_request

SERVER = "https://fhir.example.org/r4"
CANARY = "ZZTESTNAME"


def read(
    body: Any = b"", method: str = "POST", sub_path: str = "", headers: Json | None = None
) -> Notification:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"Content-Type": "application/fhir+json"} if headers is None else headers
    return read_notification(method, sub_path, given, raw, server=SERVER)


@pytest.mark.parametrize("sent", tuple(every_request()), ids=lambda sent: sent.name)
def test_every_sender_is_understood(sent: Sent) -> None:
    found = read_notification(
        sent.method, sent.sub_path, sent.headers, sent.body, server=sent.server
    )

    assert {
        "kind": found.kind,
        "resources": [
            {
                "type": resource.type,
                "id": resource.id,
                "version": resource.version,
                "patient": resource.patient,
                "gone": resource.gone,
                "body": resource.body is not None,
            }
            for resource in found.resources
        ],
        "search": found.search,
        "numbers": list(found.event_numbers),
        "foreign": found.foreign,
    } == sent.expected


def test_every_file_of_a_sender_says_where_it_comes_from() -> None:
    for file in FOLDER.glob("*.json"):
        origin = json.loads(file.read_text(encoding="utf-8"))["origin"]
        assert origin.startswith(("recorded from", "made from")), file.name


@pytest.mark.parametrize(
    "content_type", [None, "application/x-www-form-urlencoded", "application/fhir+json"]
)
@pytest.mark.parametrize("body", [b"", b" \r\n", b"{}"])
def test_an_empty_post_of_any_type_asks_for_a_search(body: bytes, content_type: str | None) -> None:
    found = read(body, headers={} if content_type is None else {"Content-Type": content_type})

    assert found == Notification(kind="search", search=True)


def test_a_delete_says_that_the_resource_is_gone() -> None:
    (resource,) = read(method="DELETE", sub_path="Observation/w1").resources

    assert (resource.type, resource.id, resource.gone, resource.body) == (
        "Observation",
        "w1",
        True,
        None,
    )


def test_a_put_without_a_body_names_a_resource_that_has_to_be_read() -> None:
    (resource,) = read(method="PUT", sub_path="Observation/w1").resources

    assert (resource.type, resource.id, resource.gone, resource.body) == (
        "Observation",
        "w1",
        False,
        None,
    )


def test_a_resource_is_kept_byte_for_byte() -> None:
    body = b'{"resourceType": "Observation", "id": "w1", "valueQuantity": {"value": 1.10}}'

    (resource,) = read(body, "PUT", "Observation/w1").resources

    assert resource.body == body


@pytest.mark.parametrize(
    ("subject", "patient"),
    [
        ("Patient/p1", "p1"),
        (f"{SERVER}/Patient/p1/_history/3", "p1"),
        ("http://fhir.example.org/r4/Patient/p1", "p1"),  # the same server, called by http
        ("https://elsewhere.example.com/Patient/p1", ""),
        ("Group/g1", ""),
        ("urn:uuid:c757873d-ec9a-4326-a141-556f43239520", ""),
        (7, ""),
    ],
)
def test_the_patient_is_one_of_the_server_that_sent(subject: object, patient: str) -> None:
    body = {"resourceType": "Observation", "id": "w1", "subject": {"reference": subject}}

    (resource,) = read(body).resources

    assert resource.patient == patient


def _bundle(**status: Any) -> Json:
    first = {"resourceType": "SubscriptionStatus", "type": "event-notification", **status}
    return {"resourceType": "Bundle", "type": "history", "entry": [{"resource": first}]}


def _parameters(*parameters: Json) -> Json:
    first = {"resourceType": "Parameters", "parameter": list(parameters)}
    return {"resourceType": "Bundle", "type": "history", "entry": [{"resource": first}]}


def _event(**event: Any) -> Json:
    return _bundle(notificationEvent=[event])


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ([], "$"),
        ("text", "$"),
        (b'{"resourceType": "Observation"', "$"),
        (b'{"resourceType": "Observation", "id": NaN}', "$"),
        (b'{"resourceType": "Observation", "id": "\xff"}', "$"),
        (b'{"resourceType": "Observation", "id": "1", "id": "2"}', "$.id"),
        ({"resourceType": CANARY, "id": "1"}, "$.resourceType"),
        ({"resourceType": "Observation"}, "$.id"),
        ({"resourceType": "Observation", "id": ".."}, "$.id"),
        ({"resourceType": "Observation", "id": f"{CANARY} 1"}, "$.id"),
        ({"resourceType": "Observation", "id": {"a": CANARY}}, "$"),
        ({"resourceType": "Bundle", "type": "collection", "entry": []}, "$.type"),
        ({"resourceType": "Bundle", "type": "history", "entry": CANARY}, "$.entry"),
        ({"resourceType": "Bundle", "type": "history"}, "$.entry[0].resource"),
        ({"resourceType": "Bundle", "type": "history", "entry": [{}]}, "$.entry[0].resource"),
        (
            {"resourceType": "Bundle", "type": "history", "entry": [{"resource": {"a": CANARY}}]},
            "$.entry[0].resource.resourceType",
        ),
        (_bundle(type=CANARY), "$.entry[0].resource.type"),
        (
            _bundle(eventsSinceSubscriptionStart=CANARY),
            "$.entry[0].resource.eventsSinceSubscriptionStart",
        ),
        (_event(eventNumber="-1"), "$.entry[0].resource.notificationEvent[0].eventNumber"),
        (_event(eventNumber=2**63), "$.entry[0].resource.notificationEvent[0].eventNumber"),
        (
            _event(focus={"reference": CANARY}),
            "$.entry[0].resource.notificationEvent[0].focus",
        ),
        (
            _parameters({"name": "type", f"value{CANARY}": "heartbeat"}),
            "$.entry[0].resource.parameter[0]",
        ),
        (
            _parameters({"name": "type", "valueCode": CANARY}),
            "$.entry[0].resource.parameter[0].valueCode",
        ),
        (_bundle(notificationEvent=[CANARY]), "$.entry[0].resource.notificationEvent[0]"),
    ],
)
def test_what_is_no_notification_is_refused_with_the_place_and_without_data(
    body: Any, where: str
) -> None:
    with pytest.raises(RequestError) as caught:
        read(body)

    assert caught.value.where == where
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("method", "sub_path"),
    [
        ("PUT", "Observation"),
        ("PUT", "Nothing/w1"),
        ("PUT", "Observation/.."),
        ("DELETE", ""),
        ("DELETE", "a/b/c/d"),
    ],
)
def test_an_address_that_names_no_resource_is_refused(method: str, sub_path: str) -> None:
    body = {"resourceType": "Observation", "id": "w1"}
    with pytest.raises(RequestError):
        read(body if method == "PUT" else b"", method, sub_path)


def test_the_resource_is_the_one_of_its_address() -> None:
    with pytest.raises(RequestError) as caught:
        read({"resourceType": "Observation", "id": "w1"}, "PUT", "Observation/w2")

    assert caught.value.where == "$.id"


def test_xml_is_another_media_type() -> None:
    with pytest.raises(UnsupportedMediaType):
        read(b"<Observation/>", headers={"Content-Type": "application/fhir+xml"})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "part", "valueString", "valueReference", "reference", "eventNumber"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)
_STATUS = st.fixed_dictionaries(
    {
        "resourceType": st.sampled_from(["Parameters", "SubscriptionStatus"]),
        "type": st.just("event-notification") | _JSON,
    },
    optional={"parameter": _JSON, "notificationEvent": _JSON, "subscription": _JSON},
)
_ENTRY = st.fixed_dictionaries(
    {}, optional={"resource": _STATUS | _JSON, "fullUrl": _JSON, "request": _JSON}
)


@given(st.lists(_ENTRY, max_size=3) | _JSON, st.sampled_from(["POST", "PUT", "DELETE"]))
def test_whatever_is_sent_is_read_or_refused(entries: Any, method: str) -> None:
    body = {"resourceType": "Bundle", "type": "history", "entry": entries}
    try:
        read(body, method, "Bundle/b1")
    except CdsServiceError:
        return


def test_more_events_than_are_read_are_refused() -> None:
    events = [{"eventNumber": str(number)} for number in range(10_001)]
    status = {"resourceType": "SubscriptionStatus", "type": "event-notification"}
    bundle = {
        "resourceType": "Bundle",
        "type": "history",
        "entry": [{"resource": {**status, "notificationEvent": events}}],
    }

    with pytest.raises(RequestError, match="at most 10000 events"):
        read(bundle)
