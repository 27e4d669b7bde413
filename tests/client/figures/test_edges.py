"""Missing parts: an error that says so, or a figure that is right all the same."""

from __future__ import annotations

import pytest

import attnscope
from attnscope.errors import MapNotSampledError, NotCapturedError
from attnscope.figures.comprehensive import comprehensive
from attnscope.figures.decision_rows import decision_rows
from attnscope.figures.heatmap import heatmap
from attnscope.reading.choosing import places_of_goals
from attnscope.report import write_report
from attnscope.report.report import heatmap_steps
from attnscope.report.uniformity import Uniformity, uniformity
from attnscope.study import Choice, study


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
        assert "16 of 60 steps, unfinished (the state of its job is not known offline)" in page
    if asked.get("rows") is False:
        assert "Decision rows were not captured" in page


def test_nothing_committed_is_refused(planted):
    """A capture without a step has nothing to draw, and says so."""
    with pytest.raises(NotCapturedError, match="no step is committed"):
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
    with pytest.raises(NotCapturedError, match="twice"):
        study(capture, Choice(envs=(1, 1)))


@pytest.mark.parametrize("asked", [{"slots": 1, "steps": 20}, {"steps": 1}], ids=str)
def test_a_query_alone_is_no_history_to_advise_on(planted, tmp_path, asked):
    """If every context is one token, the text says why nothing is recommended, and calls nothing flat."""
    write_report(attnscope.open(planted(**asked)), tmp_path)
    text = (tmp_path / "compression_recommendations.txt").read_text()
    assert text.startswith("No recommendation: ")
    assert "query alone" in text
    assert "look uniform" not in text
    assert "Normalised entropy: 1 (1 to 1, unreliable) on average" in text


def test_structure_is_claimed_of_rows_alone():
    """Without rows nobody knows whether attention has structure; a wide interval does not make a policy bad."""
    unknown = Uniformity(None, None, 0.2, 0.3, better_than_random=False).sentences()
    assert unknown == [
        "The policy is not shown to act better than uniform actions: late return 0.20, uniform actions 0.30."
    ]
    known = Uniformity(0.5, 0.4, 0.2, 0.3, better_than_random=False, worse_or_equal=True).sentences()
    assert known[0].startswith("The policy acts no better than uniform actions")
    assert known[1].startswith("Attention has structure")


def test_advice_follows_what_the_figures_are_narrowed_to(planted, tmp_path):
    """Of one environment and half of the steps it is the advice on a capture of these alone, and says so."""
    capture = attnscope.open(planted(envs=4, steps=80))
    write_report(capture, tmp_path, Choice(envs=(2,), steps=40))
    text = (tmp_path / "compression_recommendations.txt").read_text()
    assert "Only the first 40 steps of the environments at places 2 count, as asked for." in text
    assert "decision rows of 40 of 40 stored steps" in " ".join(text.split())
    whole = attnscope.recommend(attnscope.open(planted(envs=1, steps=40, task=49)))
    part = attnscope.recommend(capture, envs=(2,), steps=40)
    drawn = {"random", "decay"}  # for each environment by its number
    mine, theirs = (
        {one.key: one.retained.value for one in advice.recommendations if one.key not in drawn}
        for advice in (part, whole)
    )
    assert len(mine) > 10
    assert mine == pytest.approx(theirs)
    assert not [claim for claim in attnscope.recommend(capture).basis if claim.key == "narrowed"]
    with pytest.raises(NotCapturedError, match="environments 0 to 3"):
        attnscope.recommend(capture, envs=(4,))


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
