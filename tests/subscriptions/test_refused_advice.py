# SPDX-License-Identifier: Apache-2.0
"""Advice that a server refused: tried again by the worker, in the end a dead letter."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
import requests

from cds_service.fhir_client.writer import FhirWriter, WriteResult
from cds_service.store import Store, open_store
from cds_service.store.advice import AdviceTable
from cds_service.store.tables import decisions, inbox_items
from cds_service.subscriptions.inbox import Inbox, InboxLimits
from cds_service.subscriptions.inbox_list import InboxList
from cds_service.subscriptions.notified_resource import read_resource
from cds_service.subscriptions.work import ADVICE, ArrivalDecision, Work
from cds_service.subscriptions.worker import Worker
from cds_service.subscriptions.worker_setup import make_worker
from tests.fhir_server.sekmet import running
from tests.subscriptions.inbox_fixtures import SECOND, Hands, arrival, decided, rows, states
from tests.subscriptions.ward import Ward, gone
from tests.web.http_fixtures import ALT, BILIRUBIN, PATIENT, observation

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


class Moody(FhirWriter):
    """A writer to a server that refuses transactions while `refuses`, and withdrawals apart."""

    refuses = True
    keeps = False
    sent = 0

    def transaction(self, *arguments: Any, **more: Any) -> WriteResult:
        self.sent += 1
        if self.refuses or (self.keeps and not more["repeatable"]):
            return WriteResult(failure="refused", status=422)
        return super().transaction(*arguments, **more)


@dataclass
class Stubborn:
    """A ward, its worker, and a server that takes no advice until it is told to."""

    ward: Ward
    writer: Moody = field(default_factory=lambda: Moody(most_bytes=1_000_000))
    worker: Worker = field(init=False)

    def __post_init__(self) -> None:
        decide: Any = self.ward.decide
        self.worker = make_worker(self.ward.tools, lambda _: replace(decide, writer=self.writer))
        self.worker._reconciled = self.ward.now + 365 * DAY
        self.worker.inbox.settling = lambda _: timedelta()

    def store(self, resource: dict[str, Any]) -> None:
        stored = self.ward.store(resource, arrives=False)
        self.ward.notify(read_resource(json.dumps(stored).encode(), self.ward.base, "$"))
        self.work(timedelta())

    def work(self, time: timedelta, step: timedelta = 10 * SECOND) -> None:
        """Everything that is due within that time."""
        end = self.ward.now + time
        while True:
            while self.worker.step():
                pass
            if self.ward.now >= end:
                return
            self.ward.now += step

    @property
    def listed(self) -> InboxList:
        return InboxList(self.ward.database.database)

    def states(self) -> list[tuple[str, str]]:
        found = AdviceTable(self.ward.database.database).of_patient(self.ward.base, PATIENT)
        return [(row.rule, row.state) for row in found]


@pytest.fixture(name="stubborn")
def _stubborn() -> Iterator[Stubborn]:
    store = open_store("sqlite://")
    with running() as base:
        ward = Ward(base, store)
        ward.admit()
        yield Stubborn(ward)
    store.close()


@pytest.mark.server
def test_it_is_written_once_the_server_takes_it(stubborn: Stubborn) -> None:
    stubborn.store(observation(ALT, 1))
    assert [decision.written for decision in stubborn.ward.decided()] == ["failed"]
    assert stubborn.listed.state().refused == 1

    stubborn.work(2 * MINUTE)
    assert stubborn.writer.sent > 1
    stubborn.writer.refuses = False
    stubborn.work(10 * MINUTE)

    assert [decision.written for decision in stubborn.ward.decided()] == ["failed", "yes"]
    assert len(stubborn.ward.open_tasks()) == 1
    assert stubborn.states() == [("alt-very-low", "open")]
    assert stubborn.listed.state().refused == 0
    sent = stubborn.writer.sent
    stubborn.work(DAY, step=MINUTE)
    assert stubborn.writer.sent == sent


@pytest.mark.server
def test_what_is_refused_again_and_again_is_a_dead_letter(stubborn: Stubborn) -> None:
    stubborn.store(observation(ALT, 1))

    stubborn.work(DAY, step=MINUTE)

    assert stubborn.writer.sent == 1 + InboxLimits().attempts
    (item,) = stubborn.listed.items("dead", 10)
    assert (item.type, item.resource_id, item.problem) == (ADVICE, "1", "refused")
    assert len(stubborn.ward.decided()) == 1
    state = stubborn.listed.state()
    assert (state.waiting, state.dead, state.refused) == (0, 1, 1)

    stubborn.writer.refuses = False
    assert stubborn.listed.retry(None, stubborn.ward.now) == 1
    stubborn.work(MINUTE)
    assert len(stubborn.ward.open_tasks()) == 1
    assert stubborn.listed.state().dead == 0


@pytest.mark.server
def test_the_next_result_takes_a_dead_letter_along(stubborn: Stubborn) -> None:
    """The older result is still advised on, though what arrived is a newer one of another test."""
    stubborn.store(observation(ALT, 1))
    stubborn.work(DAY, step=MINUTE)
    stubborn.writer.refuses = False

    stubborn.store(observation(BILIRUBIN, 0.5, "mg/dL", effectiveDateTime="2026-06-14T09:00:00Z"))

    assert ("alt-very-low", "open") in stubborn.states()
    assert stubborn.listed.state().dead == 0


@pytest.mark.server
@pytest.mark.parametrize("how", ["corrected", "deleted"])
def test_what_is_no_longer_advised_is_not_written_late(stubborn: Stubborn, how: str) -> None:
    result = observation(ALT, 1)
    stubborn.store(result)
    stubborn.writer.refuses = False

    if how == "corrected":
        stubborn.store(observation(ALT, 30, status="corrected"))
    else:
        requests.delete(f"{stubborn.ward.base}/Observation/{result['id']}", timeout=20)
        stubborn.ward.notify(gone(result["id"]))
    stubborn.work(DAY, step=MINUTE)

    assert stubborn.ward.found("Task") == []
    assert stubborn.states() == []
    assert stubborn.listed.state().refused == 0


@pytest.mark.server
def test_a_withdrawal_that_is_refused_is_tried_again(stubborn: Stubborn) -> None:
    stubborn.writer.refuses = False
    stubborn.store(observation(ALT, 1))
    stubborn.writer.refuses = True
    stubborn.store(observation(ALT, 30, status="corrected"))
    assert len(stubborn.ward.open_tasks()) == 1

    stubborn.writer.refuses = False
    stubborn.work(5 * MINUTE)

    assert stubborn.ward.open_tasks() == []
    assert [decision.written for decision in stubborn.ward.decided()] == [
        "yes",
        "failed",
        "withdrawn",
    ]


@pytest.mark.server
def test_advice_stands_beside_what_the_server_does_not_let_go(stubborn: Stubborn) -> None:
    stubborn.writer.refuses = False
    stubborn.store(observation(ALT, 300))
    stubborn.writer.keeps = True

    stubborn.store(observation(ALT, 310, status="corrected"))

    rule = "alt-moderate"
    assert len(stubborn.ward.open_tasks()) == 2
    assert stubborn.states() == [(rule, "withdrawing"), (rule, "open")]
    decision = stubborn.ward.decided()[-1]
    assert (decision.written, decision.problem) == ("failed", "refused")
    withdrawing = {"advice": "withdrawing", "rule": rule, "why": "result-corrected"}
    assert any(withdrawing.items() <= finding.items() for finding in decision.findings)

    stubborn.work(5 * MINUTE)
    assert stubborn.states() == [(rule, "withdrawing"), (rule, "open")]
    assert len(stubborn.ward.decided()) == 2
    stubborn.writer.keeps = False
    stubborn.work(10 * MINUTE)

    assert len(stubborn.ward.open_tasks()) == 1
    assert stubborn.states() == [(rule, "cancelled"), (rule, "open")]
    assert stubborn.listed.state().refused == 0


@pytest.mark.server
def test_what_was_to_be_withdrawn_stays_where_it_holds_again(stubborn: Stubborn) -> None:
    stubborn.writer.refuses = False
    stubborn.store(observation(ALT, 300))
    stubborn.writer.keeps = True
    stubborn.store(observation(ALT, 310, status="corrected"))
    assert [state for _, state in stubborn.states()] == ["withdrawing", "open"]

    stubborn.store(observation(ALT, 300, status="corrected"))
    assert [state for _, state in stubborn.states()] == ["open", "withdrawing"]
    stubborn.writer.keeps = False
    stubborn.work(10 * MINUTE)

    assert [state for _, state in stubborn.states()] == ["open", "cancelled"]
    assert len(stubborn.ward.open_tasks()) == 1


@pytest.mark.server
def test_what_was_superseded_and_not_withdrawn_is_superseded_still(stubborn: Stubborn) -> None:
    """Its own result says what it said, so only the newer advice is against it."""
    stubborn.writer.refuses = False
    stubborn.store(observation(ALT, 300, id="a", effectiveDateTime="2026-06-13T08:00:00Z"))
    stubborn.writer.keeps = True
    stubborn.ward.now += timedelta(days=85)
    late = (stubborn.ward.now - DAY).isoformat()
    stubborn.store(observation(ALT, 310, id="b", effectiveDateTime=late))
    assert [state for _, state in stubborn.states()] == ["withdrawing", "open"]

    stubborn.work(5 * MINUTE)
    stubborn.writer.keeps = False
    stubborn.work(10 * MINUTE)

    assert [state for _, state in stubborn.states()] == ["cancelled", "open"]


# Without a server: what the inbox does with it.


@pytest.fixture(name="hands")
def _hands(store: Store) -> Hands:
    return Hands(Inbox(store.database, InboxLimits(attempts=3)))


def refused(work: Work) -> ArrivalDecision:
    return replace(decided(work), written="failed", problem="refused", unwritten=b"[]")


def refuse(hands: Hands, *arrivals: Any) -> None:
    hands.add(*arrivals)
    lease = hands.after(SECOND).lease()
    hands.inbox.finish(lease, refused(lease.work), hands.now)


def test_refused_advice_waits_for_its_own_time(hands: Hands, store: Store) -> None:
    refuse(hands, arrival(1))

    assert states(store) == {("done", ""): 1, ("waiting", "refused"): 1}
    assert hands.after(29 * SECOND).rests()
    (item,) = hands.after(31 * SECOND).lease().items
    (decision,) = rows(store, decisions)
    assert (item.type, item.resource_id, item.body) == (ADVICE, str(decision.id), b"[]")


def test_the_pauses_grow_and_end(hands: Hands, store: Store) -> None:
    refuse(hands, arrival(1))
    longest = MINUTE
    for _ in range(3):
        assert hands.after(longest / 2 - SECOND).rests()
        lease = hands.after(longest / 2 + SECOND).lease()
        hands.inbox.fail(lease, "refused", hands.now, retry=False)
        longest *= 2

    assert hands.after(DAY).rests()
    assert states(store) == {("done", ""): 1, ("dead", "refused"): 1}


def test_a_newer_decision_takes_the_place_of_refused_advice(hands: Hands, store: Store) -> None:
    refuse(hands, arrival(1))
    refuse(hands, arrival(2))

    advice = [row for row in rows(store, inbox_items) if row.type == ADVICE]
    first, second = (str(row.id) for row in rows(store, decisions))
    assert [(row.resource_id, row.state) for row in advice] == [
        (first, "done"),
        (second, "waiting"),
    ]
    assert str(advice[0].decision) == second
    assert advice[0].body is None


def test_advice_of_other_patients_is_not_taken_along(hands: Hands) -> None:
    refuse(hands, arrival(1))
    hands.add(arrival(2, patient="p2"))

    lease = hands.after(SECOND).lease()

    assert [item.type for item in lease.items] == ["Observation"]
    assert not lease.left
