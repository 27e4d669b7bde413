"""The compiled attention against torch's own, for every shape it may meet."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from torch.nn import functional

from attnscope_model.acting.context import ContextWindow
from attnscope_model.acting.tape import AttentionTape
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.forward.attention import attention_row
from attnscope_model.forward.compiled import kernel
from attnscope_model.forward.fused import NUMBA, TORCH, fused_attention, implementation, prefer_fused, works

CPU = torch.device("cpu")


@pytest.fixture
def threads():
    """Return torch's setter of threads, and put the number back afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture(params=["attention", "layers"])
def fused_policy(registry, name, request):
    """Return a policy of its own that attends by the kernel, or whose whole layers are compiled."""
    policy = load_policy(registry.folder(name), CPU)
    assert prefer_fused(policy, CPU, whole=request.param == "layers")
    return policy


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("size", [4, 8, 16])
def test_agrees_with_torch(causal, size):
    """For 1 to 161 tokens, contiguous or cut out of joint projections, values agree to 1e-5, at peaks too."""
    torch.manual_seed(0)
    for tokens in (1, 2, 3, 4, 5, 31, 160, 161):
        joint = torch.randn(3, tokens, 3, 2, size)
        joint[:, :, 0] *= 10 if tokens == 31 else 1
        queries, keys, values = joint.permute(2, 0, 3, 1, 4).unbind()
        expected = functional.scaled_dot_product_attention(queries, keys, values, is_causal=causal)
        attended, row = fused_attention(queries, keys, values, causal)
        assert (attended - expected).abs().max() < 1e-5
        assert (row - attention_row(queries[:, :, -1:], keys)).abs().max() < 1e-5
        again = fused_attention(*(part.contiguous() for part in (queries, keys, values)), causal)
        assert torch.equal(attended, again[0])
        assert torch.equal(row, again[1])


def test_the_bits_do_not_depend_on_threads(threads):
    """One, two or three threads give the same bits."""
    queries, keys, values = torch.randn(3, 5, 4, 50, 8).unbind()
    threads(1)
    alone = fused_attention(queries, keys, values, causal=False)[0]
    for count in (2, 3):
        threads(count)
        assert torch.equal(alone, fused_attention(queries, keys, values, causal=False)[0])


def test_the_row_is_written_where_it_is_wanted():
    """A place in a longer room takes the same bits without a copy; one of another shape is left alone."""
    queries, keys, values = torch.randn(3, 5, 4, 50, 8).unbind()
    row = fused_attention(queries, keys, values, causal=False)[1]
    room = torch.full((5, 3, 4, 60), -1.0)
    place = room[:, 1, :, None, :50]
    assert fused_attention(queries, keys, values, causal=False, place=place)[1] is place
    assert torch.equal(place, row)
    assert (room[:, 1, :, 50:] == -1).all()
    assert (room[:, ::2] == -1).all()
    assert torch.equal(fused_attention(queries, keys, values, causal=False, place=room[:, 1, :, None])[1], row)
    assert (room[:, 1, :, 50:] == -1).all()


def test_logits_and_maps_equal_the_golden_files(fused_policy, golden, name):
    """Policies that attend by the kernel agree with the reference's own outputs to 1e-5."""
    expected = golden[name]
    window = ContextWindow(fused_policy, 1, CPU)
    for i in range(fused_policy.description.context_length - 1):
        window.append(
            *(expected[f"context_{part}"][i][None] for part in ("states", "actions", "rewards", "next_states"))
        )
    with AttentionTape(fused_policy, maps=True) as tape:
        logits = fused_policy(window.tokens(expected["query_state"][None]))
    assert np.abs(logits[0].numpy() - expected[f"logits_{window.length}"]).max() < 1e-5
    assert np.abs(tape.maps[0].numpy() - expected[f"attention_{window.length}"]).max() < 1e-5


def test_is_taken_only_where_it_fits(registry, monkeypatch):
    """Not on a GPU, and not without numba; what a policy attends by is what it says."""
    policy = load_policy(registry.folder("causal"), CPU)
    assert implementation(policy) == TORCH
    assert prefer_fused(policy, CPU, whole=False)
    assert implementation(policy) == NUMBA
    assert not prefer_fused(policy, torch.device("cuda"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert not prefer_fused(policy, CPU)
    assert implementation(policy) == TORCH


@pytest.mark.parametrize("fault", ["raises", "attends wrongly"])
def test_a_kernel_that_fails_here_gives_way_to_torch(registry, monkeypatch, fault):
    """Numba that is there but does not compile, or computes something else, is a warning and torch's attention."""

    def broken(_queries, _keys, _values, out, *_rest):
        if fault == "raises":
            raise OSError("no such instruction")
        out[:] = 0

    monkeypatch.setattr(kernel, "attend", broken)
    works.cache_clear()
    policy = load_policy(registry.folder("causal"), CPU)
    try:
        with pytest.warns(RuntimeWarning, match="no such instruction" if fault == "raises" else "numbers are wrong"):
            assert not prefer_fused(policy, CPU)
        assert implementation(policy) == TORCH
    finally:
        works.cache_clear()
