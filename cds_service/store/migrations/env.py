# SPDX-License-Identifier: Apache-2.0
"""Where Alembic begins. `schema.py` hands over an open connection, or a dialect to write SQL for.

With a connection the transaction is the caller's: a migration happens whole or not at all.
"""

from alembic import context

from cds_service.store.tables import metadata

if context.is_offline_mode():
    context.configure(
        dialect_name=context.config.attributes["dialect"],
        target_metadata=metadata,
        literal_binds=True,
    )
else:
    context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)

with context.begin_transaction():
    context.run_migrations()
