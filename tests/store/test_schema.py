# SPDX-License-Identifier: Apache-2.0
"""The tables, the way to them, and what is done about a database that has others."""

import io
import multiprocessing
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from cds_service.errors import SettingsError, StoreError
from cds_service.settings import Settings, database_url
from cds_service.store import Store, open_store
from cds_service.store.engine import upgrade_database
from cds_service.store.schema import HEAD, MIGRATIONS, migration_sql
from cds_service.store.tables import metadata
from tests.store.postgres import Postgres
from tests.store.store_fixtures import CLIENT, NOW, SERVICE, overridden, shown


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
    store.add_cards([shown()])

    for one in file.parent.iterdir():
        assert stat.S_IMODE(one.stat().st_mode) & 0o077 == 0, one.name
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


def _add_in_child(store: Store, name: str) -> None:
    store.add_feedback([overridden(name)], client=CLIENT, service=SERVICE, now=NOW)
    store.close()
    os._exit(0)


def test_a_process_that_is_forked_has_connections_of_its_own(database: str) -> None:
    store = open_store(database)
    store.add_feedback([overridden("parent")], client=CLIENT, service=SERVICE, now=NOW)

    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_add_in_child, args=(store, f"child-{n}")) for n in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(30)

    assert [child.exitcode for child in children] == [0, 0]
    new = store.add_feedback(
        [overridden(name) for name in ("parent", "child-0", "child-1", "new")],
        client=CLIENT,
        service=SERVICE,
        now=NOW,
    )
    assert len(new) == 1
    store.close()
