# SPDX-License-Identifier: Apache-2.0
"""Every token is used once, in whatever process: the table of those that were."""

from datetime import datetime
from hashlib import sha256

from sqlalchemy import delete

from cds_service.store.store import Store, insert_into
from cds_service.store.tables import tokens_used


class StoreReplay:
    """Remembers the `jti` of each issuer until the token could no longer be used anyway."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def first_use(self, issuer: str, token_id: str, *, until: datetime, now: datetime) -> bool:
        """Whether this token was not used before; from now on it was.

        Of several calls with the same token exactly one gets `True`. Raises `StoreError` if that
        cannot be known: the call is then refused.
        """
        text = f"{len(issuer)}:{issuer}{token_id}"
        name = sha256(text.encode("utf-8", "surrogatepass")).digest()
        with self._store.database.writing() as connection:
            connection.execute(delete(tokens_used).where(tokens_used.c.until < now))
            added = connection.execute(
                insert_into(tokens_used, connection)
                .on_conflict_do_nothing()
                .returning(tokens_used.c.name),
                {"name": name, "until": until},
            ).all()
        return bool(added)
