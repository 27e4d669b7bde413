"""What is missing: an error that says so, or a figure that is right all the same."""

from __future__ import annotations

import pytest

import attnscope
from attnscope.errors import MapNotSampledError, NotCapturedError
from attnscope.figures.comprehensive import comprehensive
from attnscope.figures.decision_rows import decision_rows
from attnscope.figures.heatmap import heatmap
from attnscope.report import write_report
from attnscope.report.report import heatmap_steps
from attnscope.report.uniformity import uniformity
from attnscope.study import Choice, study
from attnscope.study.choosing import places_of_goals


def names(paths):
    """Return the files' names."""
    return [path.name for path in paths]


@pytest.mark.parametrize(
    "asked",
    [
        {"layers": 1, "heads": 1, "envs": 1, "steps": 20},
        {"slots": 1, "steps": 20},
        {"rows": False, "maps": False},
        {"maps": False, "until": 2},
    ],
    ids=str,
)
def test_a_report_is_written_whatever_was_captured(planted, tmp_path, asked):
    """One layer, head and env; a context of 1; no rows, no maps; an unfinished job: every file comes."""
    written = names(write_report(attnscope.open(planted(**asked)), tmp_path))
    needed = {"attention_analysis_comprehensive.png", "layer_head_analysis.png", "compression_recommendations.txt"}
    assert needed | {"report.html"} <= set(written)
    heatmaps = [name for name in written if name.startswith("attention_heatmap_step")]
    assert bool(heatmaps) == asked.get("maps", True)
    if "until" in asked:
        assert any(name.startswith("attention_decision_step") for name in written)
    page = (tmp_path / "report.html").read_text()
    if "until" in asked:
        assert "16 of 60 steps, still running" in page
    if asked.get("rows") is False:
        assert "Decision rows were not captured" in page


def test_nothing_committed_is_refused(planted):
    """A capture without a step has nothing to draw, and says to wait."""
    with pytest.raises(NotCapturedError, match="wait"):
        study(attnscope.open(planted(until=0)))


def test_missing_maps_and_rows_name_what_there_is(planted):
    """A step without map, and a capture without rows, are refused with the reason."""
    with pytest.raises(MapNotSampledError, match="0, 30, 59"):
        heatmap(attnscope.open(planted()), 7)
    with pytest.raises(NotCapturedError, match="attention/rows"):
        decision_rows(attnscope.open(planted(rows=False)), 7)


def test_environments_are_chosen_by_place_or_goal(planted):
    """A place or a goal that is not there is refused, and what is there is said."""
    capture = attnscope.open(planted())
    assert places_of_goals(capture, ((5, 4),)) == (0, 1, 2)
    with pytest.raises(NotCapturedError, match=r"goals are: \(5, 4\)"):
        places_of_goals(capture, ((1, 1),))
    with pytest.raises(NotCapturedError, match="environments 0 to 2"):
        study(capture, Choice(envs=(3,)))
    assert study(capture, Choice(envs=(2,))).envs.tolist() == [2]


def test_a_single_step_is_drawn(planted):
    """The shortest run there is has a comprehensive analysis."""
    assert comprehensive(study(attnscope.open(planted(steps=1)))).axes


def test_the_evaluation_length_cuts_everything(planted):
    """Only the first steps count: returns, contexts and heatmaps."""
    capture = attnscope.open(planted())
    read = study(capture, Choice(steps=30))
    assert read.length.shape == (30, 3)
    assert read.returns.shape == (3, 3)
    assert heatmap_steps(capture, Choice(steps=31)) == [0, 30]
    assert heatmap_steps(capture, Choice(heatmaps=1)) == [59]
    assert heatmap_steps(capture, Choice(heatmaps=2)) == [0, 59]


def test_flat_attention_is_said_with_its_likely_cause(planted):
    """Uniform rows are called so; the planted decay is not."""
    flat = uniformity(study(attnscope.open(planted(kind="uniform"))))
    assert flat.flat
    assert flat.flattest == pytest.approx(0, abs=1e-3)
    assert any("look uniform" in sentence for sentence in flat.sentences())
    assert not uniformity(study(attnscope.open(planted()))).flat
