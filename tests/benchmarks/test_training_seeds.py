"""The table of claims on recipes: every simulated recipe stands in it, with the figures that the simulation gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.calibration.seed_tables import WORLDS
from benchmarks.calibration.training import rates

PAGE = Path(__file__).resolve().parents[2] / "docs" / "trial-reports.md"
REPETITIONS, FEWER = 2000, 300
"""Repetitions of each row of the page, and of its first part that is simulated again."""


@pytest.fixture(scope="module")
def figures() -> dict[tuple[str, int], tuple[float, ...]]:
    """Return the page's shares of false and of true claims by recipe and number of training seeds."""
    found = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] in WORLDS:
            found[cells[0], int(cells[1])] = tuple(map(float, cells[2:5]))
    return found


def test_the_page_has_every_recipe(figures):
    """Each recipe stands there with 3, 5 and 8 training seeds; shares of 2,000 repetitions, rounded."""
    assert list(figures) == [(name, seeds) for name in WORLDS for seeds in (3, 5, 8)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "seeds"), [("independent, luck shared by all", 3), ("paired, skewed", 5), ("paired by training seed", 8)]
)
def test_the_page_says_what_the_simulation_gives(figures, name, seeds):
    """The first 300 of the same repetitions give the page's shares within their error."""
    found = rates(WORLDS[name], seeds, FEWER)
    told = np.array(figures[name, seeds])
    error = np.sqrt(told * (1 - told) * (1 / FEWER - 1 / REPETITIONS))
    assert np.all(np.abs([found.non_inferior, found.inferior, found.covered] - told) < 3.5 * error + 0.0005)
