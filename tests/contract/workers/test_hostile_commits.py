"""Commits over HTTP by a worker that is hostile, late, or repeats itself: nothing but its own next commit is stored."""

from __future__ import annotations

import json
import math
from contextlib import closing
from http.client import HTTPConnection

import httpx
import numpy as np
import pytest

from attnscope_server.pulling.errors import OverError, RefusedError
from attnscope_server.pulling.messages import TOKEN_HEADER, SentCommit
from attnscope_server.running.messages import Advanced, Failed, Interrupted, Succeeded
from attnscope_storage.layout.chunks import encode_chunk
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import JobState, ProblemCode, problem
from attnscope_storage.writing.due import next_commit
from played_worker import Attempt


@pytest.fixture
def attempt(pulled):
    """Return an attempt at a fresh job."""
    made = Attempt(pulled)
    yield made
    httpx.post(f"{pulled.url}/v1/jobs/{made.job}/cancel", headers=made.people)
    made.connection.close()


def test_the_service_writes_every_document(attempt):
    """Owner, specification and checkpoint are its own words, whatever the worker says; the numbers are the worker's."""
    state = attempt.commit(0)
    while (number := next_commit(attempt.schema, state.steps)) is not None:
        state = attempt.commit(number)
    again = attempt.connection.commit(attempt.given.token, state.steps, SentCommit(chunks={}, complete=True))
    assert (again.steps, again.complete) == (5, True)
    reader = CaptureReader.open(attempt.path)
    told = reader.attributes
    assert (told["owner"], told["job"], told["spec"]["steps"]) == (attempt.owner, str(attempt.job), 5)
    assert told["provenance"]["checkpoint"] == attempt.given.checkpoints[0].id
    assert told["provenance"]["attention_implementation"] == "mine"
    assert told["placed_on"] == [{"from_step": 0, "device": "cpu", "dtype": "float32", "threads": 1, "torch": "2"}]
    assert reader.array("env/task")[:].tolist() == [1] * reader.root.arrays["env/task"].shape[0]


def test_bytes_are_counted_by_the_service(attempt, pulled):
    """A worker that says that it stored nothing is not believed."""
    attempt.commit(0)
    written = attempt.commit(5).bytes_written
    said = Advanced(job=attempt.job, attempt=1, phase="rolling", steps_done=5, steps_committed=2**30, bytes_written=0)
    attempt.connection.report(attempt.given.token, [said])
    pulled.state.supervisor.look()
    progress = pulled.state.supervisor.progress(attempt.job)
    assert (progress.steps_committed, progress.bytes_written) == (5, written)


HOSTILE = (
    ({"array": "../../service.sqlite3"}, 409),
    ({"array": "/etc/passwd"}, 409),
    ({"array": "env/task/../../x"}, 409),
    ({"array": "zarr.json"}, 409),
    ({"array": "env\x00task"}, 409),
    ({"array": "rollout/action"}, 409),
    ({"array": "a" * 600}, 400),
    ({"chunk": "1"}, 409),
    ({"chunk": "0.0"}, 409),
    ({"chunk": "../0"}, 400),
    ({"chunk": "00"}, 400),
    ({"chunk": "-1"}, 400),
    ({"chunk": "9" * 30}, 400),
    ({"sha256": "0" * 64}, 409),
    ({"sha256": "x"}, 400),
    ({"number": "1"}, 409),
    ({"number": "-1"}, 400),
    ({"number": "../stores"}, 404),
    ({"content": b""}, 409),
    ({"token": "ata_" + "0" * 32 + "_" + "x" * 43}, 403),
)
"""Chunks that are none of the next commit's, and the status that refuses each."""


def test_a_hostile_chunk_is_refused_and_leaves_nothing(attempt):
    """Wrong names, paths, numbers, hashes and tokens: no file appears anywhere below the data root."""

    def files():
        every = attempt.running.settings.data_root.rglob("*")
        return {path for path in every if "captures" in path.parts and path.suffix != ".lock"}

    before = files()
    answers = [(about, attempt.put(**about).status_code) for about, _ in HOSTILE]
    assert answers == list(HOSTILE)
    assert files() == before


