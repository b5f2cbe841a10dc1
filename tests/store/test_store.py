# SPDX-License-Identifier: Apache-2.0
"""What the store keeps and answers; every test on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select

from cds_service.errors import StoreError
from cds_service.store import Store, open_store
from cds_service.store.report import NO_REASON, report
from cds_service.store.store import Feedback, NewFeedback
from cds_service.store.tables import cards_shown, feedback
from tests.store.store_fixtures import (
    CLIENT,
    NOW,
    SERVICE,
    accepted,
    ago,
    overridden,
    shown,
    subject,
)
from tests.web.http_fixtures import knowledge


@pytest.fixture(name="store")
def _store(database: str) -> Iterator[Store]:
    store = open_store(database)
    yield store
    store.close()


def add(
    store: Store, *items: Feedback, client: str = CLIENT, now: datetime = NOW
) -> tuple[NewFeedback, ...]:
    return store.add_feedback(items, client=client, service=SERVICE, now=now)


def kept(store: Store) -> list[dict[str, object]]:
    with store.database.reading() as connection:
        rows = connection.execute(select(feedback).order_by(feedback.c.id)).mappings().all()
    return [dict(row) for row in rows]


def test_feedback_comes_out_as_it_went_in(store: Store) -> None:
    vienna = timezone(timedelta(hours=2))
    happened = datetime(2026, 6, 15, 10, 59, 0, 123456, tzinfo=vienna)
    item = overridden(
        happened=happened,
        reason_code="already-known",
        reason_system="https://example.org/reasons",
        reason_display="Already known",
        comment="Ünïcode 😀\nand lines",
    )

    add(store, item, accepted("card-2"))

    first, second = kept(store)
    assert first == {
        "id": first["id"],
        "client": CLIENT,
        "card": "card-1",
        "outcome": "overridden",
        "happened": happened.astimezone(UTC),
        "service": SERVICE,
        "received": NOW,
        "suggestions": None,
        "reason_code": "already-known",
        "reason_system": "https://example.org/reasons",
        "reason_display": "Already known",
        "comment": "Ünïcode 😀\nand lines",
    }
    assert second["suggestions"] == ["card-2-s"]


def test_the_same_event_is_kept_once(store: Store) -> None:
    later = overridden(happened=NOW)

    first = add(store, overridden(), overridden(), later)
    again = add(store, overridden(comment="said twice"), later)

    assert [one.outcome for one in first] == ["overridden", "overridden"]
    assert again == ()
    assert len(kept(store)) == 2


def test_two_clients_may_name_a_card_alike(store: Store) -> None:
    store.add_cards([shown()])

    mine, theirs = add(store, overridden()), add(store, overridden(), client="https://other")

    assert mine == (NewFeedback("alt-very-low", "overridden"),)
    assert theirs == (NewFeedback(None, "overridden"),)
    assert len(kept(store)) == 2


def test_nothing_is_kept_of_a_batch_that_fails(store: Store) -> None:
    with pytest.raises(StoreError):
        add(store, overridden(), overridden("card-2", comment=object()))

    assert kept(store) == []


@pytest.mark.parametrize("first", ["card", "feedback"])
def test_an_override_is_found_by_what_the_card_was_about(store: Store, first: str) -> None:
    if first == "card":
        store.add_cards([shown()])
    add(store, overridden())
    if first == "feedback":
        store.add_cards([shown()])

    found = store.overridden([subject("card-1"), subject("card-2")], since=ago(days=30))

    assert found == {subject("card-1"): "info"}


def test_an_accepted_card_is_not_overridden(store: Store) -> None:
    store.add_cards([shown()])
    add(store, accepted())

    assert store.overridden([subject("card-1")], since=ago(days=30)) == {}


def test_an_override_of_another_client_silences_nothing(store: Store) -> None:
    store.add_cards([shown()])
    add(store, overridden(), client="https://other")

    assert store.overridden([subject("card-1")], since=ago(days=30)) == {}


def test_an_override_counts_from_when_it_was_received(store: Store) -> None:
    store.add_cards([shown()])
    add(store, overridden(happened=NOW + timedelta(days=9999)), now=ago(days=31))

    assert store.overridden([subject("card-1")], since=ago(days=30)) == {}
    assert store.overridden([subject("card-1")], since=ago(days=31)) != {}


def test_of_several_overrides_the_most_severe_tells(store: Store) -> None:
    about = subject("result")
    store.add_cards(
        [
            shown("a", subject=about, indicator="warning"),
            shown("b", subject=about, indicator="info"),
        ]
    )
    add(store, overridden("a"), overridden("b"))

    assert store.overridden([about], since=ago(days=30)) == {about: "warning"}


def test_a_card_without_a_subject_is_never_found(store: Store) -> None:
    store.add_cards([shown(subject=None)])
    add(store, overridden())

    assert store.overridden([subject("card-1")], since=ago(days=30)) == {}


def test_one_uuid_for_two_patients_silences_neither(store: Store) -> None:
    store.add_cards([shown(subject=subject("one"))])
    store.add_cards([shown(subject=subject("another"))])
    store.add_cards([shown(subject=subject("one"))])
    add(store, overridden())

    assert store.overridden([subject("one"), subject("another")], since=ago(days=30)) == {}


def test_the_same_card_again_changes_nothing(store: Store) -> None:
    store.add_cards([shown(), shown()])
    store.add_cards([shown(shown=NOW + timedelta(days=1))])

    with store.database.reading() as connection:
        (row,) = connection.execute(select(cards_shown)).all()
    assert (row.shown, bytes(row.subject)) == (NOW, subject("card-1"))


def test_what_is_too_old_is_removed_and_nothing_else(store: Store) -> None:
    store.add_cards([shown("old", shown=ago(days=366)), shown("new")])
    add(store, overridden("old"), accepted("old"), now=ago(days=366))
    add(store, overridden("new"))

    assert store.purge(before=ago(days=365)) == 3
    assert [row["card"] for row in kept(store)] == ["new"]
    assert store.purge(before=ago(days=365)) == 0


def test_more_than_one_batch_is_removed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cds_service.store.store._PURGED_AT_ONCE", 3)
    store.add_cards([shown(f"card-{n}", shown=ago(days=2)) for n in range(10)])

    assert store.purge(before=ago(days=1)) == 10


def test_the_report_counts_cards_not_events(store: Store) -> None:
    store.add_cards([shown(f"card-{n}") for n in range(6)])
    store.add_cards([shown("old-1", version="0.9.0"), shown("gone", rule="gone", pack="gone")])
    add(
        store,
        accepted("card-0"),
        overridden("card-0", reason_code="already-known"),
        accepted("card-1"),
        accepted("card-1", happened=NOW),
        overridden("card-2", reason_code="already-known"),
        overridden("card-2", reason_code="already-known", happened=NOW),
        overridden("card-3", reason_code="site-7", reason_display="Seen on the ward"),
        overridden("card-4"),
        overridden("never-shown"),
    )

    found = report(store, knowledge().packs)

    gone, older, newer = found.rules
    assert (newer.title, newer.version) == ("Very low ALT", "1.0.0")
    assert (newer.shown, newer.accepted, newer.overridden, newer.unanswered) == (6, 2, 3, 1)
    assert [(one.display, one.code, one.cards) for one in newer.reasons] == [
        (NO_REASON, "", 1),
        ("Already known", "already-known", 1),
        ("Seen on the ward", "site-7", 1),
    ]
    assert (older.version, older.shown, older.unanswered) == ("0.9.0", 1, 1)
    assert (gone.title, gone.shown) == ("gone", 1)
    assert found.unknown_cards == 1


def test_an_empty_store_has_an_empty_report(store: Store) -> None:
    found = report(store, knowledge().packs)

    assert (found.rules, found.unknown_cards) == ((), 0)


def test_many_at_once_lose_and_double_nothing(store: Store) -> None:
    def send(worker: int) -> int:
        new = 0
        for n in range(20):
            store.add_cards([shown(f"{worker}-{n}")])
            new += len(add(store, overridden(f"{worker}-{n}"), overridden(f"shared-{n}")))
        return new

    with ThreadPoolExecutor(8) as pool:
        total = sum(pool.map(send, range(8)))

    assert total == len(kept(store)) == 8 * 20 + 20


def test_nothing_names_a_patient(store: Store) -> None:
    columns = {column.name for column in (*cards_shown.columns, *feedback.columns)}

    assert not {name for name in columns if "patient" in name or "user" in name}


def test_a_database_that_went_away_is_a_store_error(database: str) -> None:
    store = open_store(database)
    with store.database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE feedback RENAME TO away")
    try:
        with pytest.raises(StoreError) as caught:
            add(store, overridden(comment="ZZTESTNAME"))
        assert caught.value.__cause__ is None
        assert "ZZTESTNAME" not in str(caught.value)
        assert "away" not in str(caught.value)
    finally:
        with store.database.writing() as connection:
            connection.exec_driver_sql("ALTER TABLE away RENAME TO feedback")
        store.close()
