"""The figure of the page on learned compression: returns by episode."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnscope.figures.look import Picture, styled
from attnscope.figures.style import COLOURS, SERIES, finish
from attnscope.trials.results import TrialResults
from benchmarks.learned.comparing import ARM_NAMES, by_episode
from benchmarks.learned.running import published
from benchmarks.learned.subjects import MIDWAY as MIDWAY_STEP
from benchmarks.learned.subjects import STEPS
from benchmarks.learned.writing import GROWING
from benchmarks.study2.drawing import IMAGES, drawn

CAPTION: Final = (
    "Computed from docs/study/learned by python -m benchmarks.learned write. Mean over tasks and rollouts; thin: one "
    "training seed.\nDashed: optimum. Dotted: histories are packed from there on."
)
MIDWAY: Final = (0, 1, 2, 3)
AT_THE_END: Final = (5, 6, 8)
"""Arms of the two panels."""

COLOUR_OF: Final = {0: 0, 1: 1, 2: 2, 3: 3, 5: 0, 6: 1, 8: 4}
"""Place of each arm's colour: a recipe has one colour in both panels."""


def draw(to: Path = IMAGES) -> Path:
    """Draw the figure and return its path."""
    return drawn({"learned-compression": curves(published())}, to)[0]


def curves(results: TrialResults) -> Figure:
    """Draw the return of an episode by arm: thin lines are training seeds, thick ones their mean."""
    with styled():
        figure = Picture(figsize=(9.0, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        _panel(left, results, f"two training seeds, at step {MIDWAY_STEP:,} of {STEPS:,}", MIDWAY)
        _panel(right, results, f"seed 0, at step {STEPS:,}; one shipped policy", AT_THE_END)
        left.set_ylabel("return of an episode")
        return finish(figure, "Packed history beside the newest tokens", CAPTION)


def _panel(axes: Axes, results: TrialResults, title: str, arms: tuple[int, ...]) -> None:
    for arm in arms:
        returns = by_episode(results, arm)
        episodes, colour = np.arange(1, returns.shape[1] + 1), SERIES[COLOUR_OF[arm]]
        for one in returns if len(returns) > 1 else ():
            axes.plot(episodes, one, color=colour, linewidth=0.5, alpha=0.6)
        axes.plot(episodes, returns.mean(axis=0), color=colour, linewidth=1.6, label=ARM_NAMES[arm])
    axes.axhline(float(results.optimal_return.mean()), color=COLOURS["muted"], linewidth=0.6, linestyle="--")
    axes.axvline(GROWING + 0.5, color=COLOURS["muted"], linewidth=0.6, linestyle=":")
    axes.set(title=title, xlabel="episode in context", xticks=(1, 5, 10, 15, 20))
    axes.legend(loc="lower right")
