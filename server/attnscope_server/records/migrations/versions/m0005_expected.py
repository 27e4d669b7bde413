"""Jobs say how many bytes they were expected to store."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column; of an older job only what it has written counts."""
    op.add_column("jobs", sa.Column("bytes_expected", sa.BigInteger))
    op.execute("UPDATE service_metadata SET value = '5' WHERE name = 'database_version'")
