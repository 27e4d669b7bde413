"""Figures of each layer and head: spread, peak, sink and recency, and where the heads lie among each other."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.transforms import Affine2D

from attnscope.figures.labels import free_places
from attnscope.figures.look import Picture, styled
from attnscope.figures.style import COLOURS, SERIES, finish, places, refuse
from attnscope.study import Study
from attnscope.study.captions import caption_of_study, title_of

PALE = 0.55
"""Share of the colour range from which on text is dark."""

SMALLEST = 18.0
"""Area of a head without any sink, in square points."""

NAME_SIZE = 6.0
"""Of a head's number, in points."""

LETTER = 0.58 * NAME_SIZE
"""Width of one of its digits."""

FAR = 4.0
"""Points between a head and its number from which on a line joins them."""


def draw_matrix(
    axes: Axes, values: Float[np.ndarray, "layer head"], title: str, *, high: float = 1.0
) -> tuple[Axes, AxesImage]:
    """Draw one number a layer and head, written into its cell."""
    shown = np.asarray(values, np.float64)
    image = axes.imshow(np.ma.masked_invalid(shown), cmap="cividis", vmin=0.0, vmax=high, aspect="auto")
    for (layer, head), value in np.ndenumerate(shown):
        dark = value > PALE * high
        digits = 1 if high > 10 else 2 if high > 0.1 else 3  # noqa: PLR2004 - small shares need a third
        text = "–" if np.isnan(value) else f"{value:.{digits}f}"
        axes.text(head, layer, text, ha="center", va="center", fontsize=7, color="black" if dark else "white")
    layers, heads = shown.shape
    axes.set(xticks=range(heads), yticks=range(layers), xlabel="Head", ylabel="Layer", title=title)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return axes, image


def draw_heads(
    axes: Axes,
    spread: Float[np.ndarray, "layer head"],
    recency: Float[np.ndarray, "layer head"],
    sink: Float[np.ndarray, "layer head"],
    uniform_recency: float,
    window: int,
) -> Axes:
    """Draw every head by its spread and recency; size is the mass on the oldest slot, numbers are layer.head.

    The axes have their final place and size by now. A number stands where it covers nothing, joined to its head if it
    is not beside it; heads too crowded for that have none, and the title says how many.
    """
    axes.axhline(uniform_recency, linestyle="--", color=COLOURS["uniform"], linewidth=0.8, gid="uniform")
    area = SMALLEST + 400 * np.nan_to_num(sink)
    for layer in range(spread.shape[0]):
        colour = SERIES[layer % len(SERIES)]
        axes.scatter(spread[layer], recency[layer], s=area[layer], color=colour, alpha=0.75, linewidth=0)
    known = np.concatenate([recency[np.isfinite(recency)], [uniform_recency]])
    room = 0.08 * max(float(np.ptp(known)), 0.05)
    axes.set_xlim(min(0.9, float(np.nanmin(spread, initial=0.9))) - 0.05, 1.03)
    axes.set_ylim(float(known.min()) - room, float(known.max()) + room)
    axes.text(1.02, uniform_recency, "uniform", fontsize=NAME_SIZE, ha="right", va="bottom", gid="uniform-name")
    axes.set(xlabel="Normalised entropy", ylabel=f"Attention on newest {window}")
    named = _name_heads(axes, np.stack([spread, recency], axis=-1), np.sqrt(area) / 2, uniform_recency)
    crowded = "" if named == spread.size else f"; {spread.size - named} of {spread.size} unnamed"
    axes.set_title(f"Heads (area: sink{crowded})")
    return axes


