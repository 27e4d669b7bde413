"""A whole service whose jobs and keys are on a PostgreSQL server."""

from __future__ import annotations

import httpx
import pytest

from attnscope_server.errors import DataRootInUseError
from attnscope_server.records.database import Database
from attnscope_server.serving import serve_background


@pytest.mark.parametrize("engine", ["postgresql"])
def test_a_service_runs_over_postgresql(where):
    """It answers, is ready, makes no file, and no other service gets its database."""
    over = {"port": 0, "announce": False, "shipped_checkpoints": False, "worker_command": ("true",)}
    settings = where.model_copy(update=over)
    with serve_background(settings) as running:
        assert not settings.database_path.exists()
        header = {"Authorization": f"Bearer {running.key}"}
        assert httpx.get(f"{running.url}/v1/jobs", headers=header, trust_env=False).json()["jobs"] == []
        assert httpx.get(f"{running.url}/readyz", trust_env=False).status_code == 200
        other = Database.connect(settings.database_url.get_secret_value())
        with pytest.raises(DataRootInUseError), other.served(print):
            pytest.fail("two serve one database")
        other.close()
