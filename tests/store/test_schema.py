# SPDX-License-Identifier: Apache-2.0
"""The tables, the way to them, and what is done about a database that has others."""

import io
import stat
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, create_engine, literal, select

from cds_service.errors import SettingsError, StoreError
from cds_service.settings import Settings, database_url
from cds_service.store import Store, open_store
from cds_service.store.engine import upgrade_database
from cds_service.store.report import report
from cds_service.store.schema import HEAD, MIGRATIONS, migration_sql
from cds_service.store.tables import card_counts, metadata
from tests.store.postgres import Postgres
from tests.store.store_fixtures import CLIENT, NOW, RULE, add, origin, overridden


def test_migrations_end_where_this_version_begins() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == HEAD


def test_migrations_make_the_tables_that_are_used(database: str) -> None:
    store = open_store(database)
    with store.database.reading() as connection:
        context = MigrationContext.configure(connection)
        found: list[Any] = compare_metadata(context, metadata)

    assert found == []
    store.close()


def test_a_sqlite_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "a.db"
    store = open_store(f"sqlite:///{file}")
    add(store, overridden())

    for file_beside in file.parent.iterdir():
        assert stat.S_IMODE(file_beside.stat().st_mode) & 0o077 == 0, file_beside.name
    store.close()


def test_a_database_without_a_name_goes_with_its_store() -> None:
    store = open_store("sqlite://")
    (file,) = (Path(row.file) for row in _pragma(store, "database_list") if row.name == "main")
    assert file.is_file()

    store.close()

    assert not file.parent.exists()


@pytest.mark.parametrize(("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2)])
def test_sqlite_is_safe_against_a_loss_of_power(pragma: str, value: object) -> None:
    store = open_store("sqlite://")

    ((found,),) = _pragma(store, pragma)

    assert found == value
    store.close()


def _pragma(store: Store, name: str) -> Any:
    with store.database.reading() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").all()


def test_postgresql_is_never_changed_by_a_start(postgres: Postgres) -> None:
    url = postgres.new_database("empty")

    with pytest.raises(StoreError, match="cds-service database upgrade"):
        open_store(url)

    assert [upgrade_database(url), upgrade_database(url)] == [True, False]
    open_store(url).close()


@pytest.mark.parametrize(
    ("version", "said"), [("0000", "older version"), ("9999", "made by a newer version")]
)
def test_another_version_of_the_tables_is_refused(
    postgres: Postgres, version: str, said: str
) -> None:
    name = f"version_{version}"
    url = postgres.new_database(name)
    upgrade_database(url)
    postgres.run(f"UPDATE alembic_version SET version_num = '{version}'", name)  # noqa: S608

    with pytest.raises(StoreError, match=said):
        open_store(url)


def _database_of(version: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new database with the tables of an older version."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'older.db'}"
    else:
        server: Postgres = request.getfixturevalue("postgres")
        url = server.new_database(f"older_{version}")
    engine = create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
    engine.dispose()
    return url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.database)])
