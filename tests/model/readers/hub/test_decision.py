"""Decision Transformers of the Transformers library: actions and attention are those of the library's own forward."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from attnscope_model.checkpoints.native import load_policy
from attnscope_model.errors import CaptureInvalidError, CheckpointError
from attnscope_model.forward.attention import attention_map

CPU = torch.device("cpu")
MEASURED = 4.4e-7
"""Largest distance of an independent forward in double precision from the library's; ten times that is allowed."""

pytestmark = pytest.mark.usefixtures("parsed_here")


@pytest.fixture
def policy(empty, folder):
    """Return the golden folder's policy, through the registry."""
    return load_policy(empty.folder(empty.add(folder("decision_transformer").path).id), CPU)


def tokens_of(policy, golden, steps):
    """Return the tokens of so many golden steps, without the last action."""
    parts = []
    for step in range(steps):
        at = torch.from_numpy(golden["timesteps"][:, step])
        left, state, action = (
            torch.from_numpy(golden[name][:, step]) for name in ("returns_to_go", "states", "actions")
        )
        parts.append(policy.placed(policy.present(left[:, 0], state), at))
        parts.append(policy.placed(policy.embed_action(action)[:, None], at))
    return torch.cat(parts[:-1], dim=1)


@pytest.mark.parametrize("steps", [1, 5, 12])
def test_actions_and_maps_are_the_librarys(policy, golden_of, steps):
    """The last step's action and every map, but for the token of the action that is still to be chosen."""
    golden = golden_of("decision_transformer")
    tokens = tokens_of(policy, golden, steps)
    action, rows = policy.decided(tokens)
    assert np.abs(action[0].numpy() - golden[f"action_{steps}"]).max() < 10 * MEASURED
    expected = golden[f"attention_{steps}"][:, :, :-1, :-1]
    assert np.abs(rows[0].numpy() - expected[:, :, -1]).max() < 10 * MEASURED
    for number, layer in enumerate(policy._stack):
        queries, keys, _ = layer.project(tokens)
        whole = attention_map(queries, keys, causal=True)[0].numpy()
        assert np.abs(whole - expected[number]).max() < 10 * MEASURED
        tokens = layer.forward(tokens)


@pytest.mark.usefixtures("_outside_inference_mode")
def test_continuous_actions_are_the_librarys_through_its_memory(empty, folder, golden_of):
    """Led through the golden steps with their action vectors, each decision is the library's action and attention."""
    golden, declared = golden_of("decision_transformer"), folder("decision_transformer")
    declared.declare(continuous=True, actions=..., action_scale=[2.0, 2.0, 2.0])
    info = empty.add(declared.path)
    assert (info.policy.output.kind, info.policy.output.scale, info.policy.outputs) == ("vector", (2.0, 2.0, 2.0), 3)
    assert info.sampling == "greedy"
    memory = load_policy(empty.folder(info.id), CPU).memory(1, CPU)
    left = torch.from_numpy(golden["returns_to_go"][:, :, 0])
    memory.at, memory.left, first = torch.from_numpy(golden["timesteps"][:, 0]), left[:, 0], 3
    memory._past = torch.zeros_like(memory._past)
    for step in range(12):
        assert int(memory.at[0]) == first + step
        # The memory counts the golden's later first step as past ones: what it holds of them is left out here.
        memory.held = lambda step=step: torch.tensor([step])
        recalled = memory.decide(torch.from_numpy(golden["states"][:, step]))
        if f"action_{step + 1}" in golden:
            assert np.abs(recalled.logits[0].numpy() - golden[f"action_{step + 1}"]).max() < 10 * MEASURED
            expected = golden[f"attention_{step + 1}"][:, :, -2, :-1]
            assert np.abs(recalled.rows[0].numpy() - expected).max() < 10 * MEASURED
        reward = left[:, step] - left[:, min(step + 1, 11)]
        memory.append(torch.from_numpy(golden["actions"][:, step]), reward, torch.zeros(1, dtype=torch.bool))


