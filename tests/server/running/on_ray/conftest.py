"""A driver of the cluster that is a short program, and a runner over it."""

from __future__ import annotations

import queue
import sys

import pytest

from attnscope_server.running.on_ray import runner as runner_module
from attnscope_server.running.on_ray.runner import RayRunner
from attnscope_server.running.on_ray.tokens import Answer

SLOT = "3f3f3f3f3f3f-cpu0"

PRELUDE = f"""
import json, os, sys, time
from pathlib import Path

def say(type, **content):
    print(json.dumps({{"type": type, **content}}), flush=True)

def heard(order, type, **content):
    about = {{"job": order["job"], "attempt": order["attempt"]}}
    say("heard", slot="{SLOT}", report={{"type": type, **about, **content}})

begin = json.loads(sys.stdin.readline())
times = Path(begin["data_root"]) / "times"
time_ = len(times.read_text()) if times.exists() else 0
times.write_text("x" * (time_ + 1))
say("offers", offers=[{{"name": "{SLOT}", "device": "cpu", "cpus": 2, "free": True}}])
say("heard", slot="{SLOT}", report={{"type": "alive"}})
"""
"""Begins a driver: it offers one slot, and gives a sign of life; `time_` counts the drivers before it."""


@pytest.fixture
def slot():
    """Return the name of the slot."""
    return SLOT


@pytest.fixture
def answers(monkeypatch):
    """Let the cluster refuse whoever has no token, or answer as a test says."""
    given = [Answer(outcome="refused")]
    monkeypatch.setattr(runner_module, "asked_apart", lambda _: given[-1])
    monkeypatch.setattr(runner_module, "FIRST_WAIT", 0.0)
    return given


@pytest.fixture
def named(where):
    """Return settings that name a cluster."""
    update = {"runners": ("ray",), "ray_address": "127.0.0.1:1", "stop_grace_seconds": 0.2, "threads": None}
    return where.model_copy(update=update)


@pytest.fixture
def made(named, answers):  # noqa: ARG001 - the cluster is asked first
    """Return a function that makes a runner whose driver is a program, and that returns what is heard of it."""
    runners = []

    def make(program: str, **changes):
        heard = queue.SimpleQueue()
        runner = RayRunner(named.model_copy(update=changes), (sys.executable, "-c", PRELUDE + program))
        runner.connect(lambda slot, report: heard.put((slot, report)))
        runners.append(runner)
        return runner, heard

    yield make
    for runner in runners:
        runner.stop()


@pytest.fixture
def started(made):
    """Return a function that makes such a runner, and waits for its driver's first sign."""

    def start(program: str, **changes):
        runner, heard = made(program, **changes)
        assert runner.slots() == ()
        heard.get(timeout=60)
        return runner, heard

    return start


@pytest.fixture
def job(jobs, submitted):
    """Return a job that was claimed once."""
    submitted(jobs)
    return jobs.claim()
