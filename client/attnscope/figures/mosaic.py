"""Maps of every layer and head side by side on one axes: panels cost an image each, and no ticks of their own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.markers import TICKDOWN, TICKLEFT, TICKUP
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation, Transform

from attnscope.figures.style import COLOURS

PANEL_INCHES = 1.75
"""Side of one panel."""

GAP_INCHES = 0.24
"""Between panels."""

LEFT, RIGHT, BELOW, ABOVE = 0.55, 0.85, 0.85, 0.8
"""Inches around the panels."""


@dataclass(frozen=True, eq=False)
class Mosaic:
    """A grid of square panels on one axes, whose unit is a slot; in the first panel, coordinates are slots."""

    figure: Figure
    axes: Axes
    scale: Axes
    """For the colour scale, right of the panels."""
    rows: int
    columns: int
    slots: int

    @classmethod
    def of(cls, rows: int, columns: int, slots: int) -> Mosaic:
        """Return an empty grid at fixed places: solving a layout takes longer than drawing."""
        wide, high = (count * (PANEL_INCHES + GAP_INCHES) - GAP_INCHES for count in (columns, rows))
        width, height = max(LEFT + wide + RIGHT, 3.8), BELOW + high + ABOVE
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((LEFT / width, BELOW / height, wide / width, high / height))
        scale = figure.add_axes(((LEFT + wide + 0.23) / width, BELOW / height, 0.12 / width, high / height))
        mosaic = cls(figure, axes, scale, rows, columns, slots)
        axes.set_xlim(-0.5, (columns - 1) * mosaic.pitch + slots - 0.5)
        axes.set_ylim((rows - 1) * mosaic.pitch + slots - 0.5, -0.5)
        axes.set_axis_off()
        mosaic._name_positions()
        return mosaic

    @property
    def pitch(self) -> float:
        """Slots from one panel to the next."""
        return self.slots * (1 + GAP_INCHES / PANEL_INCHES)

    def draw(
        self, row: int, column: int, weights: Float[np.ndarray, "query slot"], norm: Normalize, title: str
    ) -> AxesImage:
        """Draw one map under its title, which is the image's id too: bright is high, grey is masked (NaN)."""
        left, top = column * self.pitch - 0.5, row * self.pitch - 0.5
        image = AxesImage(
            self.axes,
            cmap=mpl.colormaps["viridis"].with_extremes(bad=COLOURS["absent"]),
            norm=norm,
            interpolation="nearest",
            interpolation_stage="rgba",  # colours the map's cells and not the many more pixels they cover
            origin="upper",
            extent=(left, left + self.slots, top + self.slots, top),
        )
        image.set_data(np.ma.masked_invalid(np.asarray(weights, np.float32)))
        image.set_gid(title)
        self.axes.add_image(image)
        above = self._points(0, 3 if row else 14)
        self.axes.text(left, top, title, va="bottom", fontsize=8, transform=above, gid="panel")
        return image

    def mark(self, boundaries: Int[np.ndarray, " boundary"], transitions: Int[np.ndarray, " slot"]) -> None:
        """Mark in every panel where episodes begin and which row decides; name transitions above the first row.

        Parameters
        ----------
        boundaries
            Slots where an episode begins.
        transitions
            Transition index of every slot.
        """
        n = self.slots
        edges = [(at - 0.5, -0.5, at - 0.5, n - 0.5) for at in boundaries]
        edges += [(-0.5, at - 0.5, n - 0.5, at - 0.5) for at in boundaries]
        self._lines(edges, "boundaries", {"colors": COLOURS["boundary"], "linewidths": 0.4, "alpha": 0.55})
        frame = [(-0.5, -0.5, -0.5, n - 0.5), (-0.5, n - 0.5, n - 0.5, n - 0.5)]
        self._lines(frame, "frames", {"colors": "black", "linewidths": 0.6, "clip_on": False})
        corners = np.array([(x, y) for y in self._starts(self.rows) for x in self._starts(self.columns)])
        x, y = corners.T
        style: dict[str, Any] = {"color": COLOURS["decision"], "markersize": 4, "clip_on": False}
        self.axes.plot(x + 1.02 * n, y + n - 1, "<", gid="decision-row", **style)
        self._name_transitions(transitions)

    def _name_transitions(self, transitions: Int[np.ndarray, " slot"]) -> None:
        """Put the transition index above the top panels, at round slots."""
        ticks = np.unique(np.linspace(0, self.slots - 1, 3).astype(int))
        places = [start + tick for start in self._starts(self.columns) for tick in ticks]
        style: dict[str, Any] = {
            "marker": TICKUP,
            "linestyle": "",
            "color": "black",
            "markersize": 2,
            "markeredgewidth": 0.6,
        }
        self.axes.plot(places, np.full(len(places), -0.5), clip_on=False, gid="transitions", **style)
        above = self._points(0, 4)
        for place, tick in zip(places, np.tile(ticks, self.columns), strict=True):
            name = str(transitions[tick])
            self.axes.text(place, -0.5, name, ha="center", va="bottom", fontsize=6, transform=above, gid="transition")

    def _name_positions(self) -> None:
        """Write the slots' numbers below the last row and left of the first column."""
        ticks = [tick for tick in MaxNLocator(4, integer=True).tick_values(0, self.slots - 1) if 0 <= tick < self.slots]
        right, bottom = ((count - 1) * self.pitch + self.slots - 0.5 for count in (self.columns, self.rows))
        across, down = ([(start + t, t) for start in self._starts(n) for t in ticks] for n in (self.columns, self.rows))
        style: dict[str, Any] = {
            "linestyle": "",
            "color": "black",
            "markersize": 3.5,
            "markeredgewidth": 0.6,
            "clip_on": False,
        }
        self.axes.plot([at for at, _ in across], [bottom] * len(across), marker=TICKDOWN, gid="key-ticks", **style)
        self.axes.plot([-0.5] * len(down), [at for at, _ in down], marker=TICKLEFT, gid="query-ticks", **style)
        below, beside = self._points(0, -6), self._points(-6, 0)
        for at, slot in across:
            self.axes.text(at, bottom, f"{slot:.0f}", ha="center", va="top", fontsize=7, transform=below, gid="key")
        for at, slot in down:
            self.axes.text(-0.5, at, f"{slot:.0f}", ha="right", va="center", fontsize=7, transform=beside, gid="query")
        below, beside = self._points(0, -19), self._points(-24, 0)
        self.axes.text((right - 0.5) / 2, bottom, "Key position (slot)", ha="center", va="top", transform=below)
        turned: dict[str, Any] = {"rotation": 90, "ha": "right", "va": "center", "transform": beside}
        self.axes.text(-0.5, (bottom - 0.5) / 2, "Query position (slot)", **turned)

    def _lines(self, segments: Iterable[tuple[float, float, float, float]], gid: str, style: dict[str, Any]) -> None:
        """Draw lines of the first panel in every panel, as one artist."""
        starts = [(x, y) for y in self._starts(self.rows) for x in self._starts(self.columns)]
        moved = [[(x + a, y + b), (x + c, y + d)] for x, y in starts for a, b, c, d in segments]
        self.axes.add_collection(LineCollection(moved, gid=gid, **style), autolim=False)

    def _starts(self, count: int) -> list[float]:
        return [place * self.pitch for place in range(count)]

    def _points(self, right: float, up: float) -> Transform:
        """Return the data's transform, moved by so many points."""
        return self.axes.transData + ScaledTranslation(right / 72, up / 72, self.figure.dpi_scale_trans)
