"""Heads that do the same: divergence between heads' rows, and groups of heads that look alike.

Heads are numbered layer by layer: head h of layer l is l × heads + h.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Int, Int64

from attnscope.measures.layout import weights
from attnscope.measures.refusals import NotMeasurableError


def head_divergence(
    rows: Float[np.ndarray, "*row layer head slot"], length: Int[np.ndarray, "*row"]
) -> Float64[np.ndarray, "*row one other"]:
    """Return the Jensen–Shannon divergence of every pair of heads, in bits: 0 the same row, 1 nothing shared.

    Source: Clark et al., 2019. Heads of one concentration that look at other places are far apart, too.

    Parameters
    ----------
    rows
        Attention of each query over the slots of its context, float [*row, layer, head, slot]; NaN past the
        context.
    length
        Tokens of the context, the query among them, int [*row].
    """
    share = weights(rows, length)
    flat = share.reshape(*share.shape[:-3], -1, share.shape[-1])
    own = _bits(flat)
    heads = flat.shape[-2]
    far = np.empty((*flat.shape[:-2], heads, heads))
    for one in range(heads):  # head by head, so that no array holds every pair's slots
        middle = (flat[..., one : one + 1, :] + flat) / 2
        far[..., one, :] = _bits(middle) - (own[..., one : one + 1] + own) / 2
    return np.clip(far, 0, 1)


def cluster_heads(divergence: Float[np.ndarray, "one other"], threshold: float) -> Int64[np.ndarray, " one"]:
    """Return a cluster number for every head: average linkage, joined while the mean divergence is at most `threshold`.

    Clusters are numbered by their first head.

    Parameters
    ----------
    divergence
        Between each two heads, in nats, float [one, other]; see `head_divergence`.
    threshold
        Largest divergence inside a group, in nats.

    Raises
    ------
    NotMeasurableError
        A divergence is NaN: a head was not captured.
    """
    if not np.isfinite(divergence).all():
        raise NotMeasurableError("heads that were not captured cannot be clustered: their divergence is NaN")
    groups = [[head] for head in range(len(divergence))]
    while len(groups) > 1:
        pairs = [
            (float(divergence[np.ix_(groups[a], groups[b])].mean()), a, b)
            for a in range(len(groups))
            for b in range(a + 1, len(groups))
        ]
        nearest, a, b = min(pairs)
        if nearest > threshold:
            break
        groups[a] += groups.pop(b)
    label = np.empty(len(divergence), np.int64)
    for number, group in enumerate(sorted(groups, key=min)):
        label[group] = number
    return label


def _bits(share: Float64[np.ndarray, "*row slot"]) -> Float64[np.ndarray, "*row"]:
    """Return the entropy in bits."""
    total: Float64[np.ndarray, "*row"] = (share * np.log2(np.where(share == 0, 1, share))).sum(axis=-1)
    return 0 - total
