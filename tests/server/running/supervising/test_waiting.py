"""Jobs that ask for a device, and the words for those that no placement slot takes."""

from __future__ import annotations

from uuid import uuid4

import pytest

from attnscope_server.running.messages import Misplaced, Placement, Taken
from attnscope_server.running.ordering import order_of
from attnscope_server.running.runner import Slot, SlotKind
from attnscope_server.running.supervising.placing import Place
from attnscope_server.running.supervising.supervisor import Supervisor
from attnscope_server.running.supervising.waiting import waits_for
from attnscope_storage.wire import Progress
from submitted import RESOLVED, SPEC

FAR = {"owners": frozenset({"you"}), "refuses": frozenset({"decision"})}


def asking(jobs, device_kind="cuda"):
    """Return a queued job that asks for a kind of device."""
    return jobs.submit(uuid4(), "me", SPEC, lambda *_: RESOLVED, queue_limit=10, device_kind=device_kind)[0]


def place_of(slot: Slot) -> Place:
    """Return a slot as it is shown."""
    return Place("fake", slot, slot.hardware, None)


@pytest.mark.parametrize(
    ("device", "hardware", "kind"),
    [
        ("cpu", "cpu", "cpu"),
        ("cuda:1", None, "cuda"),
        ("mps", None, "mps"),
        ("auto", None, None),
        ("auto", "cpu", "cpu"),
        ("auto", "H200", "cuda"),
    ],
)
def test_a_slot_has_a_kind_of_device(device, hardware, kind):
    """The device's name says it; of auto, the hardware that a job found there."""
    assert Slot("0", device).device_kind(hardware) == kind


def test_a_job_goes_to_the_runner_that_has_the_device(where, jobs, clock, make_runner):
    """Another runner's free slots leave it waiting; the order says the kind."""
    near, far = make_runner(Slot("0", "cpu"), name="near"), make_runner(Slot("0", "cuda:0"), name="far")
    far._slots = ()
    service = Supervisor(where, jobs, (near, far), now=clock)
    job = asking(jobs)
    service.look()
    assert (near.ran, far.ran) == ([], [])
    far._slots = (Slot("0", "cuda:0"),)
    service.look()
    assert (near.ran, far.ran) == ([], [(job.id, 1, "0")])
    assert order_of(job, 1, where, device="cuda:0", threads=1).device_kind == "cuda"


def test_auto_tells_its_kind_by_the_job_that_it_cannot_take(where, jobs, clock, make_runner):
    """The job goes back once, uncounted, with the reason; it is not tried there again."""
    runner = make_runner(Slot("0", "auto"))
    service = Supervisor(where, jobs, (runner,), now=clock)
    job = asking(jobs)
    service.look()
    runner.say(Misplaced, placed_on=Placement(device="cpu", dtype="float32", threads=1, torch="2.10"))
    service.look()
    service.look()
    assert len(runner.ran) == 1
    stored = jobs.get(job.id)
    assert stored.interruptions == 0
    assert [detail for state, _, detail in jobs.events(job.id) if state == "interrupted"] == [
        "it asks for a cuda device, and this slot has cpu"
    ]
    assert waits_for(stored.wire(), service.places()) == "it asks for a cuda device; there is cpu"


def test_a_job_says_why_no_slot_takes_it(jobs):
    """Each need that is not met has its own words; a slot that would take the job is waited for without words."""
    job = asking(jobs).wire()
    cuda, cpu = Slot("0", "cuda:0"), Slot("1", "cpu", hardware="cpu")
    assert "neither a device of the service nor a worker" in waits_for(job, [])
    assert "no placement slot with a whole device" in waits_for(job, [place_of(Slot("s", "cpu", SlotKind.SIDE))])
    assert waits_for(job, [place_of(cpu)]) == "it asks for a cuda device; there is cpu"
    assert waits_for(job, [place_of(cpu), place_of(Slot("2", "auto"))]) is None
    assert waits_for(job, [place_of(cpu), place_of(cuda)]) is None
    assert "1 placement slot there serves me" in waits_for(job, [place_of(Slot("1", "cuda", **FAR))])
    decision = job.model_copy(update={"kind": "decision", "owner": "you"})
    assert "1 placement slot there takes a decision" in waits_for(decision, [place_of(Slot("1", "cuda", **FAR))])
    begun = {"device_kind": None, "placed_on": {"device": "H200"}, "progress": Progress(steps_committed=2)}
    begun = job.model_copy(update=begun)
    assert "it began on H200" in waits_for(begun, [place_of(cpu)])
    assert waits_for(begun.model_copy(update={"resume_elsewhere": True}), [place_of(cpu)]) is None


def test_slots_that_are_gone_are_forgotten(where, jobs, clock, make_runner, submitted):
    """A worker that starts anew is another slot each time: nothing is kept of the thousands that there were."""
    runner = make_runner()
    service = Supervisor(where, jobs, (runner,), now=clock)
    for number in range(5):
        runner._slots = (Slot(f"box.{number}", "cuda:0"),)
        job = submitted(jobs)
        service.look()
        runner.say(Taken, placed_on=Placement(device="H200", dtype="float32", threads=1, torch="2.10"))
        runner.succeed()
        service.look()
        assert jobs.get(job.id).state.final
    placing = service._placing
    assert set(placing._hardware) == set(placing._idle_since) == {("fake", "box.4")}
    runner.refuses = RuntimeError("it went")
    submitted(jobs)
    service.look()
    assert set(placing._refused) == {("fake", "box.4")}
    service.look()
    runner._slots = ()
    service.look()
    assert (placing._hardware, placing._idle_since, placing._refused) == ({}, {}, {})
