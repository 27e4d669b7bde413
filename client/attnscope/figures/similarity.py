"""Heads that do the same."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from matplotlib import patches as mpatches
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from attnscope.figures.look import Picture, styled
from attnscope.figures.style import COLOURS, finish, places, refuse
from attnscope.measures.heads import cluster_heads
from attnscope.study import Study
from attnscope.study.captions import caption_of_study, title_of

ALIKE = 0.1
"""Mean divergence in bits up to which heads are put into one group."""


def draw_similarity(
    axes: Axes, divergence: Float[np.ndarray, "one other"], names: list[str], group: Int[np.ndarray, " one"]
) -> tuple[Axes, AxesImage]:
    """Draw the divergence of every pair of heads, groups beside each other and framed."""
    order = np.lexsort((np.arange(len(group)), group))
    shown = divergence[np.ix_(order, order)]
    image = axes.imshow(shown, cmap="cividis_r", vmin=0.0, vmax=max(0.2, float(shown.max())))
    ticks = [names[head] for head in order]
    axes.set_xticks(range(len(order)), ticks, rotation=90)
    axes.set_yticks(range(len(order)), ticks)
    for label in np.unique(group):
        (members,) = np.nonzero(group[order] == label)
        corner, size = float(members[0]) - 0.5, float(len(members))
        if size > 1:
            frame = axes.add_patch(_frame(corner, size))
            frame.set_gid("group")
    axes.set(xlabel="Head (layer.head)", ylabel="Head (layer.head)")
    axes.tick_params(length=0)
    return axes, image


def _frame(corner: float, size: float) -> mpatches.Rectangle:
    return mpatches.Rectangle((corner, corner), size, size, fill=False, edgecolor=COLOURS["deciding"], linewidth=1.2)


def similarity(study: Study) -> Figure:
    """Return the head similarity map."""
    with styled():
        figure = Picture(figsize=(5.2, 4.95))
        axes = figure.subplots(gridspec_kw=places(figure, 1, 1, left=0.6, right=0.95))
        if study.tally is None:
            refuse(axes, "decision rows were not captured")
        else:
            mean = study.tally.mean(study.tally.divergence)
            layers, heads = study.tally.distance.mean.shape[1:3]
            names = [f"{layer}.{head}" for layer in range(layers) for head in range(heads)]
            group = cluster_heads(mean, ALIKE)
            _, image = draw_similarity(axes, mean, names, group)
            scale = axes.inset_axes((1.05, 0.1, 0.04, 0.8))
            figure.colorbar(image, cax=scale).set_label("Jensen–Shannon divergence (bits)")
            several = len(np.unique(group))
            axes.set_title(f"{several} groups of {len(names)} heads (framed: divergence up to {ALIKE} bits)")
        return finish(figure, title_of(study, "Heads alike"), caption_of_study(study))
