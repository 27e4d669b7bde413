"""Local worker processes: every job that was taken is reported to its end, whatever the process does."""

from __future__ import annotations

import errno
import queue
import signal
import sys
import threading

import psutil
import pytest

from attnscope_server.running import environment, local_worker
from attnscope_server.running.messages import Alive, Died, Succeeded
from attnscope_server.running.process_runner import ProcessRunner
from attnscope_server.running.runner import SlotKind
from attnscope_server.running.supervising.supervisor import Supervisor
from attnscope_storage.wire import JobState

READS_NOTHING = "import time; time.sleep(600)"
ENDS_AT_ONCE = "raise SystemExit(3)"
SUCCEEDS = """
import json, sys
for line in sys.stdin:
    order = json.loads(line)
    if order["type"] == "stop":
        break
    about = {"job": order["job"], "attempt": order["attempt"]}
    print("a stray line", flush=True)
    print(json.dumps({"type": "alive"}), flush=True)
    print(json.dumps({"type": "succeeded", **about}), flush=True)
"""
HAS_NO_END = """
import sys
while True:
    sys.stdout.write("x" * 4096)
"""
HAS_A_CHILD = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print('{"type": "alive"}', flush=True)
time.sleep(600)
"""


SAYS_HOW_IT_WAITS = """
import os
way = {None: 4, "PASSIVE": 5, "ACTIVE": 6}[os.environ.get("OMP_WAIT_POLICY")]
raise SystemExit(way + 10 * ("ATTNSCOPE_SERVER_API_KEY" in os.environ))
"""


@pytest.fixture
def started(where):
    """Return a function that makes a runner whose workers run a program, and what is heard of them."""
    made = []

    def make(program: str, **changes):
        heard = queue.SimpleQueue()
        settings = where.model_copy(
            update={"worker_command": (sys.executable, "-c", program), "stop_grace_seconds": 0.2} | changes
        )
        runner = ProcessRunner(settings)
        runner.connect(lambda slot, report: heard.put((slot, report)))
        made.append(runner)
        return runner, heard

    yield make
    for runner in made:
        runner.stop()


@pytest.fixture
def job(jobs, submitted):
    """Return a job that was claimed once."""
    submitted(jobs)
    return jobs.claim()


def test_there_is_a_slot_a_device_and_one_beside(started):
    """The side slot is the CPU's, on one thread."""
    runner, _ = started(SUCCEEDS, devices=("cuda:0", "cuda:1"))
    assert [(slot.name, slot.device, slot.kind) for slot in runner.slots()] == [
        ("0", "cuda:0", SlotKind.DEVICE),
        ("1", "cuda:1", SlotKind.DEVICE),
        ("side", "cpu", SlotKind.SIDE),
    ]


def test_a_worker_is_kept_warm(started, job):
    """A second job goes to the same process; a stray line and a sign of life disturb nothing."""
    runner, heard = started(SUCCEEDS)
    processes = []
    for attempt in (1, 2):
        runner.run(job, attempt, "side")
        assert heard.get(timeout=60) == ("side", Alive())
        assert heard.get(timeout=60) == ("side", Succeeded(job=job.id, attempt=attempt))
        processes.append(runner._workers["side"]._process.pid)
    assert processes[0] == processes[1]
    assert psutil.Process(processes[0]).nice() == min(19, psutil.Process().nice() + 10)


def test_a_worker_that_ends_at_once_is_reported(started, job):
    """However early it ends, its job is heard of."""
    runner, heard = started(ENDS_AT_ONCE)
    for attempt in (1, 2, 3):
        runner.run(job, attempt, "0")
        assert heard.get(timeout=60) == ("0", Died(job=job.id, attempt=attempt, code=3))


@pytest.mark.parametrize(("own", "busy", "code"), [(None, True, 5), (None, False, 4), ("ACTIVE", True, 6)])
def test_threads_of_a_worker_sleep_on_a_busy_machine(started, job, monkeypatch, own, busy, code):
    """A worker that starts where others hold the cores waits patiently, unless the user said how; it gets no key."""
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("ATTNSCOPE_SERVER_API_KEY", "secret")
    if own is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", own)
    monkeypatch.setattr(environment, "crowded", lambda: busy)
    runner, heard = started(SAYS_HOW_IT_WAITS)
    runner.run(job, 1, "0")
    assert heard.get(timeout=60) == ("0", Died(job=job.id, attempt=1, code=code))


def test_a_machine_is_crowded_from_a_load_of_its_cores_on(monkeypatch):
    """The load of the last minute is compared with the cores that this process may use."""
    monkeypatch.setattr(environment.os, "sched_getaffinity", lambda _pid: {0, 1, 2, 3}, raising=False)
    for load, found in ((3.9, False), (4.0, True)):
        monkeypatch.setattr(environment.os, "getloadavg", lambda load=load: (load, 0.0, 0.0), raising=False)
        assert environment.crowded() == found


