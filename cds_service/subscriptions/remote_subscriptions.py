# SPDX-License-Identifier: Apache-2.0
"""The Subscriptions of a FHIR server: its capabilities, its stored Subscriptions, their status.

Raises `RegistrationError` where the server cannot be asked. A status that it does not give, or a
search that it does not know, is an answer too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from msgspec import DecodeError
from msgspec.json import decode

from cds_service.clock import Deadline
from cds_service.fhir_client.client import Access, FhirClient, NoToken, QueryResult
from cds_service.fhir_client.failures import QUERY_FAILURES, QueryFailure
from cds_service.iso_times import moment_of
from cds_service.subscriptions.capability import SubscriptionSupport, support_in

Json = dict[str, Any]

PATIENCE: Final = 20.0  # seconds for one question
_LONGEST_TEXT: Final = 300
# With these a server says that it does not answer such a question, not that it is away.
_NOT_ANSWERED: Final = frozenset(("refused", "forbidden", "not-found", "outcome", "broken"))


class RegistrationError(Exception):
    """A Subscription cannot be registered, renewed or asked about; the text says why.

    `outside`: the server is away or failed; else it refused, or what was asked for cannot be.
    """

    def __init__(self, message: str, *, outside: bool = False) -> None:
        super().__init__(message)
        self.outside = outside


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSubscriptions:
    """Questions to one server; its `client` reads a single page of a search."""

    access: Access
    client: FhirClient

    def support(self) -> SubscriptionSupport:
        """What its CapabilityStatement says, which everybody may read."""
        access = Access(self.access.server, NoToken())
        return support_in(self._one(self.client.ask(access, "metadata", Deadline(PATIENCE))))

    def read(self, identity: str) -> Json | None:
        """The Subscription with this id; `None` if there is none."""
        found = self._ask(f"Subscription/{quote(identity, safe='')}")
        return None if found.failure == "not-found" else self._one(found)

    def with_endpoint(self, endpoint: str) -> Json | None:
        """The Subscription that sends to exactly this address, if the server finds it."""
        return next(iter(self.all_with_endpoint(endpoint)), None)

    def all_with_endpoint(self, endpoint: str) -> list[Json]:
        """The Subscriptions that send to exactly this address."""
        found = self._search(f"Subscription?url={quote(endpoint, safe='')}")
        return [resource for resource in found if _endpoint(resource) == endpoint]

    def with_endpoints_below(self, base: str) -> list[Json]:
        """The Subscriptions that send to an address below this one."""
        found = self._search("Subscription?_count=200")
        return [resource for resource in found if _endpoint(resource).startswith(f"{base}/")]

    def reported_status(self, identity: str) -> Mapping[str, str]:
        """The parts of its answer to `$status`, by name; none if it has no such operation."""
        found = self._ask(f"Subscription/{quote(identity, safe='')}/$status")
        for page in found.pages:
            for resource in [*_entries(page.body), _object(page.body)]:
                if parts := _status_parts(resource):
                    return parts
        return {}

    def newest_result(self, search: str) -> datetime | None:
        """When the server last stored a result that the search finds; `None` if it does not say."""
        found = self._ask(f"{search}&_sort=-_lastUpdated&_count=1")
        if not found.pages or found.left_out or "_sort" in found.ignored:
            return None
        times = [_updated(resource) for resource in _entries(found.pages[0].body)]
        return max((time for time in times if time is not None), default=None)

    def _search(self, query: str) -> list[Json]:
        found = self._ask(query)
        if found.failure is not None and found.failure not in {*_NOT_ANSWERED, "too-many-pages"}:
            raise unanswered(found.failure)
        resources = (entry for page in found.pages for entry in _entries(page.body))
        return [
            resource for resource in resources if resource.get("resourceType") == "Subscription"
        ]

    def _ask(self, query: str) -> QueryResult:
        return self.client.ask(self.access, query, Deadline(PATIENCE))

    def _one(self, result: QueryResult) -> Json:
        if not result.pages:
            raise unanswered(result.failure or "not-fhir")
        return _object(result.pages[0].body)


def unanswered(code: QueryFailure) -> RegistrationError:
    """The error for a question that got no answer."""
    return RegistrationError(f"the server was asked: {QUERY_FAILURES[code]}", outside=True)


def outcome_text(outcome: Mapping[str, Any]) -> str:
    """What an OperationOutcome about a Subscription of ours says, shortened; else nothing."""
    issues = outcome.get("issue") if outcome.get("resourceType") == "OperationOutcome" else None
    texts = [
        str(issue.get("diagnostics") or "")
        for issue in (issues if isinstance(issues, list) else [])
        if isinstance(issue, dict)
    ]
    return " ".join(text for text in texts if text)[:_LONGEST_TEXT]


def _object(body: bytes) -> Json:
    try:
        found = decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (DecodeError, RecursionError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _entries(body: bytes) -> Iterator[Json]:
    entries = _object(body).get("entry")
    for entry in entries if isinstance(entries, list) else []:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict):
            yield resource


def _endpoint(subscription: Mapping[str, Any]) -> str:
    channel = subscription.get("channel")
    inner = channel.get("endpoint") if isinstance(channel, dict) else None
    return str(inner or subscription.get("endpoint") or "")


def _status_parts(resource: Mapping[str, Any]) -> Mapping[str, str]:
    """The parts of Parameters (R4), or the members of SubscriptionStatus (R4B, R5), as text.

    The names are those of the backport: `status`, `events-since-subscription-start`.
    """
    if resource.get("resourceType") == "SubscriptionStatus":
        count = resource.get("eventsSinceSubscriptionStart", "")
        return {
            "status": str(resource.get("status", "")),
            "events-since-subscription-start": str(count),
        }
    if resource.get("resourceType") != "Parameters":
        return {}
    parts = resource.get("parameter")
    return {
        str(part.get("name")): str(value)
        for part in (parts if isinstance(parts, list) else [])
        if isinstance(part, dict)
        for name, value in part.items()
        if name.startswith("value") and isinstance(value, str | int)
    }


def _updated(resource: Mapping[str, Any]) -> datetime | None:
    meta = resource.get("meta")
    text = meta.get("lastUpdated") if isinstance(meta, dict) else None
    try:
        found = moment_of(str(text))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
