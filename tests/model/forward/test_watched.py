"""Attention of foreign modules: seen from outside, never changed, and refused where it was not seen."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from attnscope_model.acting.tape import AttentionTape
from attnscope_model.errors import CaptureInvalidError
from attnscope_model.forward.noting import AttentionCall
from attnscope_model.forward.watched import LOOKED_AT, WatchedPolicy, watching
from attnscope_storage.wire import PolicyDescription

BY_NAME = functional.scaled_dot_product_attention
MASK = torch.rand(6, 6, generator=torch.Generator().manual_seed(1)) > 0.4
MASK |= torch.eye(6, dtype=torch.bool)
PAST = torch.ones(6, 6).tril().bool()


class Foreign(WatchedPolicy):
    """A policy around whatever function of tokens it is given."""

    def __init__(self, module, *, layers=2, heads=2, causal=False):
        super().__init__()
        self.module = module
        self.description = PolicyDescription(
            family="foreign",
            layers=layers,
            heads=heads,
            width=8,
            context_length=6,
            actions=8,
            causal=causal,
            positions="none",
            query_slot="last",
            tokens_per_transition=1,
            observation="vector",
            parameters=0,
        )

    def embed_transition(self, observation, action, reward, next_observation):  # noqa: ARG002 - the protocol's
        """Return nothing of interest."""
        return torch.zeros(len(action), 1, 8)

    def embed_query(self, observation):
        """Return nothing of interest."""
        return torch.zeros(len(observation), 1, 8)

    def run(self, tokens):
        """Return the last token's output as logits."""
        return self.module(tokens)[:, -1]


class Attend(nn.Module):
    """Layers of bare attention, called with these options."""

    def __init__(self, layers=2, function=None, **options):
        super().__init__()
        self.layers, self.function, self.options = layers, function, options

    def forward(self, x):
        """Return x after each layer."""
        for _ in range(self.layers):
            attend = self.function or functional.scaled_dot_product_attention
            split = x.view(*x.shape[:2], 2, 4).transpose(1, 2)
            x = attend(split, split, split, **self.options).transpose(1, 2).flatten(2)
        return x


def tokens(seed=0, length=6):
    """Return a batch of contexts."""
    return 2 * torch.randn(3, length, 8, generator=torch.Generator().manual_seed(seed))


def weights(x, *, allowed=None, added=None, scale=0.5):
    """Return the first layer's attention, written out."""
    split = x.view(3, 6, 2, 4).transpose(1, 2)
    scores = torch.einsum("ehqd,ehkd->ehqk", split, split) * scale
    scores = scores if added is None else scores + added
    scores = scores if allowed is None else scores.masked_fill(~allowed, -math.inf)
    return scores.softmax(-1)


@pytest.mark.parametrize(
    ("options", "written"),
    [
        ({}, {}),
        ({"is_causal": True}, {"allowed": PAST}),
        ({"is_causal": True, "attn_mask": MASK}, {"allowed": PAST & MASK}),
        ({"attn_mask": MASK}, {"allowed": MASK}),
        ({"attn_mask": MASK * 0.7}, {"added": MASK * 0.7}),
        ({"scale": 1.3}, {"scale": 1.3}),
    ],
)
def test_rows_and_maps_are_those_of_the_call(options, written):
    """Whatever mask and scale the module asks for, the first layer's weights are those written out by hand."""
    policy, x = Foreign(Attend(**options), causal="is_causal" in options), tokens()
    with AttentionTape(policy, maps=True) as tape:
        logits = policy(x)
    assert torch.allclose(tape.maps[:, 0], weights(x, **written), atol=1e-6)
    assert torch.equal(tape.rows, tape.maps[:, :, :, -1])
    assert torch.equal(logits, policy(x))


@pytest.mark.parametrize("length", [6, LOOKED_AT + 9])
@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"attn_mask": None}, {"scale": 1.3}])
def test_the_row_alone_is_the_whole_maps_last(length, options):
    """In contexts that are looked at whole and in longer ones, the deciding row is that of the whole map to 1e-6."""
    if "attn_mask" in options:
        options = {"attn_mask": torch.randn(length, length, generator=torch.Generator().manual_seed(2))}
    policy, x = Foreign(Attend(**options), causal="is_causal" in options), tokens(length=length) / 2
    with AttentionTape(policy) as rows:
        policy(x)
    with AttentionTape(policy, maps=True) as maps:
        policy(x)
    assert (rows.rows - maps.rows).abs().max() < 1e-6


