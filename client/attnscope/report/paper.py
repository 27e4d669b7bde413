"""The figure of a trial for a paper: its arms, at the width of a column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from attnscope.figures.look import in_a_paper
from attnscope.figures.style import save
from attnscope.figures.trials.arms import trial_arms
from attnscope.foreign.returns import outside_arms
from attnscope.measures.refusals import NotMeasurableError
from attnscope.trials.board import board
from attnscope.trials.results import TrialResults


def write_for_paper(
    results: TrialResults,
    out: Path,
    tell: Callable[[Path], None] = lambda _path: None,
    *,
    returns: Mapping[str, Path] | None = None,
) -> list[Path]:
    """Write the figure of a trial's arms as PDF, 3.25 in wide, and return it.

    Parameters
    ----------
    out
        Folder, made where it does not exist.
    tell
        Called with the file as it is there.
    returns
        Files of returns of other programs, by the names of their arms.

    Raises
    ------
    NotMeasurableError
        The trial names no arms.
    """
    if not results.has_arms:
        raise NotMeasurableError(
            "a figure for a paper is drawn of arms, and this trial is a grid: name arms with --arm"
        )
    measured = board(results, outside=outside_arms(results, returns or {}))
    with in_a_paper():
        path = save(trial_arms(measured), out / "trial_arms.pdf")
    tell(path)
    return [path]