def test_a_memory_counts_returns_down_and_forgets_with_the_episode(policy):
    """Step by step, the decision is that over the newest steps' tokens, each with its own time and return."""
    random = np.random.default_rng(0)
    memory, kept, left = policy.memory(2, CPU), [], torch.tensor([4.0, 4.0])
    for step in range(30):
        state = torch.from_numpy(random.normal(size=(2, 5)).astype(np.float32))
        at = torch.full((2,), step % 20)
        recalled = memory.decide(state)
        present = policy.placed(policy.present(left, state), at)
        logits, rows = policy.decided(torch.cat([*kept[-11:], present], dim=1))
        assert torch.allclose(recalled.logits, logits, atol=1e-6)
        assert torch.allclose(recalled.rows, rows, atol=1e-6)
        action, reward = torch.tensor([step % 3, 2]), torch.tensor([0.5, -1.0])
        one_hot = functional.one_hot(action, 3).float()
        kept.append(torch.cat([present, policy.placed(policy.embed_action(one_hot)[:, None], at)], dim=1))
        left = left - reward
        ended = torch.full((2,), step == 19)
        memory.append(action, reward, ended)
        if step == 19:
            kept, left = [], torch.tensor([4.0, 4.0])


def test_unequal_episodes_are_computed_as_alone(policy):
    """A batch whose contexts differ in length decides as each of its environments alone."""
    random = np.random.default_rng(1)
    both, alone = policy.memory(2, CPU), [policy.memory(1, CPU) for _ in range(2)]
    for step in range(9):
        state = torch.from_numpy(random.normal(size=(2, 5)).astype(np.float32))
        recalled = both.decide(state)
        for env, memory in enumerate(alone):
            single = memory.decide(state[env : env + 1])
            length = single.rows.shape[-1]
            assert torch.allclose(recalled.logits[env], single.logits[0], atol=1e-6)
            assert torch.allclose(recalled.rows[env, ..., :length], single.rows[0], atol=1e-6)
            assert not recalled.rows[env, ..., length:].any()
        action, reward, ended = torch.tensor([0, 1]), torch.ones(2), torch.tensor([step == 3, step == 5])
        both.append(action, reward, ended)
        for env, memory in enumerate(alone):
            memory.append(action[env : env + 1], reward[env : env + 1], ended[env : env + 1])


def test_an_episode_beyond_the_embeddings_is_refused(policy):
    """There are 60 of them; the 61st step has none. A state of another size is refused, too."""
    memory = policy.memory(1, CPU)
    memory.at += 60
    with pytest.raises(CaptureInvalidError, match="more than the 60 steps that the policy has embeddings for"):
        memory.decide(torch.zeros(1, 5))
    with pytest.raises(CaptureInvalidError, match=r"expected observations of 5 numbers.*gives 4 real ones"):
        policy.memory(1, CPU).decide(torch.zeros(1, 4))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"actions": ...}, "its actions are vectors of 3 numbers: where they are one-hot, write actions 3"),
        ({"continuous": 1}, "continuous: expected true or false, got '1'"),
        ({"continuous": True, "actions": 4}, "actions: expected the 3 numbers of its vectors, or none"),
        ({"continuous": True, "action_scale": [1.0]}, "action_scale: expected 3 numbers, or none, got 1"),
        ({"continuous": True, "action_scale": [1.0, 0.0, 1.0]}, "action_scale: expected a number above 0"),
        ({"action_scale": [1.0] * 3}, "action_scale: expected none of actions that are one-hot, got 3"),
        ({"steps": ...}, "write steps into attnscope.json"),
        ({"target_return": ...}, "write target_return into attnscope.json"),
        ({"target_return": float("nan")}, "target_return: expected a finite number"),
        ({"target_return": 1e308}, "target_return: expected a finite number of 1e"),
        ({"return_scale": 0}, "return_scale: expected a number above 0"),
        ({"return_scale": 1e-308}, "return_scale: expected a number above 0, from 1e-15 on"),
        ({"state_mean": [0.0] * 5, "state_std": [1e-320] * 5}, "state_std: expected a number above 0"),
        ({"state_mean": [1.0] * 5}, "state_mean, state_std: expected 5 numbers each, or neither, got 5 and 0"),
        ({"state_mean": [1.0], "state_std": [1.0]}, "expected 5 numbers each, or neither, got 1 and 1"),
        ({"state_std": "one"}, "state_std: expected a list of numbers"),
        ({"tokens": ["state", "action"]}, "unknown keys tokens"),
    ],
)
@pytest.mark.usefixtures("_outside_inference_mode")
def test_a_declaration_that_does_not_fit_is_refused(empty, folder, changes, reason):
    """Returns, steps, statistics of states and the kind of actions stand in no tensor."""
    spoilt = folder("decision_transformer")
    spoilt.declare(**changes)
    with pytest.raises(CheckpointError, match=reason):
        empty.add(spoilt.path)
    assert empty.list() == []
