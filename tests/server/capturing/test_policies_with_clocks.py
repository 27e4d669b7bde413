"""A policy that knows its step of the episode, through captures, replay, compressed contexts, screens and trials."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from attnscope_model.acting.replay import check, read_moment, replay
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.compression import Compression
from attnscope_model.compression.deciding import CompressedDecider
from attnscope_model.errors import ReplayDiffersError
from attnscope_model.strategies import strategy
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_server.errors import ProblemError
from attnscope_server.screening import Histories, screen
from attnscope_server.trials.job import TrialOrder, run_trial
from attnscope_server.trials.resolving import resolve_trial
from attnscope_server.trials.rollout import TrialRunner
from attnscope_storage.reading.decoded import DecodedChunks
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import CaptureSpec, TrialSpec
from native import register_native
from reading_here import reading_here

GOLDEN = Path(__file__).resolve().parents[2] / "golden"

CPU = torch.device("cpu")
HORIZON = 20
STEPS = 50
"""Past two episodes, and past the slide of the window of 23 transitions."""

TASKS = {"split": "all", "indices": [3, 40]}


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Return a registry with a policy whose clock is right for the room, and one whose clock is not."""
    torch.set_num_threads(1)
    made = CheckpointRegistry(tmp_path_factory.mktemp("clocks"))
    with reading_here():
        made.add(GOLDEN / "ckpt-causal.pt", causal=True, name="reference-causal")
    register_native(made, "right", "rotary", clock_steps=HORIZON)
    register_native(made, "wrong", "rotary", clock_steps=HORIZON + 1)
    return made


@pytest.fixture(scope="module")
def policy(registry):
    """Return the policy whose clock is right."""
    return load_policy(registry.folder("right"), CPU)


@pytest.fixture(scope="module")
def reader(registry, policy, tmp_path_factory):
    """Return its finished capture."""
    spec = CaptureSpec(checkpoint="right", tasks=TASKS, steps=STEPS)
    path = tmp_path_factory.mktemp("captures") / "right.zarr"
    order = CaptureOrder("right", "tester", spec, resolve(spec, registry), path, durable=False)
    run_capture(order, policy, registry.get("right"), CPU)
    return CaptureReader.open(path)


@pytest.fixture(scope="module")
def rollouts(reader):
    """Return what happened in the capture, by name [step, env]."""
    names = ("observation", "action", "reward", "next_observation", "terminated", "truncated")
    return {name: reader.array(f"rollout/{name}")[:STEPS] for name in names}


def test_every_decision_is_replayed(policy, reader):
    """Growing and sliding, each replayed decision is the stored one, and the capture says that there is a clock."""
    chunks = DecodedChunks()
    for step in range(STEPS):
        with torch.inference_mode():
            check(replay(policy, read_moment(chunks, reader, step, step % 2), CPU), chunks, reader)
    assert (reader.policy.clock_steps, reader.policy.clock_episodes) == (HORIZON, 3)


def test_a_replay_with_another_clock_is_refused(registry, reader):
    """The same weights that count from another step decide otherwise: the tests here can fail."""
    other = load_policy(registry.folder("right"), CPU)
    other.get_parameter("clock_step.weight").copy_(other.get_parameter("clock_step.weight").roll(1, 0))
    chunks = DecodedChunks()
    with pytest.raises(ReplayDiffersError):
        check(replay(other, read_moment(chunks, reader, STEPS - 1, 0), CPU), chunks, reader)


def walked(policy, rollouts, setup, lanes):
    """Return the logits [step, env, action] of compressed contexts that are walked as a trial walks them."""
    decider, logits = CompressedDecider(policy, [setup], torch.from_numpy(lanes), CPU), []
    ended = rollouts["terminated"].astype(bool) | rollouts["truncated"].astype(bool)
    with torch.inference_mode():
        for step in range(STEPS):
            logits.append(decider.decide(rollouts["observation"][step]))
            parts = ("observation", "action", "reward", "next_observation")
            decider.append(*(rollouts[name][step] for name in parts), ended[step])
    return torch.stack(logits)


