"""Arms of several checkpoints, planted: against their reference, over training seeds, in every form of a trial."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import arms as planted
from arms import arms_of
from attnscope.cli.boards import show_board
from attnscope.cli.tables import table_form
from attnscope.cli.verbs.decisions import tell_arms
from attnscope.figures.look import in_a_paper
from attnscope.figures.trials.arms import trial_arms
from attnscope.foreign.returns import outside_arms
from attnscope.measures.refusals import NotMeasurableError
from attnscope.report.paper import write_for_paper
from attnscope.report.trial import write_trial_report
from attnscope.trials.arms import arm_sentences, times_as_fast
from attnscope.trials.board import board
from attnscope_storage.wire import JobState
from canvas import faults


@pytest.fixture(scope="module")
def three(plant):
    """Return a trial over three training seeds that lose a twentieth in the mean, alike."""
    return arms_of(plant, (0.02, 0.05, 0.08))


@pytest.fixture(scope="module")
def five(plant):
    """Return one over five, the recipe of which loses a third."""
    return arms_of(plant, (0.25, 0.3, 0.33, 0.36, 0.4))


def test_an_arm_is_judged_against_its_reference(plant):
    """A condition that is compared with another than the first keeps a share of that one's gain."""
    made = plant((("none", None, 0.5), ("none", None, 0.0), ("none", None, 0.5)), noise=0.02)
    rows = board(made, samples=200).rows
    assert rows[2].verdict.kept.value == pytest.approx(1.0, abs=0.02)
    conditions = [one.model_copy(update={"against": 1}) for one in made.resolved.conditions]
    changed = made.resolved.model_copy(update={"conditions": tuple(conditions)})
    moved = board(replace(made, resolved=changed), samples=200).rows
    assert moved[2].verdict.kept.value == pytest.approx(0.5, abs=0.02)
    assert moved[2].words.startswith("inferior")
    assert moved[1].words == "baseline"


def test_equal_arrays_keep_exactly_all(plant):
    """An arm with the reference's own returns keeps 1 from 1 to 1 and is non-inferior: nothing was lost."""
    made = plant((("none", None, 0.0), ("none", None, 0.0)), noise=0.3)
    arrays = {name: values.copy() for name, values in made.arrays.items()}
    arrays["trial/return"][1] = arrays["trial/return"][0]
    row = board(replace(made, arrays=arrays), samples=200).rows[1]
    assert (row.verdict.kept.low, row.verdict.kept.value, row.verdict.kept.high) == (1.0, 1.0, 1.0)
    assert row.verdict.word == "non-inferior"


def test_three_training_seeds_make_no_recipe(three):
    """These three checkpoints get a word, their recipe gets an interval and the sentence that five are needed."""
    found = board(three, samples=400).recipes
    assert [(one.arm, one.training_seeds, one.reference_seeds) for one in found] == [(1, 3, 3)]
    assert found[0].these.reason is None
    assert found[0].recipe_words == "no claim: 3 training seeds, and a recipe is judged from 5 on"
    these, recipe = found[0].these.kept, found[0].recipe.kept
    assert recipe.value == pytest.approx(these.value)
    assert recipe.high - recipe.low > 2 * (these.high - these.low)


def test_five_training_seeds_judge_a_recipe(five):
    """A recipe that loses a third is inferior, as its checkpoints are, and every form says both."""
    made = board(five, samples=400)
    one = made.recipes[0]
    assert (one.these.word, one.recipe.word) == ("inferior", "inferior")
    assert one.recipe.kept.value == pytest.approx(1 - 0.33, abs=0.06)
    sentence = next(line for line in arm_sentences(made) if line.startswith("packed uncompressed over 5 training"))
    assert "these checkpoints keep" in sentence
    assert "the recipe keeps" in sentence
    stored = json.loads(made.json())["recipes"][0]
    assert stored["recipe"]["kept"]["value"] == pytest.approx(one.recipe.kept.value, rel=1e-6)
    assert stored["these_seeds"]["word"] == "inferior"
    line = made.csv().splitlines()[8]
    assert "packed" in line


@pytest.mark.parametrize("lost", [0.0, 0.02, 0.05, 0.1, 0.2, 0.3])
def test_a_recipe_is_never_surer_than_its_own_checkpoints(plant, lost):
    """Training seeds that are alike make no recipe's interval narrower than the one that takes them as they are."""
    one = board(arms_of(plant, (lost,) * 5, spread=0.0), samples=400).recipes[0]
    assert one.recipe.kept.low <= one.these.kept.low
    assert one.recipe.kept.high >= one.these.kept.high


def test_a_safe_recipe_says_what_few_seeds_do_not_show(plant, five):
    """Rare failures of training do not show in five seeds: "non-inferior" says so, and how often it errs then."""
    safe, lossy = (board(one, samples=400) for one in (arms_of(plant, (0.0,) * 5, spread=0.0), five))
    assert safe.recipes[0].recipe.word == "non-inferior"
    assert safe.recipes[0].recipe_words.endswith("unless trainings seldom lose much more than these")
    assert arm_sentences(safe)[-1].endswith("3.4 % where one in twenty loses much more than the others.")
    assert "unless" not in lossy.recipes[0].recipe_words
    assert "3.4 %" not in arm_sentences(lossy)[-1]


