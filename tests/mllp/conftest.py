# SPDX-License-Identifier: Apache-2.0
"""Stores for messages."""

from collections.abc import Iterator

import pytest

from cds_service.store import Store, open_store


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """A store on SQLite, and one on PostgreSQL."""
    opened = open_store(database)
    yield opened
    opened.close()
