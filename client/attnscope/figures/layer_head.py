"""What each layer and head does: spread, peak, sink and recency, and where the heads lie among each other."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from attnscope.figures.provenance import caption_of_study, title_of
from attnscope.figures.style import COLOURS, SERIES, finish, refuse, styled
from attnscope.study import Study

PALE = 0.55
"""Share of the colour range from which on text is dark."""


def draw_matrix(
    axes: Axes, values: Float[np.ndarray, "layer head"], title: str, *, low: float = 0.0, high: float = 1.0
) -> tuple[Axes, AxesImage]:
    """Draw one number a layer and head, written into its cell."""
    shown = np.asarray(values, np.float64)
    image = axes.imshow(np.ma.masked_invalid(shown), cmap="cividis", vmin=low, vmax=high, aspect="auto")
    for (layer, head), value in np.ndenumerate(shown):
        dark = (value - low) > PALE * (high - low)
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
    """Draw every head by its spread and recency; size is the mass on the oldest slot, numbers are layer.head."""
    axes.axhline(uniform_recency, linestyle="--", color=COLOURS["uniform"], linewidth=0.8, gid="uniform")
    for layer in range(spread.shape[0]):
        size = 18 + 400 * np.nan_to_num(sink[layer])
        colour = SERIES[layer % len(SERIES)]
        axes.scatter(spread[layer], recency[layer], s=size, color=colour, alpha=0.75, linewidth=0)
        axes.plot([], [], "o", color=colour, markersize=4, label=f"layer {layer}")
        for head in range(spread.shape[1]):
            at = (float(spread[layer, head]), float(recency[layer, head]))
            axes.annotate(f"{layer}.{head}", at, xytext=(4, 4), textcoords="offset points", fontsize=6)
    axes.set(xlabel="Normalised entropy", ylabel=f"Attention on newest {window}")
    axes.set_title("Heads (area: sink; dashed: uniform)")
    axes.set_xlim(min(0.9, float(np.nanmin(spread, initial=0.9))) - 0.05, 1.03)
    axes.legend(loc="best", handletextpad=0.1)
    return axes


def layer_head(study: Study) -> Figure:
    """Return the layer–head analysis, from the stored statistics."""
    with styled():
        heads = max(4, study.capture.policy.heads)
        size = (max(8.0, 1.65 * heads + 2), max(4.6, 0.8 * study.capture.policy.layers + 2.6))
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(2, 3)
        tokens, window = study.tokens, study.window
        even = min(window, tokens - 1) / tokens
        panels = {
            "entropy": ("Normalised entropy (1 = uniform)", 1.0),
            "max": (f"Largest weight (uniform {1 / tokens:.3f})", None),
            "effective": (f"Effective positions, 1/Σa² (of {tokens:.0f})", tokens),
            "sink": (f"Oldest slot (uniform {1 / tokens:.3f})", None),
            "recency": (f"Newest {window} (uniform {even:.2f})", 1.0),
        }
        means = {name: study.mean(values) for name, values in study.statistics.items()}
        for axes, (name, (title, top)) in zip(grid.flat, panels.items(), strict=False):
            if name not in means:
                refuse(axes, f"{title.split(' (')[0]}: this statistic was not captured")
                continue
            high = top or max(float(np.nanmax(means[name], initial=0.0)), 0.1)
            draw_matrix(axes, means[name], title, high=high)
        if {"entropy", "recency", "sink"} <= means.keys():
            draw_heads(grid[1, 2], means["entropy"], means["recency"], means["sink"], even, window)
        else:
            refuse(grid[1, 2], "the statistics that place the heads were not captured")
        counted = int((study.length[study.plan.statistics] >= study.least).any(axis=1).sum())
        read = f"{counted} of {study.steps} steps"
        what = f"Layers and heads, means over {len(study.envs)} environments and {read}"
        return finish(figure, title_of(study, what), caption_of_study(study))
