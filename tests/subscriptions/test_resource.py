# SPDX-License-Identifier: Apache-2.0
"""The Subscription resource in three forms, and what a server made of it."""

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from fhir.resources.R4B.subscription import Subscription as SubscriptionR4B
from fhir.resources.subscription import Subscription as SubscriptionR5
from hypothesis import given
from hypothesis import strategies as st
from pyrofile_validator import Validator

from cds_service.fhir_client.servers import PayloadContent
from cds_service.hooks.discovery import entry_of, results_filter
from cds_service.prefetch_keys import OBSERVATIONS
from cds_service.subscriptions.resource import (
    CONTENT,
    FILTER,
    HEARTBEAT,
    HMAC_KEY,
    MAX_COUNT,
    PROFILE,
    TIMEOUT,
    Difference,
    SubscriptionRequest,
    differences,
    stored_subscription,
    subscription_resource,
)
from tests.web.http_fixtures import knowledge

Json = dict[str, Any]
RESULTS = "code=http://loinc.org|1742-6,http://loinc.org|1743-4"
ENDPOINT = "https://cds.example.org/subscriptions/unguessable"
TOPIC = "https://fhir.example.org/topics/laboratory-result"
END = datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)
# Pyrofile knows neither the guides of others nor `_payload` in `channel`.
_FALSE_ALARMS = ("_payload", "extension.unknown", "profile.unknown")


