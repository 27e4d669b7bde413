"""One look for every figure: small sans-serif text, thin lines, colours that the colour-blind tell apart."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from attnscope.figures.png import png
from attnscope.figures.sheet import Sheet

FORMATS = ("png", "svg", "pdf")
"""What figures can be written as."""

COLOURS = {
    "decision": "#D55E00",
    "boundary": "#FFFFFF",
    "text": "#222222",
    "muted": "#777777",
    "absent": "#ECECEC",
    "first": "#0072B2",
    "second": "#D55E00",
    "third": "#009E73",
    "fourth": "#CC79A7",
    "fifth": "#E69F00",
    "sixth": "#56B4E9",
    "uniform": "#555555",
}
"""From Okabe and Ito's palette."""

SERIES = tuple(COLOURS[name] for name in ("first", "second", "third", "fourth", "fifth", "sixth"))
"""Colours of lines, in order."""

BAND = 0.2
"""Opacity of an interval."""

RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.titley": 1.0,  # fixed, so that no drawing has to look for what a title could run into
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "hatch.linewidth": 0.4,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "figure.titlesize": 10,
    "savefig.dpi": 200,
    "image.composite_image": False,
    "svg.hashsalt": "attnscope",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in attnscope's style inside this context."""
    with mpl.rc_context(RC):
        yield


def hatch(axes: Axes) -> None:
    """Fill the axes with the pattern for missing data; the caller draws the data over it."""
    patch = Rectangle((0, 0), 1, 1, transform=axes.transAxes, facecolor=COLOURS["absent"], edgecolor="#C8C8C8")
    patch.set(hatch="////", linewidth=0, zorder=-5, gid="absent")
    axes.add_artist(patch)


def refuse(axes: Axes, why: str) -> Axes:
    """Say in an empty, hatched panel why nothing is drawn; return the axes."""
    hatch(axes)
    axes.set(xticks=[], yticks=[])
    text = textwrap.fill(why, 34)
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.9, "pad": 3}
    axes.text(
        0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, fontsize=7, color=COLOURS["text"], bbox=box
    )
    return axes


def places(
    figure: Figure,
    rows: int,
    columns: int,
    *,
    left: float,
    right: float,
    top: float = 0.55,
    bottom: float = 0.85,
    across: float = 0.0,
    down: float = 0.0,
) -> dict[str, float]:
    """Return where a grid of panels lies, from sides and gaps in inches: solving a layout takes longer than drawing."""
    width, height = figure.get_size_inches()
    wide, high = (width - left - right + across) / columns - across, (height - top - bottom + down) / rows - down
    sides = {"left": left / width, "right": 1 - right / width, "bottom": bottom / height, "top": 1 - top / height}
    return {**sides, "wspace": across / wide, "hspace": down / high}


def entitle(figure: Figure, title: str) -> Text:
    """Put the title above a figure, in place of the one that is there."""
    return figure.suptitle(title, color=COLOURS["text"], fontsize=9, x=0.01, ha="left")


def finish(figure: Figure, title: str, caption: str) -> Figure:
    """Put the title above and the provenance below a figure whose layout is constrained."""
    width, height = figure.get_size_inches()
    lines = "\n".join(textwrap.fill(line, int(width * 23)) for line in caption.splitlines())
    room = (0.1 * (lines.count("\n") + 1) + 0.06) / height
    entitle(figure, title)
    text = figure.text(0.01, 0.04 / height, lines, fontsize=5.5, color=COLOURS["muted"], va="bottom", gid="provenance")
    text.set_in_layout(False)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(rect=(0, room, 1, 1 - room))  # type: ignore[call-arg]  # constrained layout's own
        engine.execute(figure)
        figure.set_layout_engine("none")  # solved once, not again at every drawing
    return figure


def pixels(figure: Figure, dpi: float | None = None) -> UInt8[np.ndarray, "y x 3"]:
    """Return a figure's pixels, without the opacity that every one of them has."""
    figure.set_dpi(dpi or RC["savefig.dpi"])
    with styled():
        if isinstance(figure, Sheet):
            canvas = figure.drawn()
        else:
            canvas = FigureCanvasAgg(figure)
            canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib leaves it without types
    shown: UInt8[np.ndarray, "y x 4"] = np.array(canvas.buffer_rgba())  # type: ignore[no-untyped-call]  # as above
    return shown[..., :3]


def save(figure: Figure, path: Path, *, dpi: float | None = None) -> Path:
    """Write a figure as PNG, SVG or PDF, by the ending; the same figure gives the same bytes."""
    kind = path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise ValueError(f"expected a file ending in one of {', '.join(FORMATS)}, got {path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    fine = dpi or RC["savefig.dpi"]
    if kind == "png":
        path.write_bytes(png(pixels(figure, fine), fine))
        return path
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    with styled():
        figure.savefig(path, metadata=metadata, dpi=fine)
    return path
