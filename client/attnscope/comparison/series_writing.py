"""A run's checkpoints as files: sentences, JSON, a table, and the figure over training steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from attnscope.comparison.series import Line, Series
from attnscope.comparison.series_drawing import training_series
from attnscope.documents import document
from attnscope.figures.style import save


def write_series(series: Series, out: Path, form: str = "png") -> list[Path]:
    """Write the files of a run and return them.

    Parameters
    ----------
    out
        Folder of the files; it is made.
    form
        Of the figure: png, svg or pdf.
    """
    out.mkdir(parents=True, exist_ok=True)
    texts = {"series.txt": series_text(series), "series.json": document(series.to_json()), "series.csv": series.csv()}
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")
    return [*(out / name for name in texts), save(training_series(series), out / f"series.{form}")]


def series_text(series: Series) -> str:
    """Return a table with a line a quantity and a column a checkpoint, and what changed from first to last."""
    head = ["quantity", *(f"@{step}" for step in series.steps), "first to last"]
    table = [
        head,
        *([line.name, *(_number(point.value) for point in line.points), change(line)] for line in series.lines),
    ]
    wide = [max(len(row[place]) for row in table) for place in range(len(head))]
    lines = [f"{series.run} over training", series.caption, ""]
    lines += ["  ".join(cell.ljust(most) for cell, most in zip(row, wide, strict=True)).rstrip() for row in table]
    note = "Departures are of an episode, and say how often a rule changes the policy, never what that costs."
    return "\n".join([*lines, "", note]) + "\n"


def change(line: Line) -> str:
    """Return in a word how a quantity changed over training, where the intervals of both ends lie apart."""
    first, last = line.points[0], line.points[-1]
    if len(line.points) < 2 or not np.isfinite([first.low, first.high, last.low, last.high]).all():  # noqa: PLR2004
        return "not told apart"
    if last.low > first.high:
        return "rises"
    return "falls" if last.high < first.low else "not told apart"


def _number(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "–"
