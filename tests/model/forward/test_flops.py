"""The formula of a forward's arithmetic, beside the operations that torch counts."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from attnscope_model.families.ad import ADConfig, ADPolicy
from attnscope_storage.wire.flops import forward_flops


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("tokens", [1, 2, 40])
def test_the_formula_is_what_a_forward_computes(layers, tokens):
    """Torch counts the formula's operations, and those of the head, which the formula leaves out."""
    policy = ADPolicy(ADConfig((9, 9), 5, 60, width=32, layers=layers, heads=4, feedforward=128)).eval()
    # The counter does not know the CPU's fused attention; by the plain one every product is counted.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        policy(torch.randn(1, tokens, 32))
    head = 2 * 32 * 5
    assert counter.get_total_flops() - head == forward_flops(policy.description, tokens)
