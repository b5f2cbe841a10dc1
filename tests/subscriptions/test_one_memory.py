# SPDX-License-Identifier: Apache-2.0
"""Cards and Tasks have one memory: what one proposed, the other does not propose again."""

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service.fhir_client.client import Access, NoToken
from cds_service.store import Store
from cds_service.store.advice import AdviceTable
from cds_service.subscriptions.server_reader import ServerReader
from cds_service.subscriptions.task_states import TaskStates
from cds_service.web import create_app
from tests.subscriptions.ward import KEY, Ward
from tests.web.http_fixtures import ALT, NOW, SERVICE, call, knowledge, observation

pytestmark = pytest.mark.server

Json = dict[str, Any]

QUIET = observation(ALT, 60)  # its rule is quiet for some weeks
CRITICAL = observation(ALT, 2400)


class Hooks:
    """Another process of the service, which answers calls about patients of a server."""

    def __init__(self, sqlite_store: Store, base: str | None) -> None:
        self.base = base
        settings = Ward.settings_of(KEY)
        app = create_app(settings, clock=lambda: NOW, knowledge=knowledge(), store=sqlite_store)
        self.memory = app.extensions["memory"]
        self.http: FlaskClient = app.test_client()

    def cards(self, result: Json) -> list[Json]:
        body = {**call(result), **({"fhirServer": self.base} if self.base else {})}
        self.memory.refresh()
        found: list[Json] = self.http.post(SERVICE, json=body).get_json()["cards"]
        self.memory.flush()
        return found

    def override(self, card: Json) -> None:
        item = {
            "card": card["uuid"],
            "outcome": "overridden",
            "outcomeTimestamp": "2026-06-15T09:00:00Z",
        }
        answer = self.http.post(f"{SERVICE}/feedback", json={"feedback": [item]})
        assert answer.status_code == 200, answer.text


def test_what_a_task_proposes_no_card_proposes_again(ward: Ward, sqlite_store: Store) -> None:
    hooks = Hooks(sqlite_store, ward.base)

    ward.store(QUIET)

    assert len(ward.open_tasks()) == 1
    assert hooks.cards(QUIET) == []
    assert len(Hooks(sqlite_store, "https://other.example.org/r4").cards(QUIET)) == 1
    assert len(Hooks(sqlite_store, None).cards(QUIET)) == 1


@pytest.mark.parametrize("status", ["rejected", "cancelled"])
def test_a_task_counts_no_longer_once_it_is_rejected(
    ward: Ward, sqlite_store: Store, status: str
) -> None:
    hooks = Hooks(sqlite_store, ward.base)
    ward.store(QUIET)
    (task,) = ward.open_tasks()
    ward.change(task, status=status)

    ward.store(QUIET)  # the worker looks at what stands there

    assert len(hooks.cards(QUIET)) == 1


def test_a_rejection_is_seen_though_nothing_arrives(ward: Ward, sqlite_store: Store) -> None:
    hooks = Hooks(sqlite_store, ward.base)
    ward.store(QUIET)
    (task,) = ward.open_tasks()
    ward.change(task, status="rejected")
    reader = ServerReader(
        client=ward.tools.client, access_to=lambda _: Access(ward.server(), NoToken())
    )
    tasks = TaskStates(
        reader=reader,
        servers=ward.tools.servers,
        advice=AdviceTable(sqlite_store.database),
        clock=lambda: ward.now,
    )

    assert tasks.follow(ward.base, NOW - timedelta(days=1)) == 1
    assert tasks.follow(ward.base, NOW - timedelta(days=1)) == 0
    assert len(hooks.cards(QUIET)) == 1


def test_a_task_that_was_withdrawn_counts_no_longer(ward: Ward, sqlite_store: Store) -> None:
    hooks = Hooks(sqlite_store, ward.base)
    ward.store(QUIET)

    ward.store(observation(ALT, 20, status="corrected"))

    assert len(hooks.cards(QUIET)) == 1


def test_what_a_card_proposed_no_task_proposes_again(ward: Ward, sqlite_store: Store) -> None:
    assert len(Hooks(sqlite_store, ward.base).cards(QUIET)) == 1

    ward.store(QUIET)

    assert ward.found("Task") == []
    (decision,) = ward.decided()
    assert {finding["because"] for finding in decision.findings} == {"shown-recently"}


def test_a_task_holds_back_neither_a_critical_card_nor_a_more_severe_one(
    ward: Ward, sqlite_store: Store
) -> None:
    hooks = Hooks(sqlite_store, ward.base)
    ward.store(CRITICAL)
    assert [task["priority"] for task in ward.open_tasks()] == ["stat"]

    assert [card["indicator"] for card in hooks.cards(CRITICAL)] == ["critical"]


def test_a_card_holds_back_no_critical_task(ward: Ward, sqlite_store: Store) -> None:
    assert len(Hooks(sqlite_store, ward.base).cards(CRITICAL)) == 1

    ward.store(CRITICAL)

    assert [task["priority"] for task in ward.open_tasks()] == ["stat"]


def test_in_silent_mode_no_card_is_held_back(ward: Ward, sqlite_store: Store) -> None:
    Ward(ward.base, sqlite_store, write_back="silent").store(QUIET)

    assert len(Hooks(sqlite_store, ward.base).cards(QUIET)) == 1


def test_what_a_clinician_overrode_on_a_card_becomes_no_task(
    ward: Ward, sqlite_store: Store
) -> None:
    hooks = Hooks(sqlite_store, ward.base)
    (card,) = hooks.cards(CRITICAL)
    hooks.override(card)

    ward.store(CRITICAL)

    assert ward.found("Task") == []
    assert "overridden" in {finding.get("because") for finding in ward.decided()[0].findings}


def test_an_override_withdraws_the_task_of_the_same_advice(ward: Ward, sqlite_store: Store) -> None:
    ward.store(CRITICAL)
    hooks = Hooks(sqlite_store, ward.base)
    (card,) = hooks.cards(CRITICAL)
    hooks.override(card)

    ward.store(CRITICAL)

    (task,) = ward.found("Task")
    assert task["status"] == "cancelled"
    assert task["statusReason"]["coding"][0]["code"] == "overridden"
