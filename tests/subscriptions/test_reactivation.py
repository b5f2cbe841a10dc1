# SPDX-License-Identifier: Apache-2.0
"""Subscriptions that no longer deliver, or are about to end: the worker writes them again."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from structlog.testing import capture_logs

from cds_service.settings import Settings
from cds_service.store import Store, open_store
from cds_service.store.tables import decisions
from cds_service.subscriptions.inbox_list import InboxList
from cds_service.subscriptions.receive import HttpNotification, Receiver
from cds_service.subscriptions.register import Registrar
from cds_service.subscriptions.registration import Registration, RegistrationTable
from cds_service.subscriptions.resource import stored_subscription
from cds_service.subscriptions.worker import Worker
from cds_service.subscriptions.worker_setup import make_worker, open_tools
from tests.fhir_client.faulty import Faulty, faulty
from tests.subscriptions.inbox_fixtures import decided, rows
from tests.subscriptions.subscribing import ENDPOINTS, NOW, PLAN, TOPIC, Subscribing

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
Json = dict[str, Any]


@dataclass
class Clinic:
    """The worker of a service that has subscribed to a server."""

    store: Store
    server: Faulty
    held: Subscribing
    now: datetime = NOW
    logged: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings = Settings(
            profile="development", public_url=ENDPOINTS.removesuffix("/subscriptions")
        )
        tools = open_tools(settings, self.store, lambda: self.now)
        self.worker: Worker = make_worker(tools, lambda _: decided)
        self.worker.reconcile_every = 5 * MINUTE
        self.worker._reconciled = NOW
        self.worker.upkeep.wait_seconds = 0

    @property
    def rows(self) -> RegistrationTable:
        return RegistrationTable(self.store.database)

    @property
    def row(self) -> Registration:
        (row,) = self.rows.all()
        return row

    @property
    def registrar(self) -> Registrar:
        registry = self.worker.upkeep.registry
        server = registry.servers.find(self.server.base)
        assert server is not None
        return registry.registrar(registry.remote(server), 0)

    def becomes(self, **elements: Any) -> None:
        """The server changes the Subscription."""
        (identity, subscription), *_ = self.held.stored.items()
        self.held.stored[identity] = {**subscription, **elements}

    @property
    def status(self) -> str:
        return str(self.held.only["status"])

    def work(self, time: timedelta = timedelta(), step: timedelta = MINUTE) -> None:
        end = self.now + time
        with capture_logs() as logs:
            while True:
                self.worker._look_after()
                while self.worker.step():
                    pass
                if self.now >= end:
                    break
                self.now += step
        self.logged += [line["found"] for line in logs if line["event"] == "subscription"]


@pytest.fixture(name="clinic")
def _clinic() -> Iterator[Clinic]:
    store = open_store("sqlite://")
    with faulty() as server:
        held = Subscribing()
        server.answers = held  # type: ignore[assignment]
        yield Clinic(store, server, held)
    store.close()


@pytest.mark.parametrize("status", ["error", "off"])
def test_what_the_server_gave_up_is_searched_for_and_written_again(
    clinic: Clinic, status: str
) -> None:
    clinic.registrar.subscribe(PLAN)
    secret = clinic.row.secret
    meta = {"versionId": "1", "lastUpdated": (NOW + MINUTE).isoformat()}
    missed = {"resourceType": "Observation", "id": "missed", "meta": meta}
    clinic.held.results = [{**missed, "subject": {"reference": "Patient/p1"}}]
    clinic.becomes(status=status)

    clinic.work(6 * MINUTE)

    assert clinic.status == "active"
    assert clinic.row.secret != secret
    assert clinic.logged == [status, "revived"]
    (decision,) = rows(clinic.store, decisions)
    assert decision.findings == [{"about": "Observation/missed/1"}]
    assert clinic.row.searched_until is not None


def test_a_notification_of_an_error_is_followed_at_once(clinic: Clinic) -> None:
    clinic.held.topics = (TOPIC,)
    clinic.registrar.subscribe(replace(PLAN, topic=TOPIC))
    secret = stored_subscription(clinic.held.only).secret
    clinic.becomes(status="error")
    status = {
        "resourceType": "SubscriptionStatus",
        "type": "query-status",
        "status": "error",
        "subscription": {"reference": f"Subscription/{clinic.row.remote_id}"},
    }
    bundle = {"resourceType": "Bundle", "type": "history", "entry": [{"resource": status}]}
    receiver = Receiver(clinic.worker.inbox, lambda: clinic.now)
    receiver.receive(clinic.row.path, notification(bundle, secret or ""))

    clinic.work()

    assert clinic.status == "active"
    assert clinic.logged == ["error", "revived"]


def test_one_that_fails_again_and_again_is_written_after_growing_pauses(clinic: Clinic) -> None:
    clinic.registrar.subscribe(PLAN)
    clinic.held.activates = False
    written = []
    for _ in range(24 * 2):
        clinic.becomes(status="error")
        before = len(clinic.held.sees)
        clinic.work(30 * MINUTE, step=30 * MINUTE)
        if len(clinic.held.sees) > before:
            written.append(clinic.now)

    pauses = [late - early for early, late in pairwise(written)]
    assert len(written) < 15
    assert pauses == sorted(pauses)
    assert max(pauses) <= 6 * HOUR + 30 * MINUTE
    clinic.becomes(status="error")
    clinic.work(5 * MINUTE)
    state = InboxList(clinic.store.database).state()
    assert state.failing == 1
    assert state.revivals >= len(written)


def test_it_is_well_again_after_an_hour(clinic: Clinic) -> None:
    clinic.registrar.subscribe(PLAN)
    clinic.becomes(status="error")

    clinic.work(10 * MINUTE)
    assert clinic.row.revivals == 1
    clinic.work(2 * HOUR, step=10 * MINUTE)

    assert (clinic.row.revivals, clinic.row.revived) == (0, None)


@pytest.mark.parametrize("status", ["off", "error"])
def test_what_was_switched_off_here_stays_off(clinic: Clinic, status: str) -> None:
    clinic.registrar.subscribe(PLAN)
    clinic.registrar.end(clinic.row)
    clinic.becomes(status=status)
    written = len(clinic.held.sees)

    clinic.work(DAY, step=HOUR)

    assert clinic.status == status
    assert len(clinic.held.sees) == written
    assert clinic.logged == []
    assert InboxList(clinic.store.database).state().failing == 0
    clinic.registrar.subscribe(PLAN)
    assert (clinic.status, clinic.row.switched_off) == ("active", None)


def test_what_is_switched_off_while_it_is_written_again_ends_off(clinic: Clinic) -> None:
    clinic.registrar.subscribe(PLAN)
    clinic.becomes(status="error")
    kept = clinic.held.keep

    def keep(*arguments: Any, **more: Any) -> Any:
        clinic.rows.switch_off(clinic.row.path, clinic.now)
        return kept(*arguments, **more)

    clinic.held.keep = keep  # type: ignore[method-assign]

    clinic.work(6 * MINUTE)

    assert clinic.status == "off"


def test_status_asked_for_does_not_hide_that_the_server_set_it_off(clinic: Clinic) -> None:
    clinic.registrar.subscribe(PLAN)
    clinic.becomes(status="off")
    clinic.rows.note_status(clinic.row.path, "off")  # as `subscriptions status` does

    clinic.work(6 * MINUTE)

    assert clinic.status == "active"


def test_a_heartbeat_that_is_overdue_has_it_written_again(clinic: Clinic) -> None:
    clinic.held.topics = (TOPIC,)
    clinic.registrar.subscribe(replace(PLAN, topic=TOPIC, heartbeat_seconds=60))
    written = len(clinic.held.sees)

    clinic.work(3 * MINUTE)
    assert len(clinic.held.sees) == written
    clinic.work(5 * MINUTE)

    assert len(clinic.held.sees) == written + 1
    assert clinic.logged == ["silent", "revived"]
    assert clinic.row.heartbeat_seconds == 60


def test_after_a_pause_of_the_service_a_heartbeat_is_waited_for(clinic: Clinic) -> None:
    clinic.held.topics = (TOPIC,)
    clinic.registrar.subscribe(replace(PLAN, topic=TOPIC, heartbeat_seconds=60))
    clinic.now += DAY
    restarted = Clinic(clinic.store, clinic.server, clinic.held, now=clinic.now)

    restarted.work()

    assert restarted.logged == []


def test_it_is_renewed_before_it_ends(clinic: Clinic) -> None:
    clinic.registrar.subscribe(replace(PLAN, days=10))
    written = len(clinic.held.sees)

    clinic.now += timedelta(days=6)
    clinic.work(HOUR, step=10 * MINUTE)
    assert len(clinic.held.sees) == written
    clinic.now += DAY
    clinic.work(HOUR, step=10 * MINUTE)

    assert len(clinic.held.sees) == written + 1
    assert clinic.logged == ["renewed"]
    assert clinic.row.expires is not None
    assert clinic.row.expires - clinic.now > timedelta(days=29)


def test_it_is_not_renewed_where_that_is_set_so(clinic: Clinic) -> None:
    clinic.worker.upkeep.renew_before = timedelta()
    clinic.registrar.subscribe(replace(PLAN, days=10))
    clinic.now += timedelta(days=9)

    clinic.work(HOUR, step=10 * MINUTE)

    assert clinic.logged == []


def test_one_that_the_server_no_longer_has_is_an_alarm(clinic: Clinic) -> None:
    clinic.registrar.subscribe(PLAN)
    clinic.held.stored.clear()

    clinic.work(6 * MINUTE)

    assert clinic.logged == ["gone"]
    assert clinic.held.stored == {}
    assert InboxList(clinic.store.database).state().failing == 1


def notification(bundle: Json, secret: str) -> HttpNotification:
    return HttpNotification(
        method="POST",
        sub_path="",
        headers={"Authorization": f"Bearer {secret}", "Content-Type": "application/fhir+json"},
        body=json.dumps(bundle).encode(),
    )
