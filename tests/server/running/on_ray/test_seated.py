"""One actor as the driver sees it: an attempt's way to it, its reports, and its loss. The actor is a plain object."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from ray.exceptions import ActorUnavailableError, RayActorError, RayTaskError

from attnscope_model.checkpoints.folders import read_entry, shipped_checkpoints
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.errors import CheckpointError
from attnscope_server.running.messages import (
    Advanced,
    Alive,
    Cancel,
    Died,
    Failed,
    GivenBack,
    Ready,
    Renewed,
    Run,
    Succeeded,
)
from attnscope_server.running.on_ray import seated as seated_module
from attnscope_server.running.on_ray.bringing import prepared
from attnscope_server.running.on_ray.checkpoints import Cache
from attnscope_server.running.on_ray.seated import Seated
from attnscope_server.running.on_ray.wire import Begin, Prepared
from attnscope_storage.wire import ProblemCode

CLOCK = 77.0


class Method:
    """A method of an actor, to be called from afar."""

    def __init__(self, function) -> None:
        self._function = function

    def remote(self, *arguments):
        """Return what is awaited."""
        return self._function(*arguments)


class Actor:
    """An actor on a machine that sees the data root, or has a cache of its own."""

    def __init__(self, cache: Cache | None = None, root: Path | None = None) -> None:
        self.taken, self.asked, self.answers = [], [], asyncio.Queue()
        self._cache, self._root, self.took = cache, root, asyncio.Queue()
        self.starts = asyncio.Event()
        self.starts.set()
        self.knows = True
        names = ("prepare", "store", "stored", "renew", "take", "has", "reports")
        for name in names:
            setattr(self, name, Method(getattr(self, f"_{name}")))

    async def _prepare(self, checkpoints):
        await self.starts.wait()
        here = self._root is not None
        where = self._root if here else self._cache.root
        missing = () if here else self._cache.hold(checkpoints)
        return Prepared(clock=CLOCK, sees_root=here, missing=missing, data_root=where).line

    async def _store(self, *piece):
        self._cache.store(*piece)

    async def _stored(self, checkpoint):
        self._cache.complete(checkpoint)

    async def _renew(self, checkpoint, entry):
        self._cache.renew(checkpoint, entry)

    async def _take(self, line):
        self.taken.append(line)
        self.took.put_nowait(line)

    async def _has(self, _job, _attempt):
        return self.knows

    async def _reports(self, number):
        self.asked.append(number)
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def killed(monkeypatch):
    """Return the actors that were ended."""
    ended = []
    monkeypatch.setattr(seated_module.ray, "kill", lambda actor, **_: ended.append(actor))
    monkeypatch.setattr(seated_module, "AGAIN_SECONDS", 0.0)
    return ended


@pytest.fixture
def order(where, jobs, submitted):
    """Return an order for a shipped checkpoint."""
    CheckpointRegistry(where.checkpoints_folder).add_shipped()
    job = submitted(jobs)
    info = read_entry(shipped_checkpoints()[0])
    return Run(
        job=job.id, attempt=2, name=job.name, owner="me", module="json", spec=job.spec,
        resolved=job.resolved.model_copy(update={"checkpoint_id": info.id}),
        data_root=where.data_root, stores=str(where.data_root), device="cpu", lease_seconds=10.0,
    )  # fmt: skip


@pytest.fixture
def begin(where):
    """Return what a driver is told of the service."""
    return Begin(
        address="head:1", namespace="test", cpus=1, data_root=where.data_root, mark="mark",
        start_seconds=60.0, abandoned_seconds=60.0, cache_bytes=2**30,
    )  # fmt: skip


@pytest.fixture
def seat(begin, killed):  # noqa: ARG001 - no cluster is there to end an actor
    """Return a function that seats an actor, and gives what is heard of it."""

    @asynccontextmanager
    async def sit(actor, attempt=None, start_seconds=60.0):
        heard = asyncio.Queue()
        told = begin.model_copy(update={"start_seconds": start_seconds})
        seated = Seated(actor, told, heard.put_nowait, attempt)
        try:
            yield seated, heard
        finally:
            seated.leave()

    return sit


async def taken(actor) -> Run:
    """Wait until an actor has taken an order, and return it."""
    return Run.model_validate_json(await actor.took.get())


def test_an_attempt_runs_to_its_end(seat, order, where, killed):
    """The lease begins at the actor's clock; each report is acknowledged by the next call."""

    async def scene():
        actor = Actor(root=where.data_root)
        about = {"job": order.job, "attempt": 2}
        async with seat(actor) as (seated, heard):
            seated.run(order)
            assert await taken(actor) == order.model_copy(update={"asked_at": CLOCK})
            assert await heard.get() == Alive(**about, said_at=0.0)
            actor.answers.put_nowait((3, [Ready().line, Alive(**about, said_at=80.0).line]))
            assert await heard.get() == Alive(**about, said_at=80.0)
            seated.tell(Renewed(**about, said_at=80.0))
            seated.tell(Renewed(job=order.job, attempt=1, said_at=81.0))
            actor.answers.put_nowait((4, [Succeeded(**about).line]))
            assert await heard.get() == Succeeded(**about)
            assert seated.attempt is None
            assert actor.asked[:2] == [0, 3]
            assert actor.taken[1:] == [Renewed(**about, said_at=80.0).line]
            assert killed == []

    asyncio.run(scene())


