"""The context window against the plain description of it: a list of transitions, cut to the newest, and a query."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnscope_model.acting.context import ContextWindow
from attnscope_model.forward.policy import Policy
from attnscope_storage.wire import PolicyDescription

CPU = torch.device("cpu")


class TalkingPolicy(Policy):
    """Embeds a transition as its action and the number of the token in it; counts its embeddings."""

    def __init__(self, context_length, per_transition, query_slot):
        super().__init__()
        self.embedded = 0
        self.description = PolicyDescription(
            family="test",
            layers=1,
            heads=1,
            width=2,
            context_length=context_length,
            actions=1000,
            causal=False,
            positions="none",
            query_slot=query_slot,
            tokens_per_transition=per_transition,
            observation="vector",
            parameters=0,
        )

    def embed_transition(self, observation, action, reward, next_observation):  # noqa: ARG002 - the protocol's
        """Return [env, token, (action, token number)]."""
        self.embedded += 1
        tokens = self.description.tokens_per_transition
        number = torch.arange(tokens).expand(len(action), tokens)
        return torch.stack([action[:, None].expand(-1, tokens), number], dim=-1).float()

    def embed_query(self, observation):
        """Return [env, 1, (-1, observation)]."""
        return torch.stack([-torch.ones(len(observation), 1), observation.float()], dim=-1)

    def forward(self, tokens):
        """Return nothing of interest."""
        return tokens[:, 0]

    def attentions(self):
        """Return no attention."""
        return []


def append(window, numbers):
    """Append a transition whose action is the given number in each environment."""
    cells = np.zeros((len(numbers), 1), int)
    window.append(cells, np.array(numbers), np.zeros(len(numbers)), cells)


@settings(max_examples=40)
@given(
    capacity=st.integers(1, 6),
    per_transition=st.integers(1, 3),
    query_slot=st.sampled_from(["first", "last"]),
    steps=st.integers(0, 40),
)
def test_holds_the_newest_transitions_in_order(capacity, per_transition, query_slot, steps):
    """After any number of steps the tokens are those of the newest transitions, oldest first, and the query."""
    policy = TalkingPolicy(capacity * per_transition + 1, per_transition, query_slot)
    window = ContextWindow(policy, 2, CPU)
    for step in range(steps + 1):
        held = list(range(max(0, step - capacity), step))
        tokens = window.tokens(np.array([[step], [step + 1]]))
        assert (window.length, window.start, window.held) == (
            len(held) * per_transition + 1,
            step - len(held),
            len(held),
        )
        for env in range(2):
            expected = [[float(i + 100 * env), float(k)] for i in held for k in range(per_transition)]
            query = [[-1.0, float(step + env)]]
            assert tokens[env].tolist() == (query + expected if query_slot == "first" else expected + query)
        append(window, [step, step + 100])
    assert policy.embedded == steps + 1


def test_asking_twice_changes_nothing(policies):
    """A query is not a transition: it may be asked again, or replaced, without a trace in the window."""
    window = ContextWindow(policies["causal"], 1, CPU)
    cell = np.array([[4, 4]])
    first = window.tokens(cell).clone()
    window.tokens(np.array([[0, 0]]))
    assert torch.equal(window.tokens(cell), first)
    assert window.length == 1


def transitions(steps, envs):
    """Return random transitions."""
    random = np.random.default_rng(0)
    return [
        (
            random.integers(0, 9, (envs, 2)),
            random.integers(0, 5, envs),
            random.integers(0, 2, envs).astype(np.float64),
            random.integers(0, 9, (envs, 2)),
        )
        for _ in range(steps)
    ]


@pytest.mark.parametrize("envs", [1, 8])
def test_a_refilled_window_has_the_same_bits(policies, name, envs):
    """Re-appending the newest transitions one by one gives bitwise the tokens, and logits, of the uninterrupted run."""
    policy = policies[name]
    capacity = policy.description.context_length - 1
    history = transitions(2 * capacity + 37, envs)
    whole, refilled = ContextWindow(policy, envs, CPU), ContextWindow(policy, envs, CPU)
    for transition in history:
        whole.append(*transition)
    for transition in history[-capacity:]:
        refilled.append(*transition)
    query = np.tile([[2, 7]], (envs, 1))
    one, other = whole.tokens(query), refilled.tokens(query)
    assert torch.equal(one.contiguous().view(torch.int32), other.contiguous().view(torch.int32))
    assert torch.equal(policy(one).view(torch.int32), policy(other).view(torch.int32))
    assert (whole.start, refilled.start) == (len(history) - capacity, 0)


def test_rewards_and_cells_of_any_integer_dtype_are_taken(policies):
    """The numbers of environments and stores (int32 cells, float32 rewards) give the tokens of int64 and float64."""
    tokens = []
    for integer, real in ((np.int64, np.float64), (np.int32, np.float32)):
        window = ContextWindow(policies["causal"], 1, CPU)
        cell = np.array([[1, 2]], integer)
        window.append(cell, np.array([3], integer), np.array([1], real), cell)
        tokens.append(window.tokens(cell).clone())
    assert torch.equal(*tokens)
