"""The attention of decision rows to the transitions of a stored window, by identity while the window slides."""

from __future__ import annotations

from collections import deque

import torch
from jaxtyping import Float
from torch import Tensor

from attnscope_model.compression.history import History
from attnscope_model.compression.setup import Compression
from attnscope_model.compression.views import Judged
from attnscope_storage.wire import PolicyDescription


class SeenWindow:
    """The rows of whole windows, and their sums.

    Parameters
    ----------
    setup
        Says how many rows its strategy looks at, and whether it sums them.
    history
        The window that the rows are of.
    """

    def __init__(self, setup: Compression, history: History) -> None:
        self._history = history
        self._rows: deque[tuple[int, Tensor]] = deque(maxlen=setup.rows)
        self._sums: tuple[int, Tensor, Tensor] | None = None
        self.remembers = setup.rows > 1 or bool(setup.rule.uses & {"accumulated", "expected"})
        """True where what it says depends on more than the newest row."""

    def look(self, row: Float[Tensor, "env entry"], even: float) -> None:
        """Take down a row over the history; `even` is what uniform attention would have given each transition."""
        start = self._history.start
        self._rows.append((start, row))
        received, expected = self._carried(row)
        received = torch.where(received.isnan(), 0, received) + row
        self._sums = start, received, expected + even

    def judged(self) -> Judged:
        """Return what all rows said of the window's transitions."""
        start, held = self._history.start, self._history.held
        aligned = [aligned_to(row, first, start, held, float("nan")) for first, row in self._rows]
        if self._sums is None:
            raise ValueError("expected a row before a judgement")
        _, received, expected = self._sums
        return Judged(torch.stack(aligned, dim=1), received, expected)

    def _carried(self, row: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sums so far, by the window's transitions."""
        if self._sums is None:
            return torch.full_like(row, float("nan")), torch.zeros_like(row)
        first, received, expected = self._sums
        start, held = self._history.start, self._history.held
        return aligned_to(received, first, start, held, float("nan")), aligned_to(expected, first, start, held, 0.0)


def aligned_to(
    values: Float[Tensor, "env entry"], first: int, start: int, held: int, absent: float
) -> Float[Tensor, "env held"]:
    """Return values of the transitions from `first` on as values of those from `start` on; the rest are absent."""
    aligned = values.new_full((len(values), held), absent)
    gone = start - first
    there = min(values.shape[1] - gone, held)
    if there > 0:
        aligned[:, :there] = values[:, gone : gone + there]
    return aligned


def history_row(
    rows: Float[Tensor, "env layer head slot"], policy: PolicyDescription
) -> tuple[Float[Tensor, "env entry"], float]:
    """Return the attention to each entry of the history, and what uniform attention would give each.

    The mean over layers and heads, in float32; an entry's tokens are summed.
    """
    mean = rows.float().mean(dim=(1, 2))
    history = mean[:, 1:] if policy.query_slot == "first" else mean[:, :-1]
    per = policy.tokens_per_transition
    return history.reshape(len(mean), -1, per).sum(dim=-1), per / mean.shape[-1]
