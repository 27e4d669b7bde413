"""The measures of captures side by side, as a figure."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope.comparison.drawing import draw_values
from attnscope.figures.look import Picture, styled
from attnscope.figures.style import finish
from canvas import faults


@pytest.mark.parametrize(
    ("value", "uniform"), [(0.00706, 0.00625), (0.12441, 0.125), (0.999912, 1.0), (1234.56, 1236.0), (-0.00001, 0.0)]
)
def test_long_numbers_do_not_run_into_each_other(value, uniform):
    """Panels as narrow as those of the comparison's figure, with values that hardly differ."""
    names = ["first half of the goals", "last half of the goals"]
    with styled():
        figure = Picture(figsize=(9.0, 2.4), layout="constrained")
        for axes in figure.subplots(1, 4, sharey=True):
            middle, spread = np.array([value, value * 1.02]), abs(value - uniform) / 2
            draw_values(axes, names, middle, middle - spread, middle + spread, np.full(2, uniform))
        finish(figure, "Measures", "a caption")
    assert faults(figure) == []
