"""The figure of a trial for a paper: its arms, at the width of a column."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from attnscope.figures.look import in_a_paper
from attnscope.figures.style import save
from attnscope.figures.trials.arms import trial_arms
from attnscope.measures.refusals import NotMeasurableError
from attnscope.trials.board import board
from attnscope.trials.results import TrialResults


def write_for_paper(results: TrialResults, out: Path, tell: Callable[[Path], None] = lambda _path: None) -> list[Path]:
    """Write the figure of a trial's arms as PDF, 3.25 in wide, and return it.

    Raises
    ------
    NotMeasurableError
        The trial names no arms.
    """
    if not results.has_arms:
        raise NotMeasurableError(
            "a figure for a paper is drawn of arms, and this trial is a grid: name arms with --arm"
        )
    with in_a_paper():
        path = save(trial_arms(board(results)), out / "trial_arms.pdf")
    tell(path)
    return [path]