@pytest.mark.parametrize("length", [6, LOOKED_AT + 9])
def test_biases_by_distance_are_part_of_the_row(length):
    """ALiBi's penalties, which a module adds as a mask of numbers, are in the noted weights, written out here again."""
    age = torch.arange(length)[:, None] - torch.arange(length)
    slopes = torch.tensor([0.5, 0.25])[:, None, None]
    bias = torch.where(age < 0, -math.inf, -slopes * age)
    policy, x = Foreign(Attend(layers=1, attn_mask=bias), layers=1, causal=True), tokens(length=length)
    policy.description = PolicyDescription(**{**policy.description.model_dump(), "positions": "alibi"})
    with AttentionTape(policy) as tape:
        policy(x)
    split = x.unflatten(2, (2, 4)).transpose(1, 2)
    written = (split[:, :, -1:] @ split.transpose(-2, -1) / 2 + bias[:, -1:]).softmax(-1)[:, :, 0]
    assert torch.allclose(tape.rows[:, 0], written, atol=1e-6)


def test_a_long_context_makes_no_whole_map(monkeypatch):
    """Beyond the first decisions of a capture only the deciding row is computed, whoever asks for no map."""
    monkeypatch.setattr(AttentionCall, "map", lambda _: pytest.fail("a whole map was computed"))
    policy = Foreign(Attend(is_causal=True), causal=True)
    with AttentionTape(policy) as tape:
        policy(tokens(length=LOOKED_AT + 1))
    assert tape.rows.shape == (3, 2, 2, LOOKED_AT + 1)


@pytest.mark.parametrize("length", [6, LOOKED_AT + 9])
def test_grouped_heads_are_those_that_share_a_key(length):
    """With one key head for each two of four query heads, each row is that of its own key head, written out."""
    x = tokens(length=length)
    queries, keys = x.unflatten(2, (4, 2)).transpose(1, 2), x.unflatten(2, (4, 2)).transpose(1, 2)[:, ::2]

    def grouped(tokens):
        attended = functional.scaled_dot_product_attention(queries, keys, keys, enable_gqa=True)
        return tokens + 0 * attended.transpose(1, 2).flatten(2)

    policy = Foreign(grouped, layers=1, heads=4)
    with AttentionTape(policy) as tape:
        policy(x)
    repeated = keys.repeat_interleave(2, dim=1)
    written = (queries[:, :, -1:] @ repeated.transpose(-2, -1) / math.sqrt(2)).softmax(-1)[:, :, 0]
    assert torch.allclose(tape.rows[:, 0], written, atol=1e-6)


def last_query_only(x):
    """Attend with the deciding query alone, as a module does that keeps keys and values of earlier tokens."""
    split = x.unflatten(2, (2, 4)).transpose(1, 2)
    for _ in range(2):
        attended = functional.scaled_dot_product_attention(split[:, :, -1:], split, split)
    return attended.transpose(1, 2).flatten(2)


@pytest.mark.parametrize("length", [6, LOOKED_AT + 9])
def test_fewer_queries_than_keys_give_the_row(length):
    """A module that caches keys asks with its newest query alone: the row over all slots is noted."""
    x = tokens(length=length)
    policy = Foreign(last_query_only, causal=True)
    with AttentionTape(policy) as tape:
        policy(x)
    split = x.unflatten(2, (2, 4)).transpose(1, 2)
    written = (split[:, :, -1:] @ split.transpose(-2, -1) / 2).softmax(-1)[:, :, 0]
    assert torch.allclose(tape.rows[:, 0], written, atol=1e-6)


def test_fewer_queries_than_keys_give_no_map():
    """There is no whole map where the module never computes the other rows; the refusal says what to ask for."""
    policy = Foreign(last_query_only, causal=True)
    with pytest.raises(CaptureInvalidError, match="computes 1 of 6: ask for a capture without maps"):  # noqa: SIM117 - the tape ends inside
        with AttentionTape(policy, maps=True):
            policy(tokens())


class ByHand(Foreign):
    """A module that computes its weights by itself, and hands them over."""

    def __init__(self, handed=lambda weights: weights, *, causal=False, times=2):
        super().__init__(None, causal=causal)
        self.handed, self.times = handed, times

    def run(self, tokens):
        """Attend by hand, layer by layer."""
        for _ in range(self.times):
            split = tokens.unflatten(2, (2, 4)).transpose(1, 2)
            scores = split @ split.transpose(-2, -1) / 2
            if self.description.causal:
                scores = scores + torch.full_like(scores, -math.inf).triu(1)
            self.note_row(self.handed(scores.softmax(-1)))
            tokens = (scores.softmax(-1) @ split).transpose(1, 2).flatten(2)
        return tokens[:, -1]


