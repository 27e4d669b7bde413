"""Layers that are one compiled call, against the same layers by torch."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from attnscope_model.acting.tape import AttentionTape
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.families.ad import rotary_angles
from attnscope_model.families.hub_gpt2 import Gpt2Layer
from attnscope_model.forward.attention import attention_row
from attnscope_model.forward.compiled import layers as compiled
from attnscope_model.forward.compressing import OpenedAttention
from attnscope_model.forward.fused import LAYERS, NUMBA, TORCH, computes, implementation, prefer_fused
from attnscope_model.forward.layers import BlockLayer, Rotation
from attnscope_model.forward.whole_layers import WIDEST, WholeLayer, fits

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Sizes:
    """Sizes of a layer."""

    width: int = 32
    heads: int = 4
    feedforward: int = 60
    layers: int = 1
    context_length: int = 161
    actions: int = 5


@pytest.fixture(autouse=True)
def _inference():
    """Compute as captures do."""
    with torch.inference_mode():
        yield


def layer_of(sizes=Sizes(), **options) -> BlockLayer:
    """Return a layer whose norms and biases are no ones and zeros."""
    torch.manual_seed(0)
    layer = BlockLayer(sizes, **({"norm": "post"} | options)).eval().requires_grad_(requires_grad=False)
    for weight in layer.parameters():
        weight.add_(torch.randn_like(weight) * 0.1)
    return layer


def apart(layer: BlockLayer, x, first=0) -> float:
    """Return the largest distance of the compiled layer's outputs and rows from torch's."""
    made = WholeLayer(layer)
    queries, keys, values = layer.project(x, first)
    row = attention_row(queries[:, :, -1:], keys)
    expected = layer.finish(x, layer.attention.attend(queries, keys, values))
    every, last = made.every(x, first, None), made.last(x, first, None)
    pairs = ((every[0], expected), (every[1], row), (last[0], expected[:, -1:]), (last[1], row))
    return max(float((one - other).abs().max()) for one, other in pairs)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("gelu", ["none", "tanh"])
@pytest.mark.parametrize("causal", [False, True])
def test_agrees_with_torch(norm, gelu, causal):
    """For 1 to 161 tokens and heads of 8, 16 and 32 numbers, outputs and rows agree to 1e-5, at peaks too."""
    for heads in (4, 2, 1):
        layer = layer_of(Sizes(heads=heads), norm=norm, gelu=gelu, causal=causal)
        for tokens in (1, 2, 16, 17, 32, 33, 161):
            x = torch.randn(3, tokens, 32) * (3 if tokens == 33 else 1)
            assert apart(layer, x) < 1e-5


def test_turned_queries_and_keys_agree_with_torch():
    """With rotary positions, whether slots are consecutive or each context has its own."""
    layer = layer_of(norm="pre", rotation=Rotation(rotary_angles, 161, 8))
    for tokens in (3, 40):
        x = torch.randn(3, tokens, 32)
        assert apart(layer, x) < 1e-5
        assert apart(layer, x, 5) < 1e-5
        own = torch.stack([torch.arange(tokens) + 7 * env for env in range(3)])
        assert apart(layer, x, own) < 1e-5
        turned = layer_of(norm="pre")
        assert (WholeLayer(turned).every(x, 0, None)[0] - WholeLayer(layer).every(x, 0, None)[0]).abs().max() > 1e-3


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("rotated", [False, True])
def test_growing_contexts_agree_with_whole_ones(norm, rotated):
    """Tokens that come one, two or three at a time give the outputs and rows of the whole context to 1e-5."""
    layer = layer_of(norm=norm, rotation=Rotation(rotary_angles, 161, 8) if rotated else None)
    made, x = WholeLayer(layer), torch.randn(20, 40, 32)
    memory, held = made.memory(20, 40), 0
    for new in (1, 2, 3, 2, 9, 2, 2):
        given = x[:, held : held + new]
        expected, wanted = made.every(x[:, : held + new], 0, None)
        room = torch.full((20, 4, 1, 60), -1.0)
        place = room[..., : held + new]
        last, row = made.new(given, held, memory, place, last=True)
        assert row is place
        assert (room[..., held + new :] == -1).all()
        found, again = made.new(given, held, memory, None, last=False)  # as the query's slot is written again
        assert torch.equal(found[:, -1:], last)
        assert torch.equal(again, row)
        alone, _ = made.new(given[:, :1], held, memory, None, last=True)  # two neighbours share what they read
        assert torch.equal(found[:, :1], alone)
        assert (found - expected[:, held:]).abs().max() < 1e-5
        assert (row - wanted).abs().max() < 1e-6
        held += new - 1


def test_the_bits_depend_neither_on_the_batch_nor_on_threads():
    """A context alone, among others, and on two threads gives the same bits; so do an own output and a copy of it."""
    made, x = WholeLayer(layer_of()), torch.randn(5, 50, 32)
    alone = [torch.cat([compute(x[i : i + 1], 0, None)[0] for i in range(5)]) for compute in (made.every, made.last)]
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            assert torch.equal(made.every(x, 0, None)[0], alone[0])
            assert torch.equal(made.last(x, 0, None)[0], alone[1])
    finally:
        torch.set_num_threads(before)
    grown = [made.new(x[i : i + 1, :2], 0, made.memory(1, 9), None, last=False)[0] for i in range(5)]
    try:
        torch.set_num_threads(2)
        assert torch.equal(made.new(x[:, :2], 0, made.memory(5, 9), None, last=False)[0], torch.cat(grown))
    finally:
        torch.set_num_threads(before)
    again = made.every(alone[0].clone(), 0, None)[0]
    assert torch.equal(made.every(made.every(x, 0, None)[0], 0, None)[0], again)


def test_the_row_is_written_where_it_is_wanted():
    """A place in a longer room takes the row; the rest of the room is left alone."""
    made, x = WholeLayer(layer_of()), torch.randn(5, 50, 32)
    for compute in (made.every, made.last):
        room = torch.full((5, 3, 4, 60), -1.0)
        place = room[:, 1, :, None, :50]
        assert compute(x, 0, place)[1] is place
        assert torch.equal(place, compute(x, 0, None)[1])
        assert (room[:, 1, :, 50:] == -1).all()
        assert (room[:, ::2] == -1).all()


def test_what_is_not_a_number_stays_so():
    """A NaN in one context shows in its row and its output, and in no other context's."""
    made, x = WholeLayer(layer_of()), torch.randn(3, 40, 32)
    x[1, 7, 3] = torch.nan
    for compute in (made.every, made.last):
        out, row = compute(x, 0, None)
        assert out[1].isnan().any()
        assert row[1].isnan().any()
        assert not out[::2].isnan().any()
        assert not row[::2].isnan().any()


