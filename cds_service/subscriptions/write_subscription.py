# SPDX-License-Identifier: Apache-2.0
"""A Subscription to a server: created or updated, read back, waited for until it is active.

A create is never repeated by itself, for a server may ignore its condition: after a lost answer
the Subscription is searched by our endpoint. Raises `RegistrationError`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import sleep
from typing import Any, Final
from urllib.parse import quote

from cds_service.clock import Deadline
from cds_service.fhir_client.writer import WRITE_FAILURES, FhirWriter, WriteResult
from cds_service.subscriptions.registration import OFF
from cds_service.subscriptions.remote_subscriptions import (
    PATIENCE,
    RegistrationError,
    RemoteSubscriptions,
    outcome_text,
)
from cds_service.subscriptions.resource import (
    SubscriptionRequest,
    stored_subscription,
    subscription_resource,
)

Json = dict[str, Any]

_TRIES: Final = 3  # of an update that meets another version
_PAUSE: Final = 0.25  # seconds between two looks at a Subscription
_SETTLED: Final = frozenset(("active", "error", "off"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionSender:
    """Writes Subscriptions to one server; `wait_seconds` are given to it to activate one."""

    remote: RemoteSubscriptions
    writer: FhirWriter
    wait_seconds: float = 10.0
    pause: Callable[[float], None] = sleep

    def end(self, identity: str) -> bool:
        """Set a Subscription off; whether the server still had it."""
        for _ in range(_TRIES):
            current = self.remote.read(identity) if identity else None
            if current is None:
                return False
            written = self.set_off(current)
            if written.failure is None:
                return True
            if written.failure != "conflict":
                raise _refused(written)
        raise RegistrationError("the server changed the Subscription again and again", outside=True)

    def set_off(self, resource: Json) -> WriteResult:
        """Write a Subscription as it is, but off."""
        changed = {**resource, "status": OFF}
        access = self.remote.access
        return self.writer.update(access, changed, Deadline(PATIENCE), if_match=_etag(resource))

    def write(self, request: SubscriptionRequest, current: Json | None) -> Json:
        """The Subscription after it was created, or updated; as the server answered it."""
        if current is None:
            resource = subscription_resource(request)
            condition = f"url={quote(request.endpoint, safe='')}"
            written = self.writer.create(
                self.remote.access,
                resource,
                Deadline(PATIENCE),
                if_none_exist=condition,
                repeatable=False,
            )
            if written.failure is None and written.status != 200:
                return self._answered(written, request)
            if not written.may_be_done and written.failure != "conflict":
                raise _refused(written, request)
            current = self.remote.with_endpoint(request.endpoint)
            if current is None:
                raise _refused(written, request)
        return self._update(request, current)

    def _update(self, request: SubscriptionRequest, current: Json) -> Json:
        for _ in range(_TRIES):
            resource = subscription_resource(request, stored_subscription(current).id)
            written = self.writer.update(
                self.remote.access, resource, Deadline(PATIENCE), if_match=_etag(current)
            )
            if written.failure is None:
                return self._answered(written, request)
            if written.failure != "conflict":
                raise _refused(written, request)
            current = self.remote.read(stored_subscription(current).id) or current
        raise RegistrationError("the server changed the Subscription again and again", outside=True)

    def _answered(self, written: WriteResult, request: SubscriptionRequest) -> Json:
        """What was stored: the body of the answer, else the resource that it points to."""
        resource = written.resource
        if resource is not None and resource.get("resourceType") == "Subscription":
            return resource
        _, _, rest = (written.location or "").rpartition("Subscription/")
        identity = rest.partition("/")[0]
        found = self.remote.read(identity) if identity else None
        found = found or self.remote.with_endpoint(request.endpoint)
        if found is None:
            raise RegistrationError(
                "the server took the Subscription and does not show it", outside=True
            )
        return found

    def activate(self, request: SubscriptionRequest, stored: Json) -> tuple[Json, bool]:
        """The Subscription once it has settled, and whether it was written again as active.

        Medplum leaves a Subscription as it came, so one by criteria that stays requested would
        never fire.
        """
        stored = self._settled(stored)
        if request.kind != "criteria" or stored_subscription(stored).status != "requested":
            return stored, False
        return self._settled(self._update(replace(request, status="active"), stored)), True

    def _settled(self, stored: Json) -> Json:
        deadline = Deadline(self.wait_seconds)
        identity = stored_subscription(stored).id
        while True:
            stored = self.remote.read(identity) or stored
            if stored_subscription(stored).status in _SETTLED or deadline.expired:
                return stored
            self.pause(_PAUSE)


def _etag(resource: Mapping[str, Any]) -> str | None:
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return f'W/"{version}"' if isinstance(version, str) and version else None


def _refused(written: WriteResult, request: SubscriptionRequest | None = None) -> RegistrationError:
    """Why the server did not write it, with what it says itself, but for our secrets."""
    code = written.failure or "not-fhir"
    status = "" if written.status is None else f" (HTTP {written.status})"
    text = outcome_text(written.resource or {})
    for secret in () if request is None else (request.secret, request.hmac_key or request.secret):
        text = text.replace(secret, "***")
    return RegistrationError(
        f"the server was sent the Subscription: {WRITE_FAILURES[code]}{status}"
        + (f": {text}" if text else ""),
        outside=written.may_be_done or code in {"busy", "not-allowed"},
    )
