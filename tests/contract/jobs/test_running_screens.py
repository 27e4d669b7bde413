"""A screen of a capture that still runs, beside the device that the capture keeps busy."""

from __future__ import annotations

import numpy as np
import pytest

import attnscope
from attnscope_storage.wire import JobState

STEPS = 1_000_000
"""Steps of the capture: far more than it will have taken when the screen ends."""

ENOUGH = 60
"""Committed steps from which the capture is screened."""


@pytest.fixture(scope="module")
def client(service):
    """Return a client of the running service."""
    with attnscope.connect(service.url, service.key) as connected:
        yield connected


@pytest.fixture
def running(client):
    """Return a capture that has committed some steps and goes on; it is cancelled in the end."""
    asked = {"checkpoint": "AD-darkroom-seed42", "tasks": {"split": "test", "indices": [2, 7]}, "seeds": [0, 4]}
    job = client.submit(**asked, steps=STEPS, maps={"count": 0})
    while job.refresh(wait=0.5).info.progress.steps_committed < ENOUGH:
        assert not job.state.final
    yield job
    job.cancel()
    while not job.refresh(wait=2.0).state.final:
        pass


def test_a_running_capture_is_screened_beside_its_device(client, running):
    """The screen judges what was committed when it was submitted, ends while the capture runs, and names its steps."""
    rules = [{"name": "none"}, {"name": "recency"}, {"name": "tova"}]
    screened = client.submit(
        kind="screen", capture=running.id, strategies=rules, budgets=[0.25], decisions=32, ages=True
    ).wait()
    assert running.refresh().state is JobState.RUNNING
    screen = screened.screen()
    steps = screen.resolved.steps
    assert ENOUGH <= steps <= running.info.progress.steps_done < STEPS
    results = screen.results()
    assert np.asarray(results.arrays["decision/step"]).max() < steps
    none = next(arm.index for arm in screen.arms if arm.strategy == "none")
    assert results.tv_all.value[none] == 0
    assert results.tv_all.value.max() > 0
    assert {arm.strategy for arm in screen.arms} == {"none", "recency", "tova"}
    assert np.isfinite(results.arrays["ages/departure"]).any()
