# SPDX-License-Identifier: Apache-2.0
"""Finding what no notification named: searches since the last one, events that were skipped.

Servers give up after a minute, put corrections outside of their criteria, and tell nothing of
deletions. So the worker searches when it starts, by the clock, after an empty notification, and
where an event is missing. What is found goes into the inbox, where a version that is known already
counts no second time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import update

from cds_service.store.tables import subscriptions
from cds_service.subscriptions.event_numbers import Ranges, forget, missing_of
from cds_service.subscriptions.inbox import Inbox
from cds_service.subscriptions.inbox_insert import Arrival, patient_of
from cds_service.subscriptions.notified_resource import NotifiedResource
from cds_service.subscriptions.queue import enqueue, held
from cds_service.subscriptions.registration import Registration, RegistrationTable
from cds_service.subscriptions.server_reader import ServerReader
from cds_service.subscriptions.task_states import TaskStates
from cds_service.subscriptions.work import LOOK, SEARCH, Lease

_RESULTS: Final = "Observation"  # of a topic, which says no criteria


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """Searches the servers of registered Subscriptions; `results` is the filter of the packs.

    `overlap` is how far before the last search the next one begins; `tasks` looks for ours that
    were rejected.
    """

    inbox: Inbox
    reader: ServerReader
    registrations: RegistrationTable
    results: str
    overlap: timedelta
    tasks: TaskStates | None = None

    def ask_for_all(self, now: datetime) -> int:
        """Queue a search and a look for each Subscription not switched off; how many there are."""
        wanted = [
            registration
            for registration in self.registrations.all()
            if registration.switched_off is None
        ]
        with self.inbox.database.writing() as connection:
            for registration in sorted(
                wanted, key=lambda registration: (registration.server, registration.path)
            ):
                enqueue(connection, registration.server, f"{LOOK}{registration.path}", now)
                enqueue(connection, registration.server, f"{SEARCH}{registration.path}", now)
        return len(wanted)

    def search(self, path: str, now: datetime, lease: Lease | None = None) -> int:
        """Search for a Subscription what changed since the last time; how much was new.

        Raises `Retry`, and `LeaseLost` where another worker has the `lease` by the end; what was
        found until then is kept.
        """
        registration = self.registrations.at(path)
        if registration is None:
            return 0
        since = (registration.searched_until or registration.created) - self.overlap
        new = 0
        for changes in self.reader.changed(
            registration.server, self._search_of(registration), since
        ):
            new += self._keep(registration, changes.resources, now)
        kind = self._search_of(registration).partition("?")[0]
        gone = self.reader.deleted(registration.server, kind, since)
        new += self._keep(registration, self._known(registration, gone), now)
        if self.tasks is not None:
            self.tasks.follow(registration.server, since)
        with self.inbox.database.writing() as connection:
            if lease is not None:
                held(connection, lease)
            connection.execute(
                update(subscriptions).where(subscriptions.c.path == path).values(searched_until=now)
            )
        return new

    def recover(self, path: str, now: datetime, lease: Lease | None = None) -> int:
        """Ask for events that are missing still, by number or else by search; how much was new.

        Raises as `search` does.
        """
        registration = self.registrations.at(path)
        with self.inbox.database.reading() as connection:
            missing = missing_of(connection, path)
        if registration is None or not missing:
            return 0
        new, is_whole = self._events(registration, missing, now)
        if not is_whole:
            new += self.search(path, now, lease)
        with self.inbox.database.writing() as connection:
            if lease is not None:
                held(connection, lease)
            forget(connection, path, missing)
        return new

    def _events(
        self, registration: Registration, missing: Ranges, now: datetime
    ) -> tuple[int, bool]:
        """Keep the events that the server still has; how much was new, and if that is all."""
        new, is_whole = 0, True
        for first, last in missing:
            found = self.reader.events(registration.server, registration.remote_id, first, last)
            came = {number for each in found or () for number in each.event_numbers}
            count = sum(first <= number <= last for number in came)
            is_whole = is_whole and count == last - first + 1
            for each in found or ():
                is_whole = is_whole and not each.search
                new += self._keep(registration, each.resources, now)
            if found is None:
                break
        return new, is_whole

    def _search_of(self, registration: Registration) -> str:
        if registration.kind == "criteria":
            return registration.what
        return f"{_RESULTS}?{self.results}" if self.results else _RESULTS

    def _keep(
        self, registration: Registration, resources: Iterable[NotifiedResource], now: datetime
    ) -> int:
        arrivals = [
            Arrival(
                server=registration.server,
                subscription=registration.path,
                resource=each,
                numbered=registration.numbered,
            )
            for each in resources
        ]
        return self.inbox.add(arrivals, now) if arrivals else 0

    def _known(
        self, registration: Registration, deleted: Iterable[NotifiedResource]
    ) -> tuple[NotifiedResource, ...]:
        """The deletions of resources whose patient is known."""
        with self.inbox.database.reading() as connection:
            return tuple(
                each
                for each in deleted
                if patient_of(connection, registration.server, each.type, each.id)
            )
