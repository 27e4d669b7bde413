"""Statistics of decision rows, taken before they are rounded to float16."""

from __future__ import annotations

from typing import Final, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from attnscope_storage.schema import RECENCY_WINDOWS

SMALLEST: Final = torch.finfo(torch.float32).tiny
"""Smallest normal float32."""


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
