"""Maps of every layer and head side by side on one axes: panels share one image, and have no ticks of their own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float, Int, Shaped, UInt8
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.colors import Colormap, ListedColormap, NoNorm
from matplotlib.figure import Figure
from matplotlib.image import PcolorImage
from matplotlib.lines import Line2D
from matplotlib.markers import TICKDOWN, TICKLEFT, TICKUP
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox, ScaledTranslation, Transform

from attnscope.figures.look import Picture
from attnscope.figures.style import COLOURS

PANEL_INCHES = 1.75
"""Side of one panel."""

GAP_INCHES = 0.24
"""Between panels."""

LEFT, RIGHT, BELOW, ABOVE = 0.55, 0.85, 0.85, 0.8
"""Inches around the panels."""

SHADES = 255
"""Colours of a weight; a cell holds a number below this, `MASKED`, or `BETWEEN` outside every panel."""

MASKED, BETWEEN = 255, 256

COLOURMAP = "viridis"


def shade_colours() -> Colormap:
    """Return the colours of the cells: bright is high, grey is masked, and between the panels is nothing."""
    shades = mpl.colormaps[COLOURMAP](np.linspace(0, 1, SHADES))
    return ListedColormap([*shades, COLOURS["absent"]], name="shades").with_extremes(over=(0, 0, 0, 0))


class Cells(PcolorImage):
    """The cells of all panels; they fill their axes, which matplotlib's own image cannot say of itself."""

    def get_window_extent(self, renderer: RendererBase | None = None) -> Bbox:
        """Return the box of the axes, in pixels."""
        assert self.axes is not None  # noqa: S101 - made with axes
        return self.axes.get_window_extent(renderer)


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
    unit: int
    """Slots of the context that a cell of a pooled map holds; 1 where every weight has its cell."""
    image: Cells
    """Every panel's cells, a row and a column of nothing between panels."""
    boundaries: Line2D
    over: list[Line2D]
    """The part that stays the same and lies over the image."""
    above: list[Text] = field(default_factory=list)
    """Transition indices above the first row's panels."""

    @classmethod
    def of(cls, rows: int, columns: int, slots: int, kind: type[Figure] = Picture, unit: int = 1) -> Mosaic:
        """Return a grid without maps at fixed places: solving a layout takes longer than drawing."""
        wide, high = (count * (PANEL_INCHES + GAP_INCHES) - GAP_INCHES for count in (columns, rows))
        width, height = max(LEFT + wide + RIGHT, 3.8), BELOW + high + ABOVE
        figure = kind(figsize=(width, height))
        axes = figure.add_axes((LEFT / width, BELOW / height, wide / width, high / height))
        scale = figure.add_axes(((LEFT + wide + 0.23) / width, BELOW / height, 0.12 / width, high / height))
        image = Cells(axes, cmap=shade_colours(), norm=NoNorm(), gid="maps")
        axes.add_image(image)
        (boundaries,) = axes.plot([], [], color=COLOURS["boundary"], linewidth=0.4, alpha=0.55, gid="boundaries")
        boundaries.set(snap=True, solid_capstyle="butt")
        mosaic = cls(figure, axes, scale, rows, columns, slots, unit, image, boundaries, [])
        axes.set_xlim(-0.5, (columns - 1) * mosaic.pitch + slots - 0.5)
        axes.set_ylim((rows - 1) * mosaic.pitch + slots - 0.5, -0.5)
        axes.set_axis_off()
        mosaic._frame()
        mosaic._name_positions()
        return mosaic

    @property
    def pitch(self) -> float:
        """Slots from one panel to the next."""
        return self.slots * (1 + GAP_INCHES / PANEL_INCHES)

    def name(self, titles: Iterable[str]) -> None:
        """Write a title above each panel, row by row."""
        for index, title in enumerate(titles):
            row, column = divmod(index, self.columns)
            left, top = column * self.pitch - 0.5, row * self.pitch - 0.5
            above = self._points(0, 3 if row else 14)
            self.axes.text(left, top, title, va="bottom", fontsize=8, transform=above, gid="panel")

    def show(
        self,
        shades: UInt8[np.ndarray, "row column query slot"],
        boundaries: Shaped[np.ndarray, " boundary"],
        transitions: Int[np.ndarray, " slot"],
    ) -> None:
        """Show a map in every panel, and in each of them where episodes begin; name transitions above the first row.

        Parameters
        ----------
        shades
            Each weight's place on the colour scale, 0 to 254; 255 is masked.
        boundaries
            Slots where an episode begins.
        transitions
            Transition index of every slot of the context; -1 is a latent, named ``S``.
        """
        self.image.set_data(self._edges(self.columns), self._edges(self.rows), self._cells(shades))
        n = self.slots
        self.boundaries.set_data(
            *self._lines(
                [(at - 0.5, -0.5, at - 0.5, n - 0.5) for at in boundaries / self.unit]
                + [(-0.5, at - 0.5, n - 0.5, at - 0.5) for at in boundaries / self.unit]
            )
        )
        for text, slot in zip(self.above, np.tile(self._named, self.columns), strict=True):
            held = transitions[slot * self.unit]
            text.set_text("S" if held < 0 else str(held))

    def _cells(self, shades: UInt8[np.ndarray, "row column query slot"]) -> Int[np.ndarray, "y x"]:
        n = self.slots
        held = np.full((self.rows, n + 1, self.columns, n + 1), BETWEEN, np.int16)
        held[:, :n, :, :n] = shades.transpose(0, 2, 1, 3)
        return held.reshape(self.rows * (n + 1), -1)[:-1, :-1]

    def _edges(self, count: int) -> Float[np.ndarray, " edge"]:
        """Return where cells begin and end along an axis of so many panels."""
        starts = np.asarray(self._starts(count))[:, None] - 0.5
        return (starts + np.arange(self.slots + 1)).ravel()

    def _frame(self) -> None:
        """Draw panels' left and lower sides, marks of the deciding row, and places for the transitions' names."""
        n = self.slots
        sides = self._lines([(-0.5, -0.5, -0.5, n - 0.5), (-0.5, n - 0.5, n - 0.5, n - 0.5)])
        frames = self.axes.plot(*sides, color="black", linewidth=0.6, clip_on=False, gid="frames", snap=True)
        corners = np.array([(x, y) for y in self._starts(self.rows) for x in self._starts(self.columns)])
        x, y = corners.T
        style: dict[str, Any] = {"color": COLOURS["deciding"], "markersize": 4, "clip_on": False}
        marks = self.axes.plot(x + 1.02 * n, y + n - 1, "<", gid="decision-row", **style)
        places = [start + slot for start in self._starts(self.columns) for slot in self._named]
        tick: dict[str, Any] = {"marker": TICKUP, "linestyle": "", "markersize": 2, "markeredgewidth": 0.6}
        top = np.full(len(places), -0.5)
        ticks = self.axes.plot(places, top, color="black", clip_on=False, gid="transitions", **tick)
        self.over.extend([*frames, *marks, *ticks])
        above: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 6, "transform": self._points(0, 4)}
        self.above.extend(self.axes.text(place, -0.5, "", gid="transition", **above) for place in places)

    @property
    def _named(self) -> Int[np.ndarray, " slot"]:
        """Slots whose transition index is named."""
        return np.unique(np.linspace(0, self.slots - 1, 3).astype(int))

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
        keys, queries = [at for at, _ in across], [at for at, _ in down]
        self.over.extend(self.axes.plot(keys, [bottom] * len(keys), marker=TICKDOWN, gid="key-ticks", **style))
        self.over.extend(self.axes.plot([-0.5] * len(down), queries, marker=TICKLEFT, gid="query-ticks", **style))
        below, beside = self._points(0, -6), self._points(-6, 0)
        for at, cell in across:
            slot = cell * self.unit
            self.axes.text(at, bottom, f"{slot:.0f}", ha="center", va="top", fontsize=7, transform=below, gid="key")
        for at, cell in down:
            slot = cell * self.unit
            self.axes.text(-0.5, at, f"{slot:.0f}", ha="right", va="center", fontsize=7, transform=beside, gid="query")
        below, beside = self._points(0, -19), self._points(-24, 0)
        self.axes.text((right - 0.5) / 2, bottom, "Key position (slot)", ha="center", va="top", transform=below)
        turned: dict[str, Any] = {"rotation": 90, "ha": "right", "va": "center", "transform": beside}
        self.axes.text(-0.5, (bottom - 0.5) / 2, "Query position (slot)", **turned)

    def _lines(self, segments: list[tuple[float, float, float, float]]) -> Float[np.ndarray, "2 point"]:
        """Return x and y of lines of the first panel, in every panel, as one line with gaps."""
        ends = np.array(segments, np.float64).reshape(-1, 2, 2)
        broken = np.concatenate([ends, np.full((len(ends), 1, 2), np.nan)], axis=1).reshape(-1, 2)
        starts = np.array([(x, y) for y in self._starts(self.rows) for x in self._starts(self.columns)])
        moved: Float[np.ndarray, "point 2"] = (starts[:, None] + broken).reshape(-1, 2)
        return moved.T

    def _starts(self, count: int) -> list[float]:
        return [index * self.pitch for index in range(count)]

    def _points(self, right: float, up: float) -> Transform:
        """Return the data's transform, moved by so many points."""
        return self.axes.transData + ScaledTranslation(right / 72, up / 72, self.figure.dpi_scale_trans)
