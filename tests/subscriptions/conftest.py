# SPDX-License-Identifier: Apache-2.0
"""Stores, and a patient on a FHIR server."""

from collections.abc import Iterator

import pytest

from cds_service.store import Store, open_store
from tests.fhir_server.sekmet import running
from tests.subscriptions.ward import Ward


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """A store on SQLite, and one on PostgreSQL."""
    opened = open_store(database)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store() -> Iterator[Store]:
    """A store on SQLite, for tests in which the database makes no difference."""
    opened = open_store("sqlite://")
    yield opened
    opened.close()


@pytest.fixture
def ward(sqlite_store: Store) -> Iterator[Ward]:
    """The patient is there, and no result yet."""
    with running() as base:
        made = Ward(base, sqlite_store)
        made.admit()
        yield made
