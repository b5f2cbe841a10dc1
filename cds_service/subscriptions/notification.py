# SPDX-License-Identifier: Apache-2.0
"""A request of a FHIR server to the endpoint of a Subscription -> what it notifies us of.

Taken are the forms that servers really send (FHIR R4, "Subscription"; Subscriptions R5 Backport
IG): PUT and DELETE of a resource below the endpoint, POST of a resource, an empty POST, and a
Bundle that begins with the status of the Subscription. Pure: nothing is read, stored or logged. A
message says what was expected and where, never what was received.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from msgspec import DecodeError, Raw, Struct, ValidationError
from msgspec.json import Decoder

from cds_service.errors import RequestError, UnsupportedMediaType
from cds_service.fhir.elements import NOTHING
from cds_service.fhir.json_checks import checked_outline
from cds_service.fhir.references import server_of
from cds_service.subscriptions.notification_status import Event, Status, StatusType, read_status
from cds_service.subscriptions.notified_resource import (
    Address,
    NotifiedResource,
    address_of,
    is_resource,
    read_resource,
)

Kind: TypeAlias = Literal["resource", "deleted", "search"] | StatusType

_BUNDLES: Final = frozenset(("history", "subscription-notification"))
_WITH_EVENTS: Final = frozenset(("handshake", "event-notification", "query-event"))
_DELETED: Final = "x-medplum-deleted-resource"
_INTERACTION: Final = "x-medplum-interaction"
_MOST_ENTRIES: Final = 10_000
_NO_JSON: Final = "expected a FHIR resource as JSON"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What one request tells; `search` says that something happened, but not to which resource.

    `foreign` counts resources of another server than the one that was subscribed to, which are
    named and not taken. `status` is there for a Bundle alone.
    """

    kind: Kind
    resources: tuple[NotifiedResource, ...] = ()
    search: bool = False
    foreign: int = 0
    status: Status | None = None

    @property
    def event_numbers(self) -> tuple[int, ...]:
        """The numbers of the events, in ascending order, each once."""
        events = () if self.status is None else self.status.events
        return tuple(sorted({event.number for event in events if event.number is not None}))


class _Request(Struct, rename="camel"):
    url: str | None = None
    method: str | None = None


class _Entry(Struct, rename="camel"):
    full_url: str | None = None
    resource: Raw = NOTHING
    request: _Request | None = None


class _Body(Struct, rename="camel"):
    resource_type: str | None = None
    type: str | None = None
    entry: list[_Entry] | None = None


class _Any(Struct, rename="camel"):
    resource_type: str | None = None


_KIND: Final = Decoder(_Any)
_BUNDLE: Final = Decoder(_Body)


