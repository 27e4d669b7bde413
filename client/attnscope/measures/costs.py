"""The attention that survives when only so many tokens are kept: the compression potential, head by head.

These curves choose with the very row they are scored on, which no strategy can do before it has that row: they bound
what a selection could retain. The query's own token is always kept and not counted in a budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Float64, Int, Int64

from attnscope.measures.layout import QUERY_LAST, ContextLayout, by_transition_age, checked_length, weights

BUDGETS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Shares of the history that a curve is drawn at."""


@dataclass(frozen=True, eq=False)
class CostCurve:
    """Mass retained at each budget, the query's own included."""

    own: Float64[np.ndarray, "*row layer head budget"]
    """Each head keeps its own best tokens: only masks inside the model can do that."""
    shared: Float64[np.ndarray, "*row layer head budget"]
    """All heads keep the same tokens, the best by the mean row: what dropping inputs can do."""
    uniform: Float64[np.ndarray, "*row 1 1 budget"]
    """The share that any choice retains of uniform attention."""


def kept_entries(
    length: Int[np.ndarray, "*row"], budgets: tuple[float, ...], tokens_per_transition: int = 1
) -> Int64[np.ndarray, "*row budget"]:
    """Return the transitions that a share of the history is: rounded down, one at least where there is any.

    Parameters
    ----------
    length
        Tokens of the context, the query among them, int [*row].
    budgets
        Shares of the history that may be kept, above 0 and at most 1.
    tokens_per_transition
        Tokens that a transition is: 1 or 3.
    """
    history = (np.asarray(length, np.int64) - 1 + tokens_per_transition - 1) // tokens_per_transition
    share = np.floor(history[..., None] * np.asarray(budgets) + 1e-9).astype(np.int64)
    return np.asarray(np.minimum(np.maximum(share, 1), history[..., None]))


def cost_curve(
    rows: Float[np.ndarray, "*row layer head slot"],
    length: Int[np.ndarray, "*row"],
    budgets: tuple[float, ...] = BUDGETS,
    layout: ContextLayout = QUERY_LAST,
) -> CostCurve:
    """Return the mass that the best choice of `budgets` of the history retains.

    Tokens of one transition are kept or dropped together.

    Parameters
    ----------
    rows
        Attention of each query over the slots of its context, float [*row, layer, head, slot]; NaN past the
        context.
    length
        Tokens of the context, the query among them, int [*row].
    budgets
        Shares of the history that may be kept, above 0 and at most 1.
    layout
        Where the query stands, and tokens a transition; both are attributes of a capture.
    """
    share = weights(rows, length)
    whole = checked_length(length, share.shape[-1])
    grouped = by_transition_age(share, length, layout)
    own, history = grouped[..., :1], grouped[..., 1:]
    kept = kept_entries(whole, budgets, layout.tokens_per_transition)
    best = -np.sort(-history, axis=-1)
    together = np.argsort(-history.mean(axis=(-3, -2), keepdims=True), axis=-1, kind="stable")
    same = np.take_along_axis(history, np.broadcast_to(together, history.shape), axis=-1)
    even = np.minimum(1 + kept * layout.tokens_per_transition, whole[..., None]) / whole[..., None]
    return CostCurve(own + _first(best, kept), own + _first(same, kept), even[..., None, None, :])


def _first(
    ordered: Float64[np.ndarray, "*row layer head entry"], kept: Int64[np.ndarray, "*row budget"]
) -> Float64[np.ndarray, "*row layer head budget"]:
    """Return the sum of the first `kept` entries."""
    running = np.concatenate([np.zeros_like(ordered[..., :0].sum(-1, keepdims=True)), ordered.cumsum(axis=-1)], axis=-1)
    index = np.broadcast_to(kept[..., None, None, :], (*ordered.shape[:-1], kept.shape[-1]))
    return np.take_along_axis(running, index, axis=-1)
