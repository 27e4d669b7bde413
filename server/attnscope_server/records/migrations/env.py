"""Run by Alembic: migrations go through the connection, and in the transaction, of whoever asked for them."""

from __future__ import annotations

from alembic import context

from attnscope_server.records.tables import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, transactional_ddl=True
)
with context.begin_transaction():
    context.run_migrations()