@pytest.mark.parametrize("length", [6, LOOKED_AT + 9])
@pytest.mark.parametrize("causal", [False, True])
def test_weights_that_are_handed_over_are_noted(causal, length):
    """Rows and maps are those of the same attention through torch's function."""
    x = tokens(length=length).double()  # rounding of the processor's kernels is none of the question
    found = []
    for policy in (ByHand(causal=causal), Foreign(Attend(is_causal=causal), causal=causal)):
        with AttentionTape(policy, maps=True) as tape:
            policy(x)
        found.append(tape.maps)
    assert torch.allclose(*found, atol=1e-6)
    with AttentionTape(policy := ByHand(lambda weights: weights[:, :, -1:], causal=causal)) as tape:
        policy(x)
    assert torch.allclose(tape.rows, found[0][:, :, :, -1], atol=1e-6)


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (ByHand(lambda weights: weights[:, :1]), r"with \[3, 2, 6\], got \[3, 1, 6, 6\]"),
        (ByHand(lambda weights: weights[:, :, -1]), r"with \[3, 2, 6\], got \[3, 2, 6\]"),
        (ByHand(lambda weights: weights / 2), "rows that sum to 1"),
        (ByHand(times=1), "saw 1"),
        (ByHand(times=3), "saw 3"),
    ],
)
def test_weights_of_another_shape_or_sum_are_refused(policy, reason):
    """Weights that a module hands over are held against the description, and each row sums to 1."""
    with pytest.raises(CaptureInvalidError, match=reason), AttentionTape(policy):
        policy(tokens())
    assert all(site.tape is None for site in policy.attentions())


def test_weights_that_look_ahead_are_refused():
    """A policy that says it is causal is believed no more when it hands its weights over."""
    policy = ByHand()
    policy.description = policy.description.model_copy(update={"causal": True})
    policy.handed = lambda weights: torch.full_like(weights, 1 / 6)
    with pytest.raises(CaptureInvalidError, match="described as causal, but a token attends to a later one"):  # noqa: SIM117 - the tape ends inside
        with AttentionTape(policy):
            policy(tokens())


def test_weights_are_handed_over_during_a_forward_only():
    """Outside a forward nobody records, and the call says so."""
    with pytest.raises(RuntimeError, match="while the policy's forward runs"):
        ByHand().note_row(torch.ones(1, 2, 1, 1))


@pytest.mark.parametrize(
    ("module", "causal", "reason"),
    [
        (Attend(layers=1), False, "expected 2 calls of .*, saw 1"),
        (Attend(layers=3), False, "expected 2 calls of .*, saw 3"),
        (Attend(function=BY_NAME), False, "saw 0: a fused path .* goes around it"),
        (Attend(dropout_p=0.1), False, "module in evaluation, got attention with dropout 0.1"),
        (Attend(), True, "described as causal, but a token attends to a later one"),
        (Attend(is_causal=True), False, "described as non-causal, but no token attends to a later one"),
    ],
)
def test_attention_that_was_not_seen_is_refused(module, causal, reason):
    """Layers missing, too many, gone around, or other than described: refused, and the function is torch's again."""
    policy = Foreign(module, causal=causal)
    with pytest.raises(CaptureInvalidError, match=reason), AttentionTape(policy):
        policy(tokens())
    assert functional.scaled_dot_product_attention is BY_NAME
    assert all(site.tape is None for site in policy.attentions())


def test_a_row_that_does_not_give_what_was_attended_is_refused(monkeypatch):
    """Should the function mean something else by its arguments than is noted here, nothing is stored."""

    def sharper(query, key, value, *args, **options):
        return BY_NAME(2 * query, key, value, *args, **options)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", sharper)
    policy = Foreign(Attend())
    with pytest.raises(CaptureInvalidError, match="gives other values than"), AttentionTape(policy):
        policy(tokens())


def test_other_heads_than_described_are_refused():
    """The shape that the capture will have is held against every call."""
    policy = Foreign(Attend(), heads=4)
    with pytest.raises(CaptureInvalidError, match=r"with \[3, 4, 6\], got \[3, 2, 6, 4\]"), AttentionTape(policy):
        policy(tokens())


@pytest.fixture
def encoder():
    """Return torch's own encoder, in evaluation."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()


def test_torchs_fused_encoder_is_refused(encoder):
    """In evaluation its fast path goes around the function; rows are not made up for it."""
    policy = Foreign(encoder)
    with pytest.raises(CaptureInvalidError, match="saw 0"), AttentionTape(policy):
        policy(tokens())


def test_torchs_encoder_is_seen_without_its_fast_path(encoder):
    """With the fast path off, its rows are those that its attention itself reports."""
    policy, x = Foreign(encoder), tokens()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with AttentionTape(policy, maps=True) as tape:
            policy(x)
        own = encoder.layers[0].self_attn(x, x, x, need_weights=True, average_attn_weights=False)[1]
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    assert torch.allclose(tape.maps[:, 0], own, atol=1e-6)


def test_the_function_comes_back_after_an_error():
    """A module that fails in the middle leaves torch as it was, and the next forward is watched again."""
    policy = Foreign(Attend())
    with pytest.raises(RuntimeError, match="shape"), AttentionTape(policy):
        policy(torch.zeros(3, 6, 7))
    assert functional.scaled_dot_product_attention is BY_NAME
    with watching(lambda _: None):
        assert functional.scaled_dot_product_attention is not BY_NAME
    with AttentionTape(policy) as tape:
        policy(tokens())
    assert tape.rows.shape == (3, 2, 2, 6)
