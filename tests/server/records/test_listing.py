"""Pages of jobs end early where jobs are large, summaries leave the large parts out, and memory stays bounded."""

from __future__ import annotations

import json
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from uuid import UUID, uuid4

import httpx
import pytest

from attnscope_server.errors import ProblemError
from attnscope_server.http.state import InFlight
from attnscope_server.limits import Limits
from attnscope_server.records.listing import Cut, JobFilter, page_of
from attnscope_server.serving import serve_background
from attnscope_server.settings import Settings
from attnscope_storage.wire import Job, JobPage, JobState, ProblemCode, SummaryPage
from submitted import RESOLVED, SPEC

LARGE = RESOLVED.model_copy(update={"row_envs": tuple(range(30_000))})
"""The meaning of a specification of which about 210 kB of JSON are stored."""

MIB = 2**20


def queue(jobs, count: int, resolved=RESOLVED) -> list[UUID]:
    """Queue jobs; return their ids, newest first."""
    return [jobs.submit(uuid4(), "me", SPEC, lambda *_: resolved, queue_limit=100)[0].id for _ in range(count)][::-1]


def pages(jobs, whole: bool, most: int) -> list[list[dict]]:
    """Return every page of a list that is cut at so many bytes."""
    found, cursor = [], None
    while True:
        cut = Cut(jobs=50, bytes=most, cursor=cursor, whole=whole)
        page, cursor = jobs.list(JobFilter("me"), cut, lambda _, job: job, lambda _: nullcontext())
        found.append([json.loads(job) for job in page])
        if cursor is None:
            return found


def test_pages_of_whole_jobs_are_cut_by_stored_bytes(jobs):
    """Two large jobs do not fit one page, one always does, and following the cursors shows each job once."""
    ids = queue(jobs, 2) + queue(jobs, 3, LARGE)
    told = pages(jobs, whole=True, most=250_000)
    assert [len(page) for page in told] == [1, 1, 3]
    assert [UUID(job["id"]) for page in told for job in page] == ids[2:] + ids[:2]
    assert Job.model_validate(told[0][0]).resolved == LARGE
    assert [job["progress"]["queue_position"] for page in told for job in page] == [4, 3, 2, 1, 0]


def test_summaries_leave_the_large_parts_out(jobs):
    """All fit one page, name their checkpoint, and say what whole jobs say besides."""
    queue(jobs, 3, LARGE)
    (summaries,), whole = pages(jobs, whole=False, most=250_000), pages(jobs, whole=True, most=2**30)[0]
    assert len(summaries) == 3
    for summary, job in zip(summaries, whole, strict=True):
        assert {name: job[name] for name in summary} == summary
        assert job.keys() - summary.keys() == {"spec", "resolved"}
        assert summary["checkpoint_name"] == RESOLVED.checkpoint_name


def test_what_is_large_is_not_read_to_cut_a_page(jobs, database):
    """The lengths are counted by the database."""
    queue(jobs, 1, LARGE)
    with database.read() as session:
        for whole, least, most in ((True, 150_000, 10**6), (False, 0, 3000)):
            (listed,) = page_of(session, JobFilter("me"), Cut(50, 2**30, whole=whole)).jobs
            assert least < listed.bytes < most
            assert listed.state is JobState.QUEUED


def test_one_budget_counts_what_is_made_and_what_waits():
    """A large answer waits for others to leave; one that is alone is made whatever it takes."""
    budget = InFlight(limit=100)
    with budget.reserve(500):
        assert budget.full
        with pytest.raises(ProblemError) as refused, budget.reserve(1):
            pass
    assert refused.value.problem.code is ProblemCode.TOO_MANY_REQUESTS
    assert (refused.value.problem.limit, refused.value.problem.requested) == (100, 501)
    with budget.hold(60), budget.reserve(40):
        assert budget.held == 100
    assert budget.held == 0


def served(root, **limits) -> Settings:
    """Return settings of a service whose jobs wait for ever."""
    deaf = (sys.executable, "-c", "import sys; [line for line in sys.stdin]")
    return Settings(
        data_root=root,
        port=0,
        announce=False,
        durable=False,
        shipped_checkpoints=False,
        worker_command=deaf,
        worker_start_seconds=3600,
        limits=Limits(**limits),
    )


@pytest.mark.parametrize("engine", ["sqlite"])
def test_eight_lists_at_once_take_bounded_memory(where):
    """Sixty large jobs, eight readers of whole pages at once: the service's objects stay within a few pages each."""
    with serve_background(served(where.data_root, page_bytes=MIB)) as running:
        queue(running.state.jobs, 60, LARGE)
        key = running.state.keys.create("me")
        headers = {"Authorization": f"Bearer {key}"}

        def read(_) -> int:
            with httpx.stream("GET", f"{running.url}/v1/jobs?limit=60", headers=headers, timeout=120) as answer:
                return sum(len(part) for part in answer.iter_bytes(65536))

        read(0)
        tracemalloc.start()
        try:
            with ThreadPoolExecutor(8) as readers:
                sizes = list(readers.map(read, range(8)))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert all(MIB / 2 < size < 2 * MIB for size in sizes)
    assert peak < 8 * 6 * MIB, f"{peak / MIB:.0f} MiB"


@pytest.mark.parametrize("engine", ["sqlite"])
def test_older_clients_get_whole_jobs_and_this_one_reads_older_services(where):
    """Without a view a page holds whole jobs; a summary is read from a whole job, too."""
    with serve_background(served(where.data_root)) as running:
        queue(running.state.jobs, 2)
        headers = {"Authorization": f"Bearer {running.state.keys.create('me')}"}
        with httpx.Client(base_url=running.url, headers=headers) as http:
            whole, short = http.get("/v1/jobs"), http.get("/v1/jobs", params={"view": "summary"})
            assert http.get("/v1/jobs", params={"view": "odd"}).status_code == 400
    assert JobPage.model_validate_json(whole.content).jobs[1].spec == SPEC
    assert len(SummaryPage.model_validate_json(short.content).jobs) == 2
    older = {"jobs": [{k: v for k, v in job.items() if k != "checkpoint_name"} for job in whole.json()["jobs"]]}
    assert SummaryPage.model_validate(older).jobs[0].checkpoint_name == RESOLVED.checkpoint_name