def read_notification(
    method: str, sub_path: str, headers: Mapping[str, str], body: bytes, *, server: str
) -> Notification:
    """What a request tells; `sub_path` is what stands after the endpoint, without a slash.

    `server` is the base URL of the server that was subscribed to. `headers` are read whatever
    their case. Raises `RequestError` or `UnsupportedMediaType` for what is no notification.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    body = body.removeprefix(b"\xef\xbb\xbf").strip()
    if method == "DELETE":
        return _deletion(_below(sub_path))
    there = _below(sub_path) if sub_path and method == "PUT" else None
    if not body:
        if there is not None:  # a PUT that names a resource and leaves it out
            return Notification(kind="resource", resources=(_named(there),))
        return Notification(kind="search", search=True)
    if _type_of(body, lower) == "Bundle":
        return _bundle(body, server)
    if body.strip(b"{} \t\r\n") == b"":
        if _DELETED in lower:  # Medplum
            return _deletion(_address(lower[_DELETED]))
        return Notification(kind="search", search=True)
    resource = read_resource(body, server, "$")
    if there is not None and (there.type, there.id) != (resource.type, resource.id):
        raise RequestError("expected the type and id of the address", "$.id")
    if lower.get(_INTERACTION, "").strip().lower() == "delete":
        # The version in the body, if any, is the one before the deletion.
        resource = replace(resource, gone=True, body=None, version="", updated=None)
    kind: Kind = "deleted" if resource.gone else "resource"
    return Notification(kind=kind, resources=(resource,))


def _type_of(body: bytes, headers: Mapping[str, str]) -> str | None:
    """The type of the resource in a body; raises if it is no JSON object in UTF-8."""
    try:
        body.decode()
        kind = _KIND.decode(body).resource_type
        checked_outline(body)
    except ValidationError:
        raise RequestError(_NO_JSON, "$") from None
    except (DecodeError, UnicodeDecodeError, RecursionError):
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind and not kind.endswith(("json", "x-www-form-urlencoded")):
            raise UnsupportedMediaType("Expected Content-Type: application/fhir+json.") from None
        raise RequestError(_NO_JSON, "$") from None
    return kind


def _below(sub_path: str) -> Address:
    """The resource that an address below the endpoint names."""
    return _address(sub_path.strip("/"))


def _address(text: str) -> Address:
    found = address_of(text.strip())
    if found is None:
        raise RequestError("Expected the type and id of a resource after the endpoint.")
    return found


def _deletion(address: Address) -> Notification:
    return Notification(kind="deleted", resources=(replace(_named(address), gone=True),))


def _named(address: Address) -> NotifiedResource:
    """A resource of which only the address is known."""
    patient = address.id if address.type == "Patient" else ""
    return NotifiedResource(
        type=address.type, id=address.id, version=address.version, patient=patient
    )


def _bundle(body: bytes, server: str) -> Notification:
    try:
        bundle = _BUNDLE.decode(body)
    except ValidationError:
        raise RequestError("expected a Bundle with an array of entries", "$.entry") from None
    if bundle.type not in _BUNDLES:
        names = " or ".join(sorted(_BUNDLES))
        raise RequestError(f"expected a Bundle of type {names}", "$.type")
    entries = bundle.entry or []
    if not entries or entries[0].resource is NOTHING:
        raise RequestError("expected the status of the Subscription", "$.entry[0].resource")
    if len(entries) > _MOST_ENTRIES:
        raise RequestError(f"expected at most {_MOST_ENTRIES} entries", "$.entry")
    status = read_status(entries[0].resource, "$.entry[0].resource")
    if len(status.events) > _MOST_ENTRIES:
        raise RequestError(f"expected at most {_MOST_ENTRIES} events", "$.entry[0].resource")
    if status.type not in _WITH_EVENTS:
        return Notification(kind=status.type, status=status)
    return _with_events(status, entries, server)


def _with_events(status: Status, entries: Sequence[_Entry], server: str) -> Notification:
    sent = _sent(entries, server)
    focused = [(event, address_of(event.focus)) for event in status.events if event.focus]
    for event, address in focused:
        if address is None:
            raise RequestError("expected a reference to a resource", event.where)
    of_this_server = [
        (event, address) for event, address in focused if address and _is_here(address, server)
    ]
    found = [_of_event(event, address, sent) for event, address in of_this_server]
    unnamed = any(not event.focus for event in status.events)
    if not focused and sent:  # resources without a focus that names them
        found, unnamed = list(sent.values()), False
    elif not status.events and status.type == "event-notification":
        unnamed = True
    return Notification(
        kind=status.type,
        resources=tuple(found),
        search=unnamed,
        foreign=len(focused) - len(of_this_server),
        status=status,
    )


def _is_here(address: Address, server: str) -> bool:
    return address.server in {"", server_of(server)}


def _of_event(
    event: Event, address: Address, sent: Mapping[tuple[str, str], NotifiedResource]
) -> NotifiedResource:
    """What an event tells of its focus: the entry, if one came, else the name alone."""
    resource = sent.get((address.type, address.id), _named(address))
    return replace(
        resource,
        event=event.number,
        version=address.version if resource.body is None and address.version else resource.version,
        event_time=event.time,
    )


def _sent(entries: Sequence[_Entry], server: str) -> dict[tuple[str, str], NotifiedResource]:
    """What the entries after the status tell: resources, or the names of those left out."""
    found: dict[tuple[str, str], NotifiedResource] = {}
    for place, entry in enumerate(entries[1:], start=1):
        resource = _of_entry(entry, server, f"$.entry[{place}].resource")
        if resource is not None:
            found[resource.type, resource.id] = resource
    return found


def _of_entry(entry: _Entry, server: str, where: str) -> NotifiedResource | None:
    there = address_of(entry.full_url or "")
    if there is not None and not _is_here(there, server):
        return None
    request = entry.request or _Request()
    if (request.method or "").upper() == "DELETE":
        gone = there or address_of(request.url or "")
        return None if gone is None else replace(_named(gone), gone=True)
    if entry.resource is NOTHING or bytes(entry.resource) == b"null":
        return None if there is None else _named(there)
    resource = read_resource(entry.resource, server, where)
    if there is None or not is_resource(there.type, there.id):
        return resource
    return replace(resource, version=resource.version or there.version)
