"""Figures as figures: in a cell, tight, under the settings of others; no text off the canvas, no two equal ticks."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

import attnscope
from attnscope.comparison.drawing import measures_figure, multiples
from attnscope.figures.causal import causal_map
from attnscope.figures.decision_rows import decision_rows
from attnscope.figures.heatmap import heatmap
from attnscope.figures.style import fold, pixels
from attnscope.report.report import FIGURES
from attnscope.study import study
from canvas import HOSTILE, faults, in_a_cell

NAME = "AD-absolute-darkroom-reference-seed0@6000"


class Replays:
    """Answers what a service would replay: random influence, uniform maps."""

    def __init__(self, policy) -> None:
        self._policy = policy

    def fetch(self, asked) -> np.ndarray:
        """Return the answer in the shape that was asked for."""
        shape = asked.shape(self._policy)
        if asked.kind == "leave-one-out":
            return np.random.default_rng(1).random(shape).astype(np.float32)
        return (np.tril(np.ones(shape)) / np.arange(1, shape[-1] + 1)[:, None]).astype(np.float32)


@pytest.fixture(scope="module", params=[{}, {"layers": 4, "heads": 4, "slots": 40, "steps": 120}])
def read(request, planted):
    """Return the study of a small capture and of a larger one, of a policy with a long name."""
    capture = attnscope.open(planted(name=NAME, **request.param))
    capture._replayer = Replays(capture.policy)
    return study(capture)


def drawn(read) -> dict[str, Figure]:
    """Return every figure of a capture and of its comparison with itself."""
    capture, names = read.capture, [f"{NAME} {number}" for number in range(3)]
    last = capture.steps_committed - 1
    figures = {name: draw(read) for name, draw in FIGURES.items()}
    figures |= {"heatmap": heatmap(capture, capture.map_steps()[-1]), "rows": decision_rows(capture, last)}
    figures["influence"] = causal_map(capture, [last // 2, last])
    figures["multiples"], figures["measures"] = multiples([read] * 3, names), measures_figure([read] * 3, names)
    return figures


def test_nothing_leaves_the_canvas_and_no_two_ticks_are_equal(read):
    """Texts are folded to the width that there is, in every figure."""
    assert {name: found for name, figure in drawn(read).items() if (found := faults(figure))} == {}


def test_a_heatmap_is_shown_in_a_cell(read):
    """A notebook asks for the tight box of everything drawn, the maps among it."""
    assert in_a_cell(heatmap(read.capture, read.capture.map_steps()[-1])).startswith(b"\x89PNG")


def test_the_users_settings_are_not_seen_and_come_back(planted):
    """The same bytes in a cell, and the same pixels, whatever another's matplotlibrc says."""
    capture = attnscope.open(planted(name=NAME))
    draws = [lambda: heatmap(capture, capture.map_steps()[-1]), lambda: decision_rows(capture, 50)]
    plain = [(in_a_cell(draw()), pixels(draw())) for draw in draws]
    with mpl.rc_context(HOSTILE):
        for draw, (cell, shown) in zip(draws, plain, strict=True):
            figure = draw()
            figure.set_dpi(100)
            assert np.array_equal(pixels(draw()), shown)
            assert in_a_cell(figure) == cell
        assert mpl.rcParams["font.size"] == 30


def test_the_check_finds_what_it_looks_for():
    """A text over the edge, two equal ticks and two ticks over each other are faults."""
    figure = Figure(figsize=(5, 3))
    axes = figure.subplots()
    axes.set_xticks([0, 1], ["69 %", "69 %"])
    axes.set_yticks([0, 0.5, 0.501], ["a", "b", "c"])
    figure.text(0.9, 0.5, "over the edge")
    assert len(faults(figure)) == 3


def test_folding_keeps_every_word():
    """Short lines stay, long ones break between words, and a long word stays whole where the room allows it."""
    assert fold("a b", 1, 8) == "a b"
    folded = fold("one two three four five six seven", 0.8, 8)
    assert folded.count("\n") > 0
    assert folded.split() == ["one", "two", "three", "four", "five", "six", "seven"]