def test_a_checkpoint_is_brought_where_the_data_root_is_not(seat, order, tmp_path):
    """Once; the order then names the folder of that machine."""

    async def scene():
        cache = Cache(2**30, tmp_path / "cache")
        afar = order.model_copy(update={"stores": "s3://bucket/prefix"})
        for _ in range(2):
            actor = Actor(cache)
            async with seat(actor) as (seated, _):
                seated.run(afar)
                assert await taken(actor) == afar.model_copy(update={"data_root": cache.root, "asked_at": CLOCK})
        assert cache.hold([order.resolved.checkpoint_id]) == ()

    asyncio.run(scene())


def test_a_checkpoint_that_is_damaged_fails_the_job(seat, order, where, tmp_path):
    """On any other slot it would be as damaged, so the job is not given back for ever."""
    folder = where.checkpoints_folder / order.resolved.checkpoint_id
    folder.chmod(0o700)
    for name in ("config.json", "model.safetensors"):
        (folder / name).chmod(0o600)
    (folder / "config.json").write_bytes((folder / "config.json").read_bytes() + b" ")

    async def scene():
        actor = Actor(Cache(2**30, tmp_path / "cache"))
        stored = actor._stored

        async def told_by_ray(checkpoint):
            try:
                await stored(checkpoint)
            except CheckpointError as error:
                raise RayTaskError("stored", "", error).as_instanceof_cause() from None

        actor.stored = Method(told_by_ray)
        async with seat(actor) as (seated, heard):
            seated.run(order.model_copy(update={"stores": "s3://bucket/prefix"}))
            assert isinstance(await heard.get(), Alive)
            report = await heard.get()
            assert isinstance(report, Failed)
            assert report.problem.code is ProblemCode.CHECKPOINT_UNREADABLE
            assert "changed on their way" in report.problem.detail

    asyncio.run(scene())


def test_every_checkpoint_of_an_order_is_brought(begin, order, tmp_path):
    """A trial with arms has several; one that goes between its coming and the order comes again."""
    names = tuple(read_entry(folder).id for folder in shipped_checkpoints()[:2])

    class Arms(type(order.resolved)):
        """A resolved job with several checkpoints."""

        checkpoint_ids = property(lambda _: names)

    resolved = Arms.model_validate(order.resolved.model_dump())
    order = order.model_copy(update={"resolved": resolved, "stores": "s3://bucket/prefix"})
    cache = Cache(2**30, tmp_path)
    complete, came = cache.complete, []

    def lose_the_first(checkpoint):
        complete(checkpoint)
        came.append(checkpoint)
        if len(came) == 1:
            cache.hold(())
            (tmp_path / "checkpoints" / checkpoint).rename(tmp_path / "elsewhere")

    cache.complete = lose_the_first
    meant = asyncio.run(prepared(Actor(cache), begin, order))
    assert (meant.data_root, meant.asked_at) == (tmp_path, CLOCK)
    assert came == [*names, names[0]]
    assert cache.hold(names) == ()


