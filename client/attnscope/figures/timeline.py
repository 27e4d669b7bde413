"""Past events kept in view: attention to each transition while it is in the context, rewards marked."""

from __future__ import annotations

import warnings

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnscope.figures.look import Picture, styled
from attnscope.figures.over_time import draw_by_transition, draw_scale
from attnscope.figures.provenance import task_label
from attnscope.figures.style import COLOURS, finish, places, refuse
from attnscope.study import Study
from attnscope.study.captions import caption_of_study, title_of


def lifetime_lift(
    weights: Float[np.ndarray, "step transition"], length: Float[np.ndarray, " step"], tokens: int = 1
) -> Float[np.ndarray, " transition"]:
    """Return each transition's mean attention over the steps that see it, against uniform attention: 1 is uniform.

    Uniform attention gives a transition the share of its `tokens` in the context's `length`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a transition that no step saw stays NaN
        lift: Float[np.ndarray, " transition"] = np.nanmean(weights * length[:, None] / tokens, axis=0)
    return lift


def draw_lift(
    axes: Axes,
    first: int,
    lift: Float[np.ndarray, " transition"],
    rewarded: Bool[np.ndarray, " transition"],
    starts: Bool[np.ndarray, " transition"],
) -> Axes:
    """Draw every transition's lift over uniform; rewarded ones and episode starts have their own colours."""
    index = first + np.arange(len(lift))
    plain = ~rewarded & ~starts
    for mask, colour, name in (
        (plain, "#AAAAAA", "other"),
        (rewarded & ~starts, COLOURS["second"], "rewarded"),
        (starts, COLOURS["first"], "episode start"),
    ):
        if mask.any():
            axes.vlines(index[mask], 0, np.nan_to_num(lift[mask]), color=colour, linewidth=1.0, label=name, gid=name)
    axes.axhline(1, linestyle="--", color=COLOURS["uniform"], linewidth=0.8, gid="uniform")
    axes.set(xlabel="Transition index", ylabel="Attention ÷ uniform", title="Mean over its time in the context")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0)
    axes.margins(x=0.01)
    axes.set_ylim(bottom=0)
    return axes


def timeline(study: Study, env: int = 0) -> Figure:
    """Return the transition timeline of one environment."""
    with styled():
        figure = Picture(figsize=(7.5, 6.0))
        sides = places(figure, 2, 1, left=0.6, right=1.0, down=0.65)
        above, below = figure.subplots(2, 1, height_ratios=(2, 1), gridspec_kw=sides)
        title = title_of(study, f"Past events kept in view, {task_label(study.capture, int(study.envs[env]))}")
        if study.tally is None:
            refuse(above, "decision rows were not captured")
            refuse(below, "decision rows were not captured")
            return finish(figure, title, caption_of_study(study))
        steps, weights, first = study.followed(env)
        count = weights.shape[1]
        reward = np.zeros(study.steps) if study.reward is None else study.reward[:, env]
        rewarded = reward[first : first + count] > 0
        episode = np.zeros(study.steps, np.int64) if study.episode is None else study.episode[:, env]
        starts = np.diff(episode[first : first + count], prepend=episode[max(0, first - 1)]) > 0
        if first == 0 and count:
            starts[0] = True
        _, image = draw_by_transition(above, steps, weights, first, first + np.flatnonzero(rewarded))
        draw_scale(above, image, above.inset_axes((1.045, 0, 0.02, 1)))
        lengths = study.length[steps.start : steps.stop, env].astype(np.float64)
        lift = lifetime_lift(weights, lengths, study.layout.tokens_per_transition)
        draw_lift(below, first, lift, rewarded, starts)
        return finish(figure, title, caption_of_study(study))
