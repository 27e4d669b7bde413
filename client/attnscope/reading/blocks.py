"""The measures that a tally takes of one block of rows, each beside its value for uniform attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int64

from attnscope.measures import (
    ContextLayout,
    RolloutMean,
    by_age,
    entropy,
    inverse_participation,
    largest_weight,
    normalised_entropy,
    over_uniform,
    positions_for_mass,
    recency_mass,
    self_mass,
    sink_mass,
)
from attnscope_storage.kinds.capture.schema import RECENCY_WINDOWS

RECENT = 20
"""Tokens that count as recent, as in the guide."""

BUDGETS = tuple((np.arange(1, 51) / 50).tolist())
"""Shares of the history that cost curves are drawn at."""

LEVELS = (0.8, 0.9)
"""Shares of the attention that 'a few positions' must hold; the guide's is the first."""


@dataclass(frozen=True, eq=False)
class Measured:
    """Means of one measure over the steps read, beside those of uniform attention over the same contexts."""

    value: RolloutMean = field(default_factory=RolloutMean)
    uniform: RolloutMean = field(default_factory=RolloutMean)

    @classmethod
    def of(cls, share_read: float) -> Self:
        """Return means of nothing yet, which will take in this share of the steps."""
        return cls(RolloutMean(share_read), RolloutMean(share_read))


Measure = Callable[..., np.ndarray]
"""Takes rows [row, env, layer, head, slot], context lengths [row, env] and the layout."""

LINEAR: Mapping[str, Measure] = {
    "self": self_mass,
    "sink": sink_mass,
    "recency": lambda rows, length, layout: recency_mass(rows, length, RECENCY_WINDOWS, layout),
}
"""Statistics that the mean row over layers and heads tells."""

BY_HEAD: Mapping[str, Measure] = {
    "normalised_entropy": lambda rows, length, layout: normalised_entropy(rows, length),  # noqa: ARG005 - as above
    "entropy": lambda rows, length, layout: entropy(rows, length),  # noqa: ARG005 - as above
    "max": lambda rows, length, layout: largest_weight(rows, length),  # noqa: ARG005 - as above
    "effective": lambda rows, length, layout: inverse_participation(rows, length),  # noqa: ARG005 - as above
}
"""Statistics that each head's own row tells."""


def compare(
    of: Measured,
    rows: Float[np.ndarray, "row env layer head slot"],
    length: Int64[np.ndarray, "row env"],
    counts: Bool[np.ndarray, "row env"],
    number: int,
) -> None:
    """Take in the share of the context that holds `LEVELS` of each row, and the same of uniform attention."""
    of.value.add(positions_share(rows, length).mean(axis=(2, 3)), counts, number)
    of.uniform.add(over_uniform(positions_share, length, rows.shape[-1])[:, :, 0, 0], counts, number)


def positions_share(
    rows: Float[np.ndarray, "*row layer head slot"], length: Int[np.ndarray, "*row"]
) -> Float64[np.ndarray, "*row layer head level"]:
    """Return the share of the context's positions that hold each of `LEVELS`."""
    return np.asarray(positions_for_mass(rows, length, LEVELS) / length[..., None, None, None])


def running_mass(share: Float64[np.ndarray, "*row slot"]) -> Float64[np.ndarray, "*row slot"]:
    """Return the mass of the k heaviest tokens, for every k."""
    running: Float64[np.ndarray, "*row slot"] = -np.sort(-share, axis=-1)
    return running.cumsum(axis=-1)


def newest_mass(
    share: Float64[np.ndarray, "*row layer head slot"], length: Int[np.ndarray, "*row"], layout: ContextLayout
) -> Float64[np.ndarray, "*row layer head budget"]:
    """Return the mass on the query and the newest tokens of each budget."""
    running = by_age(share, length, layout).cumsum(axis=-1)
    history = np.asarray(length)[..., None] - 1
    kept = np.minimum(np.maximum(np.floor(history * np.asarray(BUDGETS) + 1e-9), 1), history).astype(np.int64)
    index = np.broadcast_to(kept[..., None, None, :], (*running.shape[:-1], len(BUDGETS)))
    return np.take_along_axis(running, index, axis=-1)
