# SPDX-License-Identifier: Apache-2.0
"""What the store keeps and answers; every test on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import pytest
from sqlalchemy import select

from cds_service.call_context import SANDBOX
from cds_service.errors import StoreError
from cds_service.store import Store, open_store
from cds_service.store.report import NO_REASON, report
from cds_service.store.store import CardOrigin, NewFeedback, Override, RuleVersion
from cds_service.store.tables import card_counts, cards_shown, feedback
from tests.store.store_fixtures import (
    CLIENT,
    NOW,
    RULE,
    SERVICE,
    accepted,
    add,
    ago,
    origin,
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
        **RULE._asdict(),
        "indicator": "info",
        "subject": subject("card-1"),
    }
    assert second["suggestions"] == ["card-2-s"]


def test_feedback_on_a_card_that_nobody_knows_is_kept_too(store: Store) -> None:
    (new,) = add(store, overridden(), origins={})

    assert new == NewFeedback("overridden", None)
    (row,) = kept(store)
    assert [row[name] for name in ("pack", "rule", "version", "indicator", "subject")] == [None] * 5
    assert store.overrides(since=ago(days=1)) == ()


def test_the_same_event_is_kept_once(store: Store) -> None:
    later = overridden(happened=NOW)

    first = add(store, overridden(), overridden(), later)
    again = add(store, overridden(comment="said twice"), later)

    assert [feedback.outcome for feedback in first] == ["overridden", "overridden"]
    assert again == ()
    assert len(kept(store)) == 2


def test_two_clients_may_name_a_card_alike(store: Store) -> None:
    mine, theirs = add(store, overridden()), add(store, overridden(), client="https://other")

    assert mine == theirs == (NewFeedback("overridden", origin()),)
    assert len(kept(store)) == 2


def test_nothing_is_kept_of_a_batch_that_fails(store: Store) -> None:
    with pytest.raises(StoreError):
        add(store, overridden(), overridden("card-2", comment=object()))

    assert kept(store) == []


def test_overrides_come_with_what_their_card_was(store: Store) -> None:
    add(store, overridden(), accepted("card-2"))
    add(store, overridden("card-3"), now=ago(days=1))

    assert set(store.overrides(since=ago(days=30))) == {
        Override(CLIENT, origin(), NOW),
        Override(CLIENT, origin("card-3"), ago(days=1)),
    }


def test_an_override_counts_from_when_it_was_received(store: Store) -> None:
    add(store, overridden(happened=NOW + timedelta(days=9999)), now=ago(days=31))

    assert store.overrides(since=ago(days=30)) == ()
    assert len(store.overrides(since=ago(days=31))) == 1


def test_only_what_came_later_can_be_asked_for(store: Store) -> None:
    assert store.newest_feedback() == 0
    add(store, overridden())
    newest = store.newest_feedback()
    add(store, overridden("card-2"))

    later = store.overrides(since=ago(days=1), after=newest)

    assert [feedback.origin for feedback in later] == [origin("card-2")]


def test_an_override_of_a_card_without_a_subject_is_not_followed(store: Store) -> None:
    add(store, overridden(), origins={"card-1": origin(subject=None)})

    assert store.overrides(since=ago(days=30)) == ()
    assert kept(store)[0]["rule"] == RULE.rule


def test_cards_are_added_up(store: Store) -> None:
    store.add_counts({shown(): 2, shown(hook="order-select"): 1})
    store.add_counts({shown(): 3})
    store.add_counts({})

    with store.database.reading() as connection:
        rows = connection.execute(select(card_counts.c.hook, card_counts.c.cards)).all()
    assert sorted((row.hook, row.cards) for row in rows) == [
        ("order-select", 1),
        ("patient-view", 5),
    ]


def test_rules_of_which_cards_were_shown_are_known(store: Store) -> None:
    older = RULE._replace(version="0.9.0")
    store.add_counts({shown(): 2, shown(rule=older): 1, shown(client="other"): 1})

    assert sorted(store.rules_shown()) == [older, RULE]


def test_a_card_of_the_time_before_is_known_to_its_client_alone(store: Store) -> None:
    whole = sha256(b"subject").digest()
    row = {**RULE._asdict(), "pack_version": "1.0.0", "service": "s", "hook": "h"}
    row |= {"client": CLIENT, "card": "a", "indicator": "info", "shown": NOW, "subject": whole}
    with store.database.writing() as connection:
        connection.execute(cards_shown.insert(), [row, {**row, "card": "b", "subject": None}])

    assert store.shown_one_by_one(CLIENT, ["a", "b", "c"]) == {
        "a": CardOrigin(RULE, "info", whole[:6]),
        "b": CardOrigin(RULE, "info", b""),
    }
    assert store.shown_one_by_one("https://other", ["a", "b"]) == {}
    assert store.purge(before=NOW + timedelta(days=1)) == 2


def test_what_is_too_old_is_removed_and_nothing_else(store: Store) -> None:
    store.add_counts({shown(day=ago(days=366).date()): 1, shown(): 1})
    add(store, overridden("old"), accepted("old"), now=ago(days=366))
    add(store, overridden("new"))

    assert store.purge(before=ago(days=365)) == 3
    assert [row["card"] for row in kept(store)] == ["new"]
    assert store.purge(before=ago(days=365)) == 0


def test_more_than_one_batch_is_removed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cds_service.store.store._PURGED_AT_ONCE", 3)
    add(store, *(overridden(f"card-{n}") for n in range(10)), now=ago(days=2))

    assert store.purge_some(before=ago(days=1)) == 3
    assert store.purge(before=ago(days=1)) == 7


def test_the_report_counts_cards_not_events(store: Store) -> None:
    older, gone = RULE._replace(version="0.9.0"), RuleVersion("gone", "gone", "1.0.0")
    store.add_counts({shown(): 4, shown(hook="order-select"): 2, shown(rule=gone): 1})
    store.add_counts({shown(rule=older): 1, shown(client=SANDBOX): 7})
    add(store, overridden("tried"), client=SANDBOX)
    add(store, overridden("never-shown"), origins={})
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
    )

    found = report(store, knowledge().packs)

    of_gone, of_older, newer = found.rules
    assert (newer.title, newer.version) == ("Very low ALT", "1.0.0")
    assert (newer.shown, newer.accepted, newer.overridden, newer.unanswered) == (6, 2, 3, 1)
    assert [(reason.display, reason.code, reason.cards) for reason in newer.reasons] == [
        (NO_REASON, "", 1),
        ("Already known", "already-known", 1),
        ("Seen on the ward", "site-7", 1),
    ]
    assert (of_older.version, of_older.shown, of_older.unanswered) == ("0.9.0", 1, 1)
    assert (of_gone.title, of_gone.shown) == ("gone", 1)
    assert (found.unknown_cards, found.sandbox_cards) == (1, 7)


def test_a_card_with_feedback_was_shown_even_if_it_was_not_counted(store: Store) -> None:
    add(store, overridden(), accepted("card-2"))

    (rule,) = report(store, knowledge().packs).rules

    assert (rule.shown, rule.accepted, rule.overridden, rule.unanswered) == (2, 1, 1, 0)


def test_an_empty_store_has_an_empty_report(store: Store) -> None:
    found = report(store, knowledge().packs)

    assert (found.rules, found.unknown_cards) == ((), 0)


def test_many_at_once_lose_and_double_nothing(store: Store) -> None:
    def send(worker: int) -> int:
        new = 0
        for n in range(20):
            store.add_counts({shown(): 1, shown(service=str(n % 3)): 1})
            new += len(add(store, overridden(f"{worker}-{n}"), overridden(f"shared-{n}")))
        return new

    with ThreadPoolExecutor(8) as pool:
        total = sum(pool.map(send, range(8)))

    assert total == len(kept(store)) == 8 * 20 + 20
    assert report(store, ()).rules[0].shown == 8 * 20 * 2


def test_nothing_names_a_patient(store: Store) -> None:
    columns = {column.name for column in (*card_counts.columns, *feedback.columns)}

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
