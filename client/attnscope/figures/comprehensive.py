"""The comprehensive analysis: attention over time, recent against distant, growth, relative position, potential."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnscope.figures.growth import draw_growth
from attnscope.figures.look import Picture, styled
from attnscope.figures.over_time import beside, draw_by_slot, draw_by_transition, draw_scale
from attnscope.figures.potential import draw_potential, even_curve, fixed_curve
from attnscope.figures.profile import draw_profile
from attnscope.figures.provenance import task_label
from attnscope.figures.recency import binned, draw_recent
from attnscope.figures.style import COLOURS, finish, refuse
from attnscope.reading.blocks import RECENT
from attnscope.study import Study
from attnscope.study.captions import caption_of_study, title_of

NO_ROWS = "decision rows were not captured: submit with rows to see this"
PLACES = {"left": 0.055, "right": 0.985, "top": 0.925, "bottom": 0.125, "hspace": 0.52, "wspace": 0.24}
"""Of the panels: solving a layout takes longer than drawing it."""

BINS = 40
"""Points of a line over time."""


def comprehensive(study: Study, env: int = 0) -> Figure:
    """Return the figure; `env` is the place among the environments of the one whose rollout is shown over time."""
    with styled():
        figure = Picture(figsize=(10.0, 7.6))
        grid = figure.subplot_mosaic(
            [["slot", "slot", "transition"], ["recent", "growth", "growth"], ["age", "potential", "potential"]],
            gridspec_kw=PLACES,
        )
        _over_time(figure, grid["slot"], grid["transition"], study, env)
        draw_growth(grid["growth"], study.length, study.capture.policy.context_length, study.capture.resolved.horizon)
        if study.tally is None:
            for name in ("recent", "age", "potential"):
                refuse(grid[name], NO_ROWS)
        else:
            recent(grid["recent"], study)
            by_age(grid["age"], study)
            potential(grid["potential"], study)
        label = task_label(study.capture, int(study.envs[env]))
        several = len(study.envs) > 1
        what = f"Attention over time of {label}" + (f"; means of {len(study.envs)} environments" if several else "")
        return finish(figure, title_of(study, what), caption_of_study(study))


def _over_time(figure: Figure, slot: Axes, transition: Axes, study: Study, env: int) -> None:
    if study.tally is None:
        refuse(slot, NO_ROWS)
        refuse(transition, NO_ROWS)
        return
    steps, rows = study.reading.overview(env)
    _, image = draw_by_slot(slot, steps, rows)
    draw_scale(slot, image, beside(figure, slot, 0.62))
    followed, weights, first = study.followed(env)
    rewarded = np.flatnonzero(study.reward[:, env] > 0) if study.reward is not None else np.empty(0, np.int64)
    _, image = draw_by_transition(transition, followed, weights, first, rewarded)
    draw_scale(transition, image, beside(figure, transition, 0.66))


def recent(axes: Axes, study: Study) -> Axes:
    """Draw recent against distant from a study that has rows; each point is the mean of the steps that it was read of.

    A point speaks of these steps alone, so its band resamples rollouts and knows no error of sampling.
    """
    tally, plan = study.tally, study.reading.plan
    if tally is None or plan is None:
        return refuse(axes, NO_ROWS)
    steps, bins = tally.row_steps, BINS if plan.whole else min(BINS, len(plan.parts))
    centre, values = binned(steps, np.concatenate(tally.masses), bins)
    _, lengths = binned(steps, study.length[steps][:, study.reading.row_envs].astype(np.float64), bins)
    bands = tally.resampling.interval(np.moveaxis(values, 1, 0))
    return draw_recent(axes, centre, bands.value, bands.low, bands.high, lengths.mean(axis=1), RECENT)


def by_age(axes: Axes, study: Study) -> Axes:
    """Draw attention by relative position from a study that has rows."""
    if study.tally is None or study.head_profile is None:
        return refuse(axes, NO_ROWS)
    heads = study.head_profile.reshape(-1, study.head_profile.shape[-1])
    mean = study.tally.interval(study.tally.profile)
    label = "mean of all heads"
    return draw_profile(axes, {label: mean}, study.tokens, {label: COLOURS["first"]}, heads)


def potential(axes: Axes, study: Study) -> Axes:
    """Draw the compression potential of the mean row from a study that has rows."""
    tally = study.tally
    if tally is None:
        return refuse(axes, NO_ROWS)
    averaged = fixed_curve(study)
    return draw_potential(axes, tally.interval(tally.pooled), averaged, even_curve(tally.lengths, len(averaged)))
