# SPDX-License-Identifier: Apache-2.0
"""What holds for every test: in CI (`CI=true`) a skipped test is a failed run.

Services of tests keep their state in a folder of the run, never in that of the user. What asks for
`database` runs twice: on SQLite and on a real PostgreSQL.
"""

import gc
import os
import signal
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
import structlog

from tests import process_guard

if TYPE_CHECKING:
    from tests.store.postgres import Postgres


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kill-posts",
        type=int,
        default=300,
        help="How many feedback posts tests/feedback/test_kill.py sends to a server it kills.",
    )
    parser.addoption(
        "--kill-notifications",
        type=int,
        default=200,
        help="How many notifications tests/subscriptions/test_kill.py sends to what it kills.",
    )
    parser.addoption(
        "--notify-seconds",
        type=float,
        default=5,
        help="How long tests/subscriptions/test_exactly_once_hapi.py stores results.",
    )
    parser.addoption(
        "--stopped-seconds",
        type=float,
        default=3,
        help="How long tests/feedback/test_stopped_database.py stops the database.",
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """No garbage is looked for among what stays for the whole run: it takes a second and more.

    Nor as often as usual among what the tests make, most of which is gone by itself.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(50_000, 10, 10)
        gc.enable()


# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile(
    "house", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
# `./test fast` asks for this one.
hypothesis.settings.register_profile(
    "fast", hypothesis.settings.get_profile("house"), max_examples=10
)
hypothesis.settings.load_profile("house")


def pytest_configure(config: pytest.Config) -> None:
    # In the background of a shell Ctrl-C is ignored, and so it would be by what tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    state = tempfile.TemporaryDirectory(prefix="cds-state-", ignore_cleanup_errors=True)
    config.add_cleanup(state.cleanup)
    os.environ["XDG_STATE_HOME"] = state.name
    config.add_cleanup(process_guard.watch())
    # A log line of one test's server is no part of what another test's command prints.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.__stderr__))


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    process_guard.add_markers(items)
    _put_long_ones_first(items)
    if any(item.get_closest_marker("hapi") is not None for item in items):
        from tests.fhir_server.hapi import skip_without

        skip_without(items)


def _put_long_ones_first(items: list[pytest.Item]) -> None:
    """Processes take tests in this order: where the last ones are short, none waits for another."""
    names = {"browser", "database", "server", "slow"}
    long = {item.path for item in items if not names.isdisjoint(item.keywords)}
    items.sort(key=lambda item: item.path not in long)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    process_guard.run_by(item)
    try:
        return (yield)
    finally:
        process_guard.run_by(None)


@pytest.fixture(scope="session")
def postgres() -> Iterator["Postgres"]:
    """A PostgreSQL server for this process of tests."""
    from tests.store.postgres import running

    with running() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres: "Postgres") -> str:
    """A database of that server with our tables."""
    from cds_service.store.engine import upgrade_database

    url = postgres.new_database("service")
    upgrade_database(url)
    return url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.database)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with our tables and nothing in them."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'service.db'}"
    from cds_service.store.tables import metadata

    url: str = request.getfixturevalue("postgres_url")
    server: Postgres = request.getfixturevalue("postgres")
    tables = ", ".join(metadata.tables)
    server.run(f"TRUNCATE {tables}", "service")
    return url


@pytest.fixture(scope="session")
def hapi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a HAPI FHIR server; one for all processes of this run."""
    from tests.fhir_server.hapi import shared

    own = tmp_path_factory.getbasetemp()
    with shared(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) as base:
        yield base


def _skipped(config: pytest.Config) -> int:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") != "true" or reporter is None:
        return 0
    return len(reporter.stats.get("skipped", []))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _skipped(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if _skipped(config):
        terminalreporter.write_line("CI allows no skipped tests.", red=True)
