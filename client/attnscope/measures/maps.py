"""Measures of whole attention maps: every query's row, not the deciding one alone, and attention through layers."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Int, Int64


def map_rows(
    maps: Float[np.ndarray, "*map layer head query slot"], length: Int[np.ndarray, "*map"], *, causal: bool
) -> tuple[Float[np.ndarray, "*map query layer head slot"], Int64[np.ndarray, "*map query"]]:
    """Return a map's queries as rows, and the tokens that each of them sees, for any measure of rows.

    A causal query sees itself and what lies before it, any other the whole context. Queries past the context are given
    as rows of NaN that see one token. In a non-causal map the order of a query's slots is not its age, so measures of
    age do not apply to it; `map_distance` does.

    Parameters
    ----------
    maps
        Attention maps, float [*map, layer, head, query, slot]; NaN past the context.
    length
        Tokens of the context, the query among them, int [*map].
    causal
        Whether a query sees only what stands before it.
    """
    rows = np.moveaxis(maps, -2, -4)
    queries = maps.shape[-2]
    whole = np.asarray(length, np.int64)[..., None]
    query = np.arange(queries)
    seen = np.where(query < whole, query + 1 if causal else whole, 1)
    inside = np.arange(maps.shape[-1]) < seen[..., None]
    return np.where(inside[..., None, None, :], rows, np.nan), seen


def map_distance(
    maps: Float[np.ndarray, "*map layer head query slot"],
) -> Float64[np.ndarray, "*map layer head query"]:
    """Return each query's mean distance to what it attends to, Σ A |i − j|, in tokens; NaN past the context.

    Parameters
    ----------
    maps
        Attention maps, float [*map, layer, head, query, slot]; NaN past the context.
    """
    share = np.nan_to_num(np.asarray(maps, np.float64))
    total = share.sum(axis=-1)
    apart = np.abs(np.arange(maps.shape[-2])[:, None] - np.arange(maps.shape[-1]))
    return np.asarray(np.divide((share * apart).sum(axis=-1), total, out=np.full(total.shape, np.nan), where=total > 0))


def attention_rollout(
    maps: Float[np.ndarray, "*map layer head query slot"],
) -> Float64[np.ndarray, "*map query slot"]:
    """Return attention followed through all layers, half of it by the residual path (Abnar & Zuidema, 2020).

    Heads are averaged in every layer, R = (½ A + ½ I) R, first layer first. It knows neither values nor MLPs, and in
    causal maps it drifts to the earliest tokens whatever the model does: compare with `attention_rollout` of uniform
    maps. NaN where the maps are.

    Parameters
    ----------
    maps
        Attention maps, float [*map, layer, head, query, slot]; NaN past the context.
    """
    mean = np.asarray(maps, np.float64).mean(axis=-3)
    inside = np.isfinite(mean)
    step = np.where(inside, mean, 0) / 2 + np.eye(maps.shape[-1]) / 2
    through = step[..., 0, :, :]
    for layer in range(1, step.shape[-3]):
        through = step[..., layer, :, :] @ through
    reached = np.isfinite(mean[..., 0, :, :]).any(axis=-1, keepdims=True)
    return np.where(reached & reached.swapaxes(-1, -2), through, np.nan)


def uniform_maps(length: int, slots: int, *, causal: bool) -> Float64[np.ndarray, "{slots} {slots}"]:
    """Return the map of attention that chooses nothing: the baseline of any measure of maps.

    Parameters
    ----------
    length
        Tokens of the context, the query among them.
    slots
        Slots of the result: the largest length at least.
    causal
        Whether a query sees only what stands before it.
    """
    query, slot = np.arange(slots)[:, None], np.arange(slots)
    inside = (query < length) & (slot < length) & ((slot <= query) | (not causal))
    seen = np.maximum(inside.sum(axis=-1, keepdims=True), 1)
    return np.where(inside, 1 / seen, np.nan)
