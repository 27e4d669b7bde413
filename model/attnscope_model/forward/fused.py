"""The faster attention of small heads on a CPU, where it can be had: numba is an extra, torch's own stands without it.

A policy takes one of the two for good when it is prepared (`prefer_fused`); what it took is named in the provenance of
every capture. The two agree to 1e-5.
"""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from attnscope_model.forward.policy import Policy
from attnscope_model.forward.small_heads import HEAD_MULTIPLE, fits, installed

TORCH: Final = "torch scaled_dot_product_attention, the query's rows beside it"
NUMBA: Final = "numba kernel for small heads, the query's rows beside it"


def prefer_fused(policy: Policy, device: torch.device, *, allowed: bool = True) -> bool:
    """Let a policy attend by the compiled kernel where its heads are small, on a CPU that has numba.

    Returns whether it does.
    """
    sites = policy.attentions()
    usable = allowed and device.type == "cpu" and fits(policy.description) and installed() and works()
    usable = usable and all(site.bias is None for site in sites)
    for site in sites:
        site.fused = fused_attention if usable else None
    return usable


@cache
def works() -> bool:
    """Return whether the kernel computes here, after compiling and trying it; warns where numba is there but fails."""
    values = torch.randn(1, 1, 3, HEAD_MULTIPLE)
    try:
        attended, _ = fused_attention(values, values, values, causal=True)
        if not torch.allclose(attended[:, :, 0], values[:, :, 0]):  # a first token sees itself alone
            raise ArithmeticError("it attends wrongly")  # noqa: TRY301 - one way out for all that can go wrong
    except Exception as error:  # noqa: BLE001 - whatever numba, LLVM or the processor find wrong, torch's own is there
        reason = f"numba is installed but its attention does not work here, so torch's is used: {error!r}"
        warnings.warn(reason, RuntimeWarning, stacklevel=2)
        return False
    return True


def implementation(policy: Policy) -> str:
    """Return what a policy attends by, for the provenance."""
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
    from attnscope_model.forward import kernel  # noqa: PLC0415 - only where numba is installed

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
