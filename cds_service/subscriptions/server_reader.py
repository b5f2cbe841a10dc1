# SPDX-License-Identifier: Apache-2.0
"""What the worker reads of a FHIR server: a resource by its id, changes since a time, past events.

An address → what it tells, by the same readers as notifications; a server that does not answer is a
`Retry`. Only the server that a Subscription is on is asked, with the service's own token.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeAlias
from urllib.parse import quote

from msgspec import DecodeError, Raw, Struct, ValidationError
from msgspec.json import Decoder

from cds_service.clock import Deadline
from cds_service.errors import CdsServiceError, RequestError
from cds_service.fhir.bundles import next_of
from cds_service.fhir.elements import NOTHING
from cds_service.fhir.resources import Bundle
from cds_service.fhir_client.client import Access, FhirClient, Page, QueryResult
from cds_service.subscriptions.notification import Notification, read_notification
from cds_service.subscriptions.notified_resource import (
    NotifiedResource,
    address_of,
    instant_of,
    read_resource,
)
from cds_service.subscriptions.work import Retry

AccessTo: TypeAlias = Callable[[str], Access | None]
"""The access to the server at a base URL, `None` if there is none any more."""

PATIENCE: Final = 20.0  # seconds for one question
_PAGE: Final = 100
_MOST_ROUNDS: Final = 50  # searches, each from where the last one was cut off
_CUT_OFF: Final = frozenset(("too-many-pages", "too-long", "foreign-page"))
_LARGEST_PAGE: Final = 10_000  # that is asked for where the link to the next page leads elsewhere
# With these a server says that it does not answer such a question, not that it is away.
_NOT_ANSWERED: Final = frozenset(
    ("refused", "forbidden", "not-found", "outcome", "broken", "not-fhir")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Resources that changed, and whether there may be more of them after `until`."""

    resources: tuple[NotifiedResource, ...]
    until: datetime | None = None


class _Response(Struct, rename="camel"):
    last_modified: str | None = None


class _Request(Struct, rename="camel"):
    method: str | None = None
    url: str | None = None


class _Entry(Struct, rename="camel"):
    full_url: str | None = None
    resource: Raw = NOTHING
    request: _Request | None = None
    response: _Response | None = None


class _Bundle(Struct, rename="camel"):
    entry: list[_Entry] | None = None