def test_each_arm_has_its_tokens_and_its_time(five):
    """The sentence of an arm names its reference, both numbers of tokens, and the ratio of their times."""
    made = board(five, samples=200)
    sentence = next(line for line in arm_sentences(made) if line.startswith("packed-seed0@9 uncompressed against"))
    assert "plain-seed0@9 uncompressed" in sentence
    assert "tokens a decision against" in sentence
    assert times_as_fast(made, made.rows[5])[0] == pytest.approx(1.0)


def test_the_report_of_arms_is_written_whole(five, tmp_path):
    """Figure, text, page and tables hold each arm, these seeds and the recipe."""
    names = {path.name for path in write_trial_report(five, tmp_path)}
    expected = {"trial_arms.png", "trial_conditions.csv", "trial_conditions.json", "trial_findings.txt"}
    assert names == expected | {"trial_report.html"}
    text, page = ((tmp_path / name).read_text() for name in ("trial_findings.txt", "trial_report.html"))
    for words in ("packed-seed4@9 uncompressed", "the recipe keeps", "for these checkpoints, not for their recipes"):
        assert words in " ".join(text.split()), words
    assert "The recipe keeps" in page
    assert "Training seeds" in page


def test_the_answer_of_arms_stands_beside_a_decision(five, capsys):
    """A decision is about one checkpoint; the newest trial in which others acted beside it is told below its card."""
    resolved = five.resolved.model_copy(update={"checkpoint_name": "plain-seed0@9"})
    stored = SimpleNamespace(spec=five.spec, resolved=resolved, results=lambda: five)
    summary = SimpleNamespace(checkpoint_name="plain-seed0@9")
    job = SimpleNamespace(state=JobState.SUCCEEDED, summary=summary, trial=lambda: stored)
    service = SimpleNamespace(jobs=lambda kind: iter([job] if kind == "trial" else []))
    tell_arms(SimpleNamespace(card=resolved), service)
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith("Beside the card: Trial ")
    assert " compares arms of 10 checkpoints, margin " in said
    assert "the mean over these five training seeds of packed" in said.lower()
    other = resolved.model_copy(update={"checkpoint_id": "f" * 64})
    tell_arms(SimpleNamespace(card=other), service)
    assert capsys.readouterr().out == ""


def test_the_boards_tables_are_printed_for_a_paper(five, capsys):
    """As LaTeX, both tables stand in tabulars, each condition in a line of its own with its signs escaped."""
    token = table_form.set("latex")
    try:
        show_board(SimpleNamespace(results=lambda: five), as_json=False)
    finally:
        table_form.reset(token)
    text = capsys.readouterr().out
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    assert r"40.0 (100\%)" in text
    assert sum(line.startswith("packed-seed") and line.endswith(r"\\") for line in text.splitlines()) == 5


def test_a_figure_of_no_gain_says_so(plant):
    """No share is drawn where the reference gains nothing over uniform actions, and the panel says why."""
    made = arms_of(plant, (0.0,) * 3)
    nothing = replace(made, arrays={**made.arrays, "trial/return": np.zeros_like(made.arrays["trial/return"])})
    panel = trial_arms(board(nothing, samples=100)).axes[0]
    assert "nothing to retain" in " ".join(text.get_text() for text in panel.texts).replace("\n", " ")
    assert len(panel.get_yticklabels()) == len({*panel.get_yticks()}) > 0


def test_imported_returns_stand_beside_the_arms(five, tmp_path):
    """The figure has a line of them without an interval or a sign, which says why; the paper's figure has it too."""
    file = tmp_path / "theirs.npy"
    np.save(file, five.returns[0].mean(axis=0))
    made = board(five, samples=100, outside=outside_arms(five, {"theirs": file}))
    plain, figure = trial_arms(board(five, samples=100)), trial_arms(made)
    axes = figure.axes[0]
    assert len(axes.get_yticks()) == len(plain.axes[0].get_yticks()) + 1
    assert "no interval" in axes.get_yticklabels()[-1].get_text().replace("\n", " ")
    assert len(axes.collections) == len(plain.axes[0].collections)  # intervals, none more
    assert axes.lines[-1].get_xdata()[0] == pytest.approx(1.0)
    assert faults(figure) == []
    content = write_for_paper(five, tmp_path, returns={"theirs": file})[0].read_bytes()
    assert len(content) != len(write_for_paper(five, tmp_path)[0].read_bytes())
    with in_a_paper():
        assert faults(trial_arms(made)) == []


@pytest.mark.parametrize("name", ["AD-absolute-darkroom-reference-under-recency64", "r" * 48])
def test_a_long_label_is_whole_in_any_resolution(plant, monkeypatch, name):
    """Letters are wider in a coarse picture than in the one that the layout was made for; names are still whole."""
    monkeypatch.setattr(planted, "RECIPES", ("plain", name))
    figure = trial_arms(board(planted.arms_of(plant, (0.0, 0.1)), samples=50))
    for dpi in (72, 90, 110, 200):
        figure.set_dpi(dpi)
        assert faults(figure) == [], dpi


def test_a_figure_for_a_paper_fits_a_column(five, trial, tmp_path):
    """It is a PDF 3.25 in wide with its fonts inside, whose subject says the provenance; a grid has none."""
    content = write_for_paper(five, tmp_path)[0].read_bytes()
    assert b"/MediaBox [ 0 0 234 " in content  # points: 72 an inch
    assert b"/FontFile2" in content
    assert "packed-seed4@9".encode("utf-16-be") in content or b"packed-seed4@9" in content
    with in_a_paper():
        figure = trial_arms(board(five, samples=100))
    assert faults(figure) == []
    with pytest.raises(NotMeasurableError, match="name arms"):
        write_for_paper(trial, tmp_path)
