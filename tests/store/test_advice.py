# SPDX-License-Identifier: Apache-2.0
"""The rows of what was written to FHIR servers, on both databases."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cds_service.copying import replace
from cds_service.store import Store, open_store
from cds_service.store.advice import AdviceTable, WrittenAdvice, keep_advice

NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
SERVER, PATIENT = "https://fhir.example.org/r4", "p1"


@pytest.fixture(name="store")
def _store(database: str) -> Iterator[Store]:
    store = open_store(database)
    yield store
    store.close()


def advice(**more: Any) -> WrittenAdvice:
    usual: dict[str, Any] = {
        "server": SERVER,
        "patient": PATIENT,
        "pack": "liver",
        "rule": "alt-mild",
        "rule_version": "1.0.0",
        "marker": "alt",
        "result": "Observation/o1",
        "identifier": "i1",
        "indicator": "info",
        "written": NOW,
    }
    return WrittenAdvice(**usual | more)


def opened(table: AdviceTable, store: Store, row: WrittenAdvice, **more: Any) -> WrittenAdvice:
    table.begin([row], NOW)
    kept = replace(row, state="open", task="Task/1", proposals=(("ServiceRequest/2", "1"),), **more)
    with store.database.writing() as connection:
        keep_advice(connection, [kept], 7, NOW)
    return kept


def of_patient(store: Store) -> list[WrittenAdvice]:
    rows = AdviceTable(store.database).of_patient(SERVER, PATIENT)
    return [replace(row, id=0) for row in rows]


def test_what_is_being_written_is_there_and_does_not_count(store: Store) -> None:
    table = AdviceTable(store.database)

    table.begin([advice()], NOW)

    assert of_patient(store) == [advice()]
    assert table.written_since(NOW - timedelta(days=1)) == ()
    assert table.of_patient(SERVER, "p2") == ()


def test_what_was_written_counts_with_its_decision(store: Store) -> None:
    table = AdviceTable(store.database)

    kept = opened(table, store, advice())

    assert of_patient(store) == [replace(kept, decision=7)]
    assert len(table.written_since(NOW - timedelta(days=1))) == 1
    assert table.written_since(NOW + timedelta(seconds=1)) == ()
    assert [when for _, when in table.changed_since(NOW)] == [NOW]


def test_another_takes_the_place_of_what_is_withdrawn_at_once(store: Store) -> None:
    table = AdviceTable(store.database)
    first = opened(table, store, advice())
    second = advice(identifier="i2")
    table.begin([second], NOW)

    with store.database.writing() as connection:
        changed = [replace(second, state="open"), replace(first, state="cancelled", decision=7)]
        keep_advice(connection, changed, 8, NOW)

    assert [(row.state, row.decision) for row in of_patient(store)] == [
        ("cancelled", 7),
        ("open", 8),
    ]


def test_of_a_rule_and_marker_one_is_open(store: Store) -> None:
    table = AdviceTable(store.database)
    opened(table, store, advice())
    opened(table, store, advice(identifier="elsewhere", marker="ast"))

    opened(table, store, advice(identifier="i2"))

    found = [(row.identifier, row.state) for row in of_patient(store)]
    assert found == [("i1", "withdrawing"), ("elsewhere", "open"), ("i2", "open")]


def test_what_never_came_to_be_written_is_forgotten(store: Store) -> None:
    AdviceTable(store.database).begin([advice()], NOW)

    with store.database.writing() as connection:
        keep_advice(connection, [advice()], 7, NOW)

    assert of_patient(store) == []


def test_what_was_rejected_counts_no_longer(store: Store) -> None:
    table = AdviceTable(store.database)
    opened(table, store, advice())

    assert table.note_rejected(SERVER, {"i1", "other"}, NOW) == 1
    assert table.note_rejected(SERVER, {"i1"}, NOW) == 0
    assert table.note_rejected(SERVER, set(), NOW) == 0
    assert [row.state for row in of_patient(store)] == ["rejected"]
