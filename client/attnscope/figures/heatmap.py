"""Attention maps of one step: a panel a layer and head, key position across, query position down."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from attnscope.capture import Capture
from attnscope.figures.provenance import progress_of, source_of, task_label
from attnscope.figures.style import COLOURS, FORMATS, finish, save, styled

LOG_FLOOR = 1e-4
"""Smallest weight that the logarithmic scale tells apart."""

Grid = np.ndarray[tuple[int, int], Any]
"""Axes by layer and head."""

PANEL_INCHES = 1.75
"""Width of one panel."""


__all__ = ["FORMATS", "draw_map", "heatmap", "save"]


def draw_map(
    axes: Axes,
    weights: Float[np.ndarray, "query slot"],
    *,
    boundaries: Int[np.ndarray, " boundary"],
    log: bool = False,
) -> AxesImage:
    """Draw one map: bright is high, grey is masked, thin lines where episodes begin, the decision row marked.

    Parameters
    ----------
    weights
        Attention weights in 0..1; rows of queries.
    boundaries
        Slots where an episode begins.
    log
        Logarithmic colours from 1e-4 to 1 instead of square-root ones from 0 to 1.
    """
    n = weights.shape[-1]
    norm = LogNorm(LOG_FLOOR, 1.0, clip=True) if log else PowerNorm(0.5, 0.0, 1.0, clip=True)
    shown = np.maximum(np.asarray(weights, dtype=np.float32), LOG_FLOOR) if log else np.asarray(weights, np.float32)
    axes.set_facecolor(COLOURS["absent"])
    image = axes.imshow(
        np.ma.masked_invalid(shown), cmap="viridis", norm=norm, aspect="equal", interpolation="nearest", origin="upper"
    )
    for slot in boundaries:
        axes.axvline(slot - 0.5, color=COLOURS["boundary"], linewidth=0.4, alpha=0.55)
        axes.axhline(slot - 0.5, color=COLOURS["boundary"], linewidth=0.4, alpha=0.55)
    (mark,) = axes.plot([n + 0.02 * n], [n - 1], "<", color=COLOURS["decision"], markersize=4, clip_on=False)
    mark.set_gid("decision-row")
    axes.set_xlim(-0.5, n - 0.5)
    axes.set_ylim(n - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    return image


def heatmap(capture: Capture, step: int, *, env: int = 0, log: bool = False) -> Figure:
    """Return the layer × head grid of a sampled step.

    Parameters
    ----------
    step
        Any committed step; offline, one of `Capture.map_steps`.
    env
        Place among the stored environments.
    log
        Logarithmic colours.

    Raises
    ------
    MapNotSampledError
        No map of that step is stored, and there is no service to replay it.
    """
    maps = capture.map(step, env=env) if log else drawn_map(capture, step, env)
    boundaries, transitions = capture.episode_boundaries(step, env), capture.transition_index(step, env)
    layers, heads = stored(capture, "layer"), stored(capture, "head")
    if capture.policy.causal:
        maps = np.where(np.triu(np.ones(maps.shape[-2:], bool), 1) & (maps == 0), np.nan, maps)
    with styled():
        figure, grid, scale = _panels(len(layers), len(heads))
        for (row, column), axes in np.ndenumerate(grid):
            image = draw_map(axes, maps[row, column], boundaries=boundaries, log=log)
            axes.set_title(f"layer {layers[row]}, head {heads[column]}", pad=3 if row else 16)
            axes.tick_params(labelbottom=row == len(layers) - 1, labelleft=column == 0)
            if row == 0:
                _transition_axis(axes, transitions)
        for axes in grid[-1]:
            axes.set_xlabel("Key position (slot)")
        for axes in grid[:, 0]:
            axes.set_ylabel("Query position (slot)")
        figure.colorbar(image, cax=scale).set_label(f"attention weight ({'log' if log else '√'} scale)")
        return finish(figure, _title(capture, step, env), _caption(capture))


def _panels(layers: int, heads: int) -> tuple[Figure, Grid, Axes]:
    """Return a figure, its panels and the axes of the scale, at fixed places: solving a layout takes seconds."""
    left, right, below, above, gap = 0.55, 0.85, 0.85, 0.8, 0.24
    width = left + heads * (PANEL_INCHES + gap) - gap + right
    height = below + layers * (PANEL_INCHES + gap) - gap + above
    figure = Figure(figsize=(max(width, 3.8), height))
    width = figure.get_figwidth()
    grid = figure.subplots(layers, heads, squeeze=False)
    figure.subplots_adjust(
        left=left / width,
        right=1 - right / width,
        bottom=below / height,
        top=1 - above / height,
        wspace=gap / PANEL_INCHES,
        hspace=gap / PANEL_INCHES,
    )
    scale = figure.add_axes((1 - 0.62 / width, below / height, 0.12 / width, 1 - (above + below) / height))
    return figure, grid, scale


def drawn_map(capture: Capture, step: int, env: int) -> Float[np.ndarray, "layer head query slot"]:
    """Return a map at drawing precision: a stored one as bytes, else one that the service replays."""
    sampled = capture.map_steps()
    if step not in sampled:
        return capture.map(step, env=env)
    n = capture.length(step, env)
    return capture["attention/maps"].view((sampled.index(step), env, ..., slice(0, n), slice(0, n)))


def stored(capture: Capture, axis: str) -> list[int]:
    """Return the layers or heads that maps are stored of."""
    subset = f"attention/row_{axis}"
    if subset in capture.names():
        return [int(entry) for entry in capture[subset][:]]
    return list(range(capture.policy.layers if axis == "layer" else capture.policy.heads))


def _transition_axis(axes: Axes, transitions: Int[np.ndarray, " slot"]) -> None:
    """Put the transition index above the top panels, at round slots."""
    above = axes.secondary_xaxis("top")
    ticks = np.unique(np.linspace(0, len(transitions) - 1, 3).astype(int))
    above.set_xticks(ticks, [str(transitions[tick]) for tick in ticks])
    above.tick_params(length=2, pad=1, labelsize=6)


def _title(capture: Capture, step: int, env: int) -> str:
    label = task_label(capture, capture.row_env(env))
    return f"Step {step}, {label} · {capture.resolved.checkpoint_name} · job {capture.job[:8]}"


def _caption(capture: Capture) -> str:
    marks = "grey: masked; white lines: episodes begin; orange mark: the decision row; above: transition index"
    return f"{source_of(capture)}\n{progress_of(capture)}; {marks}"
