"""Run by Alembic: hands it the connection, and with it the transaction, that `migrate.upgrade` holds open."""

from __future__ import annotations

from alembic import context

from storage.catalog.migrate import VERSION_TABLE
from storage.catalog.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,  # BEGIN is ours on SQLite too, so its DDL rolls back
)
with context.begin_transaction():
    context.run_migrations()
