"""Attempts over HTTP: who is given a job, what its token opens and until when, and how its end is told."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest
import structlog

from attnscope_model.errors import CheckpointUnknownError
from attnscope_server.errors import ServiceError
from attnscope_server.pulling.connection import Connection
from attnscope_server.pulling.errors import OverError, RefusedError
from attnscope_server.pulling.messages import Assignment, Farewell, Offer
from attnscope_server.records.keys import ALL_SCOPES
from attnscope_server.running.messages import Alive, Cancel, Interrupted, Placement, Renewed, Succeeded, Taken
from attnscope_storage import __version__
from attnscope_storage.wire import JobState

SPEC = {"kind": "capture", "checkpoint": "AD-darkroom", "steps": 5}
PLACED = Placement(device="cpu", dtype="float32", threads=1, torch="2")
SHORT = 0.2
"""Seconds of a claim that is to get nothing."""


@pytest.fixture
def connected(pulled) -> Iterator[Callable[..., Connection]]:
    """Return a function that connects with a new worker's key."""
    opened = []

    def connect(key=None, **bounds) -> Connection:
        opened.append(Connection(pulled.url, key or pulled.state.keys.create_worker(**bounds)))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture
def queued(pulled) -> Iterator[Callable[..., UUID]]:
    """Return a function that queues a job of an owner of its own; what still waits at the end is cancelled."""
    made = []

    def queue(owner=None) -> tuple[str, str]:
        owner = owner or f"owner-{uuid4()}"
        http = httpx.Client(
            base_url=f"{pulled.url}/v1/jobs/",
            headers={"Authorization": f"Bearer {pulled.state.keys.create(owner, ALL_SCOPES)}"},
        )
        job = http.post(f"{pulled.url}/v1/jobs", json=SPEC).json()["id"]
        made.append((http, job))
        return owner, job

    yield queue
    for http, job in made:
        http.post(f"{job}/cancel")
        http.close()


@pytest.fixture
def state_of(pulled) -> Callable[[str], JobState]:
    """Return a function that looks up the state of a job, once the supervisor has looked."""

    def look(job: str) -> JobState:
        pulled.state.supervisor.look()
        return pulled.state.jobs.get(UUID(job)).state

    return look


def offer(session=None, wait=20.0, **changes) -> Offer:
    """Return the offer of a new worker, or of one with a session."""
    about = {"name": "box", "version": __version__, "device": "cpu", "hardware": "cpu", "stores": "reached"}
    return Offer(**(about | {"session": session or secrets.token_hex(16), "wait": wait} | changes))


def about(assignment: Assignment) -> dict[str, object]:
    """Return the fields by which a report names the attempt."""
    return {"job": assignment.order.job, "attempt": assignment.order.attempt}


def alive(assignment: Assignment, said_at=1.0) -> Alive:
    """Return a sign of life of the attempt."""
    return Alive(**about(assignment), said_at=said_at)


def test_a_worker_is_given_the_jobs_of_the_owners_that_its_key_serves(pulled, connected, queued, state_of):
    """The key of other owners waits in vain, and its worker's slot is shown meanwhile."""
    owner, job = queued()
    stranger = offer(wait=SHORT, name="stranger")
    assert connected(serves=["somebody else"]).claim(stranger) is None
    assert state_of(job) is JobState.QUEUED
    shown = {place.slot.name: place.slot.free for place in pulled.state.supervisor.places()}
    assert shown[stranger.slot] is False
    given = connected(serves=["somebody else", owner]).claim(offer())
    assert str(given.order.job) == job
    assert (given.order.stores, str(given.order.data_root)) == ("", ".")  # no path of the service
    assert state_of(job) is JobState.RUNNING


def test_a_token_is_for_one_attempt_of_one_key(connected, queued, state_of):
    """It is needed for reports; another key, another job and nonsense are refused, and it is dead after the end."""
    owner, job = queued()
    mine, other = connected(serves=[owner]), connected()
    given = mine.claim(offer())
    for connection, token in ((other, given.token), (mine, given.token[:-1] + "!"), (mine, f"ata_{uuid4().hex}_x")):
        with pytest.raises(OverError, match="no token"):
            connection.report(token, [alive(given)])
    with pytest.raises(OverError, match="another attempt than"):
        mine.report(given.token, [Alive(job=uuid4(), attempt=1, said_at=1.0)])
    with pytest.raises(OverError, match="another attempt than"):
        mine.report(given.token, [Alive(job=given.order.job, attempt=2, said_at=1.0)])
    taken = Taken(**about(given), placed_on=PLACED)
    assert mine.report(given.token, [taken, alive(given, 7.0)]).orders == (Renewed(**about(given), said_at=7.0),)
    mine.report(given.token, [Interrupted(**about(given))])
    assert state_of(job) is JobState.QUEUED
    with pytest.raises(OverError, match="is over"):
        mine.report(given.token, [alive(given)])


def test_an_answer_that_was_lost_is_given_again(connected, queued):
    """The same worker asks again and gets the same job, with a new token that ends the first one."""
    owner, _ = queued()
    mine, worker = connected(serves=[owner]), offer()
    first, again = mine.claim(worker), mine.claim(worker)
    assert again.order == first.order
    with pytest.raises(OverError, match="no token"):
        mine.report(first.token, [alive(first)])
    mine.report(again.token, [alive(again)])
    assert mine.claim(offer(session=worker.session, wait=SHORT)) is None  # it has reported, so it has the job


def test_a_token_dies_with_its_lease(pulled, connected, queued):
    """A worker that is late is told so, and commits of the next attempt are not its own."""
    owner, job = queued()
    mine = connected(serves=[owner])
    given = mine.claim(offer())
    pulled.state.jobs.renew(UUID(job), 1, -1.0)  # as if it had not been heard of for so long
    with pytest.raises(OverError, match="lease ended"):
        mine.report(given.token, [alive(given)])
    with pytest.raises(OverError, match="lease ended"):
        mine.fetch(given.token, "checkpoints/x/config.json", None, 10, lambda: False)


