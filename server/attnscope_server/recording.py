"""From a decision to the step block: statistics of every row, the rows and the maps that the capture keeps."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from attnscope_model.deciding import Decision
from attnscope_model.statistics import row_statistics
from attnscope_storage.blocks import StepBlock
from attnscope_storage.schema import CaptureSchema


class AttentionRecorder:
    """Puts what was recorded of a step where the writer takes it from.

    Parameters
    ----------
    schema
        What the capture keeps.
    query_slot
        Where the policy's query stands.
    """

    def __init__(self, schema: CaptureSchema, query_slot: Literal["first", "last"]) -> None:
        dims = schema.dims
        self._slots, self._every = dims.slots, dims.row_every
        self._query_slot: Literal["first", "last"] = query_slot
        kept = (dims.row_envs or dims.map_envs, dims.row_layers, dims.row_heads)
        sizes = (dims.envs, dims.layers, dims.heads)
        self._whole = all(tuple(range(size)) == tuple(part) for part, size in zip(kept, sizes, strict=True))
        self._kept = np.ix_(*(np.array(part) for part in kept))
        self.map_steps = frozenset(dims.map_steps)
        """Steps whose whole maps are kept."""

    def record(self, block: StepBlock, step: int, row: int, decision: Decision) -> None:
        """Store one step of a block.

        Parameters
        ----------
        block
            The block being filled.
        step, row
            The step since the capture's begin, and since the block's.
        decision
            With its rows, and at `map_steps` its maps.
        """
        if decision.rows is None:
            raise ValueError("expected a decision with its rows recorded")
        length = decision.rows.shape[-1]
        for name, values in on_host(row_statistics(decision.rows, self._query_slot)).items():
            block.arrays[f"stats/{name}"][row] = values
        if "attention/rows" in block.arrays and step % self._every == 0:
            half = decision.rows.to(torch.float16).cpu().numpy()
            kept = half if self._whole else half[self._kept]  # the index copies
            block.arrays["attention/rows"][row // self._every, ..., :length] = kept
            if self._every > 1:
                block.arrays["attention/row_step"][row // self._every] = step
        if decision.maps is not None:
            half = decision.maps.to(torch.float16).cpu().numpy()[self._kept]
            whole = np.full((*half.shape[:3], self._slots, self._slots), np.nan, np.float16)
            whole[..., :length, :length] = half
            block.maps.append((step, whole))


def on_host(statistics: dict[str, Tensor]) -> dict[str, np.ndarray[Any, Any]]:
    """Return statistics as arrays, moved in one copy where a device is behind them."""
    if next(iter(statistics.values())).device.type == "cpu":
        return {name: values.numpy() for name, values in statistics.items()}
    joined = torch.cat([values.flatten() for values in statistics.values()]).cpu().numpy()
    ends = np.cumsum([values.numel() for values in statistics.values()])
    parts = np.split(joined, ends[:-1])
    return {name: part.reshape(values.shape) for part, (name, values) in zip(parts, statistics.items(), strict=True)}
