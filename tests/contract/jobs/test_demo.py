"""The demo: its plan stays small, its service sleeps instead of spinning, and its report proposes no oracle."""

from __future__ import annotations

from types import SimpleNamespace
from uuid import uuid4

import pytest

from attnscope import demo, own_service
from attnscope.errors import ConnectionFailedError, WaitTimeoutError
from attnscope_env import LISTED
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.capturing.resolving import resolve
from attnscope_server.kinds import Referred
from attnscope_server.screening.kind import KIND

DECISIONS, ARMS, JUDGED = 10_000, 90, 320
"""Decisions that the demo rolls out; arms and decisions that it screens; at most. Two minutes hold no more."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Return a registry with the shipped checkpoints."""
    found = CheckpointRegistry(tmp_path_factory.mktemp("registry"))
    found.add_shipped()
    return found


def test_the_plan_stays_small(registry):
    """Counts bound the demo's time: decisions that are rolled out, arms and decisions that are screened."""
    spec = demo.captured()
    captured = resolve(spec, registry)
    assert captured.envs * captured.steps <= DECISIONS
    assert not captured.held_out
    screened = KIND.resolve_on(
        demo.screened(uuid4()), Referred(uuid4(), spec, captured, captured.steps), registry, LISTED
    )
    assert len(screened.arms) <= ARMS
    assert len(screened.envs) * screened.decisions_each <= JUDGED
    assert not any(arm.oracle for arm in screened.arms)
    assert not screened.bands


@pytest.mark.parametrize(("own", "told"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_the_services_threads_sleep_while_they_wait(monkeypatch, tmp_path, own, told):
    """The service gets the setting by its environment; what the user set already stays."""
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if own is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", own)
    program = tmp_path / "attnscope-server"
    program.write_text('#!/bin/sh\necho "waits: $OMP_WAIT_POLICY" >&2\necho "no service"\n')
    program.chmod(0o755)
    monkeypatch.setattr(own_service, "server_program", lambda: str(program))
    with pytest.raises(ConnectionFailedError, match=f"waits: {told}"), own_service.own_service(tmp_path):
        pytest.fail("no service was started")


def test_a_live_decision_tells_its_lines_as_they_come():
    """The time that it may take stands first; each line is printed once, those of the last look too."""
    lines, waits = ["gate: it learns", "screen: 3 arms", "Compress."], iter([1, 2, 3])

    class Job:
        """A decision that commits a line between two looks and ends at the third."""

        info = SimpleNamespace(progress=SimpleNamespace(steps_committed=1))
        known = 0

        def wait(self, *, timeout):
            """End at the third look."""
            assert timeout
            self.known = next(waits)
            if self.known < 3:
                raise WaitTimeoutError("not yet")

        def decision(self):
            """Return the lines so far."""
            return SimpleNamespace(lines=lines[: self.known], card="the card")

    guess = SimpleNamespace(seconds=120.0, seconds_most=600.0, seconds_basis="by the last capture")
    service = SimpleNamespace(estimate=lambda _spec: guess, submit=lambda _spec: Job())
    told = []
    assert demo._decided(service, told.append) == "the card"
    assert told == [
        f"decision on {demo.CHECKPOINT}: about 2 minutes here, 10 if every look is needed (by the last capture)",
        *lines,
    ]
