"""The rules that every figure keeps: no text off the canvas, no two ticks equal or over each other."""

from __future__ import annotations

import io
import itertools

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

SLACK = 1.0
"""Pixels over the edge that rounding explains."""

HOSTILE = {
    "text.usetex": True, "axes.grid": True, "axes.facecolor": "red", "figure.facecolor": "black", "font.size": 30,
    "savefig.bbox": "tight", "xtick.labelsize": 40, "figure.constrained_layout.use": True, "lines.linewidth": 9,
}  # fmt: skip
"""Settings of a user who asks for everything odd."""


def faults(figure: Figure) -> list[str]:
    """Return texts that run over the edge of the canvas, and axes of which two ticks have one label."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer, (width, height) = canvas.get_renderer(), canvas.get_width_height()
    found = []
    hidden = {text for axes in figure.axes if not axes.axison for axis in (axes.xaxis, axes.yaxis)
              for text in axis.findobj(Text)}  # fmt: skip
    unseen = {
        text
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        if not _shown(axis, tick)
        for text in (tick.label1, tick.label2)
    }
    hidden |= {text for axes in figure.axes if not axes.get_visible() for text in axes.findobj(Text)}
    for text in figure.findobj(Text):
        if text in hidden or text in unseen or not text.get_visible() or not text.get_text().strip():
            continue
        if "\\mathdefault" in text.get_text():
            found.append(f"a formula that is not set: {text.get_text()!r}")
        box = text.get_window_extent(renderer)
        if box.x0 < -SLACK or box.y0 < -SLACK or box.x1 > width + SLACK or box.y1 > height + SLACK:
            found.append(f"off the canvas: {text.get_text()!r}")
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis) if axes.axison and axes.get_visible() else ():
            ticks = [tick for tick in axis.get_major_ticks() if _shown(axis, tick) and tick.label1.get_visible()]
            labels = [label for tick in ticks if (label := tick.label1.get_text().strip())]
            if len(set(labels)) < len(labels):
                found.append(f"equal ticks: {labels}")
            boxes = [(tick.label1.get_text(), tick.label1.get_window_extent(renderer)) for tick in ticks]
            boxes = [(text, box) for text, box in boxes if text.strip()]
            for (one, box), (other, beside) in itertools.combinations(boxes, 2):
                if _overlap(box, beside):
                    found.append(f"overlapping ticks: {one!r} and {other!r}")
    return found


def _overlap(one: Bbox, other: Bbox) -> bool:
    """Return True if two boxes share more than their edges."""
    wide = min(one.x1, other.x1) - max(one.x0, other.x0)
    high = min(one.y1, other.y1) - max(one.y0, other.y0)
    return wide > SLACK and high > SLACK


def _shown(axis, tick) -> bool:
    low, high = sorted(axis.get_view_interval())
    return low <= tick.get_loc() <= high


def in_a_cell(figure: Figure) -> bytes:
    """Return a figure's PNG as a notebook shows it: tight, in the resolution that the figure has."""
    content = io.BytesIO()
    canvas = FigureCanvasAgg(figure)
    canvas.print_figure(content, format="png", bbox_inches="tight", dpi=figure.dpi, facecolor=figure.get_facecolor())
    return content.getvalue()
