"""A whole service whose jobs and keys are on a PostgreSQL server."""

from __future__ import annotations

import httpx
import pytest
from pydantic import SecretStr

from attnscope_server.errors import BackupRefusedError, DataRootInUseError
from attnscope_server.records.database import Database
from attnscope_server.root.backup import back_up
from attnscope_server.root.doctor import examine
from attnscope_server.root.rebuild import rebuild_database
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


@pytest.mark.parametrize("engine", ["postgresql"])
def test_doctor_reads_a_database_on_a_server(where, jobs, ended):
    """It tells version and jobs, misses the capture of a job that succeeded, and says where no server answers."""
    job = ended(jobs)
    found = {one.part: one for one in examine(where, quick=True)}
    assert found["database"].ok
    assert "1 jobs, the database test_" in found["database"].said
    assert found[f"capture {job.id}"].said == "its job succeeded, and it is missing"
    away = where.model_copy(update={"database_url": SecretStr("postgresql://me:secret@127.0.0.1:9/none")})
    told = next(one for one in examine(away, quick=True) if one.part == "database")
    assert not told.ok
    assert "secret" not in f"{told}"


@pytest.mark.parametrize("engine", ["postgresql"])
def test_a_database_on_a_server_is_not_made_anew(where):
    """Captures are never entered beside a database that somebody else keeps; its own backup is the way."""
    with pytest.raises(DataRootInUseError, match="restore it there"):
        rebuild_database(where)
    with pytest.raises(BackupRefusedError, match="pg_dump"):
        back_up(where, where.data_root.parent / "backup")
