"""What a figure must be as a figure: no text off the canvas, no two equal ticks on an axis."""

from __future__ import annotations

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

SLACK = 1.0
"""Pixels over the edge that rounding explains."""


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
    for text in figure.findobj(Text):
        if text in hidden or text in unseen or not text.get_visible() or not text.get_text().strip():
            continue
        box = text.get_window_extent(renderer)
        if box.x0 < -SLACK or box.y0 < -SLACK or box.x1 > width + SLACK or box.y1 > height + SLACK:
            found.append(f"off the canvas: {text.get_text()!r}")
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis) if axes.axison else ():
            ticks = [tick for tick in axis.get_major_ticks() if _shown(axis, tick) and tick.label1.get_visible()]
            labels = [label for tick in ticks if (label := tick.label1.get_text().strip())]
            if len(set(labels)) < len(labels):
                found.append(f"equal ticks: {labels}")
    return found


def _shown(axis, tick) -> bool:
    low, high = sorted(axis.get_view_interval())
    return low <= tick.get_loc() <= high


def in_a_cell(figure: Figure) -> bytes:
    """Return a figure's PNG as a notebook shows it: tight, in the resolution that the figure has."""
    content = io.BytesIO()
    canvas = FigureCanvasAgg(figure)
    canvas.print_figure(content, format="png", bbox_inches="tight", dpi=figure.dpi, facecolor=figure.get_facecolor())
    return content.getvalue()
