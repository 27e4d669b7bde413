"""Figure of the context's growth until the window slides."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int
from matplotlib.axes import Axes

from attnscope.figures.style import COLOURS


def draw_growth(axes: Axes, length: Int[np.ndarray, "step env"], full: int, horizon: int | None = None) -> Axes:
    """Draw the context length of every step, shortest to longest environment, and the full length.

    Parameters
    ----------
    full
        Tokens of a full context, the query among them.
    horizon
        Steps of an episode, where known: ticks stand at episodes then.
    """
    steps = np.arange(len(length))
    low, high = length.min(axis=1), length.max(axis=1)
    axes.plot(steps, high, color=COLOURS["first"], gid="length")
    if (low != high).any():
        axes.fill_between(steps, low, high, color=COLOURS["first"], alpha=0.25, linewidth=0)
    axes.axhline(full, linestyle="--", color=COLOURS["uniform"], linewidth=0.8, gid="full")
    axes.annotate(
        f"full: {full}", (0.99, full), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=7
    )
    reached = int((high == full).argmax()) if (high == full).any() else None
    note = "window never fills" if reached is None else f"full from step {reached}"
    if horizon:
        note += f" · episodes of {horizon} steps"
    axes.set(xlabel="Environment step", ylabel="Context (tokens)", title=f"Context length ({note})")
    axes.set_ylim(0, full * 1.15)
    return axes
