"""Every environment through the engine: floats, integers, early endings, noise; resumed to the same bits, replayed."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from attnscope_env import GymnasiumEntry, Listings
from attnscope_model.acting.replay import check, read_moment, replay
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.families.reference import ReferenceConfig, ReferenceLayer, describe
from attnscope_model.forward.stack import StackedPolicy
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_server.capturing.rollout import RolloutStoppedError
from attnscope_server.errors import ProblemError
from attnscope_storage.kinds.capture import lengths
from attnscope_storage.reading.decoded import DecodedChunks
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire import CaptureSpec, CheckpointInfo

CPU = torch.device("cpu")
LISTINGS = Listings(
    [
        GymnasiumEntry(id="FrozenLake-v1", horizon=20, actions=("left", "down", "right", "up")),
        GymnasiumEntry(id="CliffWalking-v1", horizon=20, actions=("up", "right", "down", "left")),
        GymnasiumEntry(
            id="CartPole-v1",
            horizon=20,
            actions=("left", "right"),
            kwargs_schema={"properties": {"sutton_barto_reward": {"type": "boolean"}}},
        ),
    ]
)
FEATURES = {"FrozenLake-v1": 1, "CliffWalking-v1": 1, "CartPole-v1": 4, "bandit-bernoulli": 1, "bandit-gaussian": 1}


class VectorPolicy(StackedPolicy):
    """Two random causal layers over vectors of numbers, one token a transition."""

    def __init__(self, features: int, actions: int) -> None:
        super().__init__()
        config = ReferenceConfig(
            width=16,
            layers=2,
            heads=2,
            context_length=24,
            feedforward=32,
            grid_size=1,
            actions=actions,
            causal=True,
        )
        self.actions = actions
        self.positions = nn.Parameter(torch.randn(1, config.context_length, config.width))
        self.transition = nn.Linear(2 * features + actions + 1, config.width)
        self.query = nn.Linear(features, config.width)
        self.stack = nn.ModuleList(ReferenceLayer(config) for _ in range(config.layers))
        self.out = nn.Linear(config.width, actions)
        self.description = describe(config, 1).model_copy(update={"observation": "vector"})
        self.seen: set[torch.dtype] = set()

    def embed_transition(self, observation, action, reward, next_observation):
        """Return one token."""
        self.seen |= {observation.dtype, next_observation.dtype}
        parts = [observation, functional.one_hot(action, self.actions), reward[:, None], next_observation]
        return self.transition(torch.cat([part.float() for part in parts], dim=1))[:, None]

    def embed_query(self, observation):
        """Return one token."""
        return self.query(observation.float())[:, None]

    def place(self, tokens, first=0):
        """Add positions."""
        return tokens + self.positions[:, first : first + tokens.shape[1]]

    def layers(self):
        """Return both layers."""
        return tuple(self.stack)

    def read(self, x):
        """Return logits."""
        return self.out(x)


class OneCheckpoint(CheckpointRegistry):
    """A registry that holds one checkpoint, in memory."""

    def __init__(self, info: CheckpointInfo) -> None:
        self.info = info

    def get(self, _name: str) -> CheckpointInfo:
        """Return it."""
        return self.info


@pytest.fixture
def capture(tmp_path):
    """Return a function that captures in a preset and gives reader and policy."""

    def run(preset: str, name: str = "c", stop_at: int | None = None, listings: Listings = LISTINGS, **options):
        torch.set_num_threads(1)
        torch.manual_seed(0)
        policy = VectorPolicy(FEATURES.get(preset, 2), len(LISTINGS.preset(preset).actions)).eval()
        info = CheckpointInfo(
            id="c" * 64,
            name="toy",
            policy=policy.description,
            preset=preset,
            causal_stated_by="user",
            train_tasks=None,
            source_sha256="0" * 64,
            source_name="toy",
            added_at=datetime.now(UTC),
        )
        spec = CaptureSpec(**({"checkpoint": "toy", "tasks": {"split": "all", "indices": [0]}} | options))
        resolved = resolve(spec, OneCheckpoint(info), listings)
        order = CaptureOrder("c", "tester", spec, resolved, tmp_path / name, durable=False, listings=LISTINGS)
        asked, committed = iter(range(10_000)), threading.Event()

        def stopped() -> bool:
            """Stop at this question, once a commit is there to resume from."""
            return stop_at is not None and next(asked) >= stop_at and committed.wait(60)

        run_capture(order, policy, info, CPU, stopped=stopped, on_commit=lambda _commit: committed.set())
        return CaptureReader.open(tmp_path / name), policy

    return run


def arrays(reader):
    """Return every decoded array."""
    return {name: reader.array(name)[:] for name in reader.names()}


PRESETS = {
    "key-to-door": {"split": "all", "indices": [0, 77, 6560]},
    "darkroom-permuted": {"split": "test", "indices": [0, 11]},
    "bandit-bernoulli": {"split": "test", "indices": [0, 5]},
    "bandit-gaussian": {"split": "test", "indices": [0, 5]},
    "darkroom-17": {"split": "test", "indices": [3]},
    "FrozenLake-v1": {"split": "all", "indices": [0]},
    "CliffWalking-v1": {"split": "all", "indices": [0]},
    "CartPole-v1": {"split": "all", "indices": [0]},
}


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_resumed_capture_has_the_same_bits(capture, tmp_path, monkeypatch, preset):
    """Stopped twice, early and past the slide, the capture ends bit-equal; its attention replays at any step."""
    monkeypatch.setattr(lengths, "CHUNK_BYTES", 2**10)  # a few steps a commit
    monkeypatch.setattr(lengths, "LEAST_STEPS", 1)
    options = {"tasks": PRESETS[preset], "seeds": [0, 5], "replicas": 2, "steps": 48}
    whole, policy = capture(preset, "whole", **options)
    for stop_at in (9, 25):
        with pytest.raises(RolloutStoppedError):
            capture(preset, "resumed", stop_at=stop_at, **options)
        assert CaptureReader.open(tmp_path / "resumed").steps_committed > 0
    resumed, _ = capture(preset, "resumed", **options)
    left, right = arrays(whole), arrays(resumed)
    assert left.keys() == right.keys()
    for name, values in left.items():
        assert np.array_equal(values, right[name], equal_nan=values.dtype.kind == "f"), name
    assert verify(resumed).ok
    with torch.inference_mode():
        for step in (0, 10, 47):
            check(replay(policy, read_moment(DecodedChunks(), resumed, step, 1), CPU), DecodedChunks(), resumed)


@pytest.mark.parametrize(
    ("preset", "dtype", "shape", "seen"),
    [
        ("CartPole-v1", "float32", (40, 1, 4), torch.float32),
        ("FrozenLake-v1", "int64", (40, 1), torch.int64),
        ("key-to-door", "int32", (40, 1, 2), torch.int64),
    ],
)
def test_observations_keep_their_kind(capture, preset, dtype, shape, seen):
    """Floats are stored and embedded as floats, integers as integers, a discrete observation is stored as a scalar."""
    reader, policy = capture(preset, steps=40)
    stored = reader.array("rollout/observation")[:]
    assert (stored.dtype.name, stored.shape) == (dtype, shape)
    assert policy.seen == {seen}
    if dtype == "float32":
        assert (stored % 1 != 0).any()


def test_an_episode_that_ends_early_adds_its_own_transitions(capture):
    """Every step is a real transition; the next episode begins right after, and each is counted by environment."""
    reader, _ = capture("CartPole-v1", replicas=3, steps=120)
    ended = (reader.array("rollout/terminated")[:] | reader.array("rollout/truncated")[:]).astype(bool)
    episode = reader.array("rollout/episode")[:]
    np.testing.assert_array_equal(episode[1:], np.cumsum(ended, axis=0)[:-1])
    assert (np.bincount(episode[:, 0])[:-1] <= 20).all()
    before, after = reader.array("rollout/observation")[:], reader.array("rollout/next_observation")[:]
    np.testing.assert_array_equal(before[1:][~ended[:-1]], after[:-1][~ended[:-1]])
    assert (np.abs(before[1:][ended[:-1]]) <= 0.05).all()
    assert len({tuple(start) for start in before[0]}) == 3


def test_replicas_of_a_bandit_have_noise_of_their_own(capture):
    """Two replicas of one task and seed share the means and not the noise."""
    reader, _ = capture("bandit-gaussian", replicas=2, steps=60)
    reward, action = reader.array("rollout/reward")[:], reader.array("rollout/action")[:]
    same = action[:, 0] == action[:, 1]
    assert same.any()
    assert not np.isclose(reward[same, 0], reward[same, 1]).any()


@pytest.mark.parametrize(
    ("preset", "options", "words"),
    [
        ("key-to-door", {"tasks": {"goals": [(5, 4)]}}, "key row, key column, door row, door column"),
        ("key-to-door", {"environment": {"kwargs": {"size": 5}}}, "was trained with size"),
        ("key-to-door", {"environment": {"kwargs": {"horizon": 10**9}}}, "horizon"),
        ("bandit-gaussian", {"environment": {"kwargs": {"arms": 4}}}, "was trained with arms"),
        ("CartPole-v1", {"environment": {"kwargs": {"render_mode": "human"}}}, "was unexpected"),
        ("CartPole-v1", {"environment": {"id": "FrozenLake-v1"}}, "acts in CartPole-v1"),
        ("CartPole-v1", {"environment": {"id": "Acrobot-v1"}}, "not listed"),
        ("CartPole-v1", {"tasks": {"goals": [(1, 2)]}}, "split and indices"),
    ],
)
def test_requests_that_cannot_be_are_refused(capture, preset, options, words):
    """Tasks and arguments that the environment does not have are named in the problem."""
    with pytest.raises(ProblemError, match=words):
        capture(preset, steps=5, **options)


def test_key_and_door_name_a_task(capture):
    """Four numbers are a key and a door; the cell that comes back names both."""
    reader, _ = capture("key-to-door", tasks={"goals": [(1, 2, 7, 8)]}, steps=3)
    (cell,) = reader.attributes["resolved"]["tasks"]
    assert cell["parameters"] == {"key": [1, 2], "door": [7, 8]}
    assert (cell["goal"], cell["label"], cell["optimal_return"]) == (None, "key (1, 2), door (7, 8)", 2.0)


def test_allowed_arguments_reach_the_environment(capture):
    """A value that the operator's schema allows changes the environment: every step of a standing pole pays 0."""
    reader, _ = capture("CartPole-v1", environment={"kwargs": {"sutton_barto_reward": True}}, steps=40)
    terminated = reader.array("rollout/terminated")[:].astype(bool)
    assert (reader.array("rollout/reward")[:] == np.where(terminated, -1, 0)).all()


def test_a_listing_with_other_actions_than_the_policy_chooses_among_is_refused(capture):
    """At submission, not when a worker has made the environment."""
    listings = Listings([GymnasiumEntry(id="CartPole-v1", horizon=20, actions=("left", "right", "stay"))])
    with pytest.raises(ProblemError, match="chooses among 2 actions, CartPole-v1 has 3"):
        capture("CartPole-v1", steps=2, listings=listings)


def test_a_checkpoint_whose_environment_is_gone_says_so(capture):
    """If the operator's list lacks the checkpoint's preset, a job for it is refused with that reason."""
    with pytest.raises(ProblemError, match="'CartPole-v1', which is not listed here"):
        capture("CartPole-v1", steps=2, listings=Listings())
