# SPDX-License-Identifier: Apache-2.0
"""Results that move to another patient, are deleted, come back, or are read from an old copy."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from cds_service.store import Store, open_store
from cds_service.subscriptions.inbox import Inbox
from cds_service.subscriptions.inbox_insert import Arrival, version_of
from cds_service.subscriptions.notified_resource import NotifiedResource
from cds_service.subscriptions.versions import is_newer
from tests.fhir_client.faulty import Reply, faulty, in_turn
from tests.subscriptions.inbox_fixtures import (
    HOUR,
    NOW,
    SECOND,
    SERVER,
    Hands,
    arrival,
    result,
    states,
)
from tests.subscriptions.test_worker import Bench, observation

MINUTES = timedelta(minutes=5)
NOT_FOUND = Reply(status=404)


@pytest.fixture(name="bench")
def _bench() -> Iterator[Bench]:
    store = open_store("sqlite://")
    with faulty() as server:
        yield Bench(store, server)
    store.close()


def of(patient: str, version: int = 1) -> dict[str, Any]:
    return observation(version=version, subject={"reference": f"Patient/{patient}"})


def decided_on(bench: Bench) -> list[tuple[str, bool]]:
    return [(item.patient, item.gone) for item in bench.items]


def test_a_result_that_is_moved_is_gone_for_the_patient_whose_it_was(bench: Bench) -> None:
    bench.add(result(1, version=1, patient="pa"))
    bench.work()
    bench.server.answers["Observation/o1"] = Reply(of("pb", 2))
    bench.add(result(1, version=2, patient="pb"))

    bench.work()

    assert decided_on(bench)[:1] == [("pa", False)]
    assert sorted(decided_on(bench)[1:]) == [("pa", True), ("pb", False)]


def test_a_result_that_is_moved_at_once_is_decided_on_for_its_new_patient_alone(
    bench: Bench,
) -> None:
    bench.server.answers["Observation/o1"] = Reply(of("pb", 2))
    bench.add(result(1, version=1, patient="pa"))
    bench.add(result(1, version=2, patient="pb"))

    bench.work()

    assert sorted(decided_on(bench)) == [("pa", True), ("pb", False)]


def test_a_result_whose_name_came_alone_leaves_its_old_patient_too(bench: Bench) -> None:
    bench.add(result(1, version=1, patient="pa"))
    bench.work()
    bench.server.answers["Observation/o1"] = Reply(of("pb", 2))
    bench.add(result(1, version="", patient="", body=None))

    bench.work()

    assert sorted(decided_on(bench)[1:]) == [("pa", True), ("pb", False)]


def test_a_deletion_after_a_move_is_one_for_the_new_patient(bench: Bench) -> None:
    bench.add(result(1, version=1, patient="pa"))
    bench.work()
    bench.server.answers["Observation/o1"] = Reply(of("pb", 2))
    bench.add(result(1, version=2, patient="pb"))
    bench.work()
    bench.server.answers["Observation/o1"] = Reply(status=410)
    bench.add(gone())

    bench.work()

    assert decided_on(bench)[3:] == [("pb", True)]


def test_an_old_version_of_before_the_move_that_comes_late_moves_nothing(
    hands: Hands, store: Store
) -> None:
    hands.add(arrival(1, 2, patient="pb"))
    hands.after(SECOND).drain()
    hands.add(arrival(1, 1, patient="pa"))
    hands.after(SECOND).drain()

    assert states(store) == {("done", ""): 1, ("done", "superseded"): 1}


@pytest.fixture(name="hands")
def _hands(store: Store) -> Hands:
    return Hands(Inbox(store.database))


def test_a_resource_that_is_not_there_at_first_is_read_again(bench: Bench) -> None:
    bench.server.answers["Observation/o1"] = in_turn(NOT_FOUND, NOT_FOUND, Reply(of("p1")))
    bench.add(result(1, version="", patient="", body=None))

    bench.work(30)

    assert decided_on(bench) == [("p1", False)]


def test_a_resource_that_was_deleted_is_not_read_again(bench: Bench) -> None:
    bench.server.answers["Observation/o1"] = Reply(status=410)
    bench.add(result(1, version="", patient="", body=None))

    bench.work(30)

    assert states(bench.store) == {("done", "no-patient"): 1}
    assert len(bench.server.asked) == 1


@pytest.mark.parametrize("version", ["", "1"])
def test_a_resource_that_was_not_found_is_decided_on_once_it_is(bench: Bench, version: str) -> None:
    bench.add(result(1, version=version, patient="", body=None))
    bench.work(60)
    assert states(bench.store) == {("done", "no-patient"): 1}

    bench.server.answers["Observation/o1"] = Reply(of("p1"))
    bench.add(result(1, version=1, updated=NOW - SECOND))
    bench.work()

    assert decided_on(bench) == [("p1", False)]


def test_a_version_that_a_copy_does_not_have_yet_is_read_again(bench: Bench) -> None:
    bench.add(result(1, version=1))
    bench.work()
    bench.server.answers["Observation/o1"] = in_turn(Reply(of("p1", 1)), Reply(of("p1", 2)))
    bench.add(result(1, version=2, patient="", body=None))

    bench.work(30)

    assert [item.version for item in bench.items] == ["1", "2"]
    assert b'"versionId": "2"' in (bench.items[-1].body or b"")


def test_a_deletion_is_believed_once_the_resource_is_not_there(bench: Bench) -> None:
    bench.add(result(1))
    bench.work()
    bench.add(gone())

    bench.work()

    assert decided_on(bench) == [("p1", False), ("p1", True)]
    assert bench.server.paths() == ["Observation/o1"]


def gone(**more: Any) -> NotifiedResource:
    return result(1, version="", patient="", gone=True, body=None, **more)


def test_a_deletion_of_what_is_still_there_is_not_believed(bench: Bench) -> None:
    bench.add(result(1))
    bench.work()
    bench.server.answers["Observation/o1"] = Reply(of("p1"))
    bench.add(gone())

    bench.work(30)

    assert decided_on(bench) == [("p1", False), ("p1", False)]
    assert b'"versionId": "1"' in (bench.items[-1].body or b"")


def test_a_deletion_that_a_copy_does_not_know_yet_is_believed_in_the_end(bench: Bench) -> None:
    bench.add(result(1))
    bench.work()
    bench.server.answers["Observation/o1"] = in_turn(Reply(of("p1")), NOT_FOUND)
    bench.add(gone())

    bench.work(30)

    assert decided_on(bench) == [("p1", False), ("p1", True)]


@pytest.mark.parametrize("version", ["1", "3"])
@pytest.mark.parametrize("skew", [-MINUTES, timedelta(), MINUTES])
def test_a_resource_that_is_made_again_is_decided_on_whatever_the_clocks(
    bench: Bench, version: str, skew: timedelta
) -> None:
    bench.add(result(1, version=1, updated=NOW + skew))
    bench.work()
    bench.add(gone())
    bench.work()
    bench.server.answers["Observation/o1"] = Reply(of("p1", int(version)))
    for _ in range(3):
        bench.add(result(1, version=version, updated=bench.now + skew))
        bench.work()

    assert decided_on(bench) == [("p1", False), ("p1", True), ("p1", False)]


def test_versions_that_are_counted_anew_are_each_decided_on(bench: Bench) -> None:
    for version in (1, 2):
        bench.add(result(1, version=version))
        bench.work()
    bench.add(gone())
    bench.work()
    for version in (1, 2):
        bench.server.answers["Observation/o1"] = Reply(of("p1", version))
        bench.add(result(1, version=version))
        bench.work()

    bodies = [item.body or b"" for item in bench.items]
    assert [item.gone for item in bench.items] == [False, False, True, False, False]
    assert b'"versionId": "2"' in bodies[-1]


def test_a_copy_of_an_old_version_that_comes_after_the_deletion_is_gone_too(bench: Bench) -> None:
    bench.add(result(1))
    bench.work()
    bench.add(gone())
    bench.work()
    bench.add(result(1))

    bench.work(30)

    assert decided_on(bench)[-1] == ("p1", True)


def test_two_states_of_one_second_without_a_version_are_two(hands: Hands) -> None:
    unversioned = result(1, version="", updated=NOW, body=b"30")

    def add(resource: NotifiedResource) -> int:
        return hands.add(Arrival(server=SERVER, subscription="path", resource=resource))

    assert [add(unversioned), add(replace(unversioned, body=b"1500"))] == [1, 1]
    assert add(unversioned) == 0
    (item,) = hands.after(SECOND).lease().items
    assert item.unsure


def test_a_version_names_the_state_whatever_the_notification() -> None:
    version = result(1, version="", updated=NOW)

    assert version_of(version, "a", NOW, numbered=True) == version_of(
        version, "b", NOW + HOUR, numbered=False
    )


@pytest.mark.parametrize(
    ("one", "other", "newer"),
    [
        (("2", None), ("1", None), True),
        (("10", None), ("9", None), True),
        (("9" * 5000, None), ("8" * 5000, None), True),
        (("1", NOW), ("2", NOW - HOUR), False),
        (("²", None), ("³", None), None),
        (("b", NOW), ("a", NOW - SECOND), True),
        (("b", NOW), ("a", NOW), None),
        (("b", NOW), ("a", None), None),
        (("1", None), ("01", None), None),
    ],
)
def test_what_is_newer_is_what_the_server_says(
    one: tuple[str, datetime | None], other: tuple[str, datetime | None], newer: bool | None
) -> None:
    first, second = (
        result(1, version=version, updated=updated) for version, updated in (one, other)
    )

    assert is_newer(first, second) is newer
