"""The attention of stored decision rows to a window's transitions, up to the time of a rule's selection.

A stateless rule that looks at attention looks at the whole window's rows of the steps at which it selects. These are
the uncompressed policy's own, so the stored rows are they, up to the rounding of float16.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from attnscope_model.compression.views import Judged
from attnscope_server.screening.block import Block, Moments

Interval = int | Literal["full"]


class SeenRows:
    """The stored rows of a block, as rules see them.

    Parameters
    ----------
    block
        Its histories must have rows.
    """

    def __init__(self, block: Block) -> None:
        rows = block.histories.rows
        if rows is None:
            raise ValueError("expected histories with the attention of every decision")
        policy = block.policy.description
        self._block = block
        self._query_first = policy.query_slot == "first"
        self._rows = rows
        self._sums: dict[Interval, dict[int, tuple[Tensor, Tensor]]] = {}

    def row(self, step: int) -> Float[Tensor, "rollout entry"]:
        """Return what every rollout's decision at a step gave each transition of its window."""
        block = self._block
        tokens = min(step, block.capacity) * block.per
        first = 1 if self._query_first else 0
        row = torch.from_numpy(np.asarray(self._rows[:, step, first : first + tokens], np.float32)).to(block.device)
        return row.view(len(row), -1, block.per).sum(dim=-1) if block.per > 1 else row

    def own(self, step: int) -> Float[Tensor, " rollout"]:
        """Return what every rollout's decision at a step gave its own query."""
        slot = 0 if self._query_first else min(step, self._block.capacity) * self._block.per
        return torch.from_numpy(np.asarray(self._rows[:, step, slot], np.float32)).to(self._block.device)

    def judged(self, moments: Moments, interval: Interval, rows: int) -> Judged:
        """Return what the rows said of the windows of moments at which a rule of this interval selects."""
        held = self._block.held(moments.step)
        width = max(1, int(held.max()))
        parts = [self._part(step, interval, rows, width, moments) for step in sorted(set(moments.step.tolist()))]
        many = max(part[0].shape[1] for _, *part in parts)
        attention = self._rowless(len(moments), many, width)
        accumulated, expected = attention[:, 0].clone(), torch.zeros(len(moments), width, device=self._block.device)
        for mine, some, received, even in parts:
            attention[mine, many - some.shape[1] :] = some
            accumulated[mine], expected[mine] = received, even
        return Judged(attention, accumulated, expected)

    def _part(
        self, step: int, interval: Interval, rows: int, width: int, moments: Moments
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the moments at one step, and the newest rows and the sums over their windows."""
        block = self._block
        mine = torch.nonzero(moments.step == step)[:, 0]
        lanes = moments.rollout[mine]
        start, held = step - min(step, block.capacity), min(step, block.capacity)
        due = self._due(step, interval)[-rows:]
        some = self._rowless(len(mine), len(due), width)
        for index, at in enumerate(due):
            gone = start - (at - min(at, block.capacity))
            there = self.row(at)[lanes, max(0, gone) :]
            some[:, index, : there.shape[1]] = there
        received, even = self._summed(interval)[step]
        wide = self._rowless(len(mine), 1, width)[:, 0]
        wide[:, :held] = received[lanes]
        expected = torch.zeros(len(mine), width, device=block.device)
        expected[:, :held] = even
        return mine, some, wide, expected

    def _due(self, last: int, interval: Interval) -> range:
        """Return the steps up to `last` at which a rule of this interval selects."""
        if interval == "full":
            return range(self._block.capacity, last + 1)
        return range(interval, last + 1, interval)

    def _summed(self, interval: Interval) -> dict[int, tuple[Tensor, Tensor]]:
        """Return by step what the windows' transitions received up to there, and what uniform rows would have given."""
        if interval in self._sums:
            return self._sums[interval]
        block = self._block
        received = torch.full((block.rollouts, block.steps), float("nan"), device=block.device)
        expected = torch.zeros(block.steps, device=block.device)
        found = {}
        for step in self._due(block.steps - 1, interval):
            held = min(step, block.capacity)
            span = slice(step - held, step)
            before = received[:, span]
            received[:, span] = torch.where(before.isnan(), 0, before) + self.row(step)
            expected[span] += block.per / (held * block.per + 1)
            found[step] = received[:, span].clone(), expected[span].clone()
        self._sums[interval] = found
        return found

    def _rowless(self, many: int, rows: int, width: int) -> Tensor:
        return torch.full((many, rows, width), float("nan"), device=self._block.device)
