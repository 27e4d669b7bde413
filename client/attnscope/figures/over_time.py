"""Attention of the decision row to every position over time: by slot, and by transition."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from attnscope.figures.style import COLOURS, hatch

SHOWN_QUANTILE = 0.998
"""Share of the weights that the colours tell apart; the few above have the brightest one."""


def draw_by_slot(
    axes: Axes, steps: Int[np.ndarray, " row"], weights: Float[np.ndarray, "row slot"]
) -> tuple[Axes, AxesImage]:
    """Draw one column a step and one row a slot; hatched where the context does not reach.

    Parameters
    ----------
    steps
        Environment step of each row, rising.
    weights
        Decision rows, NaN past the context.
    """
    image = _image(axes, weights.T, (float(steps[0]) - 0.5, float(steps[-1]) + 0.5), (-0.5, weights.shape[1] - 0.5))
    axes.set(xlabel="Environment step", ylabel="Slot (newest on top)", title="Attention by slot")
    return axes, image


def draw_by_transition(
    axes: Axes,
    steps: range,
    weights: Float[np.ndarray, "step transition"],
    first: int,
    rewarded: Int[np.ndarray, " event"],
) -> tuple[Axes, AxesImage]:
    """Draw one row a transition, which stays where it is while the window slides past it; rewards are marked.

    Parameters
    ----------
    steps
        Consecutive environment steps.
    weights
        Attention to transitions `first` …, NaN where one is not in the context.
    rewarded
        Transition indices with a reward.
    """
    x = (steps.start - 0.5, steps.stop - 0.5)
    image = _image(axes, weights.T, x, (first - 0.5, first + weights.shape[1] - 0.5))
    seen = rewarded[(rewarded >= first) & (rewarded < first + weights.shape[1])]
    marks = axes.plot(np.full(len(seen), 1.012), seen, "<", color=COLOURS["deciding"], markersize=2.2)[0]
    marks.set(transform=axes.get_yaxis_transform(), clip_on=False, gid="rewards", in_layout=False)
    axes.set(xlabel="Environment step", ylabel="Transition index", title="Attention to each transition (◂ rewarded)")
    axes.set(xlim=x, ylim=(first - 0.5, first + weights.shape[1] - 0.5))
    return axes, image


def beside(figure: Figure, axes: Axes, room: float) -> Axes:
    """Narrow axes by so many inches, and return axes for a colours' scale in the room that this makes."""
    place = axes.get_position()
    width = figure.get_size_inches()[0]
    axes.set_position((place.x0, place.y0, place.width - room / width, place.height))
    return figure.add_axes((place.x1 - (room - 0.08) / width, place.y0, 0.075 / width, place.height))


def draw_scale(axes: Axes, image: AxesImage, scale: Axes) -> Colorbar:
    """Draw the colours' scale of an image of `axes` into axes of its own."""
    bar = axes.figure.colorbar(image, cax=scale, extend="max")
    bar.set_label("mean attention (√ scale)")
    top = float(np.asarray(image.norm.vmax or 1.0))
    ticks = [0.0, *(float(f"{top * share:.1g}") for share in (0.05, 0.25, 0.6)), float(f"{top:.2g}")]
    bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    return bar


def _image(axes: Axes, weights: Float[np.ndarray, "y x"], x: tuple[float, float], y: tuple[float, float]) -> AxesImage:
    known = weights[np.isfinite(weights)]
    top = float(np.quantile(known, SHOWN_QUANTILE)) if known.size else 1.0
    norm = PowerNorm(0.5, 0.0, max(top, 1e-6), clip=True)
    hatch(axes)
    return axes.imshow(
        np.ma.masked_invalid(np.asarray(weights, np.float32)),
        cmap="viridis",
        norm=norm,
        aspect="auto",
        interpolation="nearest",
        origin="lower",
        extent=(*x, *y),
    )
