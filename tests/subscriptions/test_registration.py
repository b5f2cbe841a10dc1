# SPDX-License-Identifier: Apache-2.0
"""The rows of registered Subscriptions: one for each, and two secrets while one changes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cds_service.store.engine import open_store
from cds_service.subscriptions.credentials import (
    SealedKeyError,
    hashed,
    is_secret,
    new_path,
    new_secret,
    seal,
    unseal,
)
from cds_service.subscriptions.registration import Registration, RegistrationTable

BASE = "https://fhir.example.org/r4"
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
KEY = "k" * 32


@pytest.fixture(name="rows")
def _rows(database: str) -> Iterator[RegistrationTable]:
    store = open_store(database)
    yield RegistrationTable(store.database)
    store.close()


def wanted(path: str = "a", **changes: object) -> Registration:
    made = Registration(
        path=path,
        server=BASE,
        kind="criteria",
        content="full-resource",
        what="Observation?code=1",
        created=NOW,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def confirm(rows: RegistrationTable, secret: str, remote_id: str = "7") -> None:
    rows.confirm(
        "a",
        secret=hashed(secret),
        remote_id=remote_id,
        status="active",
        heartbeat_seconds=None,
        expires=None,
    )


def at(rows: RegistrationTable, path: str = "a") -> Registration:
    found = rows.at(path)
    assert found is not None
    return found


def test_a_server_has_one_subscription_by_criteria(rows: RegistrationTable) -> None:
    first = rows.reserve(wanted("a"))

    assert rows.reserve(wanted("b", what="Observation?code=2")) == first
    assert rows.all() == (first,)
    assert rows.at("b") is None


def test_a_server_has_one_subscription_for_each_topic(rows: RegistrationTable) -> None:
    kept = [
        rows.reserve(wanted("a", kind="topic", what="https://x/1")),
        rows.reserve(wanted("b", kind="topic", what="https://x/2")),
        rows.reserve(wanted("c", kind="r5", what="https://x/1")),
        rows.reserve(wanted("d")),
        rows.reserve(wanted("e", server="https://other.example")),
    ]

    assert [registration.path for registration in kept] == ["a", "b", "c", "d", "e"]
    assert rows.reserve(wanted("f", kind="topic", what="https://x/2")).path == "b"
    assert [registration.path for registration in rows.all(BASE)] == ["a", "b", "c", "d"]


def test_of_many_that_reserve_at_once_one_adds_the_row(rows: RegistrationTable) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: rows.reserve(wanted(f"p{n}")), range(16)))

    assert len({registration.path for registration in found}) == 1
    assert len(rows.all()) == 1


def test_two_secrets_count_until_the_server_confirms(rows: RegistrationTable) -> None:
    row = rows.reserve(wanted())
    rows.begin_writing(row, hashed("one"))
    assert (at(rows).secret, at(rows).secret_before) == (hashed("one"), None)
    confirm(rows, "one")

    rows.begin_writing(row, hashed("two"))

    assert (at(rows).secret, at(rows).secret_before) == (hashed("two"), hashed("one"))
    confirm(rows, "two")
    assert (at(rows).secret, at(rows).secret_before) == (hashed("two"), None)


@pytest.mark.parametrize(
    ("shown", "kept"), [(None, "one"), ("two", "two"), ("one", "one"), ("foreign", "one")]
)
def test_after_a_write_that_was_not_confirmed_the_secret_in_force_is_kept(
    rows: RegistrationTable, shown: str | None, kept: str
) -> None:
    row = rows.reserve(wanted())
    rows.begin_writing(row, hashed("one"))
    confirm(rows, "one")
    rows.begin_writing(row, hashed("two"))

    rows.begin_writing(row, hashed("three"), known=None if shown is None else hashed(shown))

    assert (at(rows).secret, at(rows).secret_before) == (hashed("three"), hashed(kept))


def test_a_confirmation_of_an_earlier_write_ends_no_secret(rows: RegistrationTable) -> None:
    row = rows.reserve(wanted())
    rows.begin_writing(row, hashed("one"))
    rows.begin_writing(row, hashed("two"))

    confirm(rows, "one")

    assert (at(rows).secret, at(rows).secret_before) == (hashed("two"), hashed("one"))
    assert (at(rows).remote_id, at(rows).status) == ("7", "active")


def test_what_is_wanted_and_said_is_kept(rows: RegistrationTable) -> None:
    row = rows.reserve(wanted())
    changed = replace(row, what="Observation?code=9", content="empty", numbered=False)
    rows.begin_writing(replace(changed, hmac_key=b"sealed"), hashed("one"))
    rows.note_status("a", "error")

    found = at(rows)

    assert (found.what, found.content, found.numbered) == ("Observation?code=9", "empty", False)
    assert (found.hmac_key, found.status) == (b"sealed", "error")


def test_only_what_no_server_took_is_forgotten(rows: RegistrationTable) -> None:
    rows.reserve(wanted("a", remote_id="7"))
    rows.reserve(wanted("b", kind="topic", what="https://x/1"))

    rows.forget("a")
    rows.forget("b")

    assert [registration.path for registration in rows.all()] == ["a"]


def test_secrets_are_long_and_only_their_hash_is_kept() -> None:
    secret, path = new_secret(), new_path()

    assert (len(secret), len(path)) == (43, 32)
    assert is_secret(secret, None, b"x" * 32, hashed(secret))
    assert not is_secret(secret, None)
    assert not is_secret(secret[:-1], hashed(secret))


def test_an_hmac_key_opens_with_its_setting_and_its_path_alone() -> None:
    sealed = seal("of the server", "path", KEY)

    assert b"of the server" not in sealed
    assert unseal(sealed, "path", KEY) == "of the server"
    for wrong in [(sealed, "other", KEY), (sealed, "path", "z" * 32), (b"short", "path", KEY)]:
        with pytest.raises(SealedKeyError):
            unseal(*wrong)


def test_no_secret_shows() -> None:
    row = wanted("a-path", secret=b"hash-of-it", hmac_key=b"sealed")

    assert not any(secret in repr(row) for secret in ("a-path", "hash-of-it", "sealed"))
