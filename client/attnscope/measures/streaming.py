"""Averages over more steps than fit in memory: rows come in blocks, what stays is one number a rollout and cell."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from attnscope.measures.refusals import NotMeasurableError
from attnscope_storage.reductions import Total, total_over_steps


class RolloutMean:
    """Mean over steps of any measure, for each rollout by itself; NaN cells do not count.

    The result does not depend on how the steps were cut into blocks.

    Parameters
    ----------
    share_read
        Share of all steps that is taken in; 1 where none is left out.
    """

    def __init__(self, share_read: float = 1.0) -> None:
        self._total: Total | None = None
        self._bursts: dict[int, Total] = {}
        self.share_read = share_read

    def add(
        self,
        values: Float[np.ndarray, "step env *cell"],
        where: Bool[np.ndarray, "step env"] | None = None,
        burst: int | None = None,
    ) -> None:
        """Take in a block of steps.

        Parameters
        ----------
        where
            The decisions that count; all where None.
        burst
            Number of the burst of adjacent steps that the block belongs to; with it `residuals` are known.
        """
        found = total_over_steps(values, where)
        self._total = found if self._total is None else self._total + found
        if burst is not None:
            held = self._bursts.get(burst)
            self._bursts[burst] = found if held is None else held + found

    @property
    def mean(self) -> Float64[np.ndarray, " env *cell"]:
        """The mean of each rollout; NaN where no step counted.

        Raises
        ------
        NotMeasurableError
            Nothing was added.
        """
        return self._held.mean

    @property
    def count(self) -> Int64[np.ndarray, " env *cell"]:
        """Steps that counted.

        Raises
        ------
        NotMeasurableError
            Nothing was added.
        """
        return self._held.count

    @property
    def bursts(self) -> list[int]:
        """Numbers of the bursts in which any step counted."""
        return [number for number, total in sorted(self._bursts.items()) if total.count.any()]

    def residuals(self, shares: Float64[np.ndarray, " env"]) -> Float64[np.ndarray, " burst *cell"]:
        """Return how far each of `bursts` moves the mean over rollouts from the mean over all bursts.

        Parameters
        ----------
        shares
            Weight of each rollout in the mean; rollouts without a value in a cell are left out of it.
        """
        mean, count = self.mean, self.count
        wide = shares.reshape(len(shares), *[1] * (mean.ndim - 1)) * (count > 0)
        total = wide.sum(axis=0)
        weight = np.divide(wide, total, out=np.zeros_like(wide), where=total > 0)
        known = np.nan_to_num(mean)
        parts = [self._bursts[number] for number in self.bursts]
        moved = [weight * (one.sum - known * one.count) / np.maximum(count, 1) for one in parts]
        return np.array([one.sum(axis=0) for one in moved]).reshape(len(parts), *mean.shape[1:])

    @property
    def _held(self) -> Total:
        if self._total is None:
            raise NotMeasurableError("no step was added, so there is no mean")
        return self._total
