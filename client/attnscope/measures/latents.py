"""Measures of what latents hold: attention composed down to transitions; dead, constant and duplicate latents.

All of it is arithmetic on weights. Weights say where a compressor looked, not what it took from there; leaving a latent
out, and a linear probe, say more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

DEAD: Final = 0.1
"""Attention ÷ uniform, below which in every layer and head a latent is dead: decisions hardly look at it."""

CONSTANT: Final = 0.01
"""Share of the mean variance of all latents, below which a latent is constant: it says the same of every history."""

LOOKS_ALIKE: Final = 0.05
"""Total variation of two latents' attention, mean over compressions, up to which they look at the same."""

HOLDS_ALIKE: Final = 0.95
"""Correlation of two latents' deviations from their means, from which they hold the same."""

FEWEST: Final = 8
"""Histories (compressions × environments) below which no correlation or variance is told."""


def composed(
    looked: Sequence[Float[np.ndarray, "latent _source"]], held: Sequence[int], tokens_per_transition: int = 1
) -> list[Float64[np.ndarray, "latent _transition"]]:
    """Return, for each compression, how much of each transition reaches each latent through all generations.

    ``R_g = A_g[:, :C] R_{g−1}`` for what came through the latents of before, beside ``A_g[:, C:]`` summed over each
    transition's tokens. Attention among the new latents, values, residuals and feed-forward parts are left out. Rows
    sum to 1 where those of the attention do.

    Parameters
    ----------
    looked
        Attention of each compression's latents to its sources, one map each: such as the mean over layers and heads.
    held
        Older latents at the front of each compression's sources.
    tokens_per_transition
        Tokens of a transition.
    """
    found: list[Float64[np.ndarray, "latent _transition"]] = []
    for weights, older in zip(looked, held, strict=True):
        whole = np.asarray(weights, np.float64)
        own = whole[:, older:]
        own = own.reshape(len(own), -1, tokens_per_transition).sum(axis=-1)
        through = whole[:, :older] @ found[-1] if older else own[:, :0]
        found.append(np.concatenate([through, own], axis=1))
    return found


def traced(
    row: Float[np.ndarray, " slot"],
    reached: Float[np.ndarray, "latent packed"],
    tokens_per_transition: int = 1,
) -> tuple[Float64[np.ndarray, " transition"], float]:
    """Return a decision's attention to every transition, what lies on latents traced through them, and to its query.

    Parameters
    ----------
    row
        Attention over a context's slots: latents, the tokens of the transitions since, the query.
    reached
        As `composed` gives it of the newest compression.
    """
    latents = len(reached)
    own = np.asarray(row[latents:-1], np.float64).reshape(-1, tokens_per_transition).sum(axis=-1)
    return np.concatenate([np.asarray(row[:latents], np.float64) @ reached, own]), float(row[-1])


def attention_over_uniform(
    rows: Float[np.ndarray, "decision layer head slot"], latents: int, length: Int64[np.ndarray, " decision"]
) -> Float64[np.ndarray, "layer head latent"]:
    """Return the mean attention of decisions to each latent ÷ uniform attention; 1 is uniform."""
    share = np.asarray(rows[..., :latents], np.float64) * np.asarray(length)[:, None, None, None]
    return np.asarray(share.mean(axis=0))


def dead(over_uniform: Float[np.ndarray, "layer head latent"]) -> Bool[np.ndarray, " latent"]:
    """Return the latents to which no layer and head gives a tenth of uniform attention, on the average."""
    return np.asarray(over_uniform.max(axis=(0, 1)) < DEAD)


@dataclass(frozen=True, eq=False)
class Alikeness:
    """The differences of latents over histories."""

    variance: Float64[np.ndarray, " latent"]
    """Of each latent over histories, summed over its numbers, ÷ the mean of all latents; NaN with too few histories."""
    holds: Float64[np.ndarray, "latent latent"]
    """Correlation of their deviations from their means over histories; NaN with too few."""
    looks: Float64[np.ndarray, "latent latent"]
    """Total variation of what they looked at, mean over compressions; NaN where that is not stored."""

    @property
    def constant(self) -> Bool[np.ndarray, " latent"]:
        """Latents that say the same of every history."""
        return np.asarray(self.variance < CONSTANT)

    @property
    def duplicates(self) -> tuple[tuple[int, int], ...]:
        """Pairs that look at the same and hold the same."""
        alike = (self.holds >= HOLDS_ALIKE) & (self.looks <= LOOKS_ALIKE)
        return tuple((int(a), int(b)) for a, b in np.argwhere(np.triu(alike, 1)))


def alikeness(
    histories: Float[np.ndarray, "history latent width"],
    looked: Sequence[Float[np.ndarray, "latent _source"]] | None = None,
) -> Alikeness:
    """Return how latents differ over histories.

    Parameters
    ----------
    histories
        Latents of compressions that packed different histories.
    looked
        What they looked at, one map a compression; None where that is not stored.
    """
    count = histories.shape[1]
    away = np.asarray(histories, np.float64) - histories.mean(axis=0, dtype=np.float64)
    spread = (away**2).sum(axis=(0, 2))
    flat = np.moveaxis(away, 1, 0).reshape(count, -1)
    size = np.sqrt(spread)
    with np.errstate(invalid="ignore", divide="ignore"):  # a latent that never changes correlates with nothing
        holds = flat @ flat.T / np.outer(size, size)
        variance = spread / spread.mean()
    if len(histories) < FEWEST:
        holds, variance = np.full((count, count), np.nan), np.full(count, np.nan)
    looks = np.full((count, count), np.nan)
    if looked:
        apart = [np.abs(one[:, None] - one[None]).sum(axis=-1) / 2 for one in looked]
        looks = np.mean(apart, axis=0)
    return Alikeness(variance, holds, looks)
