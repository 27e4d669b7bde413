"""The planted policies and captures are what they say: later tests measure our findings against them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from attnscope_model.acting.deciding import Decider
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire import CaptureSpec
from planted import Planted, planted_policy, write_large_capture, write_planted
from reading_here import reading_here

CPU = torch.device("cpu")
STEPS = 60
"""Nearly twice the context, so that the window slides."""


@pytest.fixture(autouse=True)
def _inference():
    """Run as the engine does, on one thread."""
    torch.set_num_threads(1)
    with torch.inference_mode():
        yield


@pytest.fixture(params=["learned-absolute", "rotary"])
def planted(request) -> Planted:
    """Return a plan with positions of each kind."""
    return Planted(back=5, positions=request.param)


def test_a_captured_planted_policy_attends_and_acts_as_planted(planted, tmp_path):
    """Registered and captured as any checkpoint: the row of its reader and the logits follow from 5 steps back."""
    registry = CheckpointRegistry(tmp_path / "registry")
    with reading_here():
        info = registry.add(write_planted(tmp_path / "step-0", planted) and tmp_path / "step-0")
    spec = CaptureSpec(checkpoint="planted", tasks={"goals": [(4, 5), (5, 4), (4, 4)]}, steps=STEPS, maps={"count": 0})
    order = CaptureOrder("planted", "tester", spec, resolve(spec, registry), tmp_path / "a.zarr", durable=False)
    run_capture(order, load_policy(registry.folder(info.id), CPU), info, CPU)
    reader = CaptureReader.open(tmp_path / "a.zarr")
    assert verify(reader).ok
    rows, logits = reader.array("attention/rows")[:, :, 0, 0], reader.array("policy/logits")[:]
    action, reward = reader.array("rollout/action")[:], reader.array("rollout/reward")[:]
    assert reward.any()
    for step in range(STEPS):
        query = min(step, planted.context_length - 1)
        enough = step >= planted.back
        assert (rows[step, :, query - planted.back if enough else query] == 1).all()
        then = step - planted.back
        expected = planted.logits(action[then], reward[then]) if enough else np.zeros_like(logits[step])
        assert np.abs(logits[step] - expected).max() < 0.01 * 3 * planted.strength


@pytest.mark.parametrize("reads", ["action", "reward", "both"])
@pytest.mark.parametrize("reader", [(0, 1), (1, 0)])
def test_nothing_but_the_planted_transition_moves_the_logits(planted, reads, reader):
    """Two histories that share only the action and reward k back agree; that action or reward alone decides."""
    planted = replace(planted, reads=reads, reader=reader)
    policy, random = planted_policy(planted), np.random.default_rng(3)
    steps, envs = 40, 6
    histories = [_history(random, steps, envs) for _ in range(2)]
    for part in (1, 2):  # action and reward
        histories[1][part][steps - planted.back] = histories[0][part][steps - planted.back]
    one, other = (_logits(policy, history) for history in histories)
    assert np.abs(one - other).max() < 0.01 * planted.strength
    action, reward = (histories[0][part][steps - planted.back] for part in (1, 2))
    assert np.abs(one - planted.logits(action, reward)).max() < 0.01 * 3 * planted.strength
    assert one.std(axis=0).max() > 1


def test_a_large_capture_holds_the_planted_pattern(tmp_path):
    """A small one of its kind is valid, and head 0 of layer 0 alone has half of its mass 7 transitions back."""
    reader = write_large_capture(tmp_path / "large.zarr", layers=2, heads=3, slots=24, envs=2, steps=50)
    assert reader.complete
    assert verify(reader).ok
    rows, length = reader.array("attention/rows")[:].astype(np.float64), reader.array("context/length")[:]
    assert length[-1].tolist() == [24, 24]
    at_back = np.stack([rows[step, 0, :, :, length[step, 0] - 8] for step in range(7, 50)])
    assert at_back[:, 0, 0].min() >= 0.5
    assert at_back.mean(axis=0).ravel()[1:].max() < 0.2
    again = write_large_capture(tmp_path / "again.zarr", layers=2, heads=3, slots=24, envs=2, steps=50)
    assert all(np.array_equal(reader.array(n)[:], again.array(n)[:], equal_nan=True) for n in reader.names())


def _history(random: np.random.Generator, steps: int, envs: int) -> tuple[np.ndarray, ...]:
    """Return random observations, actions, rewards and next observations, step by step."""
    cells = (steps, envs, 2)
    rewards = random.integers(0, 2, (steps, envs)).astype(np.float32)
    return random.integers(0, 9, cells), random.integers(0, 5, (steps, envs)), rewards, random.integers(0, 9, cells)


def _logits(policy, history) -> np.ndarray:
    """Return the logits after a history."""
    decider = Decider(policy, history[0].shape[1], CPU)
    for transition in zip(*history, strict=True):
        decider.append(*transition)
    return decider.decide(history[0][0]).logits.numpy()
