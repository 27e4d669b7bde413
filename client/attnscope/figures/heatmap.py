"""Attention maps of one step: a panel a layer and head, key position across, query position down."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from attnscope.capture import Capture
from attnscope.figures.style import COLOURS, styled

LOG_FLOOR = 1e-4
"""Smallest weight that the logarithmic scale tells apart."""

PANEL_INCHES = 1.75
"""Width of one panel."""

FORMATS = ("png", "svg", "pdf")


def draw_map(
    axes: Axes,
    weights: Float[np.ndarray, "query slot"],
    *,
    boundaries: Int[np.ndarray, " boundary"],
    log: bool = False,
) -> AxesImage:
    """Draw one map: bright is high, thin lines where episodes begin, the decision row marked at its right.

    Parameters
    ----------
    weights
        Attention weights in 0..1; rows of queries.
    boundaries
        Slots where an episode begins.
    log
        Logarithmic colours from 1e-4 to 1 instead of linear ones from 0 to 1.
    """
    n = weights.shape[-1]
    norm = LogNorm(LOG_FLOOR, 1.0, clip=True) if log else Normalize(0.0, 1.0)
    shown = np.maximum(np.asarray(weights, dtype=np.float32), LOG_FLOOR) if log else np.asarray(weights, np.float32)
    image = axes.imshow(shown, cmap="viridis", norm=norm, aspect="equal", interpolation="nearest", origin="upper")
    for slot in boundaries:
        axes.axvline(slot - 0.5, color=COLOURS["boundary"], linewidth=0.4, alpha=0.55)
        axes.axhline(slot - 0.5, color=COLOURS["boundary"], linewidth=0.4, alpha=0.55)
    (mark,) = axes.plot([n + 0.02 * n], [n - 1], "<", color=COLOURS["decision"], markersize=4, clip_on=False)
    mark.set_gid("decision-row")
    axes.set_xlim(-0.5, n - 0.5)
    axes.set_ylim(n - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    return image


def heatmap(capture: Capture, step: int, *, env: int = 0, log: bool = False) -> Figure:
    """Return the layer × head grid of a sampled step.

    Parameters
    ----------
    step
        Any committed step; offline, one of `Capture.map_steps`.
    env
        Place among the stored environments.
    log
        Logarithmic colours.

    Raises
    ------
    MapNotSampledError
        No map of that step is stored, and there is no service to replay it.
    """
    maps = capture.map(step, env=env)
    boundaries, transitions = capture.episode_boundaries(step, env), capture.transition_index(step, env)
    layers, heads = stored(capture, "layer"), stored(capture, "head")
    with styled():
        figure = Figure(
            figsize=(max(3.6, PANEL_INCHES * len(heads) + 1.1), PANEL_INCHES * len(layers) + 1.45), layout="constrained"
        )
        grid = figure.subplots(len(layers), len(heads), sharex=True, sharey=True, squeeze=False)
        image = None
        for row, layer in enumerate(layers):
            for column, head in enumerate(heads):
                axes = grid[row, column]
                image = draw_map(axes, maps[row, column], boundaries=boundaries, log=log)
                axes.set_title(f"layer {layer}, head {head}", pad=3 if row else 20)
                if row == 0:
                    _transition_axis(axes, transitions)
        for axes in grid[-1]:
            axes.set_xlabel("Key position (slot)")
        for axes in grid[:, 0]:
            axes.set_ylabel("Query position (slot)")
        if image is not None:
            bar = figure.colorbar(image, ax=grid, shrink=0.85, pad=0.02, aspect=30)
            bar.set_label("attention weight (log)" if log else "attention weight")
        figure.suptitle(_title(capture, step, env) + "\n", color=COLOURS["text"], fontsize=9)
        caption = figure.text(
            0.005, 0.0, caption_of(capture) + "\n ", fontsize=5.5, color=COLOURS["muted"], va="bottom"
        )
        caption.set_in_layout(False)
        engine = figure.get_layout_engine()
        if engine is not None:
            engine.set(rect=(0, 0.05, 1, 0.95))  # type: ignore[call-arg]  # constrained layout's own
    return figure


def stored(capture: Capture, axis: str) -> list[int]:
    """Return the layers or heads that maps are stored of."""
    subset = f"attention/row_{axis}"
    if subset in capture.names():
        return [int(entry) for entry in capture[subset][:]]
    return list(range(capture.policy.layers if axis == "layer" else capture.policy.heads))


def caption_of(capture: Capture) -> str:
    """Return where a figure comes from, in two short lines."""
    provenance, resolved = capture.provenance, capture.resolved
    mask = "causal" if provenance["causal"] else "non-causal"
    held = {None: "train tasks unknown", True: "held-out tasks", False: "tasks seen in training"}[resolved.held_out]
    seeds = ", ".join(map(str, provenance["seeds"]))
    return (
        f"{provenance['checkpoint_name']} ({provenance['checkpoint'][:12]}), {mask} (mask stated by"
        f" {provenance['causal_stated_by']}); {provenance['environment']}, {held}; seeds {seeds}\n"
        f"job {capture.job}; {capture.steps_committed} of {resolved.steps} steps; white lines: episodes begin; "
        "orange mark: the decision row; above the top panels: transition index"
    )


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, SVG or PDF, by the ending; the same figure gives the same bytes."""
    kind = path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise ValueError(f"expected a file ending in one of {', '.join(FORMATS)}, got {path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with styled():
        figure.savefig(path, metadata=metadata)
    return path


def _transition_axis(axes: Axes, transitions: Int[np.ndarray, " slot"]) -> None:
    """Put the transition index above the top panels, at round slots."""
    above = axes.secondary_xaxis("top")
    ticks = np.unique(np.linspace(0, len(transitions) - 1, 3).astype(int))
    above.set_xticks(ticks, [str(transitions[tick]) for tick in ticks])
    above.tick_params(length=2, pad=1, labelsize=6)


def _title(capture: Capture, step: int, env: int) -> str:
    at = capture.row_env(env)
    task = int(capture.env.task[at])
    label = next((cell.label for cell in capture.resolved.tasks if cell.index == task), f"task {task}")
    return f"Step {step}, {label} (env {at}) · {capture.resolved.checkpoint_name} · job {capture.job[:8]}"
