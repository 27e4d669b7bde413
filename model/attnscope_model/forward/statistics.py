"""Statistics of decision rows, taken before they are rounded to float16.

Written twice: in torch, for every device, and compiled, for the policies that attend by the compiled kernel (see
`attnscope_model.forward.fused`). The two agree to float32's rounding, and a capture takes all of its by one of them.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from attnscope_storage.kinds.capture.schema import RECENCY_WINDOWS

SMALLEST: Final = torch.finfo(torch.float32).tiny
"""Smallest normal float32."""

SINGLE: Final = ("entropy", "max", "effective", "sink", "self")
"""Statistics that are one number a row, as `attnscope_model.forward.compiled.kernel.summarise` orders them."""

_WINDOWS: Final = np.array(RECENCY_WINDOWS, np.int64)


def row_statistics(
    rows: Float[Tensor, "env layer head slot"], query_slot: Literal["first", "last"]
) -> dict[str, Float[Tensor, "env layer head *window"]]:
    """Return the statistics that a capture stores for every step, by the names they have there.

    - ``entropy``: −Σ A ln A, nats.
    - ``max``: the largest weight.
    - ``effective``: inverse participation 1 / Σ A², in tokens; exp(entropy) is the other reading.
    - ``sink``: the weight on slot 0.
    - ``self``: the weight on the query's own slot.
    - ``recency``: the weight on the newest 1, 5, 10 and 20 tokens, the query's own slot excluded.
    """
    own = -1 if query_slot == "last" else 0
    others = rows[..., :-1] if query_slot == "last" else rows[..., 1:]
    recent = [others[..., max(0, others.shape[-1] - window) :].sum(dim=-1) for window in RECENCY_WINDOWS]
    return {
        # As special.entr, which torch does not vectorise; a weight of 0 adds 0.
        "entropy": -(rows * rows.clamp_min(SMALLEST).log_()).sum(dim=-1),
        "max": rows.amax(dim=-1),
        "effective": rows.square().sum(dim=-1).reciprocal(),
        "sink": rows[..., 0],
        "self": rows[..., own],
        "recency": torch.stack(recent, dim=-1),
    }


def apart_from_summaries(
    rows: Float[Tensor, "env layer head slot"], summaries: int
) -> dict[str, Float[Tensor, "env layer head *window"]]:
    """Return the statistics that tell latents from transitions, of contexts whose query stands last.

    - ``summary``: the weight on the latents, which stand at the front.
    - ``recency``: as `row_statistics` has it, of the tokens behind them alone.

    Parameters
    ----------
    rows
        Rows of one step, cut to the context.
    summaries
        Latents at the front.
    """
    own = rows[..., summaries:-1]
    recent = [own[..., max(0, own.shape[-1] - window) :].sum(dim=-1) for window in RECENCY_WINDOWS]
    return {"summary": rows[..., :summaries].sum(dim=-1), "recency": torch.stack(recent, dim=-1)}


def compiled_statistics(
    rows: Float[Tensor, "env layer head slot"], query_slot: Literal["first", "last"]
) -> tuple[dict[str, Float[np.ndarray, "env layer head *window"]], float]:
    """Return what `row_statistics` does, and how far a row's sum is from 1 at most, reading each row once.

    On a CPU with numba only. The distance is NaN where a weight is.
    """
    from attnscope_model.forward.compiled import kernel  # noqa: PLC0415 - only where numba is installed

    shape, slots = tuple(rows.shape[:3]), rows.shape[3]
    flat = rows.contiguous().numpy().reshape(-1, slots)
    single: np.ndarray[Any, Any] = np.empty((len(SINGLE), len(flat)), np.float32)
    recency = np.empty((len(flat), len(RECENCY_WINDOWS)), np.float32)
    totals = np.empty(len(flat), np.float32)
    kernel.summarise(flat, _WINDOWS, query_slot == "last", single, recency, totals)
    found = {name: values.reshape(shape) for name, values in zip(SINGLE, single, strict=True)}
    found["recency"] = recency.reshape(*shape, len(RECENCY_WINDOWS))
    return found, float(np.abs(totals - 1).max())
