"""Averages over more steps than fit in memory: rows come in blocks, what stays is one number a rollout and cell."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from attnscope.measures.refusals import NotMeasurableError


class RolloutMean:
    """Mean over steps of any measure, for each rollout by itself; NaN cells do not count.

    The result does not depend on how the steps were cut into blocks.
    """

    def __init__(self) -> None:
        self._sum: Float64[np.ndarray, ...] | None = None
        self._count: Int64[np.ndarray, ...] | None = None

    def add(
        self, values: Float[np.ndarray, "step env *cell"], where: Bool[np.ndarray, "step env"] | None = None
    ) -> None:
        """Take in a block of steps.

        Parameters
        ----------
        where
            Which steps count; all where None.
        """
        held = np.isfinite(values)
        if where is not None:
            held &= where.reshape(*where.shape, *[1] * (values.ndim - 2))
        total = np.where(held, values, 0).sum(axis=0, dtype=np.float64)
        count = held.sum(axis=0, dtype=np.int64)
        self._sum = total if self._sum is None else self._sum + total
        self._count = count if self._count is None else self._count + count

    @property
    def mean(self) -> Float64[np.ndarray, " env *cell"]:
        """The mean of each rollout; NaN where no step counted.

        Raises
        ------
        NotMeasurableError
            Nothing was added.
        """
        if self._sum is None:
            raise NotMeasurableError("no step was added, so there is no mean")
        return np.asarray(np.divide(self._sum, self.count, out=np.full(self._sum.shape, np.nan), where=self.count > 0))

    @property
    def count(self) -> Int64[np.ndarray, " env *cell"]:
        """Steps that counted."""
        if self._count is None:
            raise NotMeasurableError("no step was added, so there is no mean")
        return self._count
