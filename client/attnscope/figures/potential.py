"""Compression potential: how few positions hold most of the attention, step by step and averaged over time."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Int
from matplotlib.axes import Axes

from attnscope.figures.style import BAND, COLOURS
from attnscope.measures.intervals import Interval
from attnscope.study import Study

MARKS = (0.8, 0.9)
"""Shares of the attention that are marked."""


def positions_for(curve: Float[np.ndarray, " k"], share: float) -> int:
    """Return how many positions hold a share of the attention: the first k whose cumulative mass reaches it."""
    reached = curve >= share - 1e-9
    return int(reached.argmax()) + 1 if reached.any() else len(curve)


def even_curve(lengths: Int[np.ndarray, " decision"], slots: int) -> Float64[np.ndarray, " k"]:
    """Return the mass that k positions hold of uniform attention, for every k, mean over contexts of these lengths."""
    tokens, count = np.unique(lengths, return_counts=True)
    held = np.minimum(np.arange(1, slots + 1) / tokens[:, None], 1)
    return np.asarray(count @ held / count.sum(), np.float64)


def fixed_curve(study: Study) -> Float64[np.ndarray, " k"]:
    """Return the mass that k fixed positions hold of the mean row, averaged over time first, heaviest first."""
    assert study.tally is not None  # noqa: S101 - callers looked
    running: Float64[np.ndarray, " k"] = np.sort(study.tally.resampling.mean(study.tally.averaged))[::-1].cumsum()
    return running


def draw_potential(
    axes: Axes, per_step: Interval, averaged: Float[np.ndarray, " k"], even: Float[np.ndarray, " k"]
) -> Axes:
    """Draw cumulative attention over positions, heaviest first, twice.

    Parameters
    ----------
    per_step
        Mass of the k heaviest tokens of each step's row, then averaged: another choice at every step.
    averaged
        The row averaged over time first, then summed heaviest first: one fixed choice of positions.
    even
        Of uniform attention (`even_curve`).
    """
    k = np.arange(1, len(averaged) + 1)
    axes.plot(k, per_step.value, color=COLOURS["first"], gid="per-step", label="chosen at every step")
    axes.fill_between(k, per_step.low, per_step.high, color=COLOURS["first"], alpha=BAND, linewidth=0)
    axes.plot(k, averaged, color=COLOURS["second"], gid="averaged", label="fixed positions (time-averaged)")
    axes.plot(k, even, "--", color=COLOURS["uniform"], linewidth=0.8, gid="uniform", label="uniform")
    for share in MARKS:
        axes.axhline(share, color="#BBBBBB", linewidth=0.5, linestyle=":")
        for curve, colour in ((per_step.value, COLOURS["first"]), (averaged, COLOURS["second"])):
            at = positions_for(np.asarray(curve), share)
            axes.plot([at], [share], "o", color=colour, markersize=3, gid=f"mark-{share:.0%}")
    counts = [
        " / ".join(str(positions_for(np.asarray(c), share)) for c in (per_step.value, averaged, even))
        for share in MARKS
    ]
    axes.set(xlabel="Positions kept, heaviest first", ylabel="Cumulative attention", ylim=(0, 1.02))
    axes.set_title(
        f"Compression potential (each step / fixed / uniform)\ncurves reach 80 % at {counts[0]}, 90 % at {counts[1]}"
    )
    axes.set_xlim(0, len(averaged))
    axes.legend(loc="lower right")
    return axes