def test_a_chunk_over_the_cap_is_refused_before_it_is_read(attempt):
    """The gate says the cap; other requests of a worker have the smaller one of every body."""
    limits = attempt.running.settings.limits
    for path, cap in (("commits/0/chunks", limits.chunk_bytes), ("commits/0", limits.body_bytes)):
        with closing(HTTPConnection(attempt.running.url.partition("://")[2], timeout=60)) as bare:
            bare.putrequest("PUT", f"/v1/worker/{path}")
            bare.putheader("Authorization", f"Bearer {attempt.key}")
            bare.putheader("Content-Length", str(cap + 1))
            bare.endheaders()
            answer = bare.getresponse()
            assert (answer.status, json.loads(answer.read())["limit"]) == (413, cap)


def test_a_decode_bomb_is_refused_by_its_header(attempt):
    """A frame that claims more than its chunk has is not decoded."""
    bomb = encode_chunk(np.zeros(2**27, np.int8))
    answer = attempt.put(content=bomb)
    assert answer.status_code == 409
    assert "expected a zstd frame of" in answer.json()["detail"]
    spec = attempt.schema.arrays["env/task"]
    assert math.prod(spec.chunks) < 1000


def test_commits_come_in_order_and_once(attempt):
    """A number that is not the next, or a commit without its chunks, is a conflict; a repetition is not."""
    with pytest.raises(RefusedError, match="other chunks than were sent"):
        attempt.connection.commit(attempt.given.token, 0, SentCommit(chunks={}, provenance={}))
    with pytest.raises(RefusedError, match="has a provenance"):
        attempt.connection.commit(attempt.given.token, 0, SentCommit(chunks={}))
    attempt.commit(0)
    with pytest.raises(RefusedError, match="not the next one"):
        attempt.connection.commit(attempt.given.token, 3, SentCommit(chunks={}))
    with pytest.raises(RefusedError, match="not complete"):
        attempt.connection.commit(attempt.given.token, 0, SentCommit(chunks={}, provenance={}, complete=True))
    listed = attempt.send(5)
    for _ in range(2):
        assert attempt.connection.commit(attempt.given.token, 5, SentCommit(chunks=listed)).steps == 5


def test_a_document_of_the_worker_holds_no_number_that_is_none(attempt):
    """NaN is no JSON: the request is wrong, and nothing of the service's fails."""
    answer = httpx.post(
        f"{attempt.running.url}/v1/worker/commits/0",
        headers={
            "Authorization": f"Bearer {attempt.key}",
            "Content-Type": "application/json",
            TOKEN_HEADER: attempt.given.token,
        },
        content=json.dumps({"chunks": attempt.send(0), "provenance": {"threads": [{"x": math.nan}]}}),
    )
    assert (answer.status_code, attempt.commit(0).steps) == (400, 0)


def test_success_before_the_last_commit_is_a_failure(attempt, pulled):
    """Nobody is told that a capture is complete whose end was never sent."""
    attempt.commit(0)
    attempt.connection.report(attempt.given.token, [Succeeded(job=attempt.job, attempt=1)])
    pulled.state.supervisor.look()
    job = pulled.state.jobs.get(attempt.job)
    assert job.state is JobState.FAILED
    assert "is committed of it here is not" in job.failure.detail


def test_requests_about_one_attempt_come_one_after_the_other(attempt, pulled):
    """A second one is told to come again, and holds no thread; arriving bytes take no room from answers."""
    with pulled.state.arrivals.store(pulled.state.jobs.get(attempt.job)):
        answer = attempt.put()
    assert (answer.status_code, answer.json()["limit"]) == (429, 1)
    with pulled.state.sending.reserve(pulled.settings.limits.sending_bytes):
        assert attempt.commit(0).steps == 0


