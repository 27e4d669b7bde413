"""The tables of the first version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "service_metadata",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("value", sa.String, nullable=False),
    )
    op.create_table(
        "jobs",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(36), nullable=False, unique=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("label", sa.String),
        sa.Column("state", sa.String, nullable=False),
        *(sa.Column(name, sa.JSON, nullable=False) for name in ("spec", "resolved", "progress")),
        sa.Column("failure", sa.JSON),
        sa.Column("created_at", sa.DateTime, nullable=False),
        *(sa.Column(name, sa.DateTime) for name in ("started_at", "finished_at")),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("attempts", "interruptions", "interrupted_at_step")),
        *(sa.Column(name, sa.DateTime) for name in ("deleted_at", "removed_at")),
    )
    op.create_index("jobs_by_owner", "jobs", ["owner", "sequence"])
    op.create_index("jobs_by_state", "jobs", ["state", "sequence"])
    op.create_table(
        "job_events",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("job", sa.Integer, sa.ForeignKey("jobs.sequence"), nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("detail", sa.String),
    )
    op.create_index("ix_job_events_job", "job_events", ["job"])
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("label", sa.String),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        *(sa.Column(name, sa.DateTime) for name in ("expires_at", "revoked_at", "last_used_at")),
    )
    op.execute("INSERT INTO service_metadata (name, value) VALUES ('database_version', '1')")
