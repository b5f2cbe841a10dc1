# SPDX-License-Identifier: Apache-2.0
"""What we want to be notified of → the Subscription resource of R4, of the backport or of R5.

R4 by criteria ("Subscription", REST Hook); on a topic in R4 by the Subscriptions R5 Backport IG
1.1.0, which puts the topic into `criteria` and the rest into extensions; R5 natively. Each is
checked by the models of fhir.resources. Criteria never filter on a status: a resource that stops to
match gives no notification, so a correction would go unseen. The module sends nothing;
`stored_subscription` reads what a server made of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from cds_service.fhir_client.servers import PayloadContent
from cds_service.iso_times import moment_of
from cds_service.subscriptions.registration import SubscriptionKind

BACKPORT: Final = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
PROFILE: Final = f"{BACKPORT}/backport-subscription"
FILTER: Final = f"{BACKPORT}/backport-filter-criteria"
CONTENT: Final = f"{BACKPORT}/backport-payload-content"
HEARTBEAT: Final = f"{BACKPORT}/backport-heartbeat-period"
TIMEOUT: Final = f"{BACKPORT}/backport-timeout"
MAX_COUNT: Final = f"{BACKPORT}/backport-max-count"
# Medplum signs notifications with the key in this extension, as X-Signature.
HMAC_KEY: Final = "https://www.medplum.com/fhir/StructureDefinition/subscription-secret"
CHANNEL_TYPES: Final = "http://terminology.hl7.org/CodeSystem/subscription-channel-type"

_FHIR_JSON: Final = "application/fhir+json"
_REASON: Final = "Laboratory results for clinical decision support"
_RESOURCE_TYPE: Final = "Observation"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRequest:
    """A Subscription as we want it, whatever the server's version of FHIR.

    `results` is the part of a search that chooses laboratory results, such as `code=...`; empty for
    every event of the topic. `content` of a Subscription by criteria is `empty` or `full-resource`.
    """

    kind: SubscriptionKind
    endpoint: str = field(repr=False)
    results: str
    content: PayloadContent
    secret: str = field(repr=False)
    topic: str = ""
    hmac_key: str | None = field(default=None, repr=False)
    heartbeat_seconds: int | None = None
    timeout_seconds: int | None = None
    max_count: int | None = None
    end: datetime | None = None
    status: str = "requested"

    @property
    def what(self) -> str:
        """The criteria, or the canonical URL of the topic."""
        return self.search if self.kind == "criteria" else self.topic

    @property
    def search(self) -> str:
        """The results as a search, empty if there is no filter."""
        return f"{_RESOURCE_TYPE}?{self.results}" if self.results else ""


def subscription_resource(
    wanted: SubscriptionRequest, identity: str | None = None
) -> dict[str, Any]:
    """The resource, with the id of the one that it replaces; raises `ValueError` if not valid.

    fhir.resources checks types and cardinality.
    """
    made = _of_r5(wanted) if wanted.kind == "r5" else _of_r4(wanted)
    if identity is not None:
        made["id"] = identity
    if wanted.end is not None:
        made["end"] = wanted.end.isoformat(timespec="seconds")
    if wanted.hmac_key is not None:
        made["extension"] = [{"url": HMAC_KEY, "valueString": wanted.hmac_key}]
    _model(wanted.kind).model_validate(made)
    return made


def _of_r4(wanted: SubscriptionRequest) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "type": "rest-hook",
        "endpoint": wanted.endpoint,
        "header": [f"Authorization: Bearer {wanted.secret}"],
    }
    made = {
        "resourceType": "Subscription",
        "status": wanted.status,
        "reason": _REASON,
        "criteria": wanted.what,
        "channel": channel,
    }
    if wanted.kind == "criteria":
        if wanted.content == "full-resource":
            channel["payload"] = _FHIR_JSON
        return made
    channel["payload"] = _FHIR_JSON
    channel["_payload"] = {"extension": [{"url": CONTENT, "valueCode": wanted.content}]}
    numbers = [
        {"url": url, member: value}
        for url, member, value in (
            (HEARTBEAT, "valueUnsignedInt", wanted.heartbeat_seconds),
            (TIMEOUT, "valueUnsignedInt", wanted.timeout_seconds),
            (MAX_COUNT, "valuePositiveInt", wanted.max_count),
        )
        if value is not None
    ]
    if numbers:
        channel["extension"] = numbers
    if wanted.search:
        made["_criteria"] = {"extension": [{"url": FILTER, "valueString": wanted.search}]}
    return {**made, "meta": {"profile": [PROFILE]}}


def _of_r5(wanted: SubscriptionRequest) -> dict[str, Any]:
    made: dict[str, Any] = {
        "resourceType": "Subscription",
        "status": wanted.status,
        "reason": _REASON,
        "topic": wanted.topic,
        "channelType": {"system": CHANNEL_TYPES, "code": "rest-hook"},
        "endpoint": wanted.endpoint,
        "parameter": [{"name": "Authorization", "value": f"Bearer {wanted.secret}"}],
        "contentType": _FHIR_JSON,
        "content": wanted.content,
    }
    name, _, value = wanted.results.partition("=")
    if value:
        by = {"resourceType": _RESOURCE_TYPE, "filterParameter": name, "value": value}
        made["filterBy"] = [by]
    numbers = {
        "heartbeatPeriod": wanted.heartbeat_seconds,
        "timeout": wanted.timeout_seconds,
        "maxCount": wanted.max_count,
    }
    return made | {name: number for name, number in numbers.items() if number is not None}


def _model(kind: SubscriptionKind) -> Any:
    if kind == "r5":
        from fhir.resources.subscription import Subscription  # two tenths of a second

        return Subscription
    from fhir.resources.R4B.subscription import Subscription as SubscriptionR4B

    return SubscriptionR4B


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSubscription:
    """A Subscription as a server holds it; what is missing or of another form is empty.

    `secret` is the bearer secret, if the server shows it. `elements` are the parts that a server
    may have changed, by their FHIR path, as text.
    """

    id: str
    kind: SubscriptionKind
    status: str
    error: str
    endpoint: str = field(repr=False)
    secret: str | None = field(repr=False)
    elements: Mapping[str, str] = field(repr=False)

    @property
    def end(self) -> datetime | None:
        """When the server will end it, if it says so with a time zone."""
        try:
            found = moment_of(self.elements.get("end", ""))
        except ValueError:
            return None
        return found if found.tzinfo is not None else None

    @property
    def topic(self) -> str:
        """The canonical URL of its topic, empty if it is by criteria."""
        return self.elements.get("topic", "") or (
            self.elements.get("criteria", "") if self.kind == "topic" else ""
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """An element that a server holds otherwise than it was sent; `-` is none. Never a secret."""

    element: str
    sent: str
    stored: str


def stored_subscription(resource: Mapping[str, Any]) -> StoredSubscription:
    """The Subscription that a server sent; tolerant, for no server validates all of it."""
    is_r5 = "topic" in resource or "channelType" in resource
    elements = _elements_of_r5(resource) if is_r5 else _elements_of_r4(resource)
    kind: SubscriptionKind = "criteria"
    if is_r5:
        kind = "r5"
    elif elements["criteria"].startswith(("http:", "https:", "urn:")):
        kind = "topic"
    endpoint = elements.pop("endpoint" if is_r5 else "channel.endpoint")
    return StoredSubscription(
        id=_text(resource.get("id")),
        kind=kind,
        status=_text(resource.get("status")),
        error=_text(resource.get("error")),
        endpoint=endpoint,
        secret=_secret_in(resource),
        elements={**elements, "end": _text(resource.get("end"))},
    )


def differences(sent: Mapping[str, Any], stored: Mapping[str, Any]) -> tuple[Difference, ...]:
    """What the server changed of a Subscription, but for its status; no secret is among it.

    A server that does not show headers has not changed them.
    """
    ours, theirs = stored_subscription(sent), stored_subscription(stored)
    found = [
        Difference(element=name, sent=value or "-", stored=theirs.elements.get(name) or "-")
        for name, value in ours.elements.items()
        if not _is_same(name, value, theirs.elements.get(name, ""))
    ]
    if ours.endpoint != theirs.endpoint:
        found.append(Difference(element="endpoint", sent="ours", stored="another"))
    if theirs.secret is not None and ours.secret != theirs.secret:
        found.append(Difference(element="header", sent="ours", stored="another"))
    return tuple(found)


def _elements_of_r4(resource: Mapping[str, Any]) -> dict[str, str]:
    channel = _mapping(resource.get("channel"))
    return {
        "criteria": _text(resource.get("criteria")),
        "criteria filter": _extension(_mapping(resource.get("_criteria")), FILTER),
        "channel.type": _text(channel.get("type")),
        "channel.endpoint": _text(channel.get("endpoint")),
        "channel.payload": _text(channel.get("payload")),
        "content": _extension(_mapping(channel.get("_payload")), CONTENT),
        "heartbeat period": _extension(channel, HEARTBEAT),
        "timeout": _extension(channel, TIMEOUT),
        "max count": _extension(channel, MAX_COUNT),
    }


def _elements_of_r5(resource: Mapping[str, Any]) -> dict[str, str]:
    filters = [
        f"{_text(filter_by.get('resourceType'))}?{_text(filter_by.get('filterParameter'))}"
        f"={_text(filter_by.get('value'))}"
        for filter_by in map(_mapping, _list(resource.get("filterBy")))
    ]
    return {
        "topic": _text(resource.get("topic")),
        "filterBy": " ".join(filters),
        "channelType": _text(_mapping(resource.get("channelType")).get("code")),
        "endpoint": _text(resource.get("endpoint")),
        "contentType": _text(resource.get("contentType")),
        "content": _text(resource.get("content")),
        "heartbeatPeriod": _text(resource.get("heartbeatPeriod")),
        "timeout": _text(resource.get("timeout")),
        "maxCount": _text(resource.get("maxCount")),
    }


def _secret_in(resource: Mapping[str, Any]) -> str | None:
    """The bearer secret among the headers; empty if there are only others, `None` without any."""
    lines = map(_text, _list(_mapping(resource.get("channel")).get("header")))
    headers = [(line.partition(":")[0], line.partition(":")[2]) for line in lines]
    headers += [
        (_text(parameter.get("name")), _text(parameter.get("value")))
        for parameter in map(_mapping, _list(resource.get("parameter")))
    ]
    if not headers:
        return None
    for name, value in headers:
        scheme, _, secret = value.strip().partition(" ")
        if name.strip().lower() == "authorization" and scheme.lower() == "bearer":
            return secret.strip()
    return ""


def _is_same(name: str, sent: str, stored: str) -> bool:
    if name == "end" and sent and stored:
        try:
            return moment_of(sent) == moment_of(stored)
        except (ValueError, TypeError):
            return False
    return sent == stored


def _extension(element: Mapping[str, Any], url: str) -> str:
    """The values of this extension as text."""
    found = [
        _text(value)
        for extension in map(_mapping, _list(element.get("extension")))
        if extension.get("url") == url
        for name, value in extension.items()
        if name.startswith("value")
    ]
    return " ".join(found)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value)
