"""Owners are served by time: what their jobs took is charged to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the owners and the column; nobody is charged with what was before."""
    op.create_table(
        "owner_turns",
        sa.Column("owner", sa.String, primary_key=True),
        sa.Column("served_seconds", sa.Double, nullable=False),
    )
    op.create_index("ix_owner_turns_served_seconds", "owner_turns", ["served_seconds"])
    op.add_column("jobs", sa.Column("served_from", sa.Double))
    op.execute("UPDATE service_metadata SET value = '8' WHERE name = 'database_version'")