def test_no_context_has_no_output():
    """A batch of none is computed as torch computes it: nothing comes out."""
    made, x = WholeLayer(layer_of()), torch.randn(0, 40, 32)
    assert made.every(x, 0, None)[0].shape == x.shape
    assert made.last(x, 0, None)[0].shape == (0, 1, 32)
    assert made.new(x[:, :2], 0, made.memory(0, 9), None, last=False)[0].shape == (0, 2, 32)


def test_tokens_past_the_memory_or_the_angles_are_refused():
    """Compiled code writes where it is told: one token too many would lie in other memory."""
    made = WholeLayer(layer_of())
    with pytest.raises(ValueError, match="expected at most 32 tokens, as the memory has room for, got 33"):
        made.new(torch.randn(1, 2, 32), 31, made.memory(1, 9), None, last=True)
    turned = WholeLayer(layer_of(norm="pre", rotation=Rotation(rotary_angles, 161, 8)))
    with pytest.raises(ValueError, match="expected angles of 40 slots from 122 on, the rotation has 161"):
        turned.every(torch.randn(1, 40, 32), 122, None)


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("in_proj", lambda: nn.Linear(32, 96, bias=False)),
        ("linear2", lambda: nn.Linear(60, 32, bias=False)),
        ("norm1", lambda: nn.LayerNorm(32, bias=False)),
        ("norm2", lambda: nn.RMSNorm(32)),
        ("norm2", lambda: nn.LayerNorm(32, elementwise_affine=False)),
    ],
)
def test_a_block_with_other_parts_is_left_to_torch(name, module):
    """Without a bias, or with another norm, the weights would be read from the wrong places."""
    layer = layer_of()
    setattr(layer, name, module())
    assert not fits(layer)


def test_is_taken_where_every_layer_fits(registry):
    """A plain block of small heads does; one of another activation, odd heads, or a width past the limit does not."""
    assert fits(layer_of())
    assert not fits(Gpt2Layer(Sizes(), "relu", 1e-5))
    assert not fits(layer_of(Sizes(width=20)))
    assert not fits(layer_of(Sizes(feedforward=30)))
    assert not fits(layer_of(Sizes(width=2 * WIDEST, heads=8)))
    assert not fits(layer_of().double())
    opened = layer_of()
    opened.attention = OpenedAttention()
    assert not fits(opened)
    policy = _loaded(registry)
    assert prefer_fused(policy, CPU)
    assert implementation(policy) == LAYERS
    assert prefer_fused(policy, CPU, whole=False)
    assert implementation(policy) == NUMBA
    assert not prefer_fused(policy, CPU, allowed=False)
    assert implementation(policy) == TORCH


def test_maps_are_recorded_beside_and_change_no_bit(registry):
    """With maps, rows or nothing recorded, logits are the same bits; a map's last row is the recorded row to 1e-6."""
    policy = _loaded(registry)
    prefer_fused(policy, CPU)
    tokens = torch.randn(2, 30, policy.description.width)
    with AttentionTape(policy, maps=True) as tape:
        logits = policy(tokens)
    assert torch.equal(policy(tokens), logits)
    assert (tape.maps[:, :, :, -1] - tape.rows).abs().max() < 1e-6


@pytest.mark.parametrize("fault", ["raises", "computes wrongly"])
def test_layers_that_fail_here_give_way_to_the_attention(registry, monkeypatch, fault):
    """Compiled layers that do not run, or compute something else, are a warning, and attention alone is compiled."""

    def broken(_x, out, *_rest):
        if fault == "raises":
            raise OSError("no such instruction")
        out[:] = 0

    monkeypatch.setattr(compiled, "compute_all", broken)
    computes.cache_clear()
    policy = _loaded(registry)
    try:
        with pytest.warns(RuntimeWarning, match="no such instruction" if fault == "raises" else "numbers are wrong"):
            assert prefer_fused(policy, CPU)
        assert implementation(policy) == NUMBA
    finally:
        computes.cache_clear()


def _loaded(registry):
    """Return a policy of its own."""
    return load_policy(registry.folder("causal"), CPU)
