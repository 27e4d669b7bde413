"""Replay against the reference's own maps, and influence against a small computation of its own in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from attnscope_model.acting.influence import attention_rollout, leave_one_out, value_weighted
from attnscope_model.acting.replay import Moment, replay
from attnscope_model.checkpoints.native import load_tensors
from attnscope_model.errors import NotReplayableError
from attnscope_model.forward.policy import Policy
from attnscope_model.forward.stack import Layer

CPU = torch.device("cpu")
LENGTHS = {"causal": (1, 7, 50, 100), "noncausal": (1, 7, 50, 160)}


def moment(golden, n: int) -> Moment:
    """Return the golden context's first n - 1 transitions and its query, as a capture would hold them."""
    return Moment(
        step=n - 1,
        env=0,
        observation=golden["context_states"][: n - 1].astype(np.int32),
        action=golden["context_actions"][: n - 1].astype(np.int32),
        reward=golden["context_rewards"][: n - 1].astype(np.float32),
        next_observation=golden["context_next_states"][: n - 1].astype(np.int32),
        query=golden["query_state"].astype(np.int32),
    )


class Plain:
    """The reference's forward from its file's tensors, in float64 NumPy: one context, everything explicit."""

    def __init__(self, registry, name):
        self.t = {key: value.double().numpy() for key, value in load_tensors(registry.folder(name)).items()}
        self.causal = name == "causal"
        self.layers = len([key for key in self.t if key.endswith("norm1.weight")])
        self.heads = 4

    def tokens(self, at: Moment, keep: list[int]):
        """Return the embedded transitions to keep, and the query."""
        rows = [[*at.observation[i], *np.eye(5)[at.action[i]], at.reward[i], *at.next_observation[i]] for i in keep]
        embedded = np.array(rows).reshape(-1, 10) @ self.t["embed_context.weight"].T + self.t["embed_context.bias"]
        return np.concatenate([embedded, self.t["embed_query_state.weight"][[at.query[0] * 9 + at.query[1]]]])

    def forward(self, tokens, hidden=()):
        """Return the logits, and every head's maps and transformed values; nobody else sees the hidden slots."""
        n, d = tokens.shape
        x, maps, moved = tokens + self.t["pos_embedding"][0, :n], [], []
        barred = np.triu(np.ones((n, n), bool), 1) if self.causal else np.zeros((n, n), bool)
        for slot in hidden:
            barred[np.arange(n) != slot, slot] = True
        for i in range(self.layers):
            w = {key.split(f"layers.{i}.")[1]: value for key, value in self.t.items() if f"layers.{i}." in key}
            q, k, v = np.split(x @ w["self_attn.in_proj_weight"].T + w["self_attn.in_proj_bias"], 3, axis=1)
            size, out = d // self.heads, w["self_attn.out_proj.bias"].copy()
            for h in range(self.heads):
                cut = slice(h * size, (h + 1) * size)
                scores = np.where(barred, -np.inf, q[:, cut] @ k[:, cut].T / math.sqrt(size))
                weights = np.exp(scores - scores.max(1, keepdims=True))
                weights /= weights.sum(1, keepdims=True)
                through = v[:, cut] @ w["self_attn.out_proj.weight"][:, cut].T
                out = out + weights @ through
                maps.append(weights)
                moved.append(through)
            x = self.norm(x + out, w, "norm1")
            z = x @ w["linear1.weight"].T + w["linear1.bias"]
            z = z * 0.5 * (1 + np.vectorize(math.erf)(z / math.sqrt(2)))
            x = self.norm(x + z @ w["linear2.weight"].T + w["linear2.bias"], w, "norm2")
        logits = x[-1] @ self.t["pred_action.weight"].T + self.t["pred_action.bias"]
        shape = (self.layers, self.heads, n, -1)
        return logits, np.array(maps).reshape(shape), np.array(moved).reshape(shape)

    @staticmethod
    def norm(x, w, name):
        """Return the layer norm of every row."""
        centred = x - x.mean(1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)
        return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]


def divergence(full, without):
    """Return KL(softmax(full) ‖ softmax(without)) in nats."""
    p, q = (np.exp(v - v.max()) / np.exp(v - v.max()).sum() for v in (full, without))
    return float((p * np.log(p / q)).sum())


@pytest.fixture
def plain(registry, name):
    """Return the independent forward of each checkpoint."""
    return Plain(registry, name)


def test_replayed_maps_equal_the_golden_files(policies, golden, name):
    """For contexts of 1, 7, 50 and all tokens, every map and the logits agree to 1e-5 with the reference's."""
    for n in LENGTHS[name]:
        replayed = replay(policies[name], moment(golden[name], n), CPU)
        assert np.abs(replayed.maps.numpy() - golden[name][f"attention_{n}"]).max() < 1e-5
        assert np.abs(replayed.logits.numpy() - golden[name][f"logits_{n}"]).max() < 1e-5
        assert (replayed.moment.start, replayed.moment.held) == (0, n - 1)


