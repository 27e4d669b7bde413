"""The figure of what latents hold: sources of a compression, use of each latent, generations traced back."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from attnscope.errors import NotCapturedError
from attnscope.figures.look import Picture, styled
from attnscope.figures.provenance import task_label
from attnscope.figures.style import COLOURS, finish, refuse
from attnscope.measures.latents import DEAD
from attnscope.study import Study
from attnscope.study.captions import title_of
from attnscope.study.latents import LatentStudy, holds_compressions

SHOWN: Final = 0.995
"""Quantile of the weights at the bright end of the scale."""

NO_ROWS: Final = "the decision rows of this environment were not captured slot by slot"


def draw_map(axes: Axes, weights: Float[np.ndarray, "latent column"], first: float) -> AxesImage:
    """Draw weights of latents over columns that begin at `first`, bright where they are large (√ scale)."""
    top = max(float(np.quantile(weights, SHOWN)), 1e-6)
    left, right, count = first - 0.5, first + weights.shape[1] - 0.5, len(weights)
    image = axes.imshow(
        weights,
        cmap="viridis",
        norm=PowerNorm(0.5, 0.0, top, clip=True),
        aspect="auto",
        interpolation="nearest",
        extent=(left, right, count - 0.5, -0.5),
    )
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_ylabel("latent")
    return image


def draw_bar(axes: Axes, image: AxesImage, label: str) -> Axes:
    """Draw the scale of an image beside it, with few numbers, since they crowd at the bright end."""
    bar = axes.figure.colorbar(image, ax=axes, label=label, extend="max", pad=0.01)
    top = float(np.asarray(image.norm.vmax or 1.0))
    ticks = [0.0, *(float(f"{top * share:.1g}") for share in (0.05, 0.25, 0.6)), float(f"{top:.2g}")]
    bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    return axes


def draw_sources(axes: Axes, study: LatentStudy, number: int) -> AxesImage:
    """Draw what each latent of a compression looked at: older latents left of the line, then tokens."""
    held, looked = study.compressions, study.looked
    assert looked is not None  # noqa: S101 - the caller looked
    image = draw_map(axes, looked[number], 0)
    older = held.held(number)
    if older:
        axes.axvline(older - 0.5, color=COLOURS["boundary"], linewidth=0.9)
    axes.set(xlabel="source" if not older else f"source (0 to {older - 1}: the latents of before)")
    axes.set_title(f"Compression {number + 1}, after step {int(held.step[number])}: what it looked at")
    return image


def draw_use(axes: Axes, used: Float[np.ndarray, "layer head latent"]) -> Axes:
    """Draw the attention of decisions to each latent ÷ uniform: its mean, and its largest head; dead ones marked."""
    places, largest = np.arange(used.shape[-1]), used.max(axis=(0, 1))
    axes.barh(places, largest, color=COLOURS["sixth"], alpha=0.6, height=0.8, label="head with most")
    axes.barh(places, used.mean(axis=(0, 1)), color=COLOURS["first"], height=0.5, label="mean")
    axes.axvline(1, linestyle="--", color=COLOURS["uniform"], linewidth=0.8, gid="uniform")
    for place in np.flatnonzero(largest < DEAD).tolist():
        axes.text(0.02, place, "dead", transform=axes.get_yaxis_transform(), fontsize=6, va="center", gid="dead")
    axes.set_ylim(used.shape[-1] - 0.5, -0.5)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set(xlabel="use by decisions: attention ÷ uniform")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)
    return axes


def draw_traced(
    axes: Axes,
    reached: Float[np.ndarray, "latent transition"],
    begins: Int[np.ndarray, " compression"],
    rewarded: Bool[np.ndarray, " transition"],
) -> AxesImage:
    """Draw how much of each transition reaches each latent; lines where another compression began, marks at rewards."""
    image = draw_map(axes, reached, 0)
    for first in begins[begins > 0]:
        axes.axvline(first - 0.5, color=COLOURS["boundary"], linewidth=0.7)
    at = np.flatnonzero(rewarded)
    marks = axes.plot(at, np.full(len(at), -0.04), "^", color=COLOURS["deciding"], markersize=2.5)[0]
    marks.set(transform=axes.get_xaxis_transform(), clip_on=False, gid="rewards", in_layout=False)
    axes.set(xlabel="transition (white lines: compressions; orange: rewarded)")
    axes.set_title("The same latents, traced through all generations to transitions")
    return image


def latents(study: Study, env: int = 0) -> Figure:
    """Return what the newest latents of an environment hold.

    Parameters
    ----------
    env
        Place among the environments that take part.
    """
    title = title_of(study, "What latents hold")
    with styled():
        figure = Picture(figsize=(8.2, 5.4), layout="constrained")
        axes = figure.subplot_mosaic([["sources", "use"], ["traced", "traced"]], width_ratios=(2.2, 1))
        origin, task = study.capture.origin, task_label(study.capture, study.capture.row_env(env))
        caption = f"{origin.source}\n{origin.progress}; {task}"
        if not holds_compressions(study.capture):
            for panel in axes.values():
                refuse(panel, "no compression is stored")
            return finish(figure, title, caption)
        found = LatentStudy(study.capture, env)
        if found.used is None:
            refuse(axes["use"], NO_ROWS)
        else:
            draw_use(axes["use"], found.used)
        if found.reached is None:
            refuse(axes["sources"], found.compressions.lacks)
            refuse(axes["traced"], found.compressions.lacks)
            return finish(figure, title, caption)
        newest = len(found.compressions) - 1
        held = found.compressions
        image = draw_sources(axes["sources"], found, newest)
        draw_bar(axes["sources"], image, "attention (√ scale)")
        begins = np.array([held.packed(number)[0] for number in range(newest + 1)])
        image = draw_traced(
            axes["traced"], found.reached[-1], begins, _rewarded(study, env, int(held.step[newest]) + 1)
        )
        draw_bar(axes["traced"], image, "share (√ scale)")
        means = "attention is the mean over the compressor's layers and heads; values and residuals are left out"
        return finish(figure, title, f"{caption}; {means}")


def _rewarded(study: Study, env: int, transitions: int) -> Bool[np.ndarray, " transition"]:
    """Return which of the first transitions were rewarded; none where rewards are not known."""
    try:
        reward = study.capture.rollout.reward[:transitions, study.capture.row_env(env)]
    except (AttributeError, NotCapturedError):
        return np.zeros(transitions, np.bool_)
    return np.asarray(reward > 0)
