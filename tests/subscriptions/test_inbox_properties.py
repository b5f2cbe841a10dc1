# SPDX-License-Identifier: Apache-2.0
"""Whatever order things happen in: what was acknowledged is decided on exactly once."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds_service.errors import StoreError
from cds_service.store import Store, open_store
from cds_service.store.tables import decisions, inbox_items, inbox_queue
from cds_service.subscriptions.inbox import Inbox, InboxLimits
from cds_service.subscriptions.work import Lease, LeaseLost
from tests.subscriptions.inbox_fixtures import SECOND, Hands, arrival, rows

# A step: what happens, to which of two workers or with which result of three, in which version.
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "lease", "finish", "fail", "away", "die", "wait", "long"]),
        st.integers(0, 2),
        st.integers(1, 3),
    ),
    max_size=40,
)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("pg", marks=pytest.mark.database)])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    url = "sqlite://" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    opened = open_store(url)
    yield opened
    opened.close()


class Story:
    """Two workers and a server that sends, one step after the other."""

    def __init__(self, store: Store) -> None:
        self.server = f"https://{uuid4()}.example.org"
        self.hands = Hands(Inbox(store.database, InboxLimits(attempts=50)))
        self.leases: dict[int, Lease] = {}

    def step(self, what: str, which: int, version: int) -> None:
        worker = which % 2
        match what:
            case "add":
                patient = f"p{which % 2}"
                arrived = arrival(which, version=version, patient=patient, server=self.server)
                self.hands.add(arrived)
            case "lease":
                found = self.hands.inbox.lease(f"worker-{worker}", self.hands.now)
                if found is not None:
                    self.leases[worker] = found
            case "die":
                self.leases.pop(worker, None)
            case "wait":
                self.hands.after(SECOND)
            case "long":
                self.hands.after(timedelta(hours=1))
            case _:
                self.end(what, self.leases.pop(worker, None))

    def end(self, how: str, lease: Lease | None) -> None:
        if lease is None:
            return
        try:
            if how == "finish":
                self.hands.finish(lease)
            else:
                self.hands.inbox.fail(lease, "crash", self.hands.now, retry=how == "away")
        except LeaseLost:
            return


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
def test_everything_is_decided_on_once(store: Store, steps: list[tuple[str, int, int]]) -> None:
    story = Story(store)
    for step in steps:
        story.step(*step)
    for _ in range(20):
        story.hands.after(timedelta(hours=1)).drain()

    ours: list[Any] = [row for row in rows(store, inbox_items) if row.server == story.server]
    kept = [row for row in rows(store, decisions) if row.server == story.server]
    about = Counter(finding["about"] for row in kept for finding in row.findings)
    sent = {(f"o{which}", str(v)) for step, which, v in steps if step == "add"}

    assert {(row.resource_id, row.version) for row in ours} == sent
    assert {row.state for row in ours} <= {"done"}
    assert set(about.values()) <= {1}
    assert {row.decision for row in ours if not row.problem} == {row.id for row in kept}
    for resource in {row.resource_id for row in ours}:
        last = max(int(row.version) for row in ours if row.resource_id == resource)
        assert about[f"Observation/{resource}/{last}"] == 1
    assert [row for row in rows(store, inbox_queue) if row.server == story.server] == []


def test_a_closed_database_is_a_store_error() -> None:
    opened = open_store("sqlite://")
    inbox = Inbox(opened.database)
    opened.close()

    with pytest.raises(StoreError):
        inbox.add([arrival()], Hands(inbox).now)
