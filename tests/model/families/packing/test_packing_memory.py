"""The memory of a compression: the formula that comparisons count by is what the allocator was asked for."""

from __future__ import annotations

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from attnscope_model.families.packing import OwnCompressor, PackingConfig, TransformerCompressor

ENVS = 8


def allocated(work) -> int:
    """Return the most bytes that a computation held at once beyond those before it, as torch's allocator tells."""
    with torch.inference_mode():
        work()  # what is made once only
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as told:
            work()
    events = [one for one in told.profiler.kineto_results.events() if one.name() == "[memory]"]
    held = most = 0
    for one in sorted(events, key=lambda one: one.start_ns()):
        held += one.nbytes()
        most = max(most, held)
    return most


@pytest.mark.parametrize(
    ("layers", "heads", "inner", "moment"),
    [(2, 4, 256, "scores"), (4, 4, 256, "the joining of attention"), (2, 4, 1024, "the feed-forward part")],
)
def test_a_compression_takes_as_many_bytes_as_are_counted(layers, heads, inner, moment):
    """Whichever moment is the largest, the formula is at most 2 % off."""
    torch.manual_seed(0)
    shape = PackingConfig(64, 3, 4, 64, 256, 9, 5, 16, layers, heads, inner, 200)
    network = TransformerCompressor(shape).eval().requires_grad_(requires_grad=False)
    compressor = OwnCompressor(network, torch.zeros(1, 1, 64), 64, feeds_back=False)
    held, tokens = torch.randn(ENVS, 16, 64), torch.randn(ENVS, 47, 64)
    found = allocated(lambda: compressor.compress(held, tokens))
    assert found == pytest.approx(ENVS * compressor.bytes(63), rel=0.02), moment
