"""The figure of attention against influence: where a decision looks, and what it would lose without that."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from attnscope.capture import Capture
from attnscope.figures.look import Picture, styled
from attnscope.figures.provenance import progress_of, source_of, task_label
from attnscope.figures.style import COLOURS, finish
from attnscope.reading.influence import Influence, influence
from attnscope_storage.wire import Positions


def causal_map(capture: Capture, steps: Sequence[int], env: int = 0, *, positions: Positions = "reindex") -> Figure:
    """Return the figure: the last step's attention a head over its transitions' influence, and how well they agree.

    Parameters
    ----------
    steps
        Decisions; agreement is shown of each, the map of the last.
    """
    found = [influence(capture, step, env, positions=positions) for step in steps]
    shown = found[-1]
    layers, heads, many = shown.attention.shape
    with styled():
        figure = Picture(figsize=(8.6, 0.17 * layers * heads + 2.9), layout="constrained")
        parts = figure.add_gridspec(2, 2, height_ratios=(0.17 * layers * heads + 0.4, 1.2), width_ratios=(3.4, 1))
        above, below = figure.add_subplot(parts[0, 0]), figure.add_subplot(parts[1, 0])
        beside = figure.add_subplot(parts[:, 1])
        image = _attention(above, shown)
        figure.colorbar(image, ax=above, pad=0.01, aspect=15).set_label("attention ÷ uniform")
        rewarded = _rewarded(capture, shown, env)
        _influence(below, shown, rewarded)
        _agreement(beside, found)
        last = f"step {shown.step}, {task_label(capture, capture.row_env(env))}"
        title = f"Attention against influence, {last} · {capture.resolved.checkpoint_name} · job {capture.job[:8]}"
        how = f"influence: one of {many} transitions left out, positions {positions}; ranks at {len(found)} steps"
        return finish(figure, title, f"{source_of(capture)}\n{progress_of(capture)}; {how}")


def _attention(axes: Axes, shown: Influence) -> AxesImage:
    layers, heads, many = shown.attention.shape
    lift = shown.attention.reshape(layers * heads, many) * many
    top = max(2.0, float(np.quantile(lift, 0.995)))
    image = axes.imshow(
        lift,
        cmap="viridis",
        vmin=0,
        vmax=top,
        aspect="auto",
        interpolation="nearest",
        extent=_extent(shown, layers * heads),
    )
    axes.set(yticks=range(layers * heads), ylabel="Layer.head", title="Attention of the decision to each transition")
    axes.set_yticklabels([f"{layer}.{head}" for layer in range(layers) for head in range(heads)], fontsize=6)
    axes.tick_params(labelbottom=False, length=0)
    return image


def _extent(shown: Influence, lines: int) -> tuple[float, float, float, float]:
    many = shown.attention.shape[-1]
    return shown.first - 0.5, shown.first + many - 0.5, lines - 0.5, -0.5


def _influence(axes: Axes, shown: Influence, rewarded: Bool[np.ndarray, " transition"]) -> Axes:
    index = shown.first + np.arange(len(shown.influence))
    total = float(shown.influence.sum())
    share = shown.influence / total if total > 0 else shown.influence
    for mask, colour, name in ((~rewarded, COLOURS["first"], "other"), (rewarded, COLOURS["second"], "rewarded")):
        if mask.any():
            axes.vlines(index[mask], 0, share[mask], color=colour, linewidth=1.1, label=name, gid=name)
    axes.axhline(1 / len(index), linestyle="--", color=COLOURS["uniform"], linewidth=0.8, label="uniform")
    axes.set(xlabel="Transition index", ylabel="Share of influence", title=f"Influence (Σ = {total:.3g}, {shown.unit})")
    axes.set_xlim(index[0] - 0.5, index[-1] + 0.5)
    axes.set_ylim(bottom=0)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0)
    return axes


def _agreement(axes: Axes, found: list[Influence]) -> Axes:
    each = np.stack([one.agreement.reshape(-1) for one in found])
    lines = np.arange(each.shape[1])
    axes.axvline(0, color=COLOURS["uniform"], linewidth=0.6)
    for step in each:
        axes.plot(step, lines, ".", color=COLOURS["first"], markersize=3, alpha=0.5)
    centre = np.array([np.nanmean(one) if np.isfinite(one).any() else np.nan for one in each.T])
    axes.plot(centre, lines, "|", color=COLOURS["text"], markersize=8, gid="mean")
    pooled = np.array([one.mean_agreement for one in found])
    averaged = "not defined"
    if np.isfinite(pooled).any():
        mean = float(np.nanmean(pooled))
        axes.axvline(mean, color=COLOURS["second"], linewidth=1, gid="averaged")
        averaged = f"{mean:+.2f}"
    layers, heads, _ = found[0].attention.shape
    axes.set(yticks=lines, xlim=(-1, 1), xlabel=f"Rank correlation\norange: heads averaged,\n{averaged}")
    axes.set_yticklabels([f"{layer}.{head}" for layer in range(layers) for head in range(heads)], fontsize=6)
    axes.invert_yaxis()
    axes.set_title("Attention with influence\n(dots: steps)")
    return axes


def _rewarded(capture: Capture, shown: Influence, env: int) -> Bool[np.ndarray, " transition"]:
    many = len(shown.influence)
    if "rollout/reward" not in capture.names():
        return np.zeros(many, np.bool_)
    reward = capture.rollout.reward[shown.first : shown.first + many, capture.row_env(env)]
    return np.asarray(reward > 0)