def test_kept_tokens_keep_their_own_step(policy, rollouts):
    """The newest seven of a full context decide as tokens that are embedded and stamped by hand."""
    logits = walked(policy, rollouts, Compression(strategy("recency"), 7, "reindex"), np.arange(2))
    for step in (3, 20, 22, STEPS - 1):
        first, tokens = max(0, step - 7), []
        for t in range(first, step):
            observation, following = (
                torch.from_numpy(rollouts[name][t]).long() for name in ("observation", "next_observation")
            )
            action, reward = torch.from_numpy(rollouts["action"][t]).long(), torch.from_numpy(rollouts["reward"][t])
            tokens.append(policy.stamp(policy.embed_transition(observation, action, reward, following), t))
        query = policy.embed_query(torch.from_numpy(rollouts["observation"][step]).long())
        with torch.inference_mode():
            by_hand = policy(torch.cat([*tokens, policy.stamp(query, step)], dim=1))
        assert (by_hand - logits[step]).abs().max() < 1e-5


def test_a_screen_departs_as_walked_contexts_do(policy, reader, rollouts):
    """The screen's departures are those of decisions that are walked one by one."""
    moved = {name: np.moveaxis(values, 0, 1) for name, values in rollouts.items()}
    width = reader.policy.context_length
    rows = np.moveaxis(reader.array("attention/rows")[:STEPS].astype(np.float32).mean(axis=(2, 3)), 0, 1)[..., :width]
    histories = Histories(
        observation=moved["observation"],
        action=moved["action"],
        reward=moved["reward"],
        next_observation=moved["next_observation"],
        ended=moved["terminated"].astype(bool) | moved["truncated"].astype(bool),
        task=np.array([3, 40]),
        seed=np.zeros(2, np.int64),
        rows=rows,
    )
    whole = walked(policy, rollouts, Compression(strategy("none")), histories.lanes).softmax(-1)
    setups = [Compression(strategy(name), 7, "reindex") for name in ("recency", "rewards")]
    found = screen(policy, histories, setups, decisions=2 * STEPS)
    for place, arm in enumerate(found.plan.arms):
        walk = walked(policy, rollouts, arm.setup, histories.lanes).softmax(-1)
        departures = (walk - whole).abs().sum(-1) / 2
        screened = torch.from_numpy(np.asarray(found.arrays["screen/departure"])[:, place].T.copy())
        assert (screened - departures).abs().max() < 1e-4
        assert departures.max() > 1e-3


def test_a_trial_takes_it(registry, policy, tmp_path):
    """A trial runs to its end, and keeping everything is the uncompressed rollout bit for bit."""
    spec = TrialSpec.model_validate(
        {
            "checkpoint": "right",
            "tasks": TASKS,
            "seeds": [0],
            "episodes": 3,
            "strategies": [{"name": "none"}, {"name": "recency"}],
            "budgets": [7],
            "speed": {"enabled": False},
        }
    )
    path = tmp_path / "trial.zarr"
    order = TrialOrder("job", "tester", spec, resolve_trial(spec, registry), path, durable=False)
    run_trial(order, policy, registry.get("right"), CPU, TrialRunner)
    trial = CaptureReader.open(path)
    action = trial.array("rollout/action")[:]
    assert np.array_equal(action[0], action[1])
    assert not np.array_equal(action[0], action[2])


def test_a_clock_of_another_horizon_is_refused(registry):
    """A policy that counts 21 steps in every episode is not let into a room whose episodes last 20."""
    with pytest.raises(ProblemError, match="counts 21 steps in every episode, those of darkroom-reference last 20"):
        resolve(CaptureSpec(checkpoint="wrong", tasks=TASKS, steps=STEPS), registry)
