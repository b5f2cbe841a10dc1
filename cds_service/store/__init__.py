# SPDX-License-Identifier: Apache-2.0
"""What outlives a request: feedback, the cards it is about, tokens that were used, the inbox.

SQLite in a file by default, PostgreSQL by URL; the same tables and the same tests. A card carries
a keyed hash of its patient (`memory/subjects.py`). The inbox and the decisions on what arrived hold
patients and results, for as long as the settings say (docs/how-to/receive-results.md).
"""

from cds_service.store.engine import open_store
from cds_service.store.store import Store

__all__ = ["Store", "open_store"]
