"""The figure of the page on learned compression: returns by episode."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnscope.figures.look import Picture, styled
from attnscope.figures.style import COLOURS, SERIES, finish
from attnscope.trials.results import TrialResults
from benchmarks.learned.comparing import by_episode
from benchmarks.learned.running import published
from benchmarks.learned.settings import DOOR, RUN, SEARCH, SWEEP, Setting
from benchmarks.study2.drawing import IMAGES, drawn

TITLES: Final = {SWEEP.key: "sweep, a context of 64", SEARCH.key: "search, of 24", DOOR.key: "key-to-door, of 40"}

CAPTION: Final = (
    "Computed from docs/study/learned by python -m benchmarks.learned write. Mean over tasks and rollouts; thin: one "
    "training seed.\nDashed: optimum. Dotted: histories are packed from there on; "
    "in key-to-door they are within the first episode."
)


def draw(to: Path = IMAGES) -> Path:
    """Draw the figure and return its path."""
    return drawn({"learned-compression": curves([published(setting) for setting in RUN])}, to)[0]


def curves(trials: Sequence[TrialResults]) -> Figure:
    """Draw the return of an episode by arm, a panel a setting: thin lines are training seeds, thick ones their mean."""
    with styled():
        figure = Picture(figsize=(11.0, 3.8), layout="constrained")
        panels = figure.subplots(1, len(RUN))
        for axes, setting, results in zip(panels, RUN, trials, strict=True):
            _panel(axes, results, setting, TITLES[setting.key])
        panels[0].set_ylabel("return of an episode")
        return finish(figure, "Packed history beside the newest tokens", CAPTION)


def _panel(axes: Axes, results: TrialResults, setting: Setting, title: str) -> None:
    for colour, arm in enumerate(setting.drawn):
        returns = by_episode(results, arm)
        episodes = np.arange(1, returns.shape[1] + 1)
        for one in returns if len(returns) > 1 else ():
            axes.plot(episodes, one, color=SERIES[colour], linewidth=0.5, alpha=0.6)
        axes.plot(episodes, returns.mean(axis=0), color=SERIES[colour], linewidth=1.6, label=setting.names[arm])
    axes.axhline(float(results.optimal_return.mean()), color=COLOURS["muted"], linewidth=0.6, linestyle="--")
    if setting.whole_first:
        axes.axvline(setting.growing + 0.5, color=COLOURS["muted"], linewidth=0.6, linestyle=":")
    axes.set(title=title, xlabel="episode in context", xticks=(1, *range(5, setting.episodes + 1, 5)))
    axes.legend(loc="lower right" if setting.whole_first else "center right")
