# SPDX-License-Identifier: Apache-2.0
"""What is lost is there again after a restore, on both databases: quiet cards and the inbox."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from cds_service.cli import EXIT_CODES, cli
from cds_service.errors import StoreError
from cds_service.store import Store, open_store
from cds_service.store.engine import sqlite_file
from cds_service.subscriptions.inbox import Inbox, InboxLimits
from tests.feedback.service import clinic
from tests.store.postgres import Postgres, programs
from tests.subscriptions.inbox_fixtures import Hands, arrival, states

RULE = "alt-very-low"


def feed(database: str) -> None:
    """Show a card, which is quiet from then on, and take in two results."""
    place = clinic(database, quiet=True)
    assert RULE in place.rules()
    place.flush()
    hands = Hands(Inbox(place.store.database, InboxLimits(attempts=3)))
    for number in range(2):
        hands.add(arrival(number))
    place.close()


def is_as_it_was(database: str) -> bool:
    """Whether the card is quiet and both results wait."""
    place = clinic(database, quiet=True)
    try:
        return RULE not in place.rules() and waiting(place.store) == 2
    finally:
        place.close()


def waiting(store: Store) -> int:
    return dict(states(store)).get(("waiting", ""), 0)


def backup(database: str, file: Path) -> None:
    done = CliRunner().invoke(
        cli, ["database", "backup", str(file)], env={"CDS_DATABASE_URL": database}
    )
    assert done.exit_code == 0, done.output


@pytest.fixture(name="url")
def _url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'service.db'}"


def test_sqlite(url: str, tmp_path: Path) -> None:
    feed(url)
    in_use = open_store(url)  # its log is not yet in the file
    backup(url, tmp_path / "backup.db")
    in_use.close()

    for file in tmp_path.glob("service.db*"):
        file.unlink()
    assert not is_as_it_was(url)
    for file in tmp_path.glob("service.db*"):
        file.unlink()
    shutil.copyfile(tmp_path / "backup.db", tmp_path / "service.db")

    assert is_as_it_was(url)


def test_a_backup_has_what_a_copied_file_would_miss(url: str, tmp_path: Path) -> None:
    store = open_store(url)
    feed(url)

    backup(url, tmp_path / "backup.db")

    copied = open_store(f"sqlite:///{tmp_path / 'backup.db'}")
    assert waiting(copied) == waiting(store) == 2
    assert (tmp_path / "backup.db").stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.glob(".backup*")] == []
    copied.close()
    store.close()


def _nothing(_: Path) -> None:
    """Leave the folder as it is."""


@pytest.mark.parametrize(
    ("prepare", "database"),
    [
        (lambda folder: (folder / "backup.db").write_text("kept"), "sqlite:///{}/service.db"),
        (_nothing, "sqlite:///{}/absent.db"),
        (lambda folder: os.truncate(folder / "service.db", 5000), "sqlite:///{}/service.db"),
        (_nothing, "sqlite://"),
        (_nothing, "postgresql+psycopg://nobody@127.0.0.1:1/none"),
    ],
    ids=["there already", "no database", "damaged", "no file", "PostgreSQL"],
)
def test_what_cannot_be_backed_up_whole_is_an_error_and_leaves_no_file(
    prepare: Callable[[Path], object], database: str, tmp_path: Path, url: str
) -> None:
    open_store(url).close()
    prepare(tmp_path)

    done = CliRunner().invoke(
        cli,
        ["database", "backup", str(tmp_path / "backup.db")],
        env={"CDS_DATABASE_URL": database.format(tmp_path)},
    )

    assert isinstance(done.exception, StoreError) or done.exit_code == EXIT_CODES[StoreError]
    left = {path.name: path.read_bytes() for path in tmp_path.glob("*backup*")}
    assert left in ({}, {"backup.db": b"kept"})
    assert not (tmp_path / "absent.db").exists()


def test_the_file_of_a_database() -> None:
    assert sqlite_file("sqlite:////var/lib/a.db") == Path("/var/lib/a.db")
    assert sqlite_file("postgresql://host/name") is None


def test_postgresql(postgres: Postgres, tmp_path: Path) -> None:
    from cds_service.store.engine import upgrade_database

    database = postgres.new_database("restored")
    upgrade_database(database)
    feed(database)
    plain = database.replace("+psycopg", "")
    dump = tmp_path / "backup.dump"

    do("pg_dump", "--format=custom", f"--file={dump}", plain)
    postgres.run("DROP DATABASE restored")
    postgres.new_database("restored")
    do("pg_restore", "--exit-on-error", "--single-transaction", f"--dbname={plain}", dump)

    assert is_as_it_was(database)
    postgres.run("DROP DATABASE restored")


def do(program: str, *arguments: str | Path) -> None:
    done = subprocess.run(
        [programs() / program, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
