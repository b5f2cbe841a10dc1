# SPDX-License-Identifier: Apache-2.0
"""Subscribe to a server's results, or renew that, or end it: each run leaves one Subscription.

Plan → the row, the Subscription on the server, and what the server made of it. Ours is found by its
endpoint, so nothing doubles: neither in a second run nor after a write whose answer was lost. The
row is written first, with the new secret beside the old one, for the handshake may come before the
answer. Raises `RegistrationError` and `StoreError`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from cds_service.clock import Clock
from cds_service.fhir_client.servers import PayloadContent
from cds_service.subscriptions.capability import KindChoice, kind_for
from cds_service.subscriptions.credentials import (
    SealedKeyError,
    hashed,
    new_path,
    new_secret,
    seal,
    unseal,
)
from cds_service.subscriptions.endpoint import path_in
from cds_service.subscriptions.registration import OFF, Registration, RegistrationTable
from cds_service.subscriptions.remote_subscriptions import RegistrationError, RemoteSubscriptions
from cds_service.subscriptions.resource import (
    Difference,
    SubscriptionRequest,
    differences,
    stored_subscription,
    subscription_resource,
)
from cds_service.subscriptions.write_subscription import SubscriptionSender

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to be notified of and how; `endpoints` is the address below which ours lie.

    `results` is the search parameter for laboratory results, empty for every event of the topic.
    `hmac_key`: sign notifications with this key too; an empty one stands for one made here.
    """

    endpoints: str
    results: str
    kind: KindChoice = "auto"
    topic: str | None = None
    content: PayloadContent = "id-only"
    payload: bool = True
    numbered: bool = True
    heartbeat_seconds: int | None = None
    timeout_seconds: int | None = None
    max_count: int | None = None
    days: int | None = None
    hmac_key: str | None = field(default=None, repr=False)
    content_matters: bool = False  # it was asked for, and is not what the servers file says


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A Subscription as stored now, and how it differs from what was sent."""

    registration: Registration
    endpoint: str
    error: str = ""
    made: bool = False
    differences: tuple[Difference, ...] = ()
    written_as_active: bool = False

    @property
    def reference(self) -> str:
        """The Subscription on its server."""
        return f"Subscription/{self.registration.remote_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registrar:
    """Registers Subscriptions on one server."""

    sender: SubscriptionSender
    rows: RegistrationTable
    clock: Clock
    key_setting: str | None = field(default=None, repr=False)

    @property
    def remote(self) -> RemoteSubscriptions:
        """The questions to the server."""
        return self.sender.remote

    @property
    def server(self) -> str:
        """The base of the server."""
        return self.remote.access.server.base

    def subscribe(self, plan: Plan) -> Registered:
        """Create the Subscription, or write it again with another secret; and wait for it.

        One that was switched off is switched on.
        """
        return self._written(plan, switches_on=True)

    def renew(self, plan: Plan) -> Registered:
        """The same for a Subscription that is to stay off if somebody switched it off."""
        return self._written(plan, switches_on=False)

    def _written(self, plan: Plan, *, switches_on: bool) -> Registered:
        if plan.hmac_key is not None and self.key_setting is None:
            raise RegistrationError("an HMAC key is kept encrypted: set CDS_SUBSCRIPTION_KEY")
        wanted = self._wanted(plan)
        row = self.rows.reserve(self._adopted(wanted, plan))
        current = self._current(row, plan.endpoints)
        if current is not None:
            self._end_doubles(current)
        row, request = self._begun(plan, wanted, row, current, switches_on=switches_on)
        if row.switched_off is not None:
            raise RegistrationError("it was switched off: subscribe to switch it on")
        try:
            stored = self.sender.write(request, current)
        except RegistrationError as error:
            if current is None and not error.outside:
                self.rows.forget(row.path)
            raise
        self._confirm(row, request.secret, stored)
        stored, again = self.sender.activate(request, stored)
        self.rows.note_status(row.path, stored_subscription(stored).status)
        return Registered(
            registration=self.rows.at(row.path) or row,
            endpoint=request.endpoint,
            error=stored_subscription(stored).error,
            made=current is None,
            differences=differences(subscription_resource(request), stored),
            written_as_active=again,
        )

    def end(self, row: Registration) -> bool:
        """Set a Subscription off; whether the server still had it."""
        self.rows.switch_off(row.path, self.clock())  # the worker must not set it on meanwhile
        had = self.sender.end(row.remote_id)
        self.rows.note_status(row.path, OFF)
        return had

    def _wanted(self, plan: Plan) -> Registration:
        """The row that the plan asks for; raises `RegistrationError` if the server cannot do it."""
        support = self.remote.support()
        kind = kind_for(support, plan.kind, plan.topic)
        if kind != "criteria" and plan.topic is None:
            raise RegistrationError("name the topic of the server: --topic URL, or in its settings")
        if kind != "criteria" and not support.knows(plan.topic or ""):
            raise RegistrationError(
                f"the server does not know this topic; it lists {', '.join(support.topics)}"
            )
        content: PayloadContent = plan.content
        if kind == "criteria":
            if plan.content_matters and content == "id-only":
                raise RegistrationError("a Subscription by criteria has no content id-only")
            content = "full-resource" if plan.payload else "empty"
        row = Registration(
            path=new_path(),
            server=self.server,
            kind=kind,
            content=content,
            what=plan.topic or "",
            numbered=plan.numbered,
            created=self.clock(),
        )
        return replace(row, what=_request(plan, row, "", None).what)

    def _begun(
        self,
        plan: Plan,
        wanted: Registration,
        row: Registration,
        current: Json | None,
        *,
        switches_on: bool,
    ) -> tuple[Registration, SubscriptionRequest]:
        """The row with a new secret beside the one in force, and what is sent with it."""
        secret, hmac_key = new_secret(), self._hmac_key(plan, row)
        sealed = None if hmac_key is None else seal(hmac_key, row.path, self.key_setting or "")
        row = self.rows.begin_writing(
            replace(wanted, path=row.path, hmac_key=sealed),
            hashed(secret),
            known=_known_secret(current),
            switches_on=switches_on,
        )
        request = _request(plan, row, secret, hmac_key)
        if plan.days is not None:
            request = replace(request, end=self.clock() + timedelta(days=plan.days))
        return row, request

    def _adopted(self, wanted: Registration, plan: Plan) -> Registration:
        """The row with the path of a Subscription of ours that the database does not know."""
        rows = self.rows.all(self.server)
        if any(r.kind == wanted.kind and _is_like(r.kind, r.what, wanted) for r in rows):
            return wanted
        known = {row.path for row in rows}
        for resource in self.remote.with_endpoints_below(plan.endpoints):
            found = stored_subscription(resource)
            path = path_in(found.endpoint)
            is_free = path and path not in known and found.status != OFF
            if is_free and found.kind == wanted.kind and _is_like(found.kind, found.topic, wanted):
                return replace(wanted, path=path, remote_id=found.id)
        return wanted

    def _current(self, row: Registration, endpoints: str) -> Json | None:
        """The Subscription of this row on the server, by its id or by our endpoint."""
        found = self.remote.read(row.remote_id) if row.remote_id else None
        if found is not None and path_in(stored_subscription(found).endpoint) == row.path:
            return found
        return self.remote.with_endpoint(f"{endpoints}/{row.path}")

    def _end_doubles(self, current: Json) -> None:
        """Set off every other Subscription with this endpoint: two commands ran at the same time.

        One that the server keeps on does no harm, for its secret is not accepted.
        """
        ours = stored_subscription(current)
        for resource in self.remote.all_with_endpoint(ours.endpoint):
            found = stored_subscription(resource)
            if found.id != ours.id and found.status != OFF:
                self.sender.set_off(resource)

    def _hmac_key(self, plan: Plan, row: Registration) -> str | None:
        """The key that the plan brings or asks to make, else the one that the row has."""
        if plan.hmac_key is not None:
            return plan.hmac_key or new_secret()
        if row.hmac_key is None:
            return None
        try:
            return unseal(row.hmac_key, row.path, self.key_setting or "")
        except SealedKeyError as error:
            raise RegistrationError(f"{error}; make another: --hmac") from None

    def _confirm(self, row: Registration, secret: str, stored: Json) -> None:
        found = stored_subscription(stored)
        if found.secret is not None and found.secret != secret:
            return  # another secret is in force: both that we know go on to count
        heartbeat = found.elements.get("heartbeat period") or found.elements.get("heartbeatPeriod")
        self.rows.confirm(
            row.path,
            secret=hashed(secret),
            remote_id=found.id,
            status=found.status,
            heartbeat_seconds=int(heartbeat) if heartbeat and heartbeat.isdigit() else None,
            expires=found.end,
        )


def renewal_plan(row: Registration, remote: RemoteSubscriptions, plan: Plan) -> Plan:
    """The plan that leaves a registered Subscription as it is; `plan` has what rows do not keep.

    Its filter and its numbers are taken from the server.
    """
    found = remote.read(row.remote_id) if row.remote_id else None
    elements = {} if found is None else stored_subscription(found).elements
    is_unfiltered = row.kind != "criteria" and not (
        elements.get("criteria filter") or elements.get("filterBy")
    )
    return replace(
        plan,
        kind=row.kind,
        topic=None if row.kind == "criteria" else row.what,
        content=row.content,
        payload=row.content == "full-resource",
        results="" if found is not None and is_unfiltered else plan.results,
        heartbeat_seconds=row.heartbeat_seconds,
        timeout_seconds=_number(elements, "timeout"),
        max_count=_number(elements, "max count") or _number(elements, "maxCount"),
    )


def _number(elements: Mapping[str, str], name: str) -> int | None:
    text = elements.get(name, "")
    return int(text) if text.isdigit() else None


def _request(
    plan: Plan, row: Registration, secret: str, hmac_key: str | None
) -> SubscriptionRequest:
    return SubscriptionRequest(
        kind=row.kind,
        endpoint=f"{plan.endpoints}/{row.path}",
        results=plan.results,
        content=row.content,
        secret=secret,
        topic="" if row.kind == "criteria" else row.what,
        hmac_key=hmac_key,
        heartbeat_seconds=plan.heartbeat_seconds,
        timeout_seconds=plan.timeout_seconds,
        max_count=plan.max_count,
    )


def _is_like(kind: str, criteria: str, wanted: Registration) -> bool:
    return kind == "criteria" or criteria == wanted.what


def _known_secret(current: Json | None) -> bytes | None:
    secret = None if current is None else stored_subscription(current).secret
    return hashed(secret) if secret else None
