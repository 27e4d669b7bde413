"""A screen as a job: its store, what it refuses, and going on after an interruption to the same bits."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

import numpy as np
import pytest
import torch

from attnscope_env import LISTED
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.errors import CaptureInvalidError
from attnscope_server.acting.errors import NotReproducibleError, RolloutStoppedError
from attnscope_server.attempts.order import Order
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_server.errors import ProblemError
from attnscope_server.kinds import Referred
from attnscope_server.limits import Limits
from attnscope_server.screening.job import run_screen
from attnscope_server.screening.kind import KIND
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire import CaptureSpec
from attnscope_storage.wire.specifications.screens import ScreenSpec

CPU = torch.device("cpu")
NAME = uuid4()
STORE = uuid4()
ASKED = {
    "capture": NAME,
    "strategies": [{"name": "none"}, {"name": "recency"}, {"name": "tova"}],
    "budgets": [0.3, 8],
    "memories": ["stateless", "stateful"],
    "decisions": 128,
    "oracles": True,
    "ages": True,
}
BLOCKS = 2
"""Blocks of the screen: six rollouts of 22 decisions, five in the first."""


@pytest.fixture(scope="module")
def policy(registry):
    """Return the policy."""
    return load_policy(registry.folder("causal"), CPU)


@pytest.fixture(scope="module")
def captured(registry, policy, tmp_path_factory):
    """Return a function that captures some steps into a folder of its own and says what refers to it."""

    def capture(**changes):
        folder = tmp_path_factory.mktemp("captures")
        asked = {"checkpoint": "causal", "tasks": {"goals": [(5, 4), (2, 7), (0, 1)]}, "seeds": [0, 3], "steps": 60}
        spec = CaptureSpec.model_validate(asked | {"maps": {"count": 0}} | changes)
        resolved = resolve(spec, registry)
        path = folder / f"{STORE}.zarr"
        run_capture(
            CaptureOrder("capture", "me", spec, resolved, path, durable=False), policy, registry.get("causal"), CPU
        )
        return folder, Referred(STORE, spec, resolved, CaptureReader.open(path).steps_committed)

    return capture


@pytest.fixture(scope="module")
def whole(captured):
    """Return a capture with the rows of every step."""
    return captured()


@pytest.fixture(scope="module")
def order(whole, registry):
    """Return a function that orders a screen of the capture into a folder of some name."""

    def make(name="screen", **changes):
        folder, referred = whole
        spec = ScreenSpec.model_validate(ASKED | changes)
        resolved = KIND.resolve_on(spec, referred, registry, LISTED)
        return Order(name, "me", spec, resolved, folder / f"{name}.zarr", durable=False)

    return make


@pytest.fixture(scope="module")
def screen(policy, registry):
    """Return a function that runs an order."""
    return lambda order, **options: run_screen(order, policy, registry.get("causal"), CPU, **options)


@dataclass(frozen=True)
class Uninterrupted:
    """A screen that ran to its end."""

    order: Order
    told: list[tuple[str, int]]
    """Phases and steps that it told."""
    asked: int
    """Times that it asked whether to stop."""


@pytest.fixture(scope="module")
def uninterrupted(order, screen):
    """Return a screen that nothing interrupted."""
    complete, told, asked = order("complete"), [], []
    screen(
        complete, on_progress=lambda phase, done: told.append((phase, done)), stopped=lambda: bool(asked.append(None))
    )
    return Uninterrupted(complete, told, len(asked))


def arrays(order):
    """Return every array of a store but what no two runs have alike."""
    reader = CaptureReader.open(order.path)
    return {name: reader.array(name)[:] for name in reader.names() if name != "cost/seconds"}


def test_a_screen_is_stored_with_its_schema_and_verifies(uninterrupted):
    """Arms are the grid that fits, every array is whole, and `none` departs by exactly 0."""
    asked = uninterrupted.order
    reader = CaptureReader.open(asked.path)
    assert reader.complete
    assert verify(reader).ok
    assert uninterrupted.told[-1] == ("finishing", 6)
    spelled = {(arm.strategy, arm.positions, arm.memory, arm.interval, arm.oracle) for arm in asked.resolved.arms}
    assert ("tova", "keep", "stateless", 1, True) in spelled
    assert ("tova", "reindex", "stateful", 10, False) in spelled
    assert ("recency", "keep", "stateful", 1, False) not in spelled
    departure = reader.array("screen/departure")[:]
    none = [arm.index for arm in asked.resolved.arms if arm.strategy == "none" and arm.memory == "stateless"]
    assert not departure[:, none].any()
    assert departure.max() > 0
    assert reader.array("rollout/task")[:].tolist() == [49, 49, 25, 25, 1, 1]


@pytest.mark.parametrize("stage", ["chunks-written", "root-renamed"])
def test_a_killed_screen_goes_on_to_the_same_bits(order, screen, uninterrupted, stage):
    """Killed within its first commit or right after it, the screen ends as an uninterrupted one."""
    killed = order(f"killed-{stage}")
    seen = []

    class KilledError(BaseException):
        """Ends the writer as a kill does."""

    def kill(name):
        seen.append(name)
        if name == stage and seen.count(name) == 2:
            raise KilledError

    with pytest.raises(BaseException):  # noqa: B017, PT011 - whatever the writer's end is wrapped in
        screen(killed, at_stage=kill)
    assert CaptureReader.open(killed.path).steps_committed in {0, killed.resolved.block}
    screen(killed)
    one, other = arrays(uninterrupted.order), arrays(killed)
    assert one.keys() == other.keys()
    assert [name for name in one if not np.array_equal(one[name], other[name], equal_nan=True)] == []


def test_a_screen_that_is_told_to_stop_stops_and_goes_on(order, screen, uninterrupted):
    """Cancelled within its second block, what was committed stays, and a retry ends with the same bits."""
    stopped, after = order("stopped"), []
    with pytest.raises(RolloutStoppedError):
        screen(stopped, stopped=lambda: bool(after.append(None)) or len(after) > 0.95 * uninterrupted.asked)
    screen(stopped)
    one, other = arrays(uninterrupted.order), arrays(stopped)
    assert [name for name in one if not np.array_equal(one[name], other[name], equal_nan=True)] == []


def test_captures_without_every_row_screen_blind_rules(captured, registry):
    """With rows of every second step, of fewer layers or none at all, rules that look are left out, in words."""
    for rows in ({"every": 2}, {"enabled": False}, {"layers": [0]}, {"envs": [0]}):
        _, referred = captured(rows=rows, steps=5)
        resolved = KIND.resolve_on(ScreenSpec(capture=NAME), referred, registry, LISTED)
        assert not resolved.rows
        assert "attention" in resolved.notes[0]
        assert {arm.strategy for arm in resolved.arms} & {"tova", "h2o"} == set()
        assert {arm.strategy for arm in resolved.arms} >= {"recency", "uniform", "random"}
        asked = ScreenSpec(capture=NAME, strategies=[{"name": "tova"}])
        with pytest.raises(ProblemError, match="attention"):
            KIND.resolve_on(asked, referred, registry, LISTED)


def test_a_screen_needs_a_capture_of_its_checkpoint(whole, registry):
    """Another checkpoint, nothing committed, or no job at all are refused."""
    _, referred = whole
    with pytest.raises(ProblemError, match="of causal"):
        KIND.resolve_on(ScreenSpec(capture=NAME, checkpoint="noncausal"), referred, registry, LISTED)
    with pytest.raises(ProblemError, match="nobody"):
        KIND.resolve_on(ScreenSpec(capture=NAME, checkpoint="nobody"), referred, registry, LISTED)
    nothing = Referred(referred.store, referred.spec, referred.resolved, 0)
    with pytest.raises(ProblemError, match="no step"):
        KIND.resolve_on(ScreenSpec(capture=NAME), nothing, registry, LISTED)
    with pytest.raises(ProblemError, match="no capture"):
        KIND.resolve_on(ScreenSpec(capture=NAME), None, registry, LISTED)


def test_another_checkpoint_under_the_same_name_is_found_out(order, registry):
    """Logits are compared with those that the capture stored."""
    asked = order("noncausal")
    other = load_policy(registry.folder("noncausal"), CPU)
    with pytest.raises(NotReproducibleError, match="another checkpoint"):
        run_screen(asked, other, registry.get("causal"), CPU)


def test_a_deleted_capture_ends_the_screen_in_words(captured, registry, policy):
    """A screen that begins after its capture went says so."""
    folder, referred = captured(steps=5)
    spec = ScreenSpec.model_validate(ASKED)
    resolved = KIND.resolve_on(spec, referred, registry, LISTED)
    (folder / f"{STORE}.zarr").rename(folder / "gone.zarr")
    with pytest.raises(CaptureInvalidError, match="deleted"):
        run_screen(Order("x", "me", spec, resolved, folder / "x.zarr"), policy, registry.get("causal"), CPU)


def test_a_screen_is_estimated_before_it_runs(whole, registry):
    """Bytes are those of its schema; more decisions cost more."""
    kind, (_, referred) = KIND, whole
    few, many = (
        kind.plan(ScreenSpec(capture=NAME, decisions=decisions), registry, LISTED, Limits(), referred)
        for decisions in (12, 240)
    )
    assert few.bytes_raw < many.bytes_raw
    assert 0 < kind.flops(few.spec, few.resolved, few.policy) < kind.flops(many.spec, many.resolved, many.policy)
    assert few.spec.refers_to == NAME