def request(**changes: object) -> SubscriptionRequest:
    made = SubscriptionRequest(
        kind="criteria",
        endpoint=ENDPOINT,
        results=RESULTS,
        content="full-resource",
        secret="the-secret",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def topic(**changes: object) -> SubscriptionRequest:
    return request(**{"kind": "topic", "topic": TOPIC, "content": "id-only", **changes})


WHOLE: Json = {
    "heartbeat_seconds": 60,
    "timeout_seconds": 10,
    "max_count": 20,
    "end": END,
    "hmac_key": "k",
}
EVERY = [
    request(),
    request(content="empty", end=END),
    request(hmac_key="k", status="active"),
    *(topic(content=content) for content in get_args(PayloadContent)),
    topic(**WHOLE),
    topic(results=""),
]
R5 = [topic(kind="r5"), topic(kind="r5", **WHOLE), topic(kind="r5", results="")]


@pytest.fixture(name="validator", scope="module")
def _validator() -> Validator:
    return Validator()


@pytest.mark.parametrize("wanted", EVERY, ids=str)
def test_a_subscription_of_r4_is_valid(wanted: SubscriptionRequest, validator: Validator) -> None:
    made = subscription_resource(wanted, "7")

    SubscriptionR4B.model_validate(made)
    issues = [str(issue) for issue in validator.validate_resource(made).issues]
    assert [issue for issue in issues if not any(known in issue for known in _FALSE_ALARMS)] == []


@pytest.mark.parametrize("wanted", R5, ids=str)
def test_a_subscription_of_r5_is_valid(wanted: SubscriptionRequest) -> None:
    SubscriptionR5.model_validate(subscription_resource(wanted, "7"))


def test_sub4_001_by_criteria_it_is_a_rest_hook_with_the_secret_in_the_header() -> None:
    made = subscription_resource(request())

    assert made == {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "Laboratory results for clinical decision support",
        "criteria": f"Observation?{RESULTS}",
        "channel": {
            "type": "rest-hook",
            "endpoint": ENDPOINT,
            "payload": "application/fhir+json",
            "header": ["Authorization: Bearer the-secret"],
        },
    }
    assert "payload" not in subscription_resource(request(content="empty"))["channel"]


def test_subb_001_and_002_a_topic_is_in_the_criteria_and_its_filter_beside() -> None:
    made = subscription_resource(topic(**WHOLE))

    assert made["meta"] == {"profile": [PROFILE]}
    assert made["criteria"] == TOPIC
    assert made["_criteria"] == {
        "extension": [{"url": FILTER, "valueString": f"Observation?{RESULTS}"}]
    }
    channel = made["channel"]
    assert channel["_payload"] == {"extension": [{"url": CONTENT, "valueCode": "id-only"}]}
    assert channel["extension"] == [
        {"url": HEARTBEAT, "valueUnsignedInt": 60},
        {"url": TIMEOUT, "valueUnsignedInt": 10},
        {"url": MAX_COUNT, "valuePositiveInt": 20},
    ]
    assert made["extension"] == [{"url": HMAC_KEY, "valueString": "k"}]
    assert made["end"] == "2027-01-02T03:04:05+00:00"


def test_sub5_001_the_same_in_r5() -> None:
    made = subscription_resource(topic(kind="r5", **WHOLE))

    assert (made["topic"], made["endpoint"], made["content"]) == (TOPIC, ENDPOINT, "id-only")
    (filter_by,) = made["filterBy"]
    assert filter_by["filterParameter"] == "code"
    assert f"code={filter_by['value']}" == RESULTS
    assert made["parameter"] == [{"name": "Authorization", "value": "Bearer the-secret"}]
    assert (made["heartbeatPeriod"], made["timeout"], made["maxCount"]) == (60, 10, 20)
    assert made["channelType"]["code"] == "rest-hook"


def test_subb_004_only_extensions_of_the_guide_are_used() -> None:
    def urls(value: object) -> list[str]:
        if isinstance(value, dict):
            own = [value["url"]] if "url" in value else []
            return own + [url for part in value.values() for url in urls(part)]
        return [url for part in value for url in urls(part)] if isinstance(value, list) else []

    found = urls(subscription_resource(topic(**{**WHOLE, "hmac_key": None})))

    assert set(found) == {FILTER, CONTENT, HEARTBEAT, TIMEOUT, MAX_COUNT}


def test_sub4_006_the_criteria_are_the_codes_of_prefetch_and_no_status() -> None:
    packs = knowledge().packs
    asked = results_filter(packs, by_category=False)

    prefetched = {
        code
        for pack in packs
        for service in pack.services
        for part in entry_of(service, pack, by_category=False).prefetch[OBSERVATIONS].split("&")
        if part.startswith("code=")
        for code in part.removeprefix("code=").split(",")
    }

    assert set(asked.removeprefix("code=").split(",")) == prefetched
    assert "status" not in asked
    assert results_filter(packs, by_category=True).startswith("category=http")


@pytest.mark.parametrize("wanted", [*EVERY, *R5], ids=str)
def test_what_a_server_left_as_it_was_is_no_difference(wanted: SubscriptionRequest) -> None:
    sent = subscription_resource(wanted)
    stored = {**deepcopy(sent), "id": "7", "status": "active", "meta": {"versionId": "2"}}
    if wanted.end is not None:
        stored["end"] = "2027-01-02T04:04:05.000+01:00"

    assert differences(sent, stored) == ()
    read = stored_subscription(stored)
    assert (read.id, read.kind, read.status) == ("7", wanted.kind, "active")
    assert (read.endpoint, read.secret, read.topic) == (ENDPOINT, "the-secret", wanted.topic)


def changed(resource: Json, *path: str, value: object) -> Json:
    made = deepcopy(resource)
    place: Any = made
    for name in path[:-1]:
        place = place[name]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return made


@pytest.mark.parametrize(
    ("path", "value", "element", "stored"),
    [
        (("criteria",), "Observation?", "criteria", "Observation?"),
        (("_criteria",), None, "criteria filter", "-"),
        (("channel", "payload"), "application/fhir+xml", "channel.payload", "application/fhir+xml"),
        (
            ("channel", "_payload"),
            {"extension": [{"url": CONTENT, "valueCode": "empty"}]},
            "content",
            "empty",
        ),
        (
            ("channel", "extension"),
            [
                {"url": HEARTBEAT, "valueUnsignedInt": 3600},
                {"url": TIMEOUT, "valueUnsignedInt": 10},
                {"url": MAX_COUNT, "valuePositiveInt": 20},
            ],
            "heartbeat period",
            "3600",
        ),
        (("end",), None, "end", "-"),
        (("end",), "soon", "end", "soon"),
        (("channel", "endpoint"), "https://other.example/x", "endpoint", "another"),
        (("channel", "header"), ["Authorization: Bearer zz-other"], "header", "another"),
        (("channel", "header"), ["X-Other: 1"], "header", "another"),
    ],
)
def test_subb_005_what_a_server_changed_is_named(
    path: tuple[str, ...], value: object, element: str, stored: str
) -> None:
    sent = subscription_resource(topic(**WHOLE))

    (found,) = differences(sent, changed(sent, *path, value=value))

    assert (found.element, found.stored) == (element, stored)
    assert not any(secret in repr(found) for secret in ("the-secret", "zz-other", "unguessable"))


def test_subb_005_a_downgrade_in_r5_is_named() -> None:
    sent = subscription_resource(topic(kind="r5", content="full-resource"))

    found = differences(sent, {**sent, "content": "id-only"})

    assert found == (Difference(element="content", sent="full-resource", stored="id-only"),)


def test_a_server_that_hides_headers_changed_none() -> None:
    sent = subscription_resource(request())

    assert differences(sent, changed(sent, "channel", "header", value=None)) == ()


def test_no_secret_shows() -> None:
    shown = repr(topic(**WHOLE)) + repr(stored_subscription(subscription_resource(request())))

    assert not any(secret in shown for secret in ("the-secret", "unguessable"))


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
_NAMES = ["channel", "criteria", "topic", "channelType", "parameter", "filterBy", "end", "status"]


@given(st.dictionaries(st.sampled_from(_NAMES), _ANY))
def test_anything_a_server_holds_can_be_compared(stored: Json) -> None:
    for wanted in (request(), topic(kind="r5")):
        differences(subscription_resource(wanted), stored)
    assert stored_subscription(stored).kind in {"criteria", "topic", "r5"}
