"""Jobs have a name that is their owner's own, may expire, and may be pinned."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns; an older job's name is its id."""
    op.add_column("jobs", sa.Column("name", sa.String(36), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("expires_at", sa.DateTime))
    op.add_column("jobs", sa.Column("pinned", sa.Boolean, nullable=False, server_default=sa.false()))
    op.execute("UPDATE jobs SET name = id")
    op.create_index("jobs_by_name", "jobs", ["owner", "name"], unique=True)
    op.execute("UPDATE service_metadata SET value = '2' WHERE name = 'database_version'")
