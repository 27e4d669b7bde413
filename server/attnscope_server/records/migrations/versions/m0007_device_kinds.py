"""Jobs may ask for a kind of device."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column; an older job takes any device."""
    op.add_column("jobs", sa.Column("device_kind", sa.String))
    op.execute("UPDATE service_metadata SET value = '7' WHERE name = 'database_version'")
