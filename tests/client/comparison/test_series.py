"""Checkpoints of one run as one set: what changed over training, as words, table and figure."""

from __future__ import annotations

import csv
import io

import pytest

from attnscope.comparison.series import Line, NoSeriesError, Point, Series, is_run, read_series
from attnscope.comparison.series_drawing import training_series
from attnscope.comparison.series_writing import change, series_text, write_series
from attnscope.figures.look import COLUMN_INCHES, in_a_paper
from canvas import faults

STEPS = (100, 1000, 6000)


def line_of(name, kind, values, half=0.05, uniform=None):
    """Return a quantity with intervals of one half-width."""
    return Line(name, kind, tuple(Point(one, one - half, one + half, uniform) for one in values))


@pytest.fixture(scope="module")
def series() -> Series:
    """Return a run that learns, whose attention turns to the newest tokens, and which comes to need its history."""
    lines = (
        line_of("late return", "return", (0.2, 3.0, 9.1), 0.3),
        line_of("newest 10 tokens' share", "attention", (0.1, 0.2, 0.6), uniform=0.06),
        line_of("normalised entropy", "attention", (0.99, 0.97, 0.96), uniform=1.0),
        line_of("recency 25% keep", "departures", (0.01, 0.4, 1.2)),
        line_of("uniform 25% keep", "departures", (0.02, 0.9, 3.1)),
    )
    return Series("a run", STEPS, lines, "3 checkpoints of a run")


def test_a_change_is_told_where_intervals_lie_apart(series):
    """A return that grows rises, an entropy within its intervals is not told apart, one point tells nothing."""
    told = {line.name: change(line) for line in series.lines}
    assert told["late return"] == told["uniform 25% keep"] == "rises"
    assert told["normalised entropy"] == "not told apart"
    assert change(line_of("x", "return", (1.0, 0.2))) == "falls"
    assert change(line_of("x", "return", (1.0,))) == "not told apart"


def test_text_and_table_hold_every_number(series, tmp_path):
    """Each checkpoint has a column in the text and a line a quantity in the table, with its interval."""
    names = [path.name for path in write_series(series, tmp_path)]
    assert names == ["series.txt", "series.json", "series.csv", "series.png"]
    text = series_text(series)
    assert "@6000" in text
    assert "never what that costs" in text
    rows = list(csv.DictReader(io.StringIO(series.csv())))
    assert len(rows) == len(series.lines) * len(STEPS)
    found = next(row for row in rows if row["name"] == "uniform 25% keep" and row["step"] == "6000")
    assert (float(found["value"]), float(found["low"]), found["uniform"]) == (3.1, pytest.approx(3.05), "")


def test_the_figure_over_training_is_clean(series):
    """Nothing overlaps or leaves the canvas, and every quantity is drawn at the training steps."""
    figure = training_series(series)
    assert faults(figure) == []
    with in_a_paper():
        narrow = training_series(series)
    assert narrow.get_size_inches()[0] == COLUMN_INCHES
    assert faults(narrow) == []
    drawn = {line.get_gid(): line.get_xdata() for axes in figure.axes for line in axes.lines if line.get_gid()}
    assert all(tuple(drawn[line.name]) == STEPS for line in series.lines)


def test_a_folder_that_nobody_watched_is_refused(tmp_path, stored):
    """A store is no run; a run without screens is told how to get them."""
    assert not is_run(stored)
    assert is_run(tmp_path)
    with pytest.raises(NoSeriesError, match="attnscope-server watch"):
        read_series(tmp_path)
