"""Titles of figures: one line where a smaller size gives one, else folded; never off the canvas."""

from __future__ import annotations

import pytest

from attnscope.figures.look import Picture, styled
from attnscope.figures.style import TITLE_POINTS, entitle
from canvas import faults

USUAL = "Heads alike · AD-absolute-darkroom-reference-seed0@6000 · job 00000000"


@pytest.mark.parametrize(
    ("title", "lines", "smaller"),
    [("short", 1, False), (USUAL, 1, True), ("word " * 60, 5, False), ("one\ntwo", 2, False), ("", 0, False)],
)
def test_a_title_is_as_large_as_fits_its_line(title, lines, smaller):
    """The usual name of a checkpoint makes the narrow figures' titles a little too wide for the usual size."""
    with styled():
        figure = Picture(figsize=(5.2, 3.0))
        text = entitle(figure, title)
        assert faults(figure) == []
    assert len(text.get_text().splitlines()) <= lines
    assert (text.get_fontsize() < TITLE_POINTS) is smaller
