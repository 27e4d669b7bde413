"""Jobs say where they run, when they were last heard of and served, and how long they ran."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns of placement, liveness and fairness."""
    for column in (
        sa.Column("lease_until", sa.DateTime),
        sa.Column("runner", sa.String),
        sa.Column("slot", sa.String),
        sa.Column("placed_on", sa.JSON),
        sa.Column("last_heard_at", sa.DateTime),
        sa.Column("served_turn", sa.Integer),
        sa.Column("ran_seconds", sa.Double, nullable=False, server_default="0"),
    ):
        op.add_column("jobs", column)
    op.create_index("jobs_by_turn", "jobs", ["state", "owner", "sequence"])
    op.create_index("jobs_by_service", "jobs", ["owner", "served_turn"])
    op.execute("UPDATE service_metadata SET value = '3' WHERE name = 'database_version'")
