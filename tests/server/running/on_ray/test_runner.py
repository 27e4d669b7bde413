"""The runner of a Ray cluster over a driver that is a short program: slots, orders, ends, and a driver that dies."""

from __future__ import annotations

from uuid import uuid4

import pytest

from attnscope_server.errors import SettingUnusableError
from attnscope_server.running.messages import Alive, Died, Failed
from attnscope_server.running.on_ray import runner as runner_module
from attnscope_server.running.on_ray.runner import RayRunner
from attnscope_server.running.on_ray.tokens import Answer
from attnscope_server.running.runner import Slot

TELLS_THE_ORDER = """
for line in sys.stdin:
    command = json.loads(line)
    if command["type"] == "place":
        order = command["order"]
        told = (order["device"], order["threads"], order["lease_seconds"], order["attempt"])
        heard(order, "died", detail=" ".join(map(str, told)))
"""
TELLS_COMMANDS = """
for line in sys.stdin:
    command = json.loads(line)
    if command["type"] == "place":
        order = command["order"]
    told = command["type"] + " " + command.get("order", {}).get("type", "")
    say("heard", slot=begin["kept"][0]["slot"] if begin["kept"] else command.get("slot", ""),
        report={"type": "died", "job": order["job"], "attempt": 99, "detail": told.strip()})
"""
DIES_ONCE = """
for kept in begin["kept"]:
    heard(kept, "died", detail=f"{kept['slot']} by driver {time_}")
for line in sys.stdin:
    if time_ == 0 and json.loads(line)["type"] == "place":
        os._exit(3)
"""
SAYS_ITS_ENVIRONMENT = """
import re
names = sorted(name for name in os.environ if re.match("AWS_|RAY_AUTH|ATTNSCOPE_SERVER_API|PGPASS", name))
say("trouble", detail="")
say("heard", slot="", report={"type": "died", "job": "00000000-0000-0000-0000-000000000000", "attempt": 1,
    "detail": " ".join(names) + " " + os.environ["RAY_AUTH_MODE"]})
sys.stdin.read()
"""
WAITS = "sys.stdin.read()"


def test_a_job_goes_to_a_slot_of_the_cluster(started, job, slot):
    """The order names device, cores and lease of the slot; what the driver hears is reported."""
    runner, heard = started(TELLS_THE_ORDER, lease_seconds=40.0)
    assert runner.slots() == (Slot(slot, "cpu", free=True, hardware="cpu"),)
    runner.run(job, 1, slot)
    assert heard.get(timeout=60) == (slot, Died(job=job.id, attempt=1, detail="cpu 2 40.0 1"))
    assert runner.unwell() is None


def test_orders_reach_the_slot_of_their_attempt(started, job, slot):
    """One about another attempt goes nowhere; a cancel that does not help in time ends the actor."""
    runner, heard = started(TELLS_COMMANDS, cancel_grace_seconds=0.01, kill_grace_seconds=0.01)

    def told():
        return heard.get(timeout=60)[1].detail

    runner.run(job, 1, slot)
    assert told() == "place run"
    runner.cancel(job.id, 7)
    runner.end(uuid4(), 1)
    runner.release(slot)
    runner.renewed(job.id, 1, 5.0)
    assert told() == "tell renewed"
    runner.cancel(job.id, 1)
    assert [told(), told()] == ["tell cancel", "end"]


def test_the_next_driver_finds_what_the_last_one_left(started, job, slot):
    """A driver that dies loses its slots, not its attempts."""
    runner, heard = started(DIES_ONCE)
    runner.run(job, 1, slot)
    assert heard.get(timeout=60) == (slot, Alive())
    assert heard.get(timeout=60) == (slot, Died(job=job.id, attempt=1, detail=f"{slot} by driver 1"))


def test_a_restarted_service_takes_attempts_up(made, job, slot):
    """The first driver is told of all of them, since it starts with the first look at the slots."""
    runner, heard = made(DIES_ONCE)
    assert runner.keep(job, 1, slot) == Slot(slot, "cpu", free=False, hardware="cpu")
    assert runner.keep(job, 1, "side") is None
    runner.slots()
    assert heard.get(timeout=60) == (slot, Alive())
    assert heard.get(timeout=60) == (slot, Died(job=job.id, attempt=1, detail=f"{slot} by driver 0"))


def test_a_driver_that_says_nothing_is_ended(started, slot, monkeypatch):
    """Its slots are gone until the next one offers some."""
    runner, heard = started(WAITS)
    assert len(runner.slots()) == 1
    with monkeypatch.context() as patient:
        patient.setattr(runner_module, "SILENT_SECONDS", 0.0)
        assert runner.slots() == ()
    assert heard.get(timeout=60) == (slot, Alive())


def test_without_a_driver_no_job_is_taken(made, job, slot):
    """The job goes back to the queue; an unknown kind fails, wherever it would run."""
    runner, heard = made(WAITS)
    with pytest.raises(RuntimeError, match="no such slot"):
        runner.run(job, 1, slot)
    assert heard.empty()
    runner.run(job.evolve(kind="none"), 1, slot)
    assert isinstance(heard.get_nowait()[1], Failed)


def test_the_driver_gets_no_secret_but_the_token(started, monkeypatch):
    """Neither the service's keys nor a bucket's; and it never connects without a token."""
    for name in ("AWS_SECRET_ACCESS_KEY", "ATTNSCOPE_SERVER_API_KEY", "PGPASSWORD", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, "secret-secret-secret")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    _, heard = started(SAYS_ITS_ENVIRONMENT)
    assert heard.get(timeout=60)[1].detail == "RAY_AUTH_MODE RAY_AUTH_TOKEN token"


def test_a_cluster_that_wants_no_token_is_refused(named, answers):
    """At the start, and with words; so is a cluster that is not named, and one without Ray."""
    answers.append(Answer(outcome="let in"))
    with pytest.raises(SettingUnusableError, match=r"wants no token.*RAY_AUTH_MODE=token"):
        RayRunner(named)
    with pytest.raises(SettingUnusableError, match="needs ray_address"):
        RayRunner(named.model_copy(update={"ray_address": None}))


@pytest.mark.usefixtures("answers")
def test_without_ray_the_extra_is_named(named, monkeypatch):
    """It is no failed import in the middle of a start."""
    monkeypatch.setattr(runner_module, "find_spec", lambda _: None)
    with pytest.raises(SettingUnusableError, match=r"attnscope\[server,ray\]"):
        RayRunner(named)


def test_a_cluster_that_is_away_may_come(made, answers, monkeypatch):
    """The service starts without slots; a cluster that comes without tokens is not used."""
    monkeypatch.setattr(runner_module, "FIRST_WAIT", 30.0)
    answers.append(Answer(outcome="unreachable", detail="nobody listens"))
    runner, heard = made(WAITS)
    answers.append(Answer(outcome="let in"))
    assert runner.slots() == ()
    assert heard.empty()
    assert runner.unwell() is None


def test_no_driver_connects_before_the_cluster_refuses_a_stranger(made, monkeypatch):
    """A cluster that is slow to answer may be one that wants no token; the service's own would go to it."""
    outcomes = iter(("unreachable", "unreachable", "unreachable", "refused"))
    monkeypatch.setattr(runner_module, "asked_apart", lambda _: Answer(outcome=next(outcomes)))
    runner, heard = made(WAITS)
    assert runner.slots() == ()
    heard.get(timeout=60)
    assert next(outcomes, None) is None
