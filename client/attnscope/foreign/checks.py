"""The contract of one step of foreign attention: a weight that breaks it is named by step, layer and head."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from attnscope.foreign.refusals import ForeignFileError

LOOSE: Final = 1e-2
"""Distance of a row's sum from 1, at most, as of a softmax in bfloat16. Rows are divided by their sum."""


def checked(
    step: int, rows: Float[np.ndarray, "env layer head slot"], length: Int[np.ndarray, " env"]
) -> Float64[np.ndarray, "env layer head slot"]:
    """Return the decision rows of a step in double precision, NaN past each context, summing to 1 over it.

    Past the context NaN and zero both mean that there is nothing.

    Raises
    ------
    ForeignFileError
        A weight inside a context is NaN, infinite or negative, one past it is not zero, or a row does not sum to 1.
    """
    slots = rows.shape[-1]
    values = np.asarray(rows, np.float64)
    if length.min(initial=1) < 1 or length.max(initial=1) > slots:
        raise ForeignFileError(f"step {step}: expected contexts of 1 to {slots} tokens, got lengths {length.tolist()}")
    inside = np.broadcast_to((np.arange(slots) < length[:, None])[:, None, None, :], values.shape)
    _refuse(step, values, inside & np.isnan(values), "is NaN inside the context; NaN may only stand past it")
    _refuse(step, values, inside & ~np.isfinite(values), "is infinite")
    _refuse(step, values, inside & (values < 0), "is negative")
    past = ~inside & ~np.isnan(values) & (values != 0)
    _refuse(step, values, past, "stands past the context, whose lengths and rows must belong together")
    held = np.where(inside, values, 0)
    total = held.sum(axis=-1)
    if (off := np.abs(total - 1)).max(initial=0) > LOOSE:
        env, layer, head = np.argwhere(off > LOOSE)[0]
        raise ForeignFileError(
            f"{_place(step, env, layer, head)}: rows must sum to 1 within {LOOSE:.2g}, this one sums to "
            f"{total[env, layer, head]:.6g}"
        )
    return np.where(inside, values / total[..., None], np.nan)


def check_map(step: int, maps: Float[np.ndarray, "layer head query slot"]) -> None:
    """Check that a whole map of one environment has no NaN.

    Raises
    ------
    ForeignFileError
        There is one; the message names step, layer, head, query and key.
    """
    if np.isnan(maps).any():
        layer, head, query, key = np.argwhere(np.isnan(maps))[0]
        raise ForeignFileError(
            f"step {step}, layer {layer}, head {head}: the attention of query {query} to key {key} is NaN inside the "
            "context; NaN may only stand past it"
        )


def _refuse(
    step: int,
    values: Float64[np.ndarray, "env layer head slot"],
    wrong: Bool[np.ndarray, "env layer head slot"],
    why: str,
) -> None:
    if wrong.any():
        env, layer, head, slot = np.argwhere(wrong)[0]
        weight = values[env, layer, head, slot]
        raise ForeignFileError(f"{_place(step, env, layer, head)}: the weight {weight:.6g} of slot {slot} {why}")


def _place(step: int, env: int, layer: int, head: int) -> str:
    return f"step {step}, environment {env}, layer {layer}, head {head}"
