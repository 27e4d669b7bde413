"""The driver of a cluster without one: the actors on its seats, what it finds at its start, and what it tells first."""

from __future__ import annotations

import asyncio
import io
from uuid import uuid4

import pytest

from attnscope_server.running.messages import Cancel, Died, GivenBack, Run
from attnscope_server.running.on_ray import driver as driver_module
from attnscope_server.running.on_ray.driver import Driver, Node
from attnscope_server.running.on_ray.wire import NEWS, Begin, End, Heard, Kept, Offers, Place, Tell

NODE = "3f" * 28
FIRST, SECOND = f"{NODE[:12]}-cpu0", f"{NODE[:12]}-cpu1"
LEFT = {NODE: {"CPU": 2}}


class Actor:
    """An actor on a seat, which notes what it is told."""

    made: list[Actor]

    def __init__(self, actor=None, _begin=None, hear=None, attempt=None) -> None:
        self.actor, self.hear, self.attempt = actor, hear, attempt
        self.gone = self.refused = self.silent = False
        self.told = []
        Actor.made.append(self)

    @classmethod
    def make(cls, seat, name, begin, hear):
        """Ask for an actor."""
        return cls(f"{seat.name} as {name.partition(':')[0]}", begin, hear)

    def run(self, order) -> None:
        """Take an attempt."""
        self.attempt = (order.job, order.attempt)

    def tell(self, order) -> None:
        """Take an order."""
        self.told.append(order)

    def end(self) -> None:
        """End, and tell it where an attempt is here."""
        self.gone = True
        if self.attempt is not None:
            self.hear(Died(job=self.attempt[0], attempt=self.attempt[1]))


@pytest.fixture
def actors(monkeypatch):
    """Return the actors that a driver makes or finds."""
    monkeypatch.setattr(driver_module, "Seated", Actor)
    Actor.made = []
    return Actor.made


@pytest.fixture
def order(jobs, submitted):
    """Return an order."""
    job = submitted(jobs)
    return Run(
        job=job.id, attempt=1, name=job.name, owner="me", module="json", spec=job.spec, resolved=job.resolved,
        data_root="/nowhere", stores="/nowhere", device="cpu",
    )  # fmt: skip


@pytest.fixture
def driver(tmp_path, actors):  # noqa: ARG001 - no cluster is there
    """Return a function that makes a driver of a node with two slots, and a function that reads its news."""

    def make(*kept):
        begin = Begin(
            address="head:1", namespace="test", cpus=1, data_root=tmp_path, mark="mark", start_seconds=60.0,
            cache_bytes=2**30, abandoned_seconds=60.0, kept=kept,
        )  # fmt: skip
        news = io.BytesIO()
        made = Driver(begin, news)
        made._take_in([Node(NODE, {"CPU": 2})], LEFT)

        def told():
            lines = news.getvalue().splitlines()
            news.seek(0)
            news.truncate()
            return [NEWS.validate_json(line) for line in lines]

        return made, told

    return make


def free(news) -> dict[str, bool]:
    """Return which slots are free by an offer."""
    assert isinstance(news, Offers)
    return {offer.name: offer.free for offer in news.offers}


def test_a_warm_actor_takes_the_next_job(driver, actors, order):
    """One that has ended, or still has an older attempt, gives way to a new one."""
    made, _ = driver()
    made._act(Place(slot=FIRST, order=order))
    actors[0].attempt = None
    made._act(Place(slot=FIRST, order=order))
    assert [actor.actor for actor in actors] == [f"{FIRST} as {FIRST}"]
    made._act(Place(slot=FIRST, order=order.model_copy(update={"attempt": 2})))
    assert (actors[0].gone, len(actors), actors[1].attempt) == (True, 2, (order.job, 2))
    made._act(Tell(slot=FIRST, order=Cancel(job=order.job, attempt=2)))
    made._act(Tell(slot=SECOND, order=Cancel(job=order.job, attempt=2)))
    assert actors[1].told == [Cancel(job=order.job, attempt=2)]
    made._act(End(slot=FIRST))
    made._act(End(slot=FIRST))
    assert actors[1].gone


def test_a_slot_whose_actor_died_rests_before_its_end_is_told(driver, actors, order, monkeypatch):
    """Else the job, queued again at once, would meet the same dead node; a slot that refused rests for longer."""
    clock = [100.0]
    monkeypatch.setattr(driver_module.time, "monotonic", lambda: clock[0])
    made, told = driver()
    for refused, seconds in ((False, 3.0), (True, 60.0)):
        made._act(Place(slot=FIRST, order=order))
        actors[-1].gone, actors[-1].refused = True, refused
        died = Died(job=order.job, attempt=1, detail="gone")
        actors[-1].hear(died)
        offer, heard = told()
        assert free(offer) == {FIRST: False, SECOND: True}
        assert heard == Heard(slot=FIRST, report=died)
        clock[0] += seconds + 1
        made._take_in([Node(NODE, {"CPU": 2})], LEFT)
        made._tell_slots()
        assert all(free(told()[0]).values())


def test_a_slot_whose_machine_is_not_heard_of_rests(driver, actors, order):
    """The lease of its job is over, and the cluster may take it for alive for long."""
    made, told = driver()
    made._act(Place(slot=FIRST, order=order))
    actors[0].silent = True
    made._act(End(slot=FIRST))
    offer, heard = told()
    assert free(offer) == {FIRST: False, SECOND: True}
    assert isinstance(heard.report, Died)
    made._act(Place(slot=SECOND, order=order))
    actors[1].attempt = None
    made._act(End(slot=SECOND))
    made._tell_slots()
    assert free(told()[0]) == {FIRST: False, SECOND: True}  # an idle worker that is let go leaves its slot free


def test_a_slot_that_has_left_gives_its_job_back(driver, actors, order):
    """Its node went between the offer and the job; that is no death of the job."""
    made, told = driver()
    made._take_in([], {})
    made._act(Place(slot=FIRST, order=order))
    (heard,) = told()
    assert isinstance(heard.report, GivenBack)
    assert "has left the cluster" in heard.report.detail
    assert actors == []


def test_actors_of_an_earlier_driver_are_taken_up_or_ended(driver, actors, monkeypatch):
    """One with a kept attempt goes on, the others end; an attempt without an actor is told as dead."""
    kept = [Kept(slot=slot, job=uuid4(), attempt=3) for slot in (FIRST, SECOND)]
    names, killed = [f"{FIRST}:a", "other-cpu0:b", "gone-cpu0:c"], []

    def get_actor(name):
        if name.startswith("gone"):
            raise ValueError(name)
        return name

    monkeypatch.setattr(driver_module, "list_named_actors", lambda: names)
    monkeypatch.setattr(driver_module.ray, "get_actor", get_actor)
    monkeypatch.setattr(driver_module.ray, "kill", killed.append)
    made, told = driver(*kept)
    asyncio.run(made._take_up())
    assert [(actor.actor, actor.attempt) for actor in actors] == [(f"{FIRST}:a", (kept[0].job, 3))]
    assert killed == ["other-cpu0:b"]
    (heard,) = told()
    assert (heard.slot, heard.report.job, heard.report.type) == (SECOND, kept[1].job, "died")
