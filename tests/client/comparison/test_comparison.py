"""Several captures side by side."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import attnscope
from attnscope.comparison import write_comparison
from attnscope.comparison.consistency import Consistency, patterns_of
from attnscope.comparison.differences import Change, Difference, corresponding, difference
from attnscope.comparison.drawing import measures_figure, multiples
from attnscope.comparison.numbers import MEASURES
from attnscope.comparison.writing import short_names, unlike
from attnscope.measures import ContextLayout
from attnscope.study import study

OTHER = "22222222-2222-4333-8444-555555555555"


@pytest.fixture(scope="module")
def captures(planted):
    """Return a capture that looks at the recent past and one that looks everywhere."""
    return [attnscope.open(planted()), attnscope.open(planted(kind="uniform", name="AD-flat@1", job=OTHER))]


def test_the_same_rollouts_are_compared_in_pairs(captures):
    """Equal task, seed and replica: rollouts are compared one by one, and planted attention has no spread."""
    first, second = map(study, captures)
    assert corresponding(first, second)
    found = difference(first, second, MEASURES[0])
    assert found.paired
    recent = [MEASURES[0].of(read).values.mean() for read in (first, second)]
    expected = recent[1] - recent[0]
    assert found.value == pytest.approx(expected)
    assert [found.low, found.high] == pytest.approx([expected, expected])
    assert found.distinct


def test_a_verdict_is_taken_on_the_lift(planted):
    """Longer contexts lower every share; where attention over uniform rises, the captures differ that way."""
    first, second = (study(attnscope.open(planted(slots=slots, steps=80))) for slots in (12, 40))
    measure = next(one for one in MEASURES if one.quantity == "self")
    found = difference(first, second, measure)
    assert found.value < 0, "the share falls"
    one, other = found.lifts
    assert found.lift.value == pytest.approx(other - one)
    assert found.lift.value > 0, "the share over uniform rises"
    assert found.distinct is found.lift.distinct is True
    assert f"lift {one:.3g} to {other:.3g}" in str(found)
    assert difference(first, second, MEASURES[-1]).lift is None, "a return has no uniform attention"


@pytest.mark.parametrize("rises", [True, False])
def test_where_share_and_lift_disagree_the_lift_decides(rises):
    """A share that falls with the context's length alone is no difference, and a lift that rises is one."""
    apart, even = Change(0.5, 0.3, 0.7), Change(-0.02, -0.05, 0.01)
    share, lift = (even, apart) if rises else (apart, even)
    found = Difference(
        "self", share.value, share.low, share.high, paired=True, reliable=True, lifts=(1.6, 2.1), lift=lift
    )
    assert found.distinct is rises


def test_different_rollouts_are_not_paired(captures, planted):
    """Another number of environments: resampled each by itself, and a capture differs from itself by nothing."""
    first, fewer = study(captures[0]), study(attnscope.open(planted(envs=2)))
    found = difference(first, fewer, MEASURES[0])
    assert not found.paired
    assert found.value == pytest.approx(0, abs=1e-6)
    assert difference(first, first, MEASURES[3]).value == 0


def test_verdicts_say_whether_patterns_agree(planted):
    """Steep decay is sparse, flat attention is not: not consistent; two of a kind are."""
    first, second = (study(attnscope.open(planted(kind=kind, slots=40, steps=80))) for kind in ("recent", "uniform"))
    mixed = {verdict.pattern: verdict for verdict in patterns_of([first, second])}
    assert mixed["Pattern sparse attention"].answers == ("yes", "no")
    assert not mixed["Pattern sparse attention"].consistent
    assert all(verdict.consistent for verdict in patterns_of([second, second]) if "unclear" not in verdict.answers)


def test_what_one_capture_cannot_tell_contradicts_nothing():
    """Only yes beside no is not consistent; an unclear answer leaves the question open."""
    given = {("yes", "yes"): "consistent", ("yes", "no"): "not consistent", ("unclear", "yes"): "undecided"}
    for answers, word in {**given, ("unclear", "unclear"): "undecided"}.items():
        assert Consistency("P", "", answers).word == word


def test_small_multiples_share_their_scales(captures):
    """Every panel of a row has the same limits."""
    figure = multiples([study(capture) for capture in captures], ["a", "b"])
    panels = [axes for axes in figure.axes if axes.get_ylabel() == "Mean attention"]
    assert len(panels) == 2
    assert panels[0].get_ylim() == panels[1].get_ylim()
    values = measures_figure([study(capture) for capture in captures], ["a", "b"])
    marks = [line for line in values.axes[0].lines if line.get_gid() == "a"]
    assert marks[0].get_xdata()[0] == pytest.approx(MEASURES[0].of(study(captures[0])).values.mean())


def test_files_are_written_and_say_the_same(captures, tmp_path):
    """Text, JSON and two figures; absent intervals are null, not numbers."""
    written = [path.name for path in write_comparison(captures, tmp_path)]
    assert written == ["comparison.txt", "comparison.json", "comparison_measures.png", "comparison_multiples.png"]
    data = json.loads((tmp_path / "comparison.json").read_text())
    assert [entry["name"] for entry in data["captures"]] == ["AD-planted@1", "AD-flat@1"]
    assert data["captures"][0]["measures"]["late return"]["uniform"] is None
    assert any(verdict["pattern"].startswith("Strategy ") for verdict in data["verdicts"])
    answers = {verdict["pattern"]: verdict["answers"] for verdict in data["verdicts"]}
    for pattern in zip(*(attnscope.recommend(capture).patterns for capture in captures), strict=True):
        assert answers[f"Pattern {pattern[0].name}"] == [one.answer for one in pattern]
    assert "AD-flat@1 minus AD-planted@1" in (tmp_path / "comparison.txt").read_text()
    with pytest.raises(ValueError, match="two captures"):
        write_comparison(captures[:1], tmp_path)


def test_unequal_contexts_and_missing_rows_are_said(captures, planted, tmp_path):
    """Contexts of another length are named as a reason to differ; without rows the patterns are not compared."""
    write_comparison(captures, tmp_path)
    assert "differ in length" not in (tmp_path / "comparison.txt").read_text()
    short = attnscope.open(planted(steps=8, rows=False))
    write_comparison([captures[0], short], tmp_path)
    text = (tmp_path / "comparison.txt").read_text()
    assert "contexts differ in length" in text
    assert "Strategies were not compared: recommendations rest on decision rows" in text
    assert "Pattern recency bias: " in text
    assert "Strategy " not in text


def test_names_tell_captures_apart(captures):
    """The same checkpoint twice is told by its job, or by its number."""
    same = [captures[0], captures[0]]
    assert len(set(short_names(same))) == 2
    assert np.unique(short_names(captures)).size == 2


def test_families_of_other_tokens_are_said_to_be_unlike(captures):
    """Beside a family of three tokens a transition, twenty tokens are another stretch of history."""
    one, other = (study(capture) for capture in captures)
    assert unlike([one, other]) == []
    (note,) = unlike([one, replace(other, reading=replace(other.reading, layout=ContextLayout("last", 3)))])
    assert "transitions are of 1 and 3 tokens" in note