def test_a_machine_without_the_folder_of_the_stores_gets_no_job(seat, order, tmp_path, killed):
    """It would write a capture that nobody finds; the job waits for another slot, and this one rests."""

    async def scene():
        actor = Actor(Cache(2**30, tmp_path / "cache"))
        async with seat(actor) as (seated, heard):
            seated.run(order)
            assert isinstance(await heard.get(), Alive)
            report = await heard.get()
            assert isinstance(report, GivenBack)
            assert "does not see the folder" in report.detail
            assert (seated.refused, seated.gone, actor.taken, killed) == (True, True, [], [actor])

    asyncio.run(scene())


def test_an_actor_that_does_not_start_in_time_is_ended(seat, order, where, killed):
    """Others may have taken its GPU meanwhile: that is no fault of the job."""

    async def scene():
        actor = Actor(root=where.data_root)
        actor.starts.clear()
        async with seat(actor, start_seconds=0.001) as (seated, heard):
            seated.run(order)
            assert isinstance(await heard.get(), Alive)
            report = await heard.get()
            assert isinstance(report, GivenBack)
            assert "did not start in time" in report.detail
            assert killed == [actor]

    asyncio.run(scene())


def test_a_cancel_before_the_actor_has_the_job_gives_it_back(seat, order, where, killed):
    """Nothing has run, so nothing is waited for."""

    async def scene():
        actor = Actor(root=where.data_root)
        actor.starts.clear()
        async with seat(actor) as (seated, heard):
            seated.run(order)
            assert isinstance(await heard.get(), Alive)
            seated.tell(Cancel(job=order.job, attempt=2))
            assert isinstance(await heard.get(), GivenBack)
            assert killed == [actor]
            assert actor.taken == []

    asyncio.run(scene())


def test_the_loss_of_an_actor_ends_its_attempt(seat, order, where):
    """One that cannot be reached for a moment is not lost."""

    async def scene():
        actor = Actor(root=where.data_root)
        async with seat(actor) as (seated, heard):
            seated.run(order)
            await taken(actor)
            await heard.get()
            actor.answers.put_nowait(ActorUnavailableError("the node is away", b"x" * 16))
            progress = Advanced(
                job=order.job, attempt=2, phase="rolling", steps_done=1, steps_committed=0, bytes_written=0
            )
            actor.answers.put_nowait((2, [progress.line]))
            assert await heard.get() == progress
            actor.answers.put_nowait(RayActorError())
            report = await heard.get()
            assert isinstance(report, Died)
            assert (report.job, report.attempt) == (order.job, 2)
            assert "actor" in report.detail
            assert seated.gone

    asyncio.run(scene())


def test_an_actor_that_never_starts_is_no_death_of_the_job(seat, order, where):
    """Its node may have left the cluster between an offer and the job; the seat rests."""

    async def scene():
        actor = Actor(root=where.data_root)
        actor.starts.clear()
        async with seat(actor) as (seated, heard):
            seated.run(order)
            await heard.get()
            actor.answers.put_nowait(RayActorError())
            report = await heard.get()
            assert isinstance(report, GivenBack)
            assert (seated.gone, seated.refused) == (True, True)

    asyncio.run(scene())


@pytest.mark.parametrize("knows", [True, False])
def test_an_actor_that_was_found_again_is_asked_for_its_attempt(seat, order, where, knows):
    """It goes on, or is told as dead."""

    async def scene():
        actor = Actor(root=where.data_root)
        actor.knows = knows
        async with seat(actor, (order.job, 2)) as (seated, heard):
            if knows:
                actor.answers.put_nowait((1, [Succeeded(job=order.job, attempt=2).line]))
            report = await heard.get()
            assert isinstance(report, Succeeded if knows else Died)
            assert seated.attempt is None

    asyncio.run(scene())


def test_a_report_that_is_no_message_ends_the_actor(seat, order, where, killed):
    """An actor that nobody understands must not go on."""

    async def scene():
        actor = Actor(root=where.data_root)
        async with seat(actor, (order.job, 2)) as (_, heard):
            actor.answers.put_nowait((1, [b"nonsense"]))
            assert isinstance(await heard.get(), Died)
            assert killed == [actor]

    asyncio.run(scene())
