# SPDX-License-Identifier: Apache-2.0
"""Subscriptions that no longer deliver, or are about to end: searched for, and written again.

A server sets a Subscription to `error` or `off` when it could not deliver for a while, and keeps it
so; others forget to send. The worker looks by the clock, and when a notification reports an error:
it reads the Subscription, searches for what was missed meanwhile, and writes it again as it was,
with a new secret. One that fails again at once is written after growing pauses. What somebody here
switched off stays off.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from cds_service.log import log_subscription
from cds_service.subscriptions.health import GONE
from cds_service.subscriptions.reconcile import Reconciler
from cds_service.subscriptions.register import renewal_plan
from cds_service.subscriptions.registration import Registration
from cds_service.subscriptions.registry import SubscriptionRegistry
from cds_service.subscriptions.remote_subscriptions import RegistrationError, RemoteSubscriptions
from cds_service.subscriptions.resource import StoredSubscription, stored_subscription
from cds_service.subscriptions.work import Lease, Retry

Ailment: TypeAlias = Literal["error", "off", "silent", "ending"]

_FIRST_PAUSE: Final = timedelta(minutes=1)
_LONGEST_PAUSE: Final = timedelta(hours=6)
_WELL: Final = timedelta(hours=1)  # after which a Subscription that stayed active is well again


@dataclass(slots=True, kw_only=True)
class SubscriptionUpkeep:
    """Looks after Subscriptions.

    `renew_before` is how long before its end one is renewed, if not zero, and `renew_days` for how
    many days; `began` is since when notifications could arrive.
    """

    registry: SubscriptionRegistry
    reconciler: Reconciler
    renew_before: timedelta
    renew_days: int
    began: datetime
    wait_seconds: float = 10.0  # for a server to activate one

    def look(self, path: str, now: datetime, lease: Lease | None = None) -> datetime | None:
        """Look at a Subscription, and write it again if it needs that; when to look again.

        Raises `Retry`, `LeaseLost` and `StoreError`.
        """
        row = self.registry.rows.at(path)
        if row is None or row.switched_off is not None or not row.remote_id:
            return None
        try:
            return self._looked_at(row, self.registry.remote_of(row), now, lease)
        except RegistrationError as error:
            if error.outside:
                raise Retry("unreachable") from None
            log_subscription("not-revived")
            return None

    def _looked_at(
        self, row: Registration, remote: RemoteSubscriptions, now: datetime, lease: Lease | None
    ) -> datetime | None:
        resource = remote.read(row.remote_id)
        if resource is None:
            self.registry.rows.note_status(row.path, GONE)
            log_subscription("gone")
            return None
        stored = stored_subscription(resource)
        self.registry.rows.note_status(row.path, stored.status)
        ailment = self._ailment(row, stored, now)
        if ailment is None:
            if row.revived is not None and now - row.revived >= _WELL:
                self.registry.rows.note_revival(row.path, None, 0)
            return None
        if ailment != "ending":
            log_subscription(ailment)
        due = _due(row)
        if due is not None and now < due:
            return due
        self.reconciler.search(row.path, now, lease)
        return self._written(row, remote, ailment, now)

    def _ailment(
        self, row: Registration, stored: StoredSubscription, now: datetime
    ) -> Ailment | None:
        if stored.status == "error":
            return "error"
        if stored.status == "off":
            return "off"
        if row.is_silent(now, self.began):
            return "silent"
        ends = stored.end
        if self.renew_before and ends is not None and now >= ends - self.renew_before:
            return "ending"
        return None

    def _written(
        self, row: Registration, remote: RemoteSubscriptions, ailment: Ailment, now: datetime
    ) -> datetime | None:
        rows = self.registry.rows
        rows.note_revival(row.path, now, row.revivals + 1)  # before: a crash counts as well
        plan = renewal_plan(row, remote, self.registry.plan(self.registry.server_of(row)))
        if row.expires is not None:
            plan = replace(plan, days=self.renew_days)
        registrar = self.registry.registrar(remote, self.wait_seconds)
        found = registrar.renew(plan).registration
        if found.switched_off is not None:  # while this was written
            registrar.end(found)
            return None
        log_subscription("renewed" if ailment == "ending" else "revived")
        return _due(found)


def _due(row: Registration) -> datetime | None:
    """When a Subscription that was written again may be written once more."""
    if row.revived is None:
        return None
    return row.revived + min(_FIRST_PAUSE * 2.0 ** min(row.revivals, 16), _LONGEST_PAUSE)
