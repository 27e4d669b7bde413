"""The reference policy against the reference's own numbers, and against itself with and without a tape."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnscope_env import preset, terminal_observations
from attnscope_model.acting.context import ContextWindow
from attnscope_model.acting.sampling import choose_actions, uniforms
from attnscope_model.acting.tape import AttentionTape
from attnscope_model.checkpoints.native import build_policy, config_bytes, load_tensors
from attnscope_model.errors import CheckpointUnreadableError

CPU = torch.device("cpu")
LENGTHS = {"causal": (1, 7, 50, 100), "noncausal": (1, 7, 50, 160)}


def fixed_context(policy, golden, n):
    """Return a window that holds the golden context's first n - 1 transitions, and its query."""
    window = ContextWindow(policy, 1, CPU)
    for i in range(n - 1):
        window.append(
            golden["context_states"][i][None],
            golden["context_actions"][i][None],
            golden["context_rewards"][i][None],
            golden["context_next_states"][i][None],
        )
    return window.tokens(golden["query_state"][None])


def test_logits_and_attention_equal_the_golden_files(policies, golden, name):
    """For contexts of 1, 7, 50 and all tokens, logits and every whole map agree to 1e-5."""
    policy, expected = policies[name], golden[name]
    for n in LENGTHS[name]:
        tokens = fixed_context(policy, expected, n)
        with AttentionTape(policy, maps=True) as tape:
            logits = policy(tokens)
        assert np.abs(logits[0].numpy() - expected[f"logits_{n}"]).max() < 1e-5
        assert np.abs(tape.maps[0].numpy() - expected[f"attention_{n}"]).max() < 1e-5
        assert np.abs(tape.rows[0].numpy() - expected[f"attention_{n}"][:, :, -1]).max() < 1e-5


def test_greedy_rollouts_equal_the_golden_files(policies, golden, name):
    """Actions are identical past the slide of the window; rewards, cells, logits and decision rows agree to 1e-5."""
    policy, expected = policies[name], golden[name]
    reference = preset("darkroom-reference")
    environment = reference.make_vector([reference.task_of_goal(tuple(expected["goal"].tolist()))])
    row_steps = expected.get("greedy_row_steps", np.arange(len(expected["greedy_rows"]))).tolist()
    window = ContextWindow(policy, 1, CPU)
    observation, _ = environment.reset()
    steps = len(expected["greedy_actions"])
    assert steps > policy.description.context_length + 40
    for step in range(steps):
        assert observation[0].tolist() == expected["greedy_states"][step].tolist()
        with AttentionTape(policy) as tape:
            logits = policy(window.tokens(observation))
        assert np.abs(logits[0].numpy() - expected["greedy_logits"][step]).max() < 1e-5
        if step in row_steps:
            row = expected["greedy_rows"][row_steps.index(step)]
            assert np.isnan(row[..., window.length :]).all()
            assert np.abs(tape.rows[0].numpy() - row[..., : window.length]).max() < 1e-5
        action = choose_actions(logits, None, 1.0)
        assert action[0] == expected["greedy_actions"][step]
        after, reward, _, _, infos = environment.step(action)
        assert reward[0] == expected["greedy_rewards"][step]
        window.append(observation, action, reward, terminal_observations(after, infos))
        observation = after
    assert window.start == steps - policy.description.context_length + 1


def test_golden_rows_are_there_past_the_slide(golden, name):
    """The files keep rows of a growing window and of a sliding one, so that the comparison above means something."""
    expected = golden[name]
    steps = expected.get("greedy_row_steps", np.arange(len(expected["greedy_rows"])))
    assert len(steps) == len(expected["greedy_rows"])
    assert steps.min() == 0
    assert (steps >= LENGTHS[name][-1]).sum() >= 10


