"""Attention maps of one step: a panel a layer and head, key position across, query position down."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from matplotlib.colors import LogNorm, PowerNorm
from matplotlib.figure import Figure

from attnscope.capture import Capture
from attnscope.figures.mosaic import Mosaic
from attnscope.figures.provenance import progress_of, source_of, task_label
from attnscope.figures.style import FORMATS, finish, save, styled

LOG_FLOOR = 1e-4
"""Smallest weight that the logarithmic scale tells apart."""

__all__ = ["FORMATS", "heatmap", "save"]


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
    if log:
        maps = np.maximum(maps, LOG_FLOOR)
    with styled():
        mosaic = Mosaic.of(len(layers), len(heads), maps.shape[-1])
        norm = LogNorm(LOG_FLOOR, 1.0, clip=True) if log else PowerNorm(0.5, 0.0, 1.0, clip=True)
        for row, column in np.ndindex(len(layers), len(heads)):
            title = f"layer {layers[row]}, head {heads[column]}"
            image = mosaic.draw(row, column, maps[row, column], norm, title)
        mosaic.mark(boundaries, transitions)
        mosaic.figure.colorbar(image, cax=mosaic.scale).set_label(f"attention weight ({'log' if log else '√'} scale)")
        return finish(mosaic.figure, _title(capture, step, env), _caption(capture))


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


def _title(capture: Capture, step: int, env: int) -> str:
    label = task_label(capture, capture.row_env(env))
    return f"Step {step}, {label} · {capture.resolved.checkpoint_name} · job {capture.job[:8]}"


def _caption(capture: Capture) -> str:
    marks = "grey: masked; white lines: episodes begin; orange mark: the decision row; above: transition index"
    return f"{source_of(capture)}\n{progress_of(capture)}; {marks}"
