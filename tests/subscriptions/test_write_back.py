# SPDX-License-Identifier: Apache-2.0
"""Advice on a FHIR server written by others: written once, withdrawn, left alone where touched."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import requests
from sqlalchemy import delete, update

from cds_service.clock import Deadline
from cds_service.copying import replace
from cds_service.fhir.tags import PROPOSAL_CODE
from cds_service.fhir_client.client import Access, FhirClient, QueryResult
from cds_service.outgoing.messages import HttpResponse
from cds_service.store import Store
from cds_service.store.advice import AdviceTable
from cds_service.store.tables import advice_written, decisions, inbox_items
from cds_service.subscriptions.decision_list import DecisionList
from cds_service.subscriptions.notified_resource import read_resource
from cds_service.subscriptions.replay import replay
from cds_service.subscriptions.work import Retry
from cds_service.subscriptions.worker_setup import make_worker
from tests.subscriptions.inbox_fixtures import rows
from tests.subscriptions.ward import OWNER, Ward, gone
from tests.web.http_fixtures import ALT, PATIENT, knowledge, observation

pytestmark = pytest.mark.server


def states(ward: Ward) -> list[tuple[str, str]]:
    rows = AdviceTable(ward.database.database).of_patient(ward.base, PATIENT)
    return [(row.rule, row.state) for row in rows]


def test_the_founding_patient_gets_a_task_with_proposals(ward: Ward) -> None:
    result = ward.store(observation(ALT, 1))

    (task,) = ward.found("Task")
    assert (task["status"], task["intent"], task["priority"]) == (
        "requested",
        "proposal",
        "routine",
    )
    assert task["for"] == {"reference": f"Patient/{PATIENT}"}
    assert task["focus"] == {"reference": f"Observation/{result['id']}"}
    assert task["owner"] == {"reference": OWNER}
    assert task["restriction"]["period"]["start"] == "2026-06-15"
    orders = ward.found("ServiceRequest")
    assert orders
    assert {order["intent"] for order in orders} == {"proposal"}
    assert {tag["code"] for order in orders for tag in order["meta"]["tag"]} == {PROPOSAL_CODE}
    proposed = {proposal["valueReference"]["reference"] for proposal in task["input"]}
    assert proposed >= {f"ServiceRequest/{order['id']}" for order in orders}
    (guidance,) = ward.found("GuidanceResponse")
    assert guidance["moduleUri"].endswith("/rules/alt-very-low")
    (provenance,) = ward.found("Provenance")
    targets = {target["reference"] for target in provenance["target"]}
    assert targets == {
        f"{resource['resourceType']}/{resource['id']}" for resource in (task, guidance, *orders)
    }
    assert states(ward) == [("alt-very-low", "open")]
    (decision,) = ward.decided()
    assert (decision.mode, decision.written, decision.problem) == ("on", "yes", "")


def test_the_same_again_changes_nothing(ward: Ward) -> None:
    ward.store(observation(ALT, 1))
    before = ward.everything()

    ward.store(observation(ALT, 1))  # another version, which says the same

    assert ward.everything() == before
    assert [decision.written for decision in ward.decided()] == ["yes", "no"]


def test_a_correction_withdraws(ward: Ward) -> None:
    ward.store(observation(ALT, 1))

    ward.store(observation(ALT, 30, status="corrected"))

    (task,) = ward.found("Task")
    assert task["status"] == "cancelled"
    assert task["statusReason"]["coding"][0]["code"] == "result-corrected"
    assert {order["status"] for order in ward.found("ServiceRequest")} == {"revoked"}
    assert states(ward) == [("alt-very-low", "cancelled")]
    assert ward.decided()[-1].written == "withdrawn"


def test_what_was_withdrawn_is_advised_again_if_it_holds_again(ward: Ward) -> None:
    ward.store(observation(ALT, 1))
    ward.store(observation(ALT, 30, status="corrected"))

    ward.store(observation(ALT, 1, status="corrected"))

    assert sorted(task["status"] for task in ward.found("Task")) == ["cancelled", "requested"]
    assert [state for _, state in states(ward)] == ["cancelled", "open"]


@pytest.mark.parametrize("how", ["entered-in-error", "deleted"])
def test_a_result_that_is_taken_back_withdraws(ward: Ward, how: str) -> None:
    stored = ward.store(observation(ALT, 1))

    if how == "deleted":
        ward.arrive(gone(stored["id"]))  # a search still finds it: the index is late
    else:
        ward.store(observation(ALT, 1, status=how))

    (task,) = ward.found("Task")
    assert task["status"] == "cancelled"
    assert task["statusReason"]["coding"][0]["code"] == "result-withdrawn"


@pytest.mark.parametrize(
    "touched", [{"status": "accepted"}, {"owner": {"reference": "Organization/other"}}, {}]
)
def test_a_task_that_somebody_touched_is_left_alone(ward: Ward, touched: dict[str, object]) -> None:
    ward.store(observation(ALT, 1))
    (task,) = ward.found("Task")
    note = [{"text": "somebody has looked at it"}]
    changed = ward.change(task, note=note, **touched)

    ward.store(observation(ALT, 30, status="corrected"))

    assert ward.found("Task") == [changed]
    assert {order["status"] for order in ward.found("ServiceRequest")} == {"draft"}
    assert states(ward) == [("alt-very-low", "left-alone")]
    assert {"advice": "left-alone"}.items() <= ward.decided()[-1].findings[-1].items()


def test_a_task_that_was_rejected_is_not_written_again(ward: Ward) -> None:
    ward.store(observation(ALT, 1))
    (task,) = ward.found("Task")
    ward.change(task, status="rejected")

    ward.store(observation(ALT, 1))

    assert [task["status"] for task in ward.found("Task")] == ["rejected"]
    assert states(ward) == [("alt-very-low", "rejected")]


class Behind(FhirClient):
    """Reads of a server that does not find its Tasks while `behind`."""

    behind = False

    def ask(self, access: Access, query: str, deadline: Deadline) -> QueryResult:
        if self.behind and query.startswith("Task/"):
            return QueryResult(
                failure="not-found", refusal=HttpResponse(status=404, headers={}, body=b"")
            )
        return super().ask(access, query, deadline)


@pytest.fixture(name="behind")
def _behind(ward: Ward) -> Behind:
    client = Behind(most_bytes=10_000_000, most_pages=10)
    ward.decide = replace(ward.decide, client=client)
    return client


def test_a_task_that_is_not_found_once_is_looked_for_again(ward: Ward, behind: Behind) -> None:
    ward.store(observation(ALT, 1))
    behind.behind = True
    with pytest.raises(Retry):
        ward.store(observation(ALT, 30, status="corrected"))
    behind.behind = False
    ward.now += timedelta(minutes=5)

    ward.arrive()

    assert [task["status"] for task in ward.found("Task")] == ["cancelled"]
    assert states(ward) == [("alt-very-low", "cancelled")]


def test_a_task_that_is_not_found_for_long_is_withdrawn_when_it_is_there_again(
    ward: Ward, behind: Behind
) -> None:
    ward.store(observation(ALT, 1))
    behind.behind = True
    work_off(ward, observation(ALT, 1))
    assert states(ward) == [("alt-very-low", "not-found")]
    assert len(ward.found("Task")) == 1  # and no other beside it
    behind.behind = False

    work_off(ward, observation(ALT, 30, status="corrected"))

    assert [task["status"] for task in ward.found("Task")] == ["cancelled"]
    assert states(ward) == [("alt-very-low", "cancelled")]


def work_off(ward: Ward, resource: dict[str, Any]) -> None:
    """Have a worker decide on a result, with all its tries."""
    stored = ward.store(resource, arrives=False)
    ward.notify(read_resource(json.dumps(stored).encode(), ward.base, "$"))
    worker = make_worker(ward.tools, lambda _: ward.decide)
    worker._reconciled = ward.now + timedelta(days=1)
    for _ in range(10):
        while worker.step():
            pass
        ward.now += timedelta(minutes=1)


def test_a_more_severe_result_takes_the_place_of_a_milder_one(ward: Ward) -> None:
    early = observation(ALT, 60, id="early", effectiveDateTime="2026-06-13T08:00:00Z")
    ward.store(early)
    ward.store(observation(ALT, 700, id="late"))

    rules = {row[0]: row[1] for row in states(ward)}
    assert rules["alt-borderline"] == "cancelled"
    assert rules["alt-severe"] == "open"
    (task,) = ward.open_tasks()
    assert task["priority"] in {"urgent", "stat"}


def test_what_is_written_is_quiet_for_the_days_of_its_rule(ward: Ward) -> None:
    ward.store(observation(ALT, 60, id="first", effectiveDateTime="2026-06-13T08:00:00Z"))

    ward.store(observation(ALT, 61, id="second"))

    assert len(ward.found("Task")) == 1
    ward.now += timedelta(days=85)
    late = (ward.now - timedelta(days=1)).isoformat()
    ward.store(observation(ALT, 60, id="third", effectiveDateTime=late))
    assert sorted(task["status"] for task in ward.found("Task")) == ["cancelled", "requested"]


def test_what_silent_mode_shows_is_what_is_written_later(ward: Ward, sqlite_store: Store) -> None:
    Ward(ward.base, sqlite_store, write_back="silent").store(observation(ALT, 1))
    ward.store(observation(ALT, 1, status="corrected"))

    written, shown = DecisionList(sqlite_store.database, knowledge().packs).newest(10).decisions

    assert (shown.advice[0].state, written.advice[0].state) == ("not-written", "open")
    assert (shown.advice[0].rule, shown.advice[0].orders) == (
        written.advice[0].rule,
        written.advice[0].orders,
    )
    (task,) = ward.found("Task")
    said = {proposal["type"]["text"] for proposal in task["input"]}
    for order in shown.advice[0].orders:
        assert any(f"{order.title} {order.window}" in text for text in said)


@pytest.fixture(name="silent")
def _silent(ward: Ward, sqlite_store: Store) -> Ward:
    return Ward(ward.base, sqlite_store, write_back="silent")


def changes(ward: Ward) -> list[list[dict[str, Any]]]:
    """What became of advice in each decision."""
    return [[finding for finding in row.findings if "advice" in finding] for row in ward.decided()]


NOT_WRITTEN = {"advice": "not-written", "rule": "alt-very-low", "indicator": "info"}


def test_in_silent_mode_nothing_is_written(ward: Ward, silent: Ward) -> None:
    before = ward.everything()

    silent.store(observation(ALT, 1))

    assert ward.everything() == before
    (decision,) = silent.decided()
    assert (decision.mode, decision.written) == ("silent", "no")
    assert changes(silent) == [[NOT_WRITTEN]]
    assert states(ward) == [("alt-very-low", "silent")]


def test_in_silent_mode_it_is_known_what_would_have_been_withdrawn(
    ward: Ward, silent: Ward, sqlite_store: Store
) -> None:
    before = ward.everything()
    silent.store(observation(ALT, 1))
    silent.store(observation(ALT, 1, note=[{"text": "sent again"}]))
    silent.store(observation(ALT, 30, status="corrected"))
    silent.store(observation(ALT, 1, status="corrected"))

    assert ward.everything() == before
    withdrawn = {**NOT_WRITTEN, "advice": "not-withdrawn", "why": "result-corrected"}
    assert changes(silent) == [[NOT_WRITTEN], [], [withdrawn], [NOT_WRITTEN]]
    assert {decision.written for decision in silent.decided()} == {"no"}
    assert [state for _, state in states(ward)] == ["silent-over", "silent"]
    for row in silent.decided():
        again = replay(knowledge(), sqlite_store.database, row.id)
        assert again is not None
        assert again.is_same


def test_in_silent_mode_a_deleted_result_would_have_been_withdrawn(silent: Ward) -> None:
    stored = silent.store(observation(ALT, 1))
    requests.delete(f"{silent.base}/Observation/{stored['id']}", timeout=20)

    silent.arrive(gone(stored["id"]))

    assert [change["advice"] for change in changes(silent)[-1]] == ["not-withdrawn"]


def test_what_was_silent_does_not_count_once_it_is_written(ward: Ward, silent: Ward) -> None:
    silent.store(observation(ALT, 1))

    ward.store(observation(ALT, 1))
    assert len(ward.open_tasks()) == 1
    ward.store(observation(ALT, 30, status="corrected"))

    assert ward.open_tasks() == []
    assert sorted(state for _, state in states(ward)) == ["cancelled", "silent"]


def test_what_was_written_before_silent_mode_would_be_withdrawn(ward: Ward, silent: Ward) -> None:
    ward.store(observation(ALT, 1))
    before = ward.everything()

    silent.store(observation(ALT, 30, status="corrected"))

    assert ward.everything() == before
    assert [change["advice"] for change in changes(silent)[-1]] == ["not-withdrawn"]
    assert states(ward) == [("alt-very-low", "open")]


def test_off_decides_nothing(ward: Ward, sqlite_store: Store) -> None:
    off = Ward(ward.base, sqlite_store, write_back="off")

    off.store(observation(ALT, 1))

    assert off.decided() == []
    assert ward.found("Task") == []


@pytest.mark.parametrize("write_back", ["silent", "on"])
def test_a_decision_is_derived_again_from_what_was_kept(
    ward: Ward, sqlite_store: Store, write_back: str
) -> None:
    other = Ward(ward.base, sqlite_store, write_back=write_back)
    other.store(observation(ALT, 1))
    other.store(observation(ALT, 1, id="later", effectiveDateTime="2026-06-14T09:00:00Z"))
    numbers = [decision.id for decision in other.decided()]

    found = [replay(knowledge(), sqlite_store.database, number) for number in numbers]

    assert [replayed and (replayed.is_same, replayed.changed_packs) for replayed in found] == [
        (True, ())
    ] * 2
    assert replay(knowledge(), sqlite_store.database, 4711) is None


def test_a_decision_that_would_be_another_today_is_told(ward: Ward, sqlite_store: Store) -> None:
    ward.store(observation(ALT, 1))
    changed = [{**ward.decided()[0].findings[0], "indicator": "critical"}]
    with sqlite_store.database.writing() as connection:
        connection.execute(update(decisions).values(findings=changed, packs={"liver": {}}))

    found = replay(knowledge(), sqlite_store.database, 1)

    assert found is not None
    assert (found.is_same, found.changed_packs) == (False, ("liver",))
    assert found.now["alt-very-low"][0]["indicator"] == "info"


def test_eight_workers_at_once_write_one_task(ward: Ward) -> None:
    resource = ward.store(observation(ALT, 1), arrives=False)
    item = read_resource(json.dumps(resource).encode(), ward.base, "$")
    ward.notify(item)
    lease = ward.inbox.lease("worker", ward.now)
    assert lease is not None

    with ThreadPoolExecutor(8) as threads:
        workers = [Ward(ward.base, ward.database) for _ in range(8)]
        made = list(threads.map(lambda worker: worker.decide(lease.work), workers))

    assert [decision and decision.written for decision in made] == ["yes"] * 8
    assert len(ward.found("Task")) == 1
    assert len(ward.found("ServiceRequest")) == 4
    assert len(ward.found("Provenance")) == 1


@pytest.mark.parametrize("how", ["of the worker", "of the database"])
def test_what_was_touched_before_it_was_recorded_is_left_alone(ward: Ward, how: str) -> None:
    """The worker is killed after it wrote, or its rows are lost; meanwhile somebody adds a note."""
    resource = ward.store(observation(ALT, 1), arrives=False)
    ward.notify(read_resource(json.dumps(resource).encode(), ward.base, "$"))
    lease = ward.inbox.lease("worker", ward.now)
    assert lease is not None
    ward.decide(lease.work)  # and no more
    (task,) = ward.found("Task")
    noted = ward.change(task, note=[*task["note"], {"text": "somebody has looked at it"}])
    ward.now += timedelta(minutes=5)
    if how == "of the database":
        with ward.database.database.writing() as connection:
            connection.execute(delete(advice_written))
        ward.arrive()
        assert states(ward) == [("alt-very-low", "left-alone")]

    ward.store(observation(ALT, 30, status="corrected"))

    assert ward.found("Task") == [noted]
    assert {order["status"] for order in ward.found("ServiceRequest")} == {"draft"}
    assert states(ward) == [("alt-very-low", "left-alone")]
    findings = [finding for decision in ward.decided() for finding in decision.findings]
    assert any({"advice": "left-alone"}.items() <= finding.items() for finding in findings)


def test_what_is_lost_between_the_server_and_the_database_is_found(ward: Ward) -> None:
    """The worker is killed after it wrote; by the time of the next the result is another."""
    resource = ward.store(observation(ALT, 1), arrives=False)
    ward.notify(read_resource(json.dumps(resource).encode(), ward.base, "$"))
    lease = ward.inbox.lease("worker", ward.now)
    assert lease is not None
    ward.decide(lease.work)  # and no more
    assert states(ward) == [("alt-very-low", "writing")]
    ward.now += timedelta(minutes=5)

    ward.store(observation(ALT, 30, status="corrected"))

    assert [task["status"] for task in ward.found("Task")] == ["cancelled"]
    assert states(ward) == [("alt-very-low", "cancelled")]


def test_a_worker_lost_before_it_withdrew_leaves_two_of_which_the_older_goes(ward: Ward) -> None:
    ward.store(observation(ALT, 300, id="a", effectiveDateTime="2026-06-13T08:00:00Z"))
    ward.now += timedelta(days=85)
    late = (ward.now - timedelta(days=1)).isoformat()
    resource = ward.store(observation(ALT, 310, id="b", effectiveDateTime=late), arrives=False)
    ward.notify(read_resource(json.dumps(resource).encode(), ward.base, "$"))
    lease = ward.inbox.lease("worker", ward.now)
    assert lease is not None
    (first,) = ward.open_tasks()
    ward.decide(lease.work)  # and no more
    ward.change({**ward.get(f"Task/{first['id']}"), "status": "requested"})
    _put_version(ward, first)
    ward.now += timedelta(minutes=5)

    ward.arrive()

    (task,) = ward.open_tasks()
    assert task["focus"] == {"reference": "Observation/b"}
    assert sorted(state for _, state in states(ward)) == ["cancelled", "open"]


def _put_version(ward: Ward, task: dict[str, Any]) -> None:
    """Have what is known of a Task agree with the version that the server has now."""
    version = ward.get(f"Task/{task['id']}")["meta"]["versionId"]
    with ward.database.database.writing() as connection:
        connection.execute(
            update(advice_written)
            .where(advice_written.c.task == f"Task/{task['id']}")
            .values(task_version=version)
        )


def test_what_was_noted_and_never_sent_is_forgotten(ward: Ward) -> None:
    resource = ward.store(observation(ALT, 1), arrives=False)
    ward.notify(read_resource(json.dumps(resource).encode(), ward.base, "$"))
    lease = ward.inbox.lease("worker", ward.now)
    assert lease is not None
    ward.decide(lease.work)
    for kind in ("Provenance", "Task"):
        for stored in ward.found(kind):
            requests.delete(f"{ward.base}/{kind}/{stored['id']}", timeout=20)
    ward.now += timedelta(minutes=5)

    ward.store(observation(ALT, 30, status="corrected"))

    assert states(ward) == []


def test_a_result_that_is_deleted_before_it_is_decided_on_has_no_task(ward: Ward) -> None:
    stored = ward.store(observation(ALT, 1), arrives=False)
    requests.delete(f"{ward.base}/Observation/{stored['id']}", timeout=20)
    ward.notify(read_resource(json.dumps(stored).encode(), ward.base, "$"))
    worker = make_worker(ward.tools, lambda _: ward.decide)
    for _ in range(5):
        while worker.step():
            pass
        ward.now += timedelta(minutes=1)

    assert ward.found("Task") == []
    (item,) = rows(ward.database, inbox_items)
    assert (item.state, item.gone) == ("done", True)


@pytest.mark.parametrize("how", ["entered-in-error", "deleted"])
def test_when_a_critical_result_is_taken_back_the_one_before_it_has_its_task(
    ward: Ward, how: str
) -> None:
    before = observation(ALT, 1500, id="before", effectiveDateTime="2026-06-13T08:00:00Z")
    wrong = observation(ALT, 1600, id="wrong")
    ward.store(before)
    ward.store(wrong)
    (task,) = ward.open_tasks()
    assert task["focus"] == {"reference": "Observation/wrong"}

    if how == "deleted":
        requests.delete(f"{ward.base}/Observation/wrong", timeout=20)
        ward.arrive(gone("wrong"))
    else:
        ward.store({**wrong, "status": how})

    (task,) = ward.open_tasks()
    assert (task["focus"], task["priority"]) == ({"reference": "Observation/before"}, "stat")
    number = ward.decided()[-1].id
    found = replay(knowledge(), ward.database.database, number)
    assert found is not None
    assert found.is_same


def test_what_was_withdrawn_and_is_no_longer_known_is_advised_again(ward: Ward) -> None:
    """The row is removed after some time; what stands on the server has its identifier."""
    ward.store(observation(ALT, 1))
    ward.store(observation(ALT, 30, status="corrected"))
    with ward.database.database.writing() as connection:
        connection.execute(delete(advice_written))

    with pytest.raises(Retry):
        ward.store(observation(ALT, 1, status="corrected"))
    ward.now += timedelta(minutes=5)
    ward.arrive()

    assert sorted(task["status"] for task in ward.found("Task")) == ["cancelled", "requested"]
    assert [state for _, state in states(ward)] == ["cancelled", "open"]
