"""Alembic's migrations of the job database. What a migration once did is never changed."""
