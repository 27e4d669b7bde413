"""Reductions of decision rows where they were computed, before they are stored: bytes, age bins, retained mass.

The same on a CPU and on a GPU. `attnscope_storage.ages` says what the numbers mean.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Float, Float16, Int64, UInt8
from torch import Tensor

from attnscope_storage.ages import SHARES, bin_edges
from attnscope_storage.kinds.capture.schema import CaptureSchema
from attnscope_storage.shades import LARGEST

QuerySlot = Literal["first", "last"]


class Reductions:
    """Everything that a capture stores of a decision's rows in their place.

    Parameters
    ----------
    schema
        What the capture keeps.
    query_slot
        Where the policy's query stands.
    """

    def __init__(self, schema: CaptureSchema, query_slot: QuerySlot) -> None:
        dims = schema.dims
        self._query_slot: QuerySlot = query_slot
        self._dims, self._names = dims, schema.arrays.keys()
        self._edges = tuple(int(edge) for edge in bin_edges(dims.slots))

    def of(self, rows: Float[Tensor, "env layer head slot"]) -> dict[str, Float16[Tensor, "env layer head cell"]]:
        """Return what is stored of one step's rows, by array."""
        dims, found = self._dims, {}
        if "attention/bins" in self._names:
            picked = self._picked(rows, self.envs("attention/bins"))
            found["attention/bins"] = age_bins(picked, self._edges, self._query_slot)
        if "attention/curve" in self._names:
            every = self.envs("attention/curve")
            per = dims.tokens_per_transition
            found["attention/curve"] = retained_curve(self._picked(rows, every), self._query_slot, per)
        return found

    def envs(self, name: str) -> tuple[int, ...]:
        """Return the environments that an array of reductions holds."""
        return self._dims.bin_envs if name == "attention/bins" else tuple(range(self._dims.envs))

    def _picked(
        self, rows: Float[Tensor, "env layer head slot"], envs: tuple[int, ...]
    ) -> Float[Tensor, "env layer head slot"]:
        """Return the rows of these environments and of the layers and heads that are kept."""
        parts = (envs, self._dims.row_layers, self._dims.row_heads)
        for axis, (part, size) in enumerate(zip(parts, rows.shape, strict=False)):
            if part != tuple(range(size)):
                rows = rows.index_select(axis, _placed(part, rows.device))
        return rows


def as_shades(rows: Float[Tensor, "env layer head slot"]) -> UInt8[Tensor, "env layer head slot"]:
    """Return 254·√weight of each weight, rounded to a byte."""
    return (rows.clamp(0, 1).sqrt() * LARGEST).round().to(torch.uint8)


def age_bins(
    rows: Float[Tensor, "env layer head slot"], edges: tuple[int, ...], query_slot: QuerySlot
) -> Float16[Tensor, "env layer head bin"]:
    """Return the attention on the tokens of each age bin; NaN where the context does not reach it.

    Parameters
    ----------
    rows
        Rows of one step, cut to the context.
    edges
        As `attnscope_storage.ages.bin_edges` returns them.
    """
    length = rows.shape[-1]
    ends = _placed(edges, rows.device).clamp(max=length)
    running = torch.nn.functional.pad(_by_age(rows, query_slot).double().cumsum(dim=-1), (1, 0))
    found = running[..., ends].diff(dim=-1)
    reached = _placed(edges[:-1], rows.device) < length
    return torch.where(reached, found, torch.nan).to(torch.float16)


def retained_curve(
    rows: Float[Tensor, "env layer head slot"], query_slot: QuerySlot, tokens_per_transition: int
) -> Float16[Tensor, "env layer head share"]:
    """Return the mass that the query's own token and each head's best transitions hold, at each of `SHARES`.

    Parameters are those of `age_bins`; a share of the history is rounded down, at least one transition above 0.
    """
    aged = _by_age(rows, query_slot).double()
    own, history = aged[..., :1], aged[..., 1:]
    per, before = tokens_per_transition, -(-history.shape[-1] // tokens_per_transition)
    history = torch.nn.functional.pad(history, (0, before * per - history.shape[-1]))
    each = history.reshape(*history.shape[:-1], before, per).sum(dim=-1)
    running = torch.nn.functional.pad(each.sort(dim=-1, descending=True).values.cumsum(dim=-1), (1, 0))
    kept = tuple(min(before, max(1, int(before * share + 1e-9))) if share else 0 for share in SHARES)
    return (own + running[..., _placed(kept, rows.device)]).to(torch.float16)


@lru_cache(maxsize=64)
def _placed(numbers: tuple[int, ...], device: torch.device) -> Int64[Tensor, " number"]:
    """Return whole numbers on a device; kept, since putting them there makes the host wait for the device."""
    with torch.inference_mode(mode=False):
        return torch.tensor(numbers, device=device)


def _by_age(rows: Float[Tensor, "env layer head slot"], query_slot: QuerySlot) -> Float[Tensor, "env layer head age"]:
    """Return weights by age in tokens, 0 the query's own."""
    if query_slot == "last":
        return rows.flip(-1)
    return torch.cat([rows[..., :1], rows[..., 1:].flip(-1)], dim=-1)
