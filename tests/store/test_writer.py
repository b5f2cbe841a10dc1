# SPDX-License-Identifier: Apache-2.0
"""Cards are written behind the answer, all of them, and a database that is away stops nothing."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event

import pytest

from cds_service.errors import StoreError
from cds_service.store import open_store
from cds_service.store.store import ShownCard
from cds_service.store.writer import CardWriter
from tests.store.store_fixtures import shown


def test_adding_does_not_wait_and_flushing_does() -> None:
    go, written = Event(), list[str]()

    def write(cards: Sequence[ShownCard]) -> None:
        assert go.wait(60)
        written.extend(card.card for card in cards)

    writer = CardWriter(write)
    for n in range(5):
        writer.add([shown(str(n))])
    assert written == []

    go.set()
    writer.flush()

    assert written == ["0", "1", "2", "3", "4"]
    writer.close()


def test_nothing_to_write_starts_nothing() -> None:
    writer = CardWriter(lambda _: pytest.fail("nothing was added"))
    writer.add([])
    writer.flush()
    writer.close()


def test_the_oldest_give_way_when_too_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cds_service.store.writer.MOST_WAITING", 3)
    begun, go, written = Event(), Event(), list[str]()

    def write(cards: Sequence[ShownCard]) -> None:
        begun.set()
        assert go.wait(60)
        written.extend(card.card for card in cards)

    writer = CardWriter(write)
    writer.add([shown("first")])
    assert begun.wait(60)
    writer.add([shown(str(n)) for n in range(5)])
    go.set()
    writer.flush()

    assert written == ["first", "2", "3", "4"]
    writer.close()


def test_a_failure_is_passed_over_and_the_next_cards_are_written() -> None:
    written: list[str] = []

    def write(cards: Sequence[ShownCard]) -> None:
        if cards[0].card == "bad":
            raise StoreError("away")
        written.extend(card.card for card in cards)

    writer = CardWriter(write)
    writer.add([shown("bad")])
    writer.flush()
    writer.add([shown("good")])
    writer.flush()

    assert written == ["good"]
    writer.close()


PROGRAM = """
import sys
from cds_service.store import open_store
from cds_service.store.writer import CardWriter
from tests.store.store_fixtures import shown
writer = CardWriter(open_store(sys.argv[1]).add_cards)
for n in range(200):
    writer.add([shown(str(n))])
"""


def test_a_process_that_ends_writes_what_is_waiting(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    subprocess.run([sys.executable, "-c", PROGRAM, url], check=True, cwd=Path(__file__).parents[2])
    store = open_store(url)

    with store.database.reading() as connection:
        assert len(connection.exec_driver_sql("SELECT card FROM cards_shown").all()) == 200
    store.close()