def sampled_rollout(policy, tasks, steps, capture):
    """Return logits and actions of a sampled rollout, recording what `capture` says at each step."""
    environment = preset("darkroom-reference").make_vector(tasks)
    window = ContextWindow(policy, len(tasks), CPU)
    zeros, index = np.zeros(len(tasks), int), np.array([task.index for task in tasks])
    numbers = uniforms(zeros, index, zeros, 0, steps, 0)
    observation, _ = environment.reset()
    logits, actions = [], []
    for step in range(steps):
        tokens = window.tokens(observation)
        if capture(step) is None:
            out = policy(tokens)
        else:
            with AttentionTape(policy, maps=capture(step)):
                out = policy(tokens)
        action = choose_actions(out, numbers[step], 1.0)
        after, reward, _, _, infos = environment.step(action)
        window.append(observation, action, reward, terminal_observations(after, infos))
        observation = after
        logits.append(out.numpy().copy())
        actions.append(action)
    return np.stack(logits), np.stack(actions)


def test_a_tape_changes_no_bit(policies, name):
    """With rows, with whole maps now and then, or with nothing recorded, logits and actions are bitwise equal."""
    tasks = preset("darkroom-reference").tasks("test")
    bare = sampled_rollout(policies[name], tasks, 240, lambda _: None)
    rows = sampled_rollout(policies[name], tasks, 240, lambda _: False)
    maps = sampled_rollout(policies[name], tasks, 240, lambda step: step % 20 == 0)
    for taped in (rows, maps):
        assert np.array_equal(bare[0].view(np.int32), taped[0].view(np.int32))
        assert np.array_equal(bare[1], taped[1])


def test_batches_of_one_and_of_eight_agree(policies, name):
    """A context's logits and rows do not depend on its neighbours beyond 1e-5."""
    policy = policies[name]
    tokens = torch.randn(8, policy.description.context_length, policy.description.width)
    with AttentionTape(policy) as together:
        logits = policy(tokens)
    for env in range(8):
        with AttentionTape(policy) as alone:
            assert (policy(tokens[env : env + 1])[0] - logits[env]).abs().max() < 1e-5
        assert (alone.rows[0] - together.rows[env]).abs().max() < 1e-5


def test_only_the_causal_policy_ignores_the_future(policies):
    """In a causal policy no earlier query attends to a later slot; in the other every slot gets some weight."""
    for name, policy in policies.items():
        with AttentionTape(policy, maps=True) as tape:
            policy(torch.randn(2, 12, policy.description.width))
        future = torch.ones(12, 12, dtype=torch.bool).triu(1)
        assert bool((tape.maps[..., future] > 0).any()) == (name == "noncausal")


def test_description_says_what_the_files_hold(policies):
    """Layers, heads, width, context and parameters are those of SPECS part A."""
    causal, noncausal = policies["causal"].description, policies["noncausal"].description
    assert (causal.layers, causal.heads, causal.width, causal.context_length) == (3, 4, 64, 100)
    assert (noncausal.layers, noncausal.heads, noncausal.width, noncausal.context_length) == (4, 4, 32, 160)
    assert noncausal.parameters == 59_045
    assert (causal.causal, noncausal.causal) == (True, False)
    assert causal.observation == "cell"


def test_a_transition_is_one_linear_map_of_its_parts(policies, name):
    """The token is W·(s, one-hot a, r, s') + b, in that order, and the query is its cell's embedding."""
    policy = policies[name]
    token = policy.embed_transition(
        torch.tensor([[3, 4]]), torch.tensor([2]), torch.tensor([1.0]), torch.tensor([[3, 5]])
    )
    parts = torch.tensor([3.0, 4, 0, 0, 1, 0, 0, 1, 3, 5])
    weight, bias = policy.embed_context.weight, policy.embed_context.bias
    assert torch.allclose(token[0, 0], weight @ parts + bias, atol=1e-6)
    assert torch.equal(policy.embed_query(torch.tensor([[3, 4]]))[0, 0], policy.embed_query_state.weight[31])


def test_tensors_that_do_not_fit_are_refused(registry):
    """A configuration that does not fit its tensors, or of another family, gives no policy."""
    folder = registry.folder("noncausal")
    tensors = load_tensors(folder)
    good = {
        "family": "ad-reference",
        "width": 32,
        "layers": 4,
        "heads": 4,
        "context_length": 160,
        "feedforward": 128,
        "grid_size": 9,
        "actions": 5,
        "causal": False,
    }
    assert (folder / "config.json").read_bytes() == config_bytes(good)
    for change in ({"layers": 3}, {"family": "other"}, {"surprise": 1}, {"width": 64}):
        with pytest.raises(CheckpointUnreadableError):
            build_policy(good | change, tensors)