def test_a_worker_that_reads_nothing_holds_up_nobody(started, job):
    """An order that is longer than a pipe is handed over at once, and the process can be ended."""
    runner, heard = started(READS_NOTHING)
    long = job.evolve(spec=job.spec.model_copy(update={"seeds": tuple(range(200_000))}))
    runner.run(long, 1, "0")
    runner.cancel(job.id, 7)
    runner.end(job.id, 1)
    assert heard.get(timeout=60) == ("0", Died(job=job.id, attempt=1, code=-signal.SIGKILL))


def test_a_report_without_an_end_is_not_collected(started, job, monkeypatch):
    """A process that writes no newline is ended; the service keeps no more of it than a report may have."""
    monkeypatch.setattr(local_worker, "LINE_BYTES", 2**16)
    runner, heard = started(HAS_NO_END)
    runner.run(job, 1, "0")
    assert heard.get(timeout=60) == ("0", Died(job=job.id, attempt=1, code=-signal.SIGKILL))


def test_a_listener_that_fails_ends_the_worker_and_tells(started, job):
    """Whatever is wrong with one report, the process is not left running without anybody who hears it."""
    runner, heard = started(SUCCEEDS)
    told = []

    def failing(slot, report) -> None:
        told.append(report)
        if isinstance(report, Alive):
            raise KeyError("a fault of the service")
        heard.put((slot, report))

    runner.connect(failing)
    runner.run(job, 1, "0")
    assert heard.get(timeout=60)[1] == Died(job=job.id, attempt=1, code=-signal.SIGKILL)
    assert told[0] == Alive()


def test_a_stopped_worker_is_ended(started, job):
    """A process that SIGSTOP holds does not hear SIGTERM; it is ended all the same."""
    runner, heard = started(READS_NOTHING, cancel_grace_seconds=0.01, kill_grace_seconds=0.01)
    runner.run(job, 1, "0")
    process = psutil.Process(runner._workers["0"]._process.pid)
    process.suspend()
    while process.status() != psutil.STATUS_STOPPED:
        pass
    runner.cancel(job.id, 1)
    assert heard.get(timeout=60) == ("0", Died(job=job.id, attempt=1, code=-signal.SIGKILL))


def test_a_child_of_a_worker_does_not_hide_its_end(started, job):
    """A process of the worker's that keeps the pipe open is ended with it."""
    runner, heard = started(HAS_A_CHILD)
    runner.run(job, 1, "0")
    assert heard.get(timeout=60) == ("0", Alive())
    runner.end(job.id, 1)
    assert heard.get(timeout=60) == ("0", Died(job=job.id, attempt=1, code=-signal.SIGKILL))


def test_an_older_attempt_ends_nothing(started, job):
    """Orders about another attempt than the running one reach no process."""
    runner, heard = started(READS_NOTHING)
    runner.run(job, 2, "0")
    runner.end(job.id, 1)
    assert runner._workers["0"]._process.poll() is None
    runner.end(job.id, 2)
    assert heard.get(timeout=60) == ("0", Died(job=job.id, attempt=2, code=-signal.SIGKILL))


def test_no_process_is_left_where_no_thread_can_be_had(started, job, monkeypatch):
    """If a thread is refused, the process is ended again, and the job was not taken."""
    runner, heard = started(READS_NOTHING)

    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as broken:
        broken.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="thread"):
            runner.run(job, 1, "0")
    assert runner._workers == {}
    assert not [child for child in psutil.Process().children() if READS_NOTHING in child.cmdline()]
    assert heard.empty()


def test_a_worker_that_nobody_hears_is_told(started, job):
    """A process whose thread is gone makes the runner unwell."""
    runner, _ = started(SUCCEEDS)
    runner.run(job, 1, "0")
    assert runner.unwell() is None
    runner._workers["0"]._threads.append(threading.Thread(target=int))
    assert runner.unwell() == "nobody hears the worker of slot 0"


def test_out_of_descriptors_the_job_waits_and_runs_later(started, where, jobs, submitted, clock, monkeypatch):
    """The system refuses a process once: the job goes back to the queue, and its next try succeeds."""
    runner, _ = started(SUCCEEDS)
    ended = threading.Event()
    supervisor = Supervisor(where, jobs, (runner,), ended.set, now=clock)
    job = submitted(jobs)

    def refuse(*_a, **_k):
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as broken:
        broken.setattr(local_worker.subprocess, "Popen", refuse)
        supervisor.look()
    assert jobs.get(job.id).state is JobState.QUEUED
    clock.now += 3
    while not jobs.get(job.id).state.final:
        ended.clear()
        supervisor.look()
        assert jobs.get(job.id).state.final or ended.wait(60)
    assert jobs.get(job.id).state is JobState.SUCCEEDED
    assert (jobs.get(job.id).attempts, jobs.get(job.id).interruptions) == (2, 0)
