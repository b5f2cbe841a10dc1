# SPDX-License-Identifier: Apache-2.0
"""What the service remembers of cards: how many were shown, and which clinicians overrode.

A call neither reads nor writes the database: overrides are few and held in memory, what was shown
is added up, and a thread of its own brings both in line with the database (`records.py`).
"""

from cds_service.memory.card_memory import CardMemory, open_memory

__all__ = ["CardMemory", "open_memory"]
