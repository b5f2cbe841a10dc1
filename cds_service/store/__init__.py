# SPDX-License-Identifier: Apache-2.0
"""What outlives a request: feedback, the cards it is about, and the tokens that were used.

SQLite in a file by default, PostgreSQL by URL; the same tables and the same tests. Nothing here
holds a patient's id: a card carries a keyed hash of it (`memory.py`).
"""

from cds_service.store.engine import open_store
from cds_service.store.store import Store

__all__ = ["Store", "open_store"]
