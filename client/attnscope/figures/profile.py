"""Attention by relative position, with intervals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from attnscope.figures.style import BAND, COLOURS, refuse
from attnscope.measures.intervals import Interval

FLOOR = 1e-5
"""Smallest weight that is drawn."""

Form = Callable[[float, float], str]
"""The name of a tick, by its value and place."""

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
"""Digits as exponents."""


def draw_profile(
    axes: Axes,
    profiles: dict[str, Interval],
    tokens: float,
    colours: dict[str, str],
    heads: Float[np.ndarray, "head age"] | None = None,
) -> Axes:
    """Draw mean attention by age (1 is the newest token before the query) on logarithmic axes.

    Parameters
    ----------
    profiles
        By label: attention at ages 0, 1, …; age 0, the query's own slot, is not drawn.
    tokens
        Mean context length; 1 ÷ tokens is uniform attention.
    heads
        Profiles of single heads, thin and grey.
    """
    if tokens < 2:  # noqa: PLR2004 - the query and one token before it
        return refuse(axes, "a context of one token has no past")
    if heads is not None:
        for one in heads:
            (line,) = axes.plot(np.arange(1, len(one)), np.maximum(one[1:], FLOOR), color="#BBBBBB", linewidth=0.5)
            line.set_gid("head")
        axes.plot([], [], color="#BBBBBB", linewidth=0.5, label="each head")
    for label, interval in profiles.items():
        age = np.arange(1, len(interval.value))
        shown = np.maximum(interval.value[1:], FLOOR)
        axes.plot(age, shown, color=colours[label], label=label, gid=f"profile-{label}")
        low, high = np.maximum(interval.low[1:], FLOOR), np.maximum(interval.high[1:], FLOOR)
        axes.fill_between(age, low, high, color=colours[label], alpha=BAND, linewidth=0)
    axes.axhline(1 / tokens, linestyle="--", color=COLOURS["uniform"], linewidth=0.8, label="uniform", gid="uniform")
    axes.set(xlabel="Age (tokens before the query)", ylabel="Mean attention")
    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(_plainly))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(_by_span(axes, as_power)))
    axes.yaxis.set_minor_formatter(FuncFormatter(_by_span(axes, lambda _value, _place: "")))
    axes.set_title("Attention by relative position")
    axes.legend(loc="lower left", frameon=True, framealpha=0.8, edgecolor="none")  # curves may pass behind it
    return axes


def _plainly(value: float, _: float) -> str:
    return f"{value:g}"


def _by_span(axes: Axes, wide: Form) -> Form:
    """Return a formatter of ticks that is plain within one decade, where powers of ten name one tick or none."""

    def form(value: float, place: float) -> str:
        low, high = sorted(axes.get_ylim())
        return _plainly(value, place) if high < 10 * low else wide(value, place)  # one decade

    return form


def as_power(value: float, _: float) -> str:
    """Return 10⁻³ and the like, which costs no typesetting."""
    return "10" + str(round(np.log10(value))).translate(RAISED)
