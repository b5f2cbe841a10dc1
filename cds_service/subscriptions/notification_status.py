# SPDX-License-Identifier: Apache-2.0
"""The status that a topic notification begins with: R4 `Parameters`, or a `SubscriptionStatus`.

The Subscriptions R5 Backport IG has `Parameters` with kebab-case names and numbers as strings for
R4, and the resource `SubscriptionStatus` for R4B; R5 has the latter too. Servers mix them, and
write the time of an event as `valueDate` (HAPI): all of it is read.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, cast, get_args

from msgspec import Raw, ValidationError
from msgspec.json import Decoder

from cds_service.errors import RequestError
from cds_service.iso_times import moment_of

StatusType: TypeAlias = Literal[
    "handshake", "heartbeat", "event-notification", "query-status", "query-event"
]

# FHIR R4, "Subscription.status", and what R5 added; anything else is not kept.
_STATUSES: Final = frozenset(("requested", "active", "error", "off", "entered-in-error"))
_MOST: Final = 2**63 - 1
# The paths in messages are made of these: any other name is the sender's own text.
_VALUES: Final = frozenset(
    f"value{kind}"
    for kind in (
        "Canonical",
        "Code",
        "CodeableConcept",
        "Date",
        "DateTime",
        "Id",
        "Instant",
        "Integer",
        "Integer64",
        "PositiveInt",
        "Reference",
        "String",
        "UnsignedInt",
        "Uri",
    )
)
_CAPITAL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_EXPECTED: Final = (
    "expected a Parameters or SubscriptionStatus resource, the status of a Subscription"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of a notification; without a `focus` it says only that something happened."""

    number: int | None
    focus: str
    where: str
    time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a notification says of its Subscription; a text that it leaves out is empty.

    `has_error` says that the server reports an error of the Subscription.
    """

    type: StatusType
    subscription: str
    topic: str
    status: str
    events_since_start: int | None
    events: tuple[Event, ...]
    has_error: bool


_JSON: Final = Decoder(dict[str, Any])


def read_status(raw: Raw, where: str) -> Status:
    """The status in a resource; raises `RequestError` if it is none that can be read."""
    try:
        resource = _JSON.decode(raw)
    except ValidationError:
        raise RequestError(_EXPECTED, where) from None
    match resource.get("resourceType"):
        case "Parameters":
            values = _parameters(resource, "parameter", where)
        case "SubscriptionStatus":
            values = _members(resource, where)
        case _:
            raise RequestError(_EXPECTED, f"{where}.resourceType")
    return _status(values, where)


Values: TypeAlias = Mapping[str, Sequence[tuple[Any, str]]]
"""The values of each name, in kebab-case, with the path of each."""


def _status(values: Values, where: str) -> Status:
    kind, at = _first(values, "type", where)
    if kind not in get_args(StatusType):
        names = ", ".join(get_args(StatusType))
        raise RequestError(f"expected a type of notification: {names}", at)
    status = _first(values, "status", where)[0]
    return Status(
        type=cast("StatusType", kind),
        subscription=_reference(_first(values, "subscription", where)[0]),
        topic=_text(_first(values, "topic", where)[0]),
        status=status if status in _STATUSES else "",
        events_since_start=_number(*_first(values, "events-since-subscription-start", where)),
        events=tuple(_event(*value) for value in values.get("notification-event", ())),
        has_error=status == "error" or bool(values.get("error")),
    )


def _event(event: Any, where: str) -> Event:
    if not isinstance(event, dict):
        raise RequestError("expected an event", where)
    values = _parameters(event, "part", where) if "part" in event else _members(event, where)
    focus, at = _first(values, "focus", where)
    return Event(
        number=_number(*_first(values, "event-number", where)),
        focus=_reference(focus),
        where=at,
        time=_instant(_first(values, "timestamp", where)[0]),
    )


def _parameters(resource: Mapping[str, Any], name: str, where: str) -> Values:
    """The values of `Parameters`, or of the parts of one of them."""
    found: dict[str, list[tuple[Any, str]]] = {}
    listed = resource.get(name)
    if not isinstance(listed, list):
        raise RequestError("expected an array", f"{where}.{name}")
    for place, parameter in enumerate(listed):
        at = f"{where}.{name}[{place}]"
        if not isinstance(parameter, dict) or not isinstance(parameter.get("name"), str):
            raise RequestError("expected a parameter with its name", at)
        found.setdefault(_kebab(parameter["name"]), []).append(_value(parameter, at))
    return found


def _value(parameter: Mapping[str, Any], where: str) -> tuple[Any, str]:
    if "part" in parameter:
        return parameter, where
    key = next((key for key in parameter if key in _VALUES), None)
    return (None, where) if key is None else (parameter[key], f"{where}.{key}")


def _members(resource: Mapping[str, Any], where: str) -> Values:
    """The members of a `SubscriptionStatus`, or of one of its events."""
    found: dict[str, list[tuple[Any, str]]] = {}
    for name, value in resource.items():
        items = value if isinstance(value, list) else [value]
        at = f"{where}.{name}"
        many = isinstance(value, list)
        found[_kebab(name)] = [
            (item, f"{at}[{place}]" if many else at) for place, item in enumerate(items)
        ]
    return found


def _kebab(name: str) -> str:
    return _CAPITAL.sub("-", name).lower()


def _first(values: Values, name: str, where: str) -> tuple[Any, str]:
    return next(iter(values.get(name, ())), (None, where))


def _number(value: Any, where: str) -> int | None:
    """A counter: a string in R4 Parameters, a string or a number elsewhere."""
    if value is None:
        return None
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 20:
        number = int(text)
        if number <= _MOST:
            return number
    raise RequestError("expected the number of an event, 0 or more", where)


def _reference(value: Any) -> str:
    """The text of a reference; empty for one by identifier alone."""
    return _text(value.get("reference")) if isinstance(value, dict) else _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _instant(value: Any) -> datetime | None:
    try:
        found = moment_of(_text(value))
    except ValueError:
        return None
    return None if found.tzinfo is None else found
