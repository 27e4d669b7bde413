"""A job whose record this version cannot read is told as such, and hides no other job."""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest
from sqlalchemy import update

from attnscope_server.errors import RecordUnreadableError
from attnscope_server.records.job_store import JobStore
from attnscope_server.records.tables import JobRow
from attnscope_server.serving import serve_background
from attnscope_server.settings import Settings
from attnscope_storage.wire import JobState


def spoil(database, job, **columns) -> None:
    """Write into a job's row what no version writes."""
    with database.write() as session:
        session.execute(update(JobRow).where(JobRow.id == str(job.id)).values(**columns))


@pytest.mark.parametrize("columns", [{"resolved": {"kind": "capture"}}, {"progress": {"steps_done": "many"}}])
def test_the_store_says_which_record_it_cannot_read(jobs, database, ended, columns):
    """The error names the job as its owner does, and says what to do."""
    job = ended(jobs)
    spoil(database, job, **columns)
    with pytest.raises(RecordUnreadableError, match=f"record of job {job.name}.*submit it again"):
        jobs.find(job.owner, job.name)


@pytest.mark.parametrize("engine", ["sqlite"])
def test_its_owner_gets_a_problem_that_says_so(where, ended):
    """A poll of the job is a problem of its own type; the list shows the owner's other jobs."""
    settings = Settings(data_root=where.data_root, port=0, announce=False, durable=False, shipped_checkpoints=False)
    with serve_background(settings) as running:
        store: JobStore = running.state.jobs
        whole = ended(store)
        broken = store.submit(uuid4(), "me", whole.spec, lambda *_: whole.resolved, queue_limit=10)[0]
        store.move(broken.id, JobState.CANCELLED)
        spoil(store._database, broken, resolved={"kind": "capture"})
        key = running.state.keys.create("me")
        with httpx.Client(base_url=running.url, headers={"Authorization": f"Bearer {key}"}) as http:
            polled = http.get(f"/v1/jobs/{broken.name}")
            listed = http.get("/v1/jobs").json()["jobs"]
            deleted = [http.delete(f"/v1/jobs/{broken.name}").status_code for _ in range(2)]
            afterwards = http.get(f"/v1/jobs/{broken.name}").status_code
    assert (deleted, afterwards) == ([204, 410], 410), "its owner gets rid of it"
    problem = polled.json()
    assert problem["type"] == "urn:attnscope:problem:record-unreadable"
    assert str(broken.name) in problem["detail"]
    assert polled.headers["content-type"].startswith("application/problem+json")
    assert [job["id"] for job in listed] == [str(whole.name)]
