# SPDX-License-Identifier: Apache-2.0
"""A request to the endpoint of a Subscription: authenticated, read, and kept in the inbox.

When `receive` returns, what arrived is on the disk. No FHIR server is asked, whatever is sent: what
was not sent with the notification is read later by the worker. The database is asked by a thread of
its own, so that one that hangs does not hold up other calls.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from sqlalchemy import Connection

from cds_service.clock import Clock
from cds_service.errors import (
    PayloadTooLarge,
    RequestError,
    SettingsError,
    StoreError,
    Unauthenticated,
    UnknownPage,
)
from cds_service.fhir.depth import is_deeper
from cds_service.fhir_client.servers import Servers
from cds_service.log import log_subscription
from cds_service.settings import Settings
from cds_service.store import Store
from cds_service.store.thread import DatabaseThread
from cds_service.subscriptions.credentials import SealedKeyError, is_secret, unseal
from cds_service.subscriptions.event_numbers import note, note_received
from cds_service.subscriptions.inbox import Inbox, make_inbox
from cds_service.subscriptions.inbox_insert import Arrival
from cds_service.subscriptions.notification import Kind, Notification, read_notification
from cds_service.subscriptions.notification_status import Status
from cds_service.subscriptions.notified_resource import address_of
from cds_service.subscriptions.queue import enqueue
from cds_service.subscriptions.registration import Registration, RegistrationTable
from cds_service.subscriptions.work import GAP, LOOK, SEARCH

_SIGNATURES: Final = ("x-hub-signature-256", "x-hub-signature", "x-signature")
_PREFIX: Final = "sha256="
_NOTED_EVERY: Final = timedelta(seconds=5)  # a row of a Subscription is written no more often
_REFUSED: Final = "Expected the secret of the Subscription."


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveLimits:
    """The longest and deepest JSON that is read, and how long a skipped event may be late."""

    most_bytes: int = 4 * 1024 * 1024
    levels: int = 64
    grace: timedelta = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpNotification:
    """A request as it came; `sub_path` is what stands after the endpoint."""

    method: str
    sub_path: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was kept; `is_bundle` says that the answer is a Bundle too.

    `arrived` counts what was new, `foreign` what was left out for being of another server.
    """

    kind: Kind
    is_bundle: bool
    arrived: int
    foreign: int


