"""The decision rows of one step, a panel a layer and head: what can be seen where no whole map was sampled."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attnscope.capture import Capture
from attnscope.errors import NotCapturedError
from attnscope.figures.heatmap import stored
from attnscope.figures.look import Picture, styled
from attnscope.figures.provenance import progress_of, source_of, task_label
from attnscope.figures.style import COLOURS, finish, places

NO_SLOTS: Final = (
    "this capture stores its rows as age bins, which do not say the weight of each slot: "
    "submit with --row-form f16 or u8, or ask for a whole map"
)


def draw_row(
    axes: Axes,
    weights: Float[np.ndarray, " slot"],
    boundaries: Int[np.ndarray, " boundary"],
    rewarded: Int[np.ndarray, " event"],
) -> Axes:
    """Draw one decision row as steps over its slots; dashed, uniform attention; marks, rewarded transitions.

    Parameters
    ----------
    weights
        The row, cut to its context.
    boundaries
        Slots where an episode begins.
    rewarded
        Slots of transitions with a reward.
    """
    slots = np.arange(-1, len(weights) + 1)  # one beyond either end, since steps change half way between two
    height = np.pad(np.asarray(weights, np.float64), 1, mode="edge")
    axes.fill_between(slots, height, step="mid", color=COLOURS["first"], alpha=0.8, linewidth=0)
    axes.axhline(1 / len(weights), linestyle="--", color=COLOURS["uniform"], linewidth=0.7, gid="uniform")
    for slot in boundaries:
        axes.axvline(slot - 0.5, color="#BBBBBB", linewidth=0.4)
    marks = axes.plot(rewarded, np.full(len(rewarded), -0.03), "^", color=COLOURS["deciding"], markersize=2)[0]
    marks.set(transform=axes.get_xaxis_transform(), clip_on=False, gid="rewards", in_layout=False)
    axes.set_xlim(-0.5, len(weights) - 0.5)
    axes.set_ylim(0, max(axes.get_ylim()[1], 1.15 * float(np.max(weights))))
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    return axes


def decision_rows(capture: Capture, step: int, *, env: int = 0) -> Figure:
    """Return the layer × head grid of the decision rows of a step whose rows are stored.

    Parameters
    ----------
    env
        Place among the stored environments.

    Raises
    ------
    NotCapturedError
        The rows of that step were not captured.
    """
    rows = _rows(capture, step, env)
    at = capture.row_env(env)
    transitions = capture.transition_index(step, env)
    rewarded = np.empty(0, np.int64)
    if "rollout/reward" in capture.names():
        own = np.flatnonzero(transitions >= 0)
        first = int(transitions[own].min())  # the query may stand first
        gained = capture.rollout.reward[first : step + 1, at][transitions[own] - first]
        rewarded = own[(gained > 0) & (transitions[own] < step)]  # the query's own reward is still to come
    boundaries = capture.episode_boundaries(step, env)
    layers, heads = stored(capture, "layer"), stored(capture, "head")
    with styled():
        size = (max(4.0, 1.9 * len(heads) + 0.6), 1.25 * len(layers) + 1.3)
        figure = Picture(figsize=size)
        sides = places(figure, len(layers), len(heads), left=0.55, right=0.12, top=0.5, across=0.1, down=0.26)
        grid = figure.subplots(len(layers), len(heads), squeeze=False, gridspec_kw=sides)
        for (row, column), axes in np.ndenumerate(grid):
            draw_row(axes, rows[row, column], boundaries, rewarded)
            axes.set_title(f"layer {layers[row]}, head {heads[column]}", pad=2)
        top = max(axes.get_ylim()[1] for axes in grid.flat)
        for axes in grid.flat:  # by hand: axes that share limits pass each change on to every other one
            axes.set_ylim(0, top)
            axes.label_outer()
        for axes in grid[-1]:
            axes.set_xlabel("Key position (slot)")
        for axes in grid[:, 0]:
            axes.set_ylabel("Attention")
        title = f"Decision of step {step}, {task_label(capture, at)} · {capture.resolved.checkpoint_name}"
        episodes = capture.lacks("rollout/episode") or "grey lines: episodes begin"
        rewards = capture.lacks("rollout/reward") or "orange marks: rewarded transitions"
        packed = capture.summary(step, env)
        front = "" if packed is None else f"; slots 0 to {packed.latents - 1}: {packed}"
        marks = f"dashed: uniform; {episodes}; {rewards}{front}"
        return finish(figure, title, f"{source_of(capture)}\n{progress_of(capture)}; {marks}")


def _rows(capture: Capture, step: int, env: int) -> Float[np.ndarray, "layer head slot"]:
    if capture.row_form == "bins" and not capture.has_exact_rows(env):
        raise NotCapturedError(NO_SLOTS)
    entry = step
    if "attention/row_step" in capture.names():
        (places,) = np.nonzero(capture["attention/row_step"][:] == step)
        if len(places) == 0:
            raise NotCapturedError(f"the rows of step {step} were not captured: every n-th step was asked for")
        entry = int(places[0])
    return capture.rows[entry, env, ..., : capture.length(step, env)]
