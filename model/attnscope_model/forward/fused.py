"""The faster attention of small heads on a CPU, where it can be had: numba is an extra, torch's own stands without it.

A policy takes one of the two for good when it is prepared (`prefer_fused`); what it took is named in the provenance of
every capture. The two agree to 1e-5.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from attnscope_model.forward.layers import BlockLayer
from attnscope_model.forward.policy import Policy
from attnscope_model.forward.small_heads import HEAD_MULTIPLE, fits, installed
from attnscope_model.forward.stack import StackedPolicy
from attnscope_model.forward.whole_layers import WholeLayer, whole_layers

TORCH: Final = "torch scaled_dot_product_attention, the query's rows beside it"
NUMBA: Final = "numba kernel for small heads, the query's rows beside it"
LAYERS: Final = "numba kernel of whole layers, the query's rows within"


@dataclass(frozen=True)
class _Sample:
    """Sizes of a layer that compiled code is tried on."""

    width: int = 16
    layers: int = 1
    heads: int = 2
    feedforward: int = 8
    context_length: int = 3
    actions: int = 1


_SAMPLE: Final = _Sample()


def prefer_fused(policy: Policy, device: torch.device, *, allowed: bool = True, whole: bool = True) -> bool:
    """Let a policy attend by compiled code where its heads are small, on a CPU that has numba.

    Parameters
    ----------
    policy
        Frozen: where whole layers are compiled, its weights are copied.
    device
        Where it computes.
    allowed
        False: by torch, whatever there is.
    whole
        Compute whole layers so, where every layer fits; else attention alone.

    Returns
    -------
    bool
        True where compiled code attends.
    """
    sites = policy.attentions()
    usable = allowed and device.type == "cpu" and fits(policy.description) and installed()
    attends = usable and works() and all(site.bias is None for site in sites)
    for site in sites:
        site.fused = fused_attention if attends else None
    if isinstance(policy, StackedPolicy):
        made = whole_layers(policy) if whole and attends else []
        if made and not computes():
            made = []
        for number, layer in enumerate(policy.layers()):
            layer.whole = made[number] if made else None
    return attends


@cache
def works() -> bool:
    """Return whether the kernel computes here, after compiling and trying it; warns where numba is there but fails."""

    def tried() -> bool:
        values = torch.randn(1, 1, 3, HEAD_MULTIPLE)
        attended, _ = fused_attention(values, values, values, causal=True)
        return torch.allclose(attended[:, :, 0], values[:, :, 0])  # a first token sees itself alone

    return _succeeds(tried, "attention")


@cache
def computes() -> bool:
    """Return whether compiled layers compute here what torch computes; warns where numba is there but they fail."""

    def tried() -> bool:
        layer = BlockLayer(_SAMPLE, norm="post", causal=True).eval()
        x = torch.randn(2, 3, _SAMPLE.width)
        made, expected = WholeLayer(layer), layer.finish(x, layer.attention.attend(*layer.project(x)))
        found = (made.every(x, 0, None)[0], made.last(x, 0, None)[0])
        return all(
            torch.allclose(one, other, atol=1e-4)
            for one, other in zip(found, (expected, expected[:, -1:]), strict=True)
        )

    with torch.inference_mode():
        return _succeeds(tried, "whole layers")


def _succeeds(tried: Callable[[], bool], noun: str) -> bool:
    try:
        if not tried():
            raise ArithmeticError("the numbers are wrong")  # noqa: TRY301 - one way out for all that can go wrong
    except Exception as error:  # noqa: BLE001 - whatever numba, LLVM or the processor find wrong, torch's own is there
        reason = f"numba is installed but its {noun} does not work here, so torch's is used: {error!r}"
        warnings.warn(reason, RuntimeWarning, stacklevel=3)
        return False
    return True


def implementation(policy: Policy) -> str:
    """Return what a policy attends by, for the provenance."""
    if isinstance(policy, StackedPolicy) and any(layer.whole is not None for layer in policy.layers()):
        return LAYERS
    return NUMBA if any(site.fused is not None for site in policy.attentions()) else TORCH


def fused_attention(
    queries: Float[Tensor, "env head token size"],
    keys: Float[Tensor, "env head token size"],
    values: Float[Tensor, "env head token size"],
    causal: bool,
    place: Float[Tensor, "env head 1 slot"] | None = None,
) -> tuple[Float[Tensor, "env head token size"], Float[Tensor, "env head 1 token"]]:
    """Return the attended values of every token, and the last one's row, which comes with them.

    The row is written to `place` where that is given and of its shape, and is then `place`. The heads are shared
    between torch's number of threads.
    """
    from attnscope_model.forward.compiled import kernel  # noqa: PLC0415 - only where numba is installed

    envs, heads, tokens, size = queries.shape
    out = torch.empty(envs, tokens, heads, size)
    wanted = (envs, heads, 1, tokens)
    row = place if place is not None and place.shape == wanted else torch.empty(wanted)
    arrays = (queries.numpy(), keys.numpy(), values.numpy(), out.numpy(), row.numpy()[:, :, 0])
    places, threads = envs * heads, torch.get_num_threads()
    if threads == 1:
        kernel.attend(*arrays, causal, 0, places)
    else:
        bounds = [places * i // threads for i in range(threads + 1)]
        parts = [
            _threads(threads).submit(kernel.attend, *arrays, causal, first, last) for first, last in pairwise(bounds)
        ]
        for part in parts:
            part.result()
    return out.transpose(1, 2), row


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="attention")
