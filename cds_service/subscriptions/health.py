# SPDX-License-Identifier: Apache-2.0
"""Whether a Subscription delivers: what its server says, beside what arrived here.

That a server calls it active proves nothing: one accepts a topic that it does not know, and another
never fires. So three things are compared with the last notification: the number of events by
`$status`, the newest result that a search finds, and the heartbeat.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cds_service.subscriptions.registration import OFF, Registration, RegistrationTable
from cds_service.subscriptions.remote_subscriptions import RemoteSubscriptions
from cds_service.subscriptions.resource import StoredSubscription, stored_subscription
from cds_service.subscriptions.work import FAILING

GONE: Final = "gone"
_GRACE: Final = timedelta(minutes=1)  # in which a server may still be sending
_SOON: Final = timedelta(days=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionHealth:
    """A Subscription by its server and by what arrived; `problems` in words, none if it is well.

    `events` is how many the server says that it sent, `newest_result` when it last stored one.
    """

    registration: Registration
    status: str
    events: int | None = None
    newest_result: datetime | None = None
    problems: tuple[str, ...] = ()

    @property
    def delivery(self) -> str:
        """When the last notification came, or that none ever did."""
        received = self.registration.last_received
        if received is None:
            return "never delivered"
        return f"last notification {received.isoformat(timespec='seconds')}"


def health_of(
    row: Registration,
    remote: RemoteSubscriptions,
    rows: RegistrationTable,
    search: str,
    now: datetime,
) -> SubscriptionHealth:
    """Ask the server of a row; `search` finds the results that it is to tell of.

    Raises `RegistrationError`.
    """
    resource = remote.read(row.remote_id) if row.remote_id else None
    if resource is None:
        status = GONE if row.switched_off is None else OFF
        lost = () if status == OFF else ("the server no longer has this Subscription",)
        return SubscriptionHealth(registration=row, status=status, problems=lost)
    stored = stored_subscription(resource)
    rows.note_status(row.path, stored.status)
    if stored.status == OFF:
        is_ours = row.switched_off is not None
        problems = () if is_ours else ("the server has set the Subscription off",)
        return SubscriptionHealth(registration=row, status=OFF, problems=problems)
    events = None
    if row.kind != "criteria":
        count = remote.reported_status(row.remote_id).get("events-since-subscription-start", "")
        events = int(count) if count.isdigit() else None
    newest = remote.newest_result(search)
    return SubscriptionHealth(
        registration=row,
        status=stored.status,
        events=events,
        newest_result=newest,
        problems=(
            *_problems(row, stored, events, newest, now),
            *_searches(row, rows.failed_searches(row.path)),
        ),
    )


def _searches(row: Registration, failed: int) -> Iterator[str]:
    if failed >= FAILING:
        last = row.searched_until
        since = "ever" if last is None else f"since {last.isoformat(timespec='seconds')}"
        yield f"no search for missed results has succeeded {since}; {failed} have failed"


def _problems(
    row: Registration,
    stored: StoredSubscription,
    events: int | None,
    newest: datetime | None,
    now: datetime,
) -> Iterator[str]:
    if stored.status != "active":
        yield f"the server has it as {stored.status or 'nothing'}" + (
            f": {stored.error}" if stored.error else ""
        )
    last = row.last_received
    if row.numbered and events is not None and events > (row.last_event or 0):
        yield f"the server has sent {events} events, and {row.last_event or 0} arrived"
    since = last or row.created
    if newest is not None and newest > since + _GRACE and newest < now - _GRACE:
        when = newest.isoformat(timespec="seconds")
        yield f"a result was stored at {when}, and no notification came since"
    if row.heartbeat_seconds and now > since + timedelta(seconds=2 * row.heartbeat_seconds):
        yield f"no heartbeat came within twice {row.heartbeat_seconds} seconds"
    if row.expires is not None and now > row.expires - _SOON:
        when = row.expires.isoformat(timespec="seconds")
        yield f"it ends at {when}: renew it"
