"""The contract of decision rows, checked before anything is measured."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from attnscope.measures.layout import in_context
from attnscope.measures.refusals import RowsInvalidError
from attnscope_storage.kinds.capture.schema import row_sum_tolerance


def check_rows(
    rows: Float[np.ndarray, "*row layer head slot"],
    length: Int[np.ndarray, "*row"],
    tolerance: float | None = None,
) -> None:
    """Check that rows are attention over their contexts.

    Rows that are NaN throughout pass: they were not captured, and every measure of them is NaN.

    Parameters
    ----------
    rows
        Attention of each query over the slots of its context, float [*row, layer, head, slot]; NaN past the
        context.
    length
        Tokens of the context, the query among them, int [*row].
    tolerance
        How far a row may sum from 1; by default what storing as float16 explains.

    Raises
    ------
    RowsInvalidError
        When a weight is negative, a row does not sum to 1, is NaN in part of its context, or holds a number past it.
    """
    slots = rows.shape[-1]
    allowed = row_sum_tolerance(slots) if tolerance is None else tolerance
    inside = np.broadcast_to(in_context(length, slots)[..., None, None, :], rows.shape)
    absent = np.isnan(rows)
    if bool((~absent & ~inside).any()):
        raise RowsInvalidError("rows must be NaN past the context length: do length and rows belong to the same steps?")
    held = np.where(inside & ~absent, rows, 0).astype(np.float64)
    captured = (inside & ~absent).any(axis=-1)
    if bool((absent & inside)[captured].any()):
        raise RowsInvalidError("rows must not be NaN in part of their context: do length and rows belong together?")
    if held.min(initial=0) < 0:
        raise RowsInvalidError(f"attention weights must not be negative, found {held.min()}")
    off = np.abs(held.sum(axis=-1) - 1)[captured].max(initial=0)
    if off > allowed:
        raise RowsInvalidError(f"rows must sum to 1 within {allowed:.2g}, one is off by {off:.2g}")
