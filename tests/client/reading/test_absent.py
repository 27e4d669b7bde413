"""A capture without stored statistics: they are taken of the rows, or said to be absent."""

from __future__ import annotations

import pytest

import attnscope
from attnscope.report import write_report
from attnscope.study import study


@pytest.fixture
def bare(planted, hostile_root, tmp_path):
    """Return a planted capture without its statistics, and the same capture with them."""

    def without(_root, arrays):
        for name in [name for name in arrays if name.startswith("stats/")]:
            del arrays[name]

    return attnscope.open(hostile_root(planted(), tmp_path / "bare.zarr", without)), attnscope.open(planted())


def test_quantities_of_absent_statistics_are_taken_of_the_rows(bare):
    """Each is that of the stored statistic within float16, beside the same baseline."""
    without, stored = map(study, bare)
    assert not without.statistics
    for name in ("self", "sink", "max", "effective", "normalised_entropy", "recency.5", "recency.20"):
        ours, theirs = without.quantity(name).estimate, stored.quantity(name).estimate
        assert ours.value == pytest.approx(theirs.value, rel=2e-3), name
        assert ours.baseline == pytest.approx(theirs.baseline), name


def test_a_report_says_which_statistics_are_absent(bare, tmp_path):
    """Every file comes; the figure of layers and heads names what was not captured."""
    without, _ = bare
    files = [path.name for path in write_report(without, tmp_path / "report")]
    assert "layer_head_analysis.png" in files
    text = (tmp_path / "report" / "compression_recommendations.txt").read_text()
    assert "recency bias: " in text
    assert "nan" not in text