def _name_heads(
    axes: Axes, at: Float[np.ndarray, "layer head 2"], radius: Float[np.ndarray, "layer head"], uniform: float
) -> int:
    """Write each head's number where it covers nothing; return how many have one."""
    in_points = axes.figure.dpi_scale_trans.inverted() + Affine2D().scale(72)
    points = axes.transData + in_points
    heads = [head for head in np.ndindex(radius.shape) if np.isfinite(at[head]).all()]
    marks = points.transform([at[head] for head in heads])
    names = [".".join(map(str, head)) for head in heads]
    sizes = np.array([(LETTER * len(name), NAME_SIZE) for name in names])
    right, level = points.transform((axes.get_xlim()[1], uniform))
    area = (axes.transAxes + in_points).transform([(0, 0), (1, 1)]).ravel()
    taken = np.array([(area[0], level, right, level), (right - 26, level, right, level + 1.3 * NAME_SIZE)])
    centres = free_places(marks, np.array([radius[head] for head in heads]), sizes, area, taken)
    written = np.isfinite(centres).all(axis=1)
    for name, mark, size, centre in zip(names, marks, sizes, centres, strict=True):
        if np.isnan(centre).any():
            continue
        away = centre - mark
        x, y = points.inverted().transform(centre)
        axes.text(x, y, name, fontsize=NAME_SIZE, ha="center", va="center_baseline", gid="head")
        edge = float(np.min(size / 2 / np.maximum(np.abs(away), 1e-9)))
        if np.hypot(*away) * (1 - edge) > FAR:
            ends = points.inverted().transform(np.stack([mark, mark + away * (1 - edge)]))
            axes.plot(*ends.T, color=COLOURS["muted"], linewidth=0.4, zorder=1, gid="leader")
    return int(written.sum())


def layer_head(study: Study) -> Figure:
    """Return the layer–head analysis, from the stored statistics."""
    with styled():
        heads = max(4, study.capture.policy.heads)
        size = (max(8.0, 1.65 * heads + 2), max(4.6, 0.8 * study.capture.policy.layers + 2.6))
        figure = Picture(figsize=size)
        sides = places(figure, 2, 3, left=0.42, right=0.15, top=0.55, across=0.52, down=0.62)
        grid = figure.subplots(2, 3, gridspec_kw=sides)
        window = max(study.reading.windows, default=0)
        panels = {
            "normalised_entropy": ("Normalised entropy (1 = uniform)", 1.0),
            "max": (f"Largest weight (uniform {_uniform(study, 'max'):.3f})", None),
            "effective": (f"Effective positions, 1/Σa² (of {study.tokens:.0f})", study.tokens),
            "sink": (f"Oldest slot (uniform {_uniform(study, 'sink'):.3f})", None),
            "recency": (f"Newest {window} (uniform {_uniform(study, f'recency.{window}'):.2f})", 1.0),
        }
        means = {name: study.mean(study.statistics[name]) for name in panels if name in study.statistics}
        if "recency" in means:
            means["recency"] = means["recency"][..., study.reading.windows.index(window)]
        for axes, (name, (title, top)) in zip(grid.flat, panels.items(), strict=False):
            if name not in means:
                refuse(axes, f"{title.split(' (')[0]}: this statistic was not captured")
                continue
            high = top or max(float(np.nanmax(means[name], initial=0.0)), 0.1)
            draw_matrix(axes, means[name], title, high=high)
        if {"normalised_entropy", "recency", "sink"} <= means.keys():
            even = _uniform(study, f"recency.{window}")
            draw_heads(grid[1, 2], means["normalised_entropy"], means["recency"], means["sink"], even, window)
        else:
            refuse(grid[1, 2], "the statistics that place the heads were not captured")
        counted = int((study.length >= study.least).any(axis=1).sum())
        read = f"{counted} of {study.steps} steps"
        what = f"Layers and heads, means over {len(study.envs)} environments and {read}"
        return finish(figure, title_of(study, what), caption_of_study(study))


def _uniform(study: Study, name: str) -> float:
    """Return the quantity of uniform attention over the same contexts; NaN where it was not captured."""
    found = study.quantity(name) if name.partition(".")[0] in study.statistics else None
    baseline = None if found is None else found.estimate.baseline
    return float("nan") if baseline is None else baseline
