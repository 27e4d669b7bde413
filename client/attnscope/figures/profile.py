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
    for axis, form in ((axes.xaxis, _plainly), (axes.yaxis, _as_power)):
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})
        axis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(form))
        axis.set_minor_formatter(NullFormatter() if axis is axes.xaxis else FuncFormatter(_within_a_decade(axes)))
    axes.set_title("Attention by relative position")
    axes.legend(loc="lower left")
    return axes


def _plainly(value: float, _: float) -> str:
    return f"{value:g}"


def _within_a_decade(axes: Axes) -> Callable[[float, float], str]:
    """Return a formatter that names minor ticks where the values span so little that no power of ten stands there."""

    def form(value: float, _: float) -> str:
        low, high = sorted(axes.get_ylim())
        return f"{value:g}" if high < 10 * low else ""  # one decade

    return form


def _as_power(value: float, _: float) -> str:
    """Return 10⁻³ and the like, which costs no typesetting."""
    return "10" + str(round(np.log10(value))).translate(RAISED)