@pytest.mark.parametrize("n", [1, 7, 50])
def test_value_weighting_is_the_norm_of_what_is_moved(policies, golden, plain, name, n):
    """‖A_ij f(x_j)‖: f is the value, its bias included, through its head's part of the output map without bias."""
    at = moment(golden[name], n)
    weighted = value_weighted(policies[name], replay(policies[name], at, CPU)).numpy()
    _, maps, moved = plain.forward(plain.tokens(at, list(range(n - 1))))
    expected = np.linalg.norm(maps[..., None] * moved[:, :, None], axis=-1)
    assert weighted.shape == (plain.layers, 4, n, n)
    assert np.abs(weighted - expected).max() < 1e-4 * max(1.0, expected.max())
    assert expected.max() > 0.05


@pytest.mark.parametrize("positions", ["reindex", "mask"])
def test_leaving_one_out_is_what_the_policy_does_without_it(policies, golden, plain, name, positions):
    """For every transition of a context: KL(π_full ‖ π_without) in nats, packed anew or hidden from everybody else."""
    n = 24
    at = moment(golden[name], n)
    replayed = replay(policies[name], at, CPU)
    found = leave_one_out(policies[name], replayed, torch.arange(n - 1), positions).numpy()
    everything = list(range(n - 1))
    full, *_ = plain.forward(plain.tokens(at, everything))
    for left in everything:
        if positions == "reindex":
            without, *_ = plain.forward(plain.tokens(at, [i for i in everything if i != left]))
        else:
            without, *_ = plain.forward(plain.tokens(at, everything), hidden=[left])
        assert found[left] == pytest.approx(divergence(full, without), rel=1e-3, abs=1e-6)
    assert found.max() > 1e-4


def test_some_may_be_left_out_and_none_of_an_empty_context(policies, golden, name):
    """Named transitions give their own values; the first decision has no transition to leave out."""
    policy = policies[name]
    replayed = replay(policy, moment(golden[name], 50), CPU)
    whole = leave_one_out(policy, replayed, torch.arange(49), "reindex")
    some = leave_one_out(policy, replayed, torch.tensor([40, 3]), "reindex")
    assert torch.allclose(some, whole[[40, 3]], atol=1e-6)
    alone = replay(policy, moment(golden[name], 1), CPU)
    for positions in ("reindex", "mask"):
        assert leave_one_out(policy, alone, torch.arange(0), positions).shape == (0,)
    (only,) = leave_one_out(policy, replay(policy, moment(golden[name], 2), CPU), torch.arange(1), "reindex")
    assert only > 0


def test_rollout_follows_known_paths():
    """Attention to oneself stays put; a chain of one step back spreads as the binomial; heads are averaged."""
    n = 5
    stay = torch.eye(n).expand(3, 2, n, n)
    assert torch.equal(attention_rollout(stay), torch.eye(n).expand(3, n, n))
    back = torch.zeros(n, n)
    back[0, 0] = 1
    back[torch.arange(1, n), torch.arange(n - 1)] = 1
    rolled = attention_rollout(back.expand(2, 1, n, n))
    assert rolled[0, 4].tolist() == [0, 0, 0, 0.5, 0.5]
    assert rolled[1, 4].tolist() == [0, 0, 0.25, 0.5, 0.25]
    heads = torch.stack([torch.eye(n), back]).expand(1, 2, n, n)
    assert attention_rollout(heads)[0, 4].tolist() == [0, 0, 0, 0.25, 0.75]
    assert (attention_rollout(torch.softmax(torch.randn(4, 3, n, n), -1)).sum(-1) - 1).abs().max() < 1e-6


class Wrapped(Policy):
    """A policy that is no stack of layers, as a third party's may be."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.description = inner, inner.description
        self.embed_transition, self.embed_query = inner.embed_transition, inner.embed_query

    def embed_transition(self, observation, action, reward, next_observation):
        """Embed as the inner policy."""

    def embed_query(self, observation):
        """Embed as the inner policy."""

    def forward(self, tokens):
        """Return the inner policy's logits."""
        return self.inner(tokens)

    def attentions(self):
        """Return the inner policy's attention."""
        return self.inner.attentions()


def test_a_policy_that_is_no_stack_is_replayed_but_not_value_weighted(policies, golden, name):
    """Maps and leave-one-out need the protocol alone; what needs a layer's parts is refused by name."""
    at = moment(golden[name], 20)
    wrapped = Wrapped(policies[name])
    replayed, own = replay(wrapped, at, CPU), replay(policies[name], at, CPU)
    assert torch.equal(replayed.maps, own.maps)
    one = leave_one_out(wrapped, replayed, torch.arange(19), "reindex")
    assert torch.equal(one, leave_one_out(policies[name], own, torch.arange(19), "reindex"))
    with pytest.raises(NotReplayableError, match="ad-reference"):
        value_weighted(wrapped, replayed)
    with pytest.raises(NotReplayableError, match="mask"):
        leave_one_out(wrapped, replayed, torch.arange(19), "mask")


def test_layers_that_do_not_say_their_output_map_are_refused(policies, golden, monkeypatch):
    """A stack without output maps is refused with the reason instead of a guess at the weights."""
    policy = policies["causal"]
    monkeypatch.setattr(type(policy.layers()[0]), "output", Layer.output)
    with pytest.raises(NotReplayableError, match="output map"):
        value_weighted(policy, replay(policy, moment(golden["causal"], 5), CPU))
