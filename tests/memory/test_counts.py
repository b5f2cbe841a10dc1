# SPDX-License-Identifier: Apache-2.0
"""Cards are added up, a repeated call once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from cds_service.memory.counts import CardCounts
from tests.store.store_fixtures import shown


def test_cards_are_added_up_until_they_are_taken() -> None:
    counts = CardCounts()
    counts.add({"a": shown(), "b": shown(hook="order-select")})
    counts.add({"c": shown()})

    assert counts.take() == {shown(): 2, shown(hook="order-select"): 1}
    assert counts.take() == {}


def test_a_call_that_is_repeated_counts_once() -> None:
    counts = CardCounts()
    counts.add({"a": shown()})
    counts.take()
    counts.add({"a": shown()})

    assert counts.take() == {}


def test_what_could_not_be_written_is_counted_with_the_rest() -> None:
    counts = CardCounts()
    counts.add({"a": shown()})
    taken = counts.take()
    counts.add({"b": shown()})

    counts.give_back(taken)

    assert counts.take() == {shown(): 2}


def test_only_so_many_cards_are_kept_in_mind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cds_service.memory.counts._LAST_CARDS", 3)
    counts = CardCounts()
    counts.add({str(n): shown() for n in range(5)})
    counts.add({"0": shown(), "4": shown()})

    assert counts.take() == {shown(): 6}


def test_many_threads_lose_none() -> None:
    counts = CardCounts()

    def work(worker: int) -> None:
        for number in range(500):
            counts.add({f"{worker} {number}": shown()})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))

    assert counts.take() == {shown(): 4000}
