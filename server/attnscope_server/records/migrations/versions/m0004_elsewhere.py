"""Jobs say whether they may go on on another kind of device."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column; an older job goes on where it began."""
    op.add_column("jobs", sa.Column("resume_elsewhere", sa.Boolean, nullable=False, server_default=sa.false()))
    op.execute("UPDATE service_metadata SET value = '4' WHERE name = 'database_version'")
