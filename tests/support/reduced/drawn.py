"""The figures that the client has, found by their signatures, and the numbers that a figure shows, panel by panel."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from attnscope import figures
from attnscope_storage.errors import AttnscopeError

AGAINST = {"u8": ("f16", 0.05), "bins": ("flat", 0.02), "none": ("f16", 0.06)}
"""By form, the capture whose numbers it must give, and how far off they may be, as a share of what is shown.

Bytes are off by 0.004 of a weight. Age bins give the numbers of rows whose weights are the means of their bins. A curve
lies straight between its shares, and is a mean over every step where a sample of the rows is read.
"""

MISSING = ("not captured", "age bins", "decision rows", "a service")
"""Words of what is said in the place of a figure or a panel."""


def figures_of(subject: str) -> dict[str, Callable[..., Any]]:
    """Return every public function of `attnscope.figures` that draws figures, by name.

    Parameters
    ----------
    subject
        Name of the type of its first parameter: ``Study``, ``Capture``, ``ScreenResults``.
    """
    found = {}
    for module in pkgutil.walk_packages(figures.__path__, f"{figures.__name__}."):
        for name, function in inspect.getmembers(importlib.import_module(module.name), inspect.isfunction):
            if function.__module__ != module.name or name.startswith("_"):
                continue
            said = inspect.signature(function)
            first = next(iter(said.parameters.values()), None)
            if first is not None and first.annotation == subject and "Figure" in str(said.return_annotation):
                found[name] = function
    return found


def drawn(draw: Callable[..., Any], subject: Any, step: int) -> Figure:
    """Return one figure of a subject; figures of a capture are drawn at a step."""
    asked = inspect.signature(draw).parameters
    more = [[step]] if "steps" in asked else [step] if "step" in asked else []
    made = draw(subject, *more)
    return next(made) if isinstance(made, Iterator) else made


@dataclass(frozen=True)
class Panel:
    """The numbers of one panel."""

    words: str
    """Texts inside of it."""
    numbers: dict[str, np.ndarray] = field(default_factory=dict)
    ranges: dict[str, float] = field(default_factory=dict)
    """The range of the scale that each of them is shown on."""

    def off(self, other: Panel) -> dict[str, float]:
        """Return how far another panel's numbers are from these, as shares of this panel's ranges.

        Numbers that one of both does not show in the same shape are infinitely far.
        """
        found = {}
        for name, values in other.numbers.items():
            own = self.numbers.get(name)
            if own is None or own.shape != values.shape or np.any(np.isnan(own) != np.isnan(values)):
                found[name] = np.inf
            else:
                found[name] = float(np.nanmax(np.abs(own - values), initial=0.0)) / self.ranges[name]
        return found


def panels(figure: Figure) -> dict[tuple[float, ...], Panel]:
    """Return the panels of a figure by their place in it."""
    found = {}
    for axes in figure.axes:
        place = tuple(round(float(part), 3) for part in axes.get_position().bounds)
        panel = found[place] = Panel(" ".join(text.get_text() for text in axes.texts))
        for name, values, shown in _numbers(axes):
            panel.numbers[name] = np.ma.filled(np.ma.asarray(values, np.float64), np.nan)
            panel.ranges[name] = shown or 1.0
    return found


def judge(form: str, whole: Figure | str, reduced: Figure | str) -> list[str]:
    """Return the panels of a form's figure that are neither those of the whole rows nor a sentence."""
    if isinstance(reduced, str) or isinstance(whole, str):
        words = reduced if isinstance(reduced, str) else ""
        return [] if any(word in words for word in MISSING) else [f"{form}: refused with {words!r}"]
    wrong, shown = [], panels(whole)
    for place, panel in panels(reduced).items():
        if any(word in panel.words for word in MISSING):
            continue
        off = shown[place].off(panel) if place in shown else {"panel": np.inf}
        wrong += [f"{form}: {name} of {place} is off by {by:.3f}" for name, by in off.items() if by > AGAINST[form][1]]
    return wrong


def taken(draw: Callable[..., Any], subject: Any, step: int) -> Figure | str:
    """Return a figure, or the sentence in its place."""
    try:
        return drawn(draw, subject, step)
    except AttnscopeError as refused:
        return str(refused)


def _numbers(axes: Axes) -> Iterator[tuple[str, Any, float]]:
    low, high = axes.get_ylim()
    height = abs(high - low)
    for place, line in enumerate(axes.get_lines()):
        yield line.get_gid() or f"line {place}", line.get_ydata(), height
    for place, part in enumerate(axes.collections):
        paths = [np.asarray(path.vertices)[:, 1] for path in part.get_paths()]
        yield f"area {place}", np.concatenate([np.zeros(0), *paths]), height
    for place, part in enumerate(axes.findobj(lambda part: isinstance(part, ScalarMappable))):
        if part.get_array() is not None:
            least, most = part.get_clim()
            yield f"colours {place}", part.get_array(), (most or 0.0) - (least or 0.0)
