"""The number of tokens that a row spreads over, whatever their order."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Int

from attnscope.measures.layout import checked_length, weights


def entropy(
    rows: Float[np.ndarray, "*row layer head slot"], length: Int[np.ndarray, "*row"]
) -> Float64[np.ndarray, "*row layer head"]:
    """Return −Σ A ln A of each row, in nats (Clark et al., 2019).

    It grows with the context: uniform attention over n tokens has ln n. `normalised_entropy` does not.

    Parameters
    ----------
    rows
        Attention of each query over the slots of its context, float [*row, layer, head, slot]; NaN past the
        context.
    length
        Tokens of the context, the query among them, int [*row].
    """
    share = weights(rows, length)
    total: Float64[np.ndarray, "*row layer head"] = (share * np.log(np.where(share == 0, 1, share))).sum(axis=-1)
    return 0 - total


def normalised_entropy(
    rows: Float[np.ndarray, "*row layer head slot"], length: Int[np.ndarray, "*row"]
) -> Float64[np.ndarray, "*row layer head"]:
    """Return entropy ÷ ln(length), in 0 (one token) to 1 (all alike), comparable between context lengths.

    A context of one token is 1: its only distribution is the uniform one.

    Parameters
    ----------
    rows
        Attention of each query over the slots of its context, float [*row, layer, head, slot]; NaN past the
        context.
    length
        Tokens of the context, the query among them, int [*row].
    """
    return scaled_entropy(entropy(rows, length), length)


def scaled_entropy(
    nats: Float[np.ndarray, "*row layer head"], length: Int[np.ndarray, "*row"]
) -> Float64[np.ndarray, "*row layer head"]:
    """Return an entropy in nats, such as the stored one, divided by ln(length); 1 at length 1.

    Parameters
    ----------
    nats
        Entropy, in nats, float [*row, layer, head].
    length
        Tokens of the context, the query among them, int [*row].
    """
    single = (np.asarray(length) == 1)[..., None, None]
    most = np.where(single, 1, np.log(np.maximum(length, 1))[..., None, None])
    kept = np.where(np.isnan(nats), np.nan, 1.0)
    return np.where(single, kept, np.asarray(nats, np.float64) / most)


def effective_positions(
    rows: Float[np.ndarray, "*row layer head slot"], length: Int[np.ndarray, "*row"]
) -> Float64[np.ndarray, "*row layer head"]:
    """Return exp(entropy): the number of equally weighted tokens with this entropy, 1 to length.

    Parameters
    ----------
    rows
        Attention of each query over the slots of its context, float [*row, layer, head, slot]; NaN past the
        context.
    length
        Tokens of the context, the query among them, int [*row].
    """
    return np.asarray(np.exp(entropy(rows, length)))


def inverse_participation(
    rows: Float[np.ndarray, "*row layer head slot"], length: Int[np.ndarray, "*row"]
) -> Float64[np.ndarray, "*row layer head"]:
    """Return 1 ÷ Σ A², 1 to length: the other count of effective positions, never above exp(entropy).

    One heavy slot (a sink) pulls it down far more than it does exp(entropy); where the two differ, look there.

    Parameters
    ----------
    rows
        Attention of each query over the slots of its context, float [*row, layer, head, slot]; NaN past the
        context.
    length
        Tokens of the context, the query among them, int [*row].
    """
    share = weights(rows, length)
    return np.asarray(1 / np.square(share).sum(axis=-1))


def largest_weight(
    rows: Float[np.ndarray, "*row layer head slot"], length: Int[np.ndarray, "*row"]
) -> Float64[np.ndarray, "*row layer head"]:
    """Return the largest weight of each row, 1 ÷ length to 1.

    Parameters
    ----------
    rows
        Attention of each query over the slots of its context, float [*row, layer, head, slot]; NaN past the
        context.
    length
        Tokens of the context, the query among them, int [*row].
    """
    largest: Float64[np.ndarray, "*row layer head"] = weights(rows, length).max(axis=-1)
    return largest


def distance_from_uniform(
    rows: Float[np.ndarray, "*row layer head slot"], length: Int[np.ndarray, "*row"]
) -> Float64[np.ndarray, "*row layer head"]:
    """Return the total variation from uniform attention, ½ Σ |A − 1/length|: 0 is flat, 1 − 1/length one token.

    It is the mass that would have to move to make the row flat, so "heatmaps look uniform" is a number near 0.

    Parameters
    ----------
    rows
        Attention of each query over the slots of its context, float [*row, layer, head, slot]; NaN past the
        context.
    length
        Tokens of the context, the query among them, int [*row].
    """
    share = weights(rows, length)
    whole = checked_length(length, share.shape[-1])[..., None]
    even = np.where(np.arange(share.shape[-1]) < whole, 1 / whole, 0)[..., None, None, :]
    moved: Float64[np.ndarray, "*row layer head"] = np.abs(share - even).sum(axis=-1) / 2
    return moved
