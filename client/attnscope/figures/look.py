"""The look of every figure, whatever the user's own settings of matplotlib are; and a figure that keeps it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, Final

import matplotlib as mpl
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

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
    "text.parse_math": False,  # names and sentences of a service are no formulas: a $ in them is a $
    "svg.hashsalt": "attnscope",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}

COLUMN_INCHES: Final = 3.25
"""Width of a column of a paper."""

PAPER: Final[dict[Any, Any]] = {
    "font.size": 6.5, "axes.titlesize": 6.5, "axes.labelsize": 6.5, "legend.fontsize": 5.5, "xtick.labelsize": 5.5,
    "ytick.labelsize": 5.5, "axes.linewidth": 0.5, "lines.linewidth": 0.9,
}  # fmt: skip
"""The look of a figure at the width of a column: sizes that are read as they are printed."""

_in_a_paper: ContextVar[bool] = ContextVar("in_a_paper", default=False)

OF_THE_PROGRAM: Final = ("backend", "interactive", "toolbar", "webagg", "timezone", "date.epoch", "docstring", "tk.")
"""Beginnings of settings that are no look; the user's own stay."""


@cache
def _look() -> dict[str, Any]:
    """Return matplotlib's own defaults with `RC` over them, as checked by matplotlib."""
    known = {name: value for name, value in mpl.rcParamsDefault.items() if not name.startswith(OF_THE_PROGRAM)}
    checked: dict[str, Any] = {**mpl.RcParams({**known, **RC})}  # type: ignore[dict-item]  # the names that there are
    return checked


@contextmanager
def styled() -> Iterator[None]:
    """Draw in attnscope's style inside this context: the user's settings are not seen, and come back."""
    with mpl.rc_context():
        dict.update(mpl.rcParams, _look())  # type: ignore[misc]  # checked once: checking takes as long as drawing
        if _in_a_paper.get():
            mpl.rcParams.update(PAPER)
        yield


@contextmanager
def in_a_paper() -> Iterator[None]:
    """Draw at the width of a paper's column inside this context."""
    token = _in_a_paper.set(True)
    try:
        yield
    finally:
        _in_a_paper.reset(token)


def is_in_a_paper() -> bool:
    """Return True where figures are drawn for a paper."""
    return _in_a_paper.get()


CELL_DPI: Final = 110
"""Dots an inch of a figure in a notebook's cell."""


class Picture(Figure):
    """A figure that is drawn in attnscope's style wherever that is: in a notebook's cell, tight, or saved by others."""

    def draw(self, renderer: RendererBase) -> None:
        """Draw the figure."""
        with styled():  # ticks are made when they are first drawn, and take the settings of that moment
            super().draw(renderer)

    def get_tightbbox(self, *words: Any, **options: Any) -> Bbox:  # noqa: ANN401 - matplotlib's own
        """Return the box of all that is drawn, in inches."""
        with styled():
            return super().get_tightbbox(*words, **options)

    def _repr_png_(self) -> bytes:
        """Return the figure as a notebook's cell shows it, whichever backend is set there."""
        content = io.BytesIO()
        self.savefig(content, format="png", dpi=CELL_DPI, bbox_inches="tight")
        return content.getvalue()

    def savefig(self, *words: Any, **options: Any) -> None:  # noqa: ANN401 - as above
        """Save the figure, as `matplotlib.figure.Figure.savefig` does."""
        with styled():
            super().savefig(*words, **options)
