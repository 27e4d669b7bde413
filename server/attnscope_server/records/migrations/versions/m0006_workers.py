"""Attempts have tokens, and keys of workers say whom they serve."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns; no older attempt has a token, and no older key is a worker's."""
    op.add_column("jobs", sa.Column("token_digest", sa.String(64)))
    op.add_column("jobs", sa.Column("token_key", sa.String))
    op.add_column("jobs", sa.Column("token_attempt", sa.Integer))
    op.add_column("api_keys", sa.Column("serves", sa.JSON))
    op.add_column("api_keys", sa.Column("device_kinds", sa.JSON))
    op.execute("UPDATE service_metadata SET value = '6' WHERE name = 'database_version'")
