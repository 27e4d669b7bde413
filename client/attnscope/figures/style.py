"""One look for every figure: small sans-serif text, thin lines, colours that the colour-blind tell apart."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from attnscope.figures.look import RC, is_in_a_paper, styled
from attnscope.figures.png import png
from attnscope.figures.sheet import Sheet

FORMATS = ("png", "svg", "pdf")
"""File types of figures."""

COLOURS = {
    "deciding": "#D55E00",
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

TITLE_POINTS, CAPTION_POINTS = 9.0, 5.5
"""Sizes of a figure's title and of the provenance below it."""

UNHINTED = 0.92
"""Width of small text as its outlines are, over that of its pixels in a coarse picture, at least."""

TITLE_SIZES = (TITLE_POINTS, 8.0, 7.0)
"""Sizes that are tried so that a title is one line: the panels below it leave no room for another."""

SHORTEST = 12
"""Characters of a line that no folding makes shorter."""

BAND = 0.2
"""Opacity of an interval."""


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


BOTTOM = 0.85
"""Inches below the panels of a figure, for its caption."""


def places(
    figure: Figure,
    rows: int,
    columns: int,
    *,
    left: float,
    right: float,
    top: float = 0.55,
    across: float = 0.0,
    down: float = 0.0,
) -> dict[str, float]:
    """Return where a grid of panels lies, from sides and gaps in inches: solving a layout takes longer than drawing."""
    width, height = figure.get_size_inches()
    wide, high = (width - left - right + across) / columns - across, (height - top - BOTTOM + down) / rows - down
    sides = {"left": left / width, "right": 1 - right / width, "bottom": BOTTOM / height, "top": 1 - top / height}
    return {**sides, "wspace": across / wide, "hspace": down / high}


def fold(text: str, inches: float, size: float) -> str:
    """Return a text in lines that are no wider than so many inches, in a size in points."""
    font = FontProperties(family=RC["font.family"], size=size)
    return "\n".join(_folded(line, inches * 72 * UNHINTED, font) for line in text.splitlines())


def _folded(line: str, points: float, font: FontProperties) -> str:
    """Return a line broken at words, in parts no wider than so many points, or of `SHORTEST` characters."""
    parts, most = [line], len(line)
    while (wide := max(_width(part, font) for part in parts)) > points and most > SHORTEST:
        most = max(SHORTEST, min(most - 1, int(most * points / wide)))
        parts = textwrap.wrap(line, most, break_on_hyphens=False)
    return "\n".join(parts)


def _width(line: str, font: FontProperties) -> float:
    """Return the width of a line in points."""
    return float(text_to_path.get_text_width_height_descent(line, font, ismath=False)[0])


def entitle(figure: Figure, title: str) -> Text:
    """Put the title above a figure in place of its present one: smaller where that spares a line, else folded."""
    inches, lines = 0.98 * figure.get_size_inches()[0], max(1, len(title.splitlines()))
    fitting = (one for one in TITLE_SIZES if len(fold(title, inches, one).splitlines()) <= lines)
    size = next(fitting, TITLE_POINTS)
    return figure.suptitle(fold(title, inches, size), color=COLOURS["text"], fontsize=size, x=0.01, ha="left")


def finish(figure: Figure, title: str, caption: str, *, left: float = 0.0) -> Figure:
    """Put the title above and the provenance below a figure whose layout is constrained; in a paper neither.

    A paper has its own caption: there both are the figure's metadata, which a PDF keeps.

    Parameters
    ----------
    left
        Inches that are left free before long names, whose letters are wider in some resolutions than in the one of the
        layout.
    """
    if is_in_a_paper():
        figure.set_label(f"{title}. {caption}")
        return _settled(figure)
    width, height = figure.get_size_inches()
    lines = fold(caption, 0.98 * width, CAPTION_POINTS)
    room = (0.1 * (lines.count("\n") + 1) + 0.06) / height
    entitle(figure, title)
    text = figure.text(
        0.01, 0.04 / height, lines, fontsize=CAPTION_POINTS, color=COLOURS["muted"], va="bottom", gid="provenance"
    )
    text.set_in_layout(False)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(rect=(left / width, room, 1 - left / width, 1 - room))  # type: ignore[call-arg]  # constrained layout's own
    return _settled(figure)


def _settled(figure: Figure) -> Figure:
    """Return a figure whose layout is solved once, not again at every drawing."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")
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
    metadata: dict[str, str | None] = {{"svg": "Date", "pdf": "CreationDate"}[kind]: None}
    if kind == "pdf" and is_in_a_paper():
        metadata["Subject"] = str(figure.get_label())
    with styled():
        figure.savefig(path, metadata=metadata, dpi=fine)
    return path