def test_a_key_that_expires_ends_its_workers(pulled, connected, queued):
    """From that moment no claim and no report is taken; other devices than those of the key are refused."""
    with pytest.raises(RefusedError, match="valid API key"):
        connected(expires_at=datetime.now(UTC) - timedelta(seconds=1)).claim(offer())
    with pytest.raises(RefusedError, match="offers cuda, not cpu"):
        connected(device_kinds=["cuda"]).claim(offer())
    with pytest.raises(RefusedError, match="install one version"):
        connected().claim(offer(version="0.0"))
    owner, _ = queued()
    key = pulled.state.keys.create_worker(serves=[owner])
    mine = connected(key)
    given = mine.claim(offer())
    pulled.state.keys.revoke(key.split("_")[1])
    with pytest.raises(RefusedError, match="valid API key"):
        mine.report(given.token, [alive(given)])


def test_a_worker_that_ends_gives_its_job_back_at_once(pulled, connected, queued, state_of):
    """The job waits again without a death counted, and the slot is gone; another key cannot say it."""
    owner, job = queued()
    mine, worker = connected(serves=[owner]), offer()
    given = mine.claim(worker)
    farewell = Farewell(session=worker.session, name=worker.name)
    connected().end(farewell)
    assert state_of(job) is JobState.RUNNING
    mine.end(farewell)
    assert state_of(job) is JobState.QUEUED
    assert pulled.state.jobs.get(UUID(job)).interruptions == 0
    assert worker.slot not in {place.slot.name for place in pulled.state.supervisor.places()}
    with pytest.raises(OverError, match="is over"):
        mine.report(given.token, [alive(given)])


def test_a_cancel_is_in_every_answer(pulled, connected, queued, state_of):
    """One answer may be lost; the job is cancelled when its worker says that it has stopped."""
    owner, job = queued()
    mine = connected(serves=[owner])
    given = mine.claim(offer())
    mine.report(given.token, [Taken(**about(given), placed_on=PLACED)])
    pulled.state.supervisor.cancel(pulled.state.jobs.get(UUID(job)))
    for _ in range(2):
        assert Cancel(**about(given)) in mine.report(given.token, [alive(given)]).orders
    mine.report(given.token, [Interrupted(**about(given))])
    assert state_of(job) is JobState.CANCELLED


def test_success_without_a_store_here_is_a_failure(pulled, connected, queued, state_of):
    """The worker wrote to some other folder; nobody is told of a capture that is not there."""
    owner, job = queued()
    mine = connected(serves=[owner])
    given = mine.claim(offer())
    mine.report(given.token, [Taken(**about(given), placed_on=PLACED), Succeeded(**about(given))])
    assert state_of(job) is JobState.FAILED
    assert "a place that this service does not see" in pulled.state.jobs.get(UUID(job)).failure.detail


def test_a_job_whose_checkpoint_is_gone_fails_and_its_worker_goes_on(pulled, connected, queued, state_of, monkeypatch):
    """Else each worker that was given it would end, one after the other."""

    def gone(_):
        raise CheckpointUnknownError("there is no checkpoint like that")

    owner, job = queued()
    monkeypatch.setattr(pulled.state.registry, "get", gone)
    assert connected(serves=[owner]).claim(offer()) is None
    monkeypatch.undo()
    assert state_of(job) is JobState.FAILED
    assert "no checkpoint like that" in pulled.state.jobs.get(UUID(job)).failure.detail


def test_a_token_reads_the_files_of_its_checkpoint_alone(pulled, connected, queued, tmp_path):
    """Two names, with a bound; every other name is none."""
    owner, _ = queued()
    mine = connected(serves=[owner])
    given = mine.claim(offer())
    (info,) = given.checkpoints
    folder, base = pulled.state.registry.folder(info.id), f"checkpoints/{info.id}"
    with (tmp_path / "fetched").open("w+b") as file:
        mine.fetch(given.token, f"{base}/config.json", file, 10_000, lambda: False)
        file.seek(0)
        assert file.read() == (folder / "config.json").read_bytes()
        for name in ("entry.json", "..%2F..%2Fservice.sqlite3", "model.safetensors%00", ""):
            with pytest.raises(RefusedError):
                mine.fetch(given.token, f"{base}/{name}", file, 10_000, lambda: False)
        for other in ("..", "0" * 64, info.name, info.id[:12]):
            with pytest.raises((OverError, RefusedError)):
                mine.fetch(given.token, f"checkpoints/{other}/config.json", file, 10_000, lambda: False)
        with pytest.raises(ServiceError, match="more than the 10 bytes"):
            mine.fetch(given.token, f"{base}/model.safetensors", file, 10, lambda: False)
        with pytest.raises(OverError, match="told to stop"):
            mine.fetch(given.token, f"{base}/model.safetensors", file, 10**9, lambda: True)


def test_a_claim_has_a_line_in_the_audit_log_and_a_report_has_none(connected, queued):
    """The log says which key took which job, and what was refused; signs of life would fill it."""
    owner, _ = queued()
    mine = connected(serves=[owner])
    with structlog.testing.capture_logs() as lines:
        given = mine.claim(offer())
        mine.report(given.token, [alive(given)])
        with pytest.raises(OverError):
            mine.report(given.token + "!", [alive(given)])
    found = [(line["event"], line["path"]) for line in lines if line["event"] in {"write", "refused"}]
    assert found == [("write", "/v1/worker/claim"), ("refused", "/v1/worker/report")]
    assert given.token not in str(lines)