_BUNDLE: Final = Decoder(_Bundle)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReader:
    """Asks FHIR servers for what notifications left out."""

    client: FhirClient = field(repr=False)
    access_to: AccessTo = field(repr=False)

    def read(
        self, server: str, kind: str, identity: str, *, again: bool = False
    ) -> NotifiedResource:
        """The resource as it is now, or that it is gone; raises `Retry`.

        With `again` it does so for a 404 too, for a copy of the server may be behind.
        """
        found = self._ask(server, f"{kind}/{quote(identity, safe='')}")
        if found.failure == "not-found":
            if again and not found.is_gone:
                raise Retry("not-found")
            return NotifiedResource(type=kind, id=identity, gone=True)
        if found.failure is not None or not found.pages:
            raise Retry(found.failure or "not-fhir")
        resource = _readable(found.pages[0].body, server)
        if resource is None or (resource.type, resource.id) != (kind, identity):
            raise Retry("not-fhir")
        return resource

    def found(self, server: str, query: str) -> tuple[NotifiedResource, ...]:
        """What a search finds, nothing if the server does not know it; raises `Retry`."""
        found = self._ask(server, query)
        if found.failure is not None and found.failure not in {*_NOT_ANSWERED, "ignored"}:
            raise Retry(found.failure)
        return tuple(_of_pages(found.pages, server))

    def answered(self, server: str, query: str) -> tuple[NotifiedResource, ...]:
        """What a search finds; raises `Retry` also where the server fails or refuses it."""
        found = self._ask(server, query)
        if found.failure not in {None, "ignored"}:
            raise Retry(found.failure or "not-fhir")
        return tuple(_of_pages(found.pages, server))

    def changed(self, server: str, search: str, since: datetime) -> Iterator[Changes]:
        """What a search finds that changed since then, in parts; raises `Retry`.

        A search that is cut off is asked again from the last time that it came to. Where it does
        not come to a later one, as where many results have one time, its links are followed.
        """
        mark = "&" if "?" in search else "?"
        count = _PAGE
        for _ in range(_MOST_ROUNDS):
            when = f"_lastUpdated=ge{_written(since)}&_sort=_lastUpdated&_count={count}"
            found = self._ask(server, f"{search}{mark}{when}")
            resources = tuple(_of_pages(found.pages, server))
            is_cut = found.failure in _CUT_OFF
            if found.failure is not None and not is_cut:
                raise Retry(found.failure)
            yield Changes(resources=resources)
            if not is_cut:
                return
            last = max(
                (resource.updated for resource in resources if resource.updated), default=since
            )
            if last > since and "_sort" not in found.left_out | found.ignored:
                since = last
            elif found.failure == "foreign-page" and count < _LARGEST_PAGE:
                count *= 10
            else:
                for more in self._rest(server, found):
                    yield Changes(resources=tuple(_of_pages(more.pages, server)))
                return
        raise Retry("too-many-pages")

    def deleted(self, server: str, kind: str, since: datetime) -> tuple[NotifiedResource, ...]:
        """Resources of this type that were deleted since then, as far as the server says so.

        Many servers have no history of a type. Raises `Retry`, also if it is too long to be read.
        """
        for count in (_PAGE, 10 * _PAGE, _LARGEST_PAGE):
            found = self._ask(server, f"{kind}/_history?_since={_written(since)}&_count={count}")
            if found.failure != "foreign-page":
                break
        if found.failure is not None and found.failure not in _NOT_ANSWERED | _CUT_OFF:
            raise Retry(found.failure)
        gone = list(_deletions(found.pages))
        if found.failure in _CUT_OFF:
            for more in self._rest(server, found):
                gone.extend(_deletions(more.pages))
        return tuple(gone)

    def _rest(self, server: str, result: QueryResult) -> Iterator[QueryResult]:
        """What comes after a result that was cut off; raises `Retry` if that is not to be had."""
        for _ in range(_MOST_ROUNDS):
            last = result.pages[-1].resource if result.pages else None
            link = next_of(last) if isinstance(last, Bundle) else None
            if link is None:
                raise Retry(result.failure or "too-many-pages")
            result = self.client.more(self._access(server), link, Deadline(PATIENCE))
            if result.failure is not None and result.failure not in _CUT_OFF:
                raise Retry(result.failure)
            yield result
            if result.failure is None:
                return
        raise Retry("too-many-pages")

    def events(
        self, server: str, subscription: str, first: int, last: int
    ) -> tuple[Notification, ...] | None:
        """The notifications of events with these numbers; `None` if the server keeps none."""
        numbers = f"eventsSinceNumber={first}&eventsUntilNumber={last}&content=id-only"
        found = self._ask(server, f"Subscription/{quote(subscription, safe='')}/$events?{numbers}")
        if found.failure in _NOT_ANSWERED:
            return None
        if found.failure is not None:
            raise Retry(found.failure)
        try:
            return tuple(
                read_notification("POST", "", {}, page.body, server=server) for page in found.pages
            )
        except CdsServiceError:
            return None

    def _ask(self, server: str, query: str) -> QueryResult:
        return self.client.ask(self._access(server), query, Deadline(PATIENCE))

    def _access(self, server: str) -> Access:
        access = self.access_to(server)
        if access is None:
            raise Retry("not-allowed")
        return access


def _written(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _readable(body: Raw | bytes, server: str) -> NotifiedResource | None:
    try:
        return read_resource(body, server, "$")
    except RequestError:
        return None


def _entries(pages: tuple[Page, ...]) -> Iterator[_Entry]:
    for page in pages:
        try:
            yield from _BUNDLE.decode(page.body.removeprefix(b"\xef\xbb\xbf")).entry or ()
        except (ValidationError, DecodeError):
            continue


def _of_pages(pages: tuple[Page, ...], server: str) -> Iterator[NotifiedResource]:
    """The resources of a search, without what is no result of it."""
    for entry in _entries(pages):
        resource = None if entry.resource is NOTHING else _readable(entry.resource, server)
        if resource is not None and resource.type != "OperationOutcome":
            yield resource


def _deletions(pages: tuple[Page, ...]) -> Iterator[NotifiedResource]:
    for entry in _entries(pages):
        request = entry.request or _Request()
        if (request.method or "").upper() != "DELETE":
            continue
        there = address_of(request.url or "") or address_of(entry.full_url or "")
        if there is not None:
            response = entry.response or _Response()
            yield NotifiedResource(
                type=there.type,
                id=there.id,
                gone=True,
                version=there.version,
                updated=instant_of(response.last_modified),
            )
