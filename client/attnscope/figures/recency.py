"""Recent against distant context over time, beside what uniform attention would have."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes

from attnscope.figures.style import BAND, COLOURS

PARTS = ("recent", "distant", "own")
COLOUR = {"recent": COLOURS["first"], "distant": COLOURS["second"], "own": COLOURS["third"]}


def uniform_parts(length: Float[np.ndarray, " bin"], window: int) -> Float[np.ndarray, "bin 3"]:
    """Return recent, distant and own mass of uniform attention over contexts of these lengths."""
    recent = np.minimum(window, length - 1) / length
    return np.stack([recent, 1 - recent - 1 / length, 1 / length], axis=-1)


def draw_recent(
    axes: Axes,
    steps: Float[np.ndarray, " bin"],
    masses: Float[np.ndarray, "bin 3"],
    low: Float[np.ndarray, "bin 3"],
    high: Float[np.ndarray, "bin 3"],
    length: Float[np.ndarray, " bin"],
    window: int,
) -> Axes:
    """Draw recent, distant and own mass over time with their intervals; dashed, the same of uniform attention."""
    even = uniform_parts(length, window)
    names = {"recent": f"newest {window}", "distant": "older", "own": "query's own slot"}
    for index, part in enumerate(PARTS):
        colour = COLOUR[part]
        axes.plot(steps, masses[:, index], color=colour, label=names[part], gid=part)
        axes.fill_between(steps, low[:, index], high[:, index], color=colour, alpha=BAND, linewidth=0)
        axes.plot(steps, even[:, index], "--", color=colour, linewidth=0.8, gid=f"{part}-uniform")
    axes.plot([], [], "--", color=COLOURS["uniform"], linewidth=0.8, label="uniform attention")
    axes.set(xlabel="Environment step", ylabel="Share of attention", ylim=(0, 1.3), title="Recent against distant")
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.legend(loc="upper left", ncols=2, borderaxespad=0)
    return axes


def binned(
    steps: Int[np.ndarray, " row"], values: Float[np.ndarray, "row env *part"], bins: int
) -> tuple[Float[np.ndarray, " bin"], Float[np.ndarray, "bin env *part"]]:
    """Return the mean step and the mean values of consecutive groups of steps."""
    groups = np.array_split(np.arange(len(steps)), min(bins, len(steps)))
    centre = np.array([steps[group].mean() for group in groups])
    return centre, np.stack([values[group].mean(axis=0) for group in groups])