def before_uuids(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database in which each card had a row."""
    return _database_of("0001", request, tmp_path)


def test_cards_that_had_a_row_each_are_counted_and_joined_to_their_feedback(
    before_uuids: str,
) -> None:
    engine = create_engine(before_uuids)
    row = {**RULE._asdict(), "client": CLIENT, "pack_version": "1.0.0", "service": "s", "hook": "h"}
    row |= {"indicator": "info", "shown": NOW}
    event = {"client": CLIENT, "outcome": "overridden", "happened": NOW, "service": "s"}
    with engine.begin() as connection:
        tables = MetaData()
        tables.reflect(connection)
        connection.execute(
            tables.tables["cards_shown"].insert(),
            [
                {**row, "card": f"card-{n}", "subject": sha256(f"card-{n}".encode()).digest()}
                for n in range(3)
            ],
        )
        connection.execute(
            tables.tables["feedback"].insert(),
            [{**event, "card": card, "received": NOW} for card in ("card-1", "another")],
        )
    engine.dispose()

    assert upgrade_database(before_uuids)
    store = open_store(before_uuids)

    (override,) = store.overrides(since=NOW)
    assert override == (CLIENT, origin("card-1"), NOW)
    found = report(store, ())
    assert [(rule.shown, rule.overridden) for rule in found.rules] == [(3, 1)]
    assert found.unknown_cards == 1
    with store.database.reading() as connection:
        assert connection.execute(select(card_counts.c.day)).scalar_one() == NOW.date()
    assert store.shown_one_by_one(CLIENT, ["card-2"]) == {"card-2": origin("card-2")}
    store.close()


def test_a_newer_sqlite_file_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    store = open_store(url)
    with store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    store.close()

    for use in (open_store, upgrade_database):
        with pytest.raises(StoreError, match="newer"):
            use(url)


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
def test_administrators_can_have_the_statements(dialect: str) -> None:
    written = io.StringIO()

    migration_sql(dialect, written)

    for table in metadata.tables:
        assert f"CREATE TABLE {table} (" in written.getvalue()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://root@localhost/x",
        "sqlite+aiosqlite:///x",
        "postgresql+psycopg2://localhost/x",
        "nothing",
        "postgresql://localhost:port/x",
    ],
)
def test_other_databases_are_refused_and_their_address_is_not_shown(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        open_store(url)

    assert "localhost" not in str(caught.value)
    assert str(caught.value).count("CDS_DATABASE_URL") == 1


def test_a_plain_postgresql_url_means_the_driver_that_comes_with_it(postgres_url: str) -> None:
    open_store(postgres_url.replace("+psycopg", "")).close()


def test_a_database_that_does_not_answer_is_a_store_error() -> None:
    with pytest.raises(StoreError) as caught:
        open_store("postgresql+psycopg://someone:zzsecret@127.0.0.1:1/x")

    assert str(caught.value) == "The database does not answer."
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("place", ["/dev/null/a.db", "/proc/nothing/a.db"])
def test_a_file_that_cannot_be_written_names_the_setting(place: str) -> None:
    with pytest.raises(StoreError, match="CDS_DATABASE_URL"):
        open_store(f"sqlite:///{place}")


def test_the_default_is_a_file_in_the_folder_for_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/a/b")
    assert database_url(Settings()) == "sqlite:////a/b/cds-service/cds-service.db"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/x")
    assert database_url(Settings()) == ("sqlite:////home/x/.local/state/cds-service/cds-service.db")


def test_a_sqlite_file_that_is_removed_or_replaced_takes_in_nothing_more(tmp_path: Path) -> None:
    file, aside = tmp_path / "a.db", tmp_path / "aside.db"
    store = open_store(f"sqlite:///{file}")
    add(store, overridden())
    file.rename(aside)

    for use in (lambda: add(store, overridden("new")), store.newest_feedback):
        with pytest.raises(StoreError, match="removed or replaced"):
            use()
    assert not file.exists()
    file.write_bytes(aside.read_bytes())
    with pytest.raises(StoreError, match="removed or replaced"):
        add(store, overridden("new"))

    aside.rename(file)
    assert len(add(store, overridden(), overridden("new"))) == 1
    store.close()


def test_what_was_written_as_the_file_was_removed_is_not_acknowledged(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    store = open_store(f"sqlite:///{file}")

    with pytest.raises(StoreError, match="removed"), store.database.writing():
        file.unlink()

    store.close()


PROGRAM = """
import sys
from cds_service.store import open_store
open_store(sys.argv[1]).close()
"""


def test_several_processes_may_make_the_same_file_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    started = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, url], stderr=subprocess.PIPE)
        for _ in range(4)
    ]

    for process in started:
        assert process.communicate()[1] == b""
        assert process.returncode == 0


# A program of its own: a test run holds what other tests left, and an engine with threads of its
# own (DuckDB) may not be inherited by a fork.
FORKING = """
import os, sys
from cds_service.store import open_store
from tests.store.store_fixtures import add, overridden
store = open_store(sys.argv[1])
add(store, overridden("parent"))
children = []
for name in ("child-0", "child-1"):
    child = os.fork()
    if child == 0:
        add(store, overridden(name))
        store.close()
        os._exit(0)
    children.append(child)
ended = [os.waitpid(child, 0)[1] for child in children]
new = add(store, *(overridden(name) for name in ("parent", "child-0", "child-1", "new")))
store.close()
print(ended, len(new))
"""


def test_a_process_that_is_forked_has_connections_of_its_own(database: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FORKING, database],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        timeout=60,
    )

    assert ran.stdout == "[0, 0] 1\n"


def test_a_database_that_keeps_bytes_is_read_as_text_all_the_same(postgres: Postgres) -> None:
    postgres.run("CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    url = postgres.url("bytes")

    assert upgrade_database(url)
    store = open_store(url)
    with store.database.reading() as connection:
        assert connection.execute(select(literal("Müller ≥ 5"))).scalar_one() == "Müller ≥ 5"
    add(store, overridden("one"))
    assert report(store, ()) is not None
    store.close()
