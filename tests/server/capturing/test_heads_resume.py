"""Captures and trials of branches, action vectors and grids: interrupted, they end with the same bits."""

from __future__ import annotations

from uuid import uuid4

import numpy as np
import pytest
import torch

from attnscope_env.presets.listing import Listings
from attnscope_model.acting.replay import read_moment
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.errors import ReplayDiffersError
from attnscope_server.acting.rooms import HostRooms
from attnscope_server.attempts.opening import environments_of
from attnscope_server.attempts.order import Order
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_server.capturing.rollout import RolloutStoppedError
from attnscope_server.trials.axes import trial_axis
from attnscope_server.trials.resolving import resolve_trial
from attnscope_server.trials.rollout import TrialRunner
from attnscope_storage.kinds.capture import lengths
from attnscope_storage.reading.decoded import DecodedChunks
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire import CaptureSpec, TrialSpec
from heads.environments import ENTRIES
from heads.installed import installed
from heads.policies import save
from reading_here import reading_here

CPU = torch.device("cpu")
LISTED = Listings(ENTRIES)
KINDS = ("branches", "squashed", "vector", "grid")


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Return a registry with a small policy of every kind, which this process finds while the module's tests run."""
    torch.set_num_threads(1)
    registry, files = CheckpointRegistry(tmp_path_factory.mktemp("registry")), tmp_path_factory.mktemp("files")
    with installed(files / "site"), reading_here():
        for kind in KINDS:
            registry.add(save(files / f"{kind}.pt", kind), name=kind)
        yield registry


def captured(registry, path, kind, stopped=lambda: False):
    """Capture, and return a reader of what is committed."""
    spec = CaptureSpec.model_validate({"checkpoint": kind, "steps": 20, "seeds": [3], "maps": {"count": 0}})
    info = registry.get(kind)
    resolved = resolve(spec, registry, LISTED)
    order = CaptureOrder("a job", "local", spec, resolved, path, durable=False, listings=LISTED)
    run_capture(order, load_policy(registry.folder(info.id), CPU), info, CPU, stopped=stopped)
    return CaptureReader.open(path)


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_capture_ends_with_the_same_bits(registry, tmp_path, monkeypatch, kind):
    """Stopped after some commits and begun again, a capture holds what an uninterrupted one holds."""
    monkeypatch.setattr(lengths, "CHUNK_BYTES", 2**8)
    monkeypatch.setattr(lengths, "LEAST_STEPS", 1)
    whole = captured(registry, tmp_path / "whole", kind)
    asked = iter(range(100))
    with pytest.raises(RolloutStoppedError):
        captured(registry, tmp_path / "parts", kind, lambda: next(asked) > 12)
    assert 0 < CaptureReader.open(tmp_path / "parts").steps_committed < 20
    parts = captured(registry, tmp_path / "parts", kind)
    assert verify(parts).ok
    for name in whole.names():
        one, other = whole.array(name)[:], parts.array(name)[:]
        assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f"), name


@pytest.mark.parametrize("kind", ["branches", "squashed"])
def test_a_window_with_actions_that_no_policy_has_is_not_replayed(registry, tmp_path, kind):
    """A branch beyond its size and a component that was never written are refused before any map is computed."""
    reader, chunks = captured(registry, tmp_path / "capture", kind), DecodedChunks()
    original = chunks.steps

    def spoilt(of, name, first, last, env):
        values = np.array(original(of, name, first, last, env))
        if name == "rollout/action":
            values[1, 1] = 2 if kind == "branches" else np.nan
        return values

    assert read_moment(chunks, reader, 7, 0).action.shape == (7, 2)
    chunks.steps = spoilt
    with pytest.raises(ReplayDiffersError, match="a transition that was never written"):
        read_moment(chunks, reader, 7, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_trial_measures_what_an_uninterrupted_one_does(registry, tmp_path, kind):
    """The uncompressed rollout is taken again from its stored actions, whatever their axes."""
    asked = {"checkpoint": kind, "strategies": [{"name": "recency"}], "budgets": [3], "episodes": 2, "controls": False}
    spec = TrialSpec.model_validate({**asked, "seeds": [1, 2], "divergence_steps": 4, "speed": {"enabled": False}})
    resolved, info = resolve_trial(spec, registry, LISTED), registry.get(kind)
    policy = load_policy(registry.folder(info.id), CPU)
    environments = environments_of(Order(str(uuid4()), "local", spec, resolved, tmp_path, listings=LISTED))
    first, resumed = (TrialRunner(spec, resolved, policy, environments, CPU) for _ in range(2))
    (plain,) = first.run((0,))
    resumed.restore(plain.action, plain.reward)
    wanted, found = next(first.run((1,))).arrays(), next(resumed.run((1,))).arrays()
    assert wanted.keys() == found.keys()
    for name, values in wanted.items():
        assert np.array_equal(values, found[name], equal_nan=values.dtype.kind == "f"), name
    axes = {"branches": (2, 2, 12, 2), "grid": (2, 2, 12)}.get(kind, (2, 2, 12, 2))
    assert plain.action.shape == axes


def test_vectors_beyond_the_bounds_are_brought_within(registry, tmp_path):
    """The environment is stepped by what its space contains, and the transition holds it."""
    spec = TrialSpec.model_validate({"checkpoint": "squashed", "strategies": [{"name": "recency"}], "budgets": [2]})
    resolved = resolve_trial(spec, registry, LISTED)
    axis = trial_axis(spec, resolved)
    environment = environments_of(Order("a job", "local", spec, resolved, tmp_path, listings=LISTED))(axis)
    taken = HostRooms(environment, axis).step(np.full((len(axis.task), 2), [7.0, -0.25], np.float32))
    environment.close()
    assert taken.action.tolist() == [[1.0, -0.25]] * len(axis.task)
