"""Positions by distance: the published slopes, every row of a whole map, and what a capture's rows are."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from attnscope_model.acting.tape import AttentionTape
from attnscope_model.families.ad import ADConfig, ADPolicy
from attnscope_model.forward.attention import TapedAttention
from attnscope_model.forward.distances import Alibi, LearntBias, alibi_slopes
from attnscope_model.forward.fused import prefer_fused
from attnscope_model.training.trainer import initialise

CPU = torch.device("cpu")


def test_slopes_are_the_published_ones():
    """Eight heads have 1/2 … 1/256; twelve have these and every other one of sixteen."""
    eight = [2.0**-i for i in range(1, 9)]
    assert alibi_slopes(8) == eight
    assert alibi_slopes(12) == pytest.approx([*eight, *(2.0**-i for i in (0.5, 1.5, 2.5, 3.5))])
    assert alibi_slopes(1) == [2.0**-8]


def test_a_distance_beyond_what_was_learnt_has_the_last_number():
    """Kept keys may lie farther back than a context is long; a key that is to come is hidden whatever it has."""
    bias = LearntBias(2, 3)
    with torch.no_grad():
        bias.table.copy_(torch.arange(6.0).view(2, 3))
    added = bias.at(torch.tensor([[-1, 0, 1, 2, 9]]))
    assert added[:, 0].tolist() == [[0, 0, 1, 2, 2], [3, 3, 4, 5, 5]]


@pytest.mark.parametrize("causal", [True, False])
def test_every_row_of_a_map_has_its_distances(causal):
    """Whole maps and attended values are those of scores and penalties written out, at slots with gaps too."""
    site = TapedAttention(causal=causal, bias=Alibi(2))
    queries, keys, values = torch.randn(3, 1, 2, 5, 4, generator=torch.Generator().manual_seed(0)).unbind()
    slots = torch.tensor([[0, 2, 3, 7, 8]])
    for at in (0, slots):
        places = torch.arange(5) if isinstance(at, int) else slots[0]
        far = places[:, None] - places
        scores = queries @ keys.transpose(-2, -1) / 2 - torch.tensor([2.0**-4, 2.0**-8])[:, None, None] * far
        scores = scores.masked_fill(torch.ones(5, 5).triu(1) > 0, -math.inf) if causal else scores
        weights = scores.softmax(-1)
        site.tape = tape = Kept()
        attended = site.attend(queries, keys, values, at)
        assert torch.allclose(attended, weights @ values, atol=1e-6)
        assert torch.allclose(tape.whole, weights, atol=1e-6)
        assert torch.allclose(tape.row, weights[:, :, -1:], atol=1e-6)
        assert torch.allclose(site.decide(queries, keys, values, at), (weights @ values)[:, :, -1:], atol=1e-6)
        assert torch.allclose(tape.whole, weights, atol=1e-6)


class Kept:
    """A recorder that keeps what it was told last."""

    with_maps = True
    row = whole = None

    def place(self):
        """Return no place."""

    def map_place(self):
        """Return no place."""

    def record(self, row, whole):
        """Keep both."""
        self.row, self.whole = row, whole


@pytest.mark.parametrize("positions", ["alibi", "relative"])
def test_the_compiled_attention_is_not_taken(positions):
    """It adds nothing to scores, so such a policy attends by torch's, and its rows know distances."""
    policy = ADPolicy(ADConfig((5, 5), 5, 12, positions, width=16, layers=2, heads=2, feedforward=16)).eval()
    initialise(policy, seed=0)
    for weights in policy.parameters():
        nn.init.normal_(weights, std=0.3, generator=torch.Generator().manual_seed(1))
    assert not prefer_fused(policy, CPU)
    tokens = torch.randn(1, 1, 16, generator=torch.Generator().manual_seed(2)).expand(1, 12, 16)
    with AttentionTape(policy) as tape:
        policy(tokens)
    row = tape.rows[0, 0]  # equal tokens: the first layer's scores differ by distance alone
    added = policy.layers()[0].attention.bias.at(11 - torch.arange(12)[None])[:, 0]
    assert torch.allclose(row, added.softmax(-1), atol=1e-6)
    assert (row[:, 0] - row[:, -1]).abs().min() > 1e-3