class Receiver:
    """Takes what is sent to the endpoints of all Subscriptions."""

    def __init__(
        self,
        inbox: Inbox,
        clock: Clock,
        limits: ReceiveLimits | None = None,
        subscription_key: str | None = None,
    ) -> None:
        """`subscription_key` is the setting under which HMAC keys are sealed."""
        self._inbox = inbox
        self._registrations = RegistrationTable(inbox.database)
        self._clock = clock
        self._limits = limits or ReceiveLimits()
        self._key = subscription_key
        self._thread = DatabaseThread("inbox")

    def admit(self, path: str, headers: Mapping[str, str]) -> Registration:
        """The Subscription of a request, as far as its head tells: the body may still be unread.

        A signature is over the body, so whether it is right shows later. Raises `UnknownPage`,
        `Unauthenticated`, `PayloadTooLarge` and `StoreError`.
        """
        registration = self._thread.ask(lambda: self._registrations.at(path))
        if registration is None or registration.switched_off is not None:
            raise UnknownPage("There is nothing at this address.")
        given = _lower(headers)
        if _signature_in(registration, given) is None:
            scheme, _, secret = given.get("authorization", "").strip().partition(" ")
            bearer = secret.strip() if scheme.lower() == "bearer" else ""
            if not is_secret(bearer, registration.secret, registration.secret_before):
                raise Unauthenticated(_REFUSED)
        length = given.get("content-length", "")
        if length.isdecimal() and int(length) > self._limits.most_bytes:
            raise PayloadTooLarge(f"The body is longer than {self._limits.most_bytes} bytes.")
        return registration

    def receive(
        self, path: str, request: HttpNotification, admitted: Registration | None = None
    ) -> Receipt:
        """Keep what a request notifies of; `admitted` is what `admit` made of its head.

        Raises `UnknownPage`, `Unauthenticated`, `RequestError` and its kin, and `StoreError`.
        """
        registration = admitted or self.admit(path, request.headers)
        signature = _signature_in(registration, _lower(request.headers))
        if signature is not None and not self._is_signed(registration, request.body, signature):
            raise Unauthenticated(_REFUSED)
        if is_deeper(request.body, self._limits.levels):
            raise PayloadTooLarge(f"Expected JSON of at most {self._limits.levels} levels.")
        found = read_notification(
            request.method,
            request.sub_path,
            request.headers,
            request.body,
            server=registration.server,
        )
        if found.status is not None:
            _check_status(found.status, registration)
        if found.foreign and not found.resources:
            raise RequestError("Expected resources of the server of the Subscription.", "$.entry")
        now = self._clock()
        return Receipt(
            kind=found.kind,
            is_bundle=found.status is not None,
            arrived=self._thread.ask(lambda: self._keep(registration, found, now)),
            foreign=found.foreign,
        )

    def _is_signed(self, registration: Registration, body: bytes, signature: str) -> bool:
        try:
            key = unseal(registration.hmac_key or b"", registration.path, self._key or "")
        except SealedKeyError:  # who sent it need not hear of our settings
            log_subscription("no-key")
            return False
        expected = hmac.new(key.encode(), body, sha256).hexdigest()
        given = signature.strip().lower().removeprefix(_PREFIX)
        return hmac.compare_digest(expected.encode(), given.encode())

    def _keep(self, registration: Registration, notification: Notification, now: datetime) -> int:
        """Keep all of it in one transaction; how many resources were new."""
        server, path = registration.server, registration.path
        arrivals = [
            Arrival(
                server=server, subscription=path, resource=resource, numbered=registration.numbered
            )
            for resource in notification.resources
        ]
        with self._inbox.database.writing() as connection:
            if notification.status is not None:
                self._note(connection, registration, notification.status, now)
            if notification.status is not None and notification.status.has_error:
                log_subscription("error")
                enqueue(connection, server, f"{LOOK}{path}", now)
                enqueue(connection, server, f"{SEARCH}{path}", self._search_due(registration, now))
            note_received(connection, path, now, now - _NOTED_EVERY)
            new = self._inbox.add_within(connection, arrivals, now)
            if notification.search:
                enqueue(connection, server, f"{SEARCH}{path}", self._search_due(registration, now))
        return new

    def _note(
        self, connection: Connection, registration: Registration, status: Status, now: datetime
    ) -> None:
        """Keep the numbers of the events, and ask for those that are missing."""
        server, path = registration.server, registration.path
        match note(connection, path, status, numbered=registration.numbered):
            case "missing":
                enqueue(connection, server, f"{GAP}{path}", now + self._limits.grace)
            case "jump":
                log_subscription("jump")
                enqueue(connection, server, f"{SEARCH}{path}", self._search_due(registration, now))

    def _search_due(self, registration: Registration, now: datetime) -> datetime:
        """When to search: at once, but no more often than results are gathered."""
        last = registration.searched_until
        if last is None:
            return now
        return max(now, last + self._inbox.settling(registration.server))


def make_receiver(settings: Settings, store: Store, servers: Servers, clock: Clock) -> Receiver:
    """The receiver of a service as it is set; raises `SettingsError` and `StoreError`."""
    key = (
        None if settings.subscription_key is None else settings.subscription_key.get_secret_value()
    )
    _check_key(RegistrationTable(store.database), key)
    return Receiver(
        make_inbox(settings, store.database, servers),
        clock,
        ReceiveLimits(
            most_bytes=settings.max_notification_bytes,
            levels=settings.max_depth,
            grace=timedelta(seconds=settings.gap_seconds),
        ),
        key,
    )


def _check_key(registrations: RegistrationTable, key: str | None) -> None:
    """Raise `SettingsError` if an HMAC key that is in force cannot be opened."""
    try:
        every = registrations.all()
    except StoreError:
        return  # the service starts without its database too
    for registration in every:
        if registration.hmac_key is not None and registration.switched_off is None:
            try:
                unseal(registration.hmac_key, registration.path, key or "")
            except SealedKeyError as error:
                help_ = "or switch its Subscription off: cds-service subscriptions off"
                raise SettingsError([f"{error}; {help_}"]) from None


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _signature_in(registration: Registration, headers: Mapping[str, str]) -> str | None:
    """The signature of a request to a Subscription that has a key for it."""
    if registration.hmac_key is None:
        return None
    return next((headers[name] for name in _SIGNATURES if name in headers), None)


def _check_status(status: Status, registration: Registration) -> None:
    """Raise `RequestError` if a notification is about another Subscription or another topic."""
    where = "$.entry[0].resource"
    named = address_of(status.subscription)
    if (
        named is not None
        and registration.remote_id  # not known before the server has answered
        and (named.type, named.id) != ("Subscription", registration.remote_id)
    ):
        raise RequestError("expected the Subscription of this endpoint", where)
    topic = status.topic.partition("|")[0]
    if topic and registration.kind != "criteria" and topic != registration.what.partition("|")[0]:
        raise RequestError("expected the topic of the Subscription", where)