def test_bytes_that_a_worker_only_says_fill_no_quota(attempt, pulled):
    """Whoever has a worker's key could close the service to an owner; the service counts what it finds stored."""
    jobs, about = pulled.state.jobs, {"job": attempt.job, "attempt": 1}
    before = jobs.usage(attempt.owner).stored_bytes
    said = Advanced(**about, phase="rolling", steps_done=5, steps_committed=5, bytes_written=2**50)
    attempt.connection.report(attempt.given.token, [said])
    progress = pulled.state.supervisor.progress(attempt.job)
    assert (progress.steps_done, progress.steps_committed, progress.bytes_written) == (5, 0, 0)
    failed = Failed(**about, problem=problem(ProblemCode.INTERNAL, "made up"))
    attempt.connection.report(attempt.given.token, [failed])
    pulled.state.supervisor.look()
    assert jobs.get(attempt.job).state is JobState.FAILED
    assert jobs.usage(attempt.owner).stored_bytes <= before


def test_a_rate_that_divides_to_infinity_stops_nobody(attempt):
    """The time left would be no number of JSON, and the database would not look into any waiting job any more."""
    told = {"type": "progress", "job": str(attempt.job), "attempt": 1, "phase": "rolling", "steps_done": 1}
    told |= {"steps_committed": 0, "bytes_written": 0, "steps_per_second": 5e-324}
    answer = httpx.post(
        f"{attempt.running.url}/v1/worker/report",
        headers={"Authorization": f"Bearer {attempt.key}", TOKEN_HEADER: attempt.given.token},
        json={"reports": [told]},
    )
    attempt.connection.report(attempt.given.token, [Interrupted(job=attempt.job, attempt=1)])
    attempt.running.state.supervisor.look()
    assert (answer.status_code, attempt.claim().order.attempt) == (400, 2)


def test_a_worker_that_lost_its_job_commits_nothing_more(attempt):
    """The next attempt's arrays stand: the token of the one before is dead, also for what it had sent already."""
    attempt.commit(0)
    stale, listed = attempt.given, attempt.send(5)
    attempt.connection.report(stale.token, [Interrupted(job=attempt.job, attempt=1)])
    attempt.running.state.supervisor.look()
    newer = attempt.claim()
    assert newer.order.attempt == 2
    root = attempt.path / "zarr.json"
    for refused in (
        lambda: attempt.connection.commit(stale.token, 5, SentCommit(chunks=listed)),
        lambda: attempt.send(5, stale.token),
        lambda: attempt.connection.committed(stale.token),
    ):
        with pytest.raises(OverError):
            refused()
    attempt.commit(5, newer.token)
    told = CaptureReader.open(attempt.path)
    assert (told.steps_committed, told.attributes["attempt"]) == (5, 2)
    assert root.exists()


def test_a_token_reads_its_own_store_and_no_other(attempt, pulled):
    """A foreign capture, a key that is none, and what is not committed are refused."""
    attempt.commit(0)
    other = Attempt(pulled)
    other.commit(0)
    base, headers = f"{pulled.url}/v1/worker/stores", {"Authorization": f"Bearer {attempt.key}"}
    headers[TOKEN_HEADER] = attempt.given.token
    expected = {
        f"{attempt.job}/zarr.json": 200,
        f"{attempt.job}/env/task/c.0": 200,
        f"{attempt.job}/env/task/c.1": 416,
        f"{attempt.job}/rollout/action/c.0.0": 416,
        f"{attempt.job}/..%2F..%2Flocal.key": 416,
        f"{other.job}/zarr.json": 403,
        "no-store/zarr.json": 400,
    }
    assert {path: httpx.get(f"{base}/{path}", headers=headers).status_code for path in expected} == expected
    httpx.post(f"{pulled.url}/v1/jobs/{other.job}/cancel", headers=other.people)
    other.connection.close()
