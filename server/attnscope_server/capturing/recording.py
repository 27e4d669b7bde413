"""From a decision to the step block: statistics of every row, the rows and the maps that the capture keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float16
from torch import Tensor

from attnscope_model.acting.deciding import Decision
from attnscope_model.acting.tape import furthest_off, refuse_off
from attnscope_model.forward.statistics import apart_from_summaries, compiled_statistics, row_statistics
from attnscope_server.capturing.reducing import Reductions, as_shades
from attnscope_storage.kinds.capture.schema import CaptureSchema
from attnscope_storage.shades import ABSENT
from attnscope_storage.writing.blocks import StepBlock


class AttentionRecorder:
    """Puts what was recorded of a step where the writer takes it from.

    Parameters
    ----------
    schema
        What the capture keeps.
    query_slot
        Where the policy's query stands.
    compiled
        Take the statistics by the compiled kernel, as the policy attends; on a CPU with numba only.
    """

    def __init__(self, schema: CaptureSchema, query_slot: Literal["first", "last"], *, compiled: bool = False) -> None:
        dims = schema.dims
        self._every = dims.row_every
        self._query_slot: Literal["first", "last"] = query_slot
        kept = (dims.kept_envs, dims.row_layers, dims.row_heads)
        sizes = (dims.envs, dims.layers, dims.heads)
        self._whole = all(tuple(range(size)) == tuple(part) for part, size in zip(kept, sizes, strict=True))
        self.compiled = compiled
        """True where statistics are taken by the compiled kernel."""
        self._kept = np.ix_(*(np.array(part) for part in kept))
        self._reductions = Reductions(schema, query_slot)
        self._latents = dims.latents
        self.map_steps = frozenset(dims.map_steps)
        """Steps whose whole maps are kept."""

    def record(self, block: StepBlock, step: int, row: int, decision: Decision) -> None:
        """Store one step of a block, after looking at the sums of its rows.

        Parameters
        ----------
        block
            The block being filled.
        step, row
            The step since the capture's begin, and since the block's.
        decision
            With its rows, and at `map_steps` its maps.

        Raises
        ------
        CaptureInvalidError
            A row does not sum to 1.
        """
        if decision.rows is None:
            raise ValueError("expected a decision with its rows recorded")
        length = decision.rows.shape[-1]
        for envs, rows in of_one_length(decision):
            for name, values in self._statistics(rows, decision.summaries).items():
                block.arrays[f"stats/{name}"][row, envs] = values
        if step % self._every == 0:
            place = row // self._every
            if "attention/rows" in block.arrays:
                stored = block.arrays["attention/rows"][place]
                self._keep(decision.rows, stored[..., :length])
                if decision.lengths is not None:
                    self._clear(stored, decision.lengths)
            for name, envs, reduced in self._reduced(decision):
                block.arrays[name][place, envs] = reduced
            if "attention/row_step" in block.arrays:
                block.arrays["attention/row_step"][place] = step
        if decision.maps is not None:
            block.maps.append((step, self.kept_maps(decision.maps).cpu().numpy()))

    def kept_maps(
        self, maps: Float16[Tensor, "env layer head query slot"]
    ) -> Float16[Tensor, "env kept_layer kept_head query slot"]:
        """Return the maps of the layers and heads that the capture keeps: the same memory where it keeps all."""
        layers, heads = (torch.from_numpy(part.ravel()).to(maps.device) for part in self._kept[1:])
        for axis, part in ((1, layers), (2, heads)):
            if len(part) < maps.shape[axis]:
                maps = maps.index_select(axis, part)
        return maps

    def _statistics(self, rows: Tensor, summaries: int) -> dict[str, np.ndarray[Any, Any]]:
        if self.compiled:
            found, off = compiled_statistics(rows, self._query_slot)
        else:
            found, off = on_host(row_statistics(rows, self._query_slot)), furthest_off(rows).item()
        refuse_off(off)
        return found | on_host(apart_from_summaries(rows, summaries)) if self._latents else found

    def _keep(self, rows: Tensor, place: np.ndarray[Any, Any]) -> None:
        """Round the rows that the capture keeps to the form that they are stored in, into their place in the block."""
        rounded = as_shades(rows) if place.dtype == np.uint8 else rows
        if self._whole and rows.device.type == "cpu":
            torch.from_numpy(place).copy_(rounded)
        else:
            stored = (rounded if place.dtype == np.uint8 else rows.to(torch.float16)).cpu().numpy()
            place[...] = stored if self._whole else stored[self._kept]  # the index copies

    def _clear(self, stored: np.ndarray[Any, Any], lengths: np.ndarray[Any, Any]) -> None:
        """Mark as absent what lies beyond each kept environment's context."""
        beyond = np.arange(stored.shape[-1]) >= lengths[self._kept[0].ravel(), None]
        absent = stored.dtype.type(ABSENT if stored.dtype == np.uint8 else np.nan)
        np.copyto(stored, absent, where=beyond[:, None, None])

    def _reduced(self, decision: Decision) -> Iterator[tuple[str, Any, np.ndarray[Any, Any]]]:
        """Yield what is stored in the place of rows: by array, of which of its environments, and the numbers."""
        rows, lengths = decision.rows, decision.lengths
        assert rows is not None  # noqa: S101 - the caller looked
        if lengths is None:
            for name, reduced in self._reductions.of(rows[..., decision.summaries :]).items():
                yield name, slice(None), reduced.cpu().numpy()
            return
        for length in np.unique(lengths):
            for name, reduced in self._reductions.of(rows[..., :length]).items():
                of_length = lengths[list(self._reductions.envs(name))] == length
                yield name, of_length, reduced.cpu().numpy()[of_length]


def of_one_length(decision: Decision) -> Iterator[tuple[Any, Tensor]]:
    """Yield environments whose contexts have one length, and their rows over these slots alone."""
    rows, lengths = decision.rows, decision.lengths
    assert rows is not None  # noqa: S101 - the caller looked
    if lengths is None:
        yield slice(None), rows
        return
    for length in np.unique(lengths):
        envs = np.flatnonzero(lengths == length)
        yield envs, rows[torch.from_numpy(envs)][..., :length]


def on_host(statistics: dict[str, Tensor]) -> dict[str, np.ndarray[Any, Any]]:
    """Return statistics as arrays, moved in one copy where a device is behind them."""
    if next(iter(statistics.values())).device.type == "cpu":
        return {name: values.numpy() for name, values in statistics.items()}
    joined = torch.cat([values.flatten() for values in statistics.values()]).cpu().numpy()
    ends = np.cumsum([values.numel() for values in statistics.values()])
    parts = np.split(joined, ends[:-1])
    return {name: part.reshape(values.shape) for part, (name, values) in zip(parts, statistics.items(), strict=True)}
