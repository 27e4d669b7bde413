"""Heatmaps hold the stored map: shades, slots, pixels, one sheet for many steps."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.text import Text

import attnscope
from attnscope.figures.heatmap import heatmap, heatmaps
from attnscope.figures.look import styled
from attnscope.figures.mosaic import MASKED, shade_colours
from attnscope.figures.style import pixels
from canvas import faults


def test_heatmap_at_drawing_precision_is_the_map(planted):
    """Square-root bytes move no weight by more than half a step of the scale; masked keys are grey."""
    capture = attnscope.open(planted())
    shades = panel(heatmap(capture, 59), 1, 1)
    stored = capture.map(59)[1, 1].astype(np.float32)
    masked = shades == MASKED
    assert np.abs(np.where(masked, 0, shades) / 254 - np.sqrt(stored)).max() <= 0.5 / 254 + 1e-3
    assert masked[0, 1]
    assert not masked[1, 0]


def test_the_logarithmic_scale_spans_four_decades(planted):
    """1 is the brightest shade and a ten-thousandth or less the darkest, in equal steps a decade."""
    capture = attnscope.open(planted())
    figure = heatmap(capture, 59, log=True)
    assert faults(figure) == []
    assert {"10⁻⁴", "10⁰"} <= {text.get_text() for text in figure.findobj(Text)}
    shades = panel(figure, 0, 0)
    stored = capture.map(59)[0, 0].astype(np.float32)
    seen = np.tril(np.ones(stored.shape, bool))
    decades = np.log10(np.maximum(stored[seen], 1e-4))
    assert shades[seen] / 254 == pytest.approx(1 + decades / 4, abs=0.5 / 254 + 1e-6)


def test_a_mosaic_names_the_slots_of_every_panel(planted):
    """Numbers stand at their slots in each panel; those on top are the transitions in these slots."""
    capture = attnscope.open(planted())
    axes = heatmap(capture, 59).axes[0]
    keys = [text for text in axes.texts if text.get_gid() == "key"]
    above = [text for text in axes.texts if text.get_gid() == "transition"]
    lefts = [text.get_position()[0] + 0.5 for text in axes.texts if text.get_gid() == "panel"][:2]
    assert len(keys) == 2 * len({text.get_text() for text in keys})
    for place, left in enumerate(lefts):
        half = keys[place * len(keys) // 2 : (place + 1) * len(keys) // 2]
        assert [text.get_position()[0] - left for text in half] == pytest.approx([int(t.get_text()) for t in half])
    index = capture.transition_index(59, 0)
    assert [text.get_text() for text in above[:3]] == [str(index[slot]) for slot in (0, 5, 11)]
    assert [text.get_position()[0] for text in above[3:]] == pytest.approx([lefts[1] + slot for slot in (0, 5, 11)])


def test_a_picture_holds_the_map_without_loss(planted):
    """Read back from the pixels at its slot, every weight of a panel has the colour of the scale."""
    capture = attnscope.open(planted())
    figure = heatmap(capture, 59)
    shown = pixels(figure)
    axes = figure.axes[0]
    left, top = next(text.get_position() for text in axes.texts if text.get_text() == "layer 1, head 1")
    shades = panel(figure, 1, 1)
    for query, key in ((11, 11), (11, 8), (5, 5), (0, 9)):
        x, y = axes.transData.transform((left + key + 0.5, top + query + 0.5))
        colour = shade_colours()(int(shades[query, key]), bytes=True)[:3]
        assert shown[len(shown) - 1 - int(y), int(x)].tolist() == list(colour)


def test_heatmaps_on_one_sheet_are_those_drawn_anew(planted):
    """Step after step, growing and full contexts, at two resolutions: the same pixels, and the same vector file."""
    capture = attnscope.open(planted(map_steps=(0, 5, 30, 45, 59)))
    steps = [59, 5, 30, 0, 45]
    for step, figure in zip(steps, heatmaps(capture, steps), strict=True):
        alone = heatmap(capture, step)
        for dpi in (100, 150):
            assert np.array_equal(pixels(figure, dpi), pixels(alone, dpi))
        assert svg(figure) == svg(alone)


def panel(figure, row, column):
    """Return the shades that a heatmap of the planted capture, of 2 × 2 heads, shows in a panel."""
    (image,) = figure.axes[0].images
    cells = np.asarray(image.get_array())
    n = len(cells) // 2
    return cells[row * (n + 1) : row * (n + 1) + n, column * (n + 1) : column * (n + 1) + n]


def svg(figure):
    """Return a figure as SVG without its date."""
    out = io.BytesIO()
    with styled():
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()
