"""Attention maps of one step: a panel a layer and head, key position across, query position down."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from attnscope.capture import Capture
from attnscope.figures.look import Picture, styled
from attnscope.figures.mosaic import COLOURMAP, MASKED, SHADES, Mosaic
from attnscope.figures.profile import as_power
from attnscope.figures.provenance import progress_of, source_of, task_label
from attnscope.figures.sheet import Sheet
from attnscope.figures.style import FORMATS, entitle, finish, save
from attnscope.reading.plan import PICTURE_BYTES
from attnscope_storage.reductions import POOLED, factor, pooled
from attnscope_storage.shades import as_u8

LOG_FLOOR = 1e-4
"""Smallest weight that the logarithmic scale tells apart."""

MARKS = "grey: masked; {episodes}; orange mark: the decision row; above: transition index"
EPISODES = "white lines: episodes begin"

__all__ = ["FORMATS", "heatmap", "heatmaps", "save"]


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
    with styled():
        return _Heatmaps(capture, env, log, Picture).show(step)


def heatmaps(capture: Capture, steps: Sequence[int], *, env: int = 0, log: bool = False) -> Iterator[Figure]:
    """Yield the heatmaps of several steps, as `heatmap` draws them and several times as fast.

    Save each before the next is taken: contexts of one length share a figure, of which the next step changes what is
    another there.
    """
    drawn = _Heatmaps(capture, env, log, Sheet)
    for step in steps:
        with styled():
            figure = drawn.show(step)
        yield figure


@dataclass(eq=False)
class _Heatmaps:
    """Heatmaps of one environment, on one mosaic for each context length."""

    capture: Capture
    env: int
    log: bool
    kind: type[Figure]
    mosaics: dict[tuple[int, int], Mosaic] = field(default_factory=dict)

    def show(self, step: int) -> Figure:
        """Return the figure of a step."""
        capture = self.capture
        shades, unit = drawn_map(capture, step, self.env)
        if self.log:
            shades = _decades(pooled(capture.map(step, env=self.env), pooled_size(capture)))
        if capture.policy.causal:
            shades[np.triu(np.ones(shades.shape[-2:], bool), 1) & (shades == 0)] = MASKED
        n = shades.shape[-1]
        if (n, unit) not in self.mosaics:
            self.mosaics[n, unit] = self._blank(n, unit)
        mosaic = self.mosaics[n, unit]
        boundaries, transitions = (
            about(step, self.env) for about in (capture.episode_boundaries, capture.transition_index)
        )
        mosaic.show(shades, boundaries, transitions)
        label = task_label(capture, capture.row_env(self.env))
        title = f"Step {step}, {label} · {capture.resolved.checkpoint_name} · job {capture.job[:8]}"
        text = entitle(mosaic.figure, title)
        if isinstance(mosaic.figure, Sheet):
            mosaic.figure.changing = [mosaic.image, mosaic.boundaries, *mosaic.over, *mosaic.above, text]
        return mosaic.figure

    def _blank(self, slots: int, unit: int) -> Mosaic:
        layers, heads = stored(self.capture, "layer"), stored(self.capture, "head")
        mosaic = Mosaic.of(len(layers), len(heads), slots, self.kind, unit)
        mosaic.name(f"layer {layer}, head {head}" for layer in layers for head in heads)
        norm = LogNorm(LOG_FLOOR, 1.0, clip=True) if self.log else PowerNorm(0.5, 0.0, 1.0, clip=True)
        scale = mosaic.figure.colorbar(ScalarMappable(norm, COLOURMAP), cax=mosaic.scale)
        if self.log:  # matplotlib's own are formulas, which no figure of ours sets
            scale.ax.yaxis.set_major_formatter(FuncFormatter(as_power))
            scale.ax.yaxis.set_minor_formatter(NullFormatter())
        scale.set_label(f"attention weight ({'log' if self.log else '√'} scale)")
        marks = MARKS.format(episodes=self.capture.lacks("rollout/episode") or EPISODES)
        marks = marks if unit == 1 else f"{marks}; each cell is the mean of {unit} × {unit} weights"
        finish(mosaic.figure, "", f"{source_of(self.capture)}\n{progress_of(self.capture)}; {marks}")
        return mosaic


def _decades(maps: Float[np.ndarray, "layer head query slot"]) -> UInt8[np.ndarray, "layer head query slot"]:
    """Return each weight's place on the logarithmic scale; no attention at all is its lowest."""
    place = 1 - np.log(np.clip(np.nan_to_num(maps), LOG_FLOOR, 1)) / np.log(LOG_FLOOR)
    return np.where(np.isnan(maps), MASKED, np.rint((SHADES - 1) * place)).astype(np.uint8)


def drawn_map(capture: Capture, step: int, env: int) -> tuple[UInt8[np.ndarray, "layer head query slot"], int]:
    """Return a map's shades, pooled to what a picture shows, and the slots that a cell holds.

    A stored map travels as bytes and is pooled where it lies; another is one that the service replays.
    """
    sampled, size, n = capture.map_steps(), pooled_size(capture), capture.length(step, env)
    place = capture.exact_place(env)
    if step not in sampled or place is None:
        return as_u8(pooled(capture.map(step, env=env), size)), factor(n, size)
    maps, key = capture["attention/maps"], (sampled.index(step), place, ..., slice(0, n), slice(0, n))
    return maps.shades(key) if n <= size else maps.pooled_shades(key, size), factor(n, size)


def pooled_size(capture: Capture) -> int:
    """Return the queries, and the keys, that a picture of a map has at most."""
    cells = max(1, len(stored(capture, "layer")) * len(stored(capture, "head")))
    return min(POOLED, math.isqrt(PICTURE_BYTES // cells))


def stored(capture: Capture, axis: str) -> list[int]:
    """Return the layers or heads that maps are stored of."""
    subset = f"attention/row_{axis}"
    if subset in capture.names():
        return [int(entry) for entry in capture[subset][:]]
    return list(range(capture.policy.layers if axis == "layer" else capture.policy.heads))
