"""The answer of a trial of checkpoints: plain words for each verdict, for these training seeds and for their recipe."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from arms import arms_of
from attnscope.cli.boards import show_board
from attnscope.recommendations.measured import lead_of_trials, measured_trials
from attnscope.report.trial_findings import trial_findings
from attnscope.trials.answering import answers
from attnscope.trials.board import board

PER = (
    "trial/",
    "divergence/kl",
    "divergence/flip",
    "speed/seconds",
    "speed/p50",
    "speed/p95",
    "kept/first",
    "kept/last",
)
"""Arrays whose first axis is the condition."""


def answer_of(made) -> str:
    """Return the answer on the only arm beside the first."""
    (found,) = answers(board(made, samples=200))
    return found


@pytest.mark.parametrize(
    ("lost", "spread", "these", "recipe"),
    [
        ((0.0,) * 5, 0.0, "may take the place of plain uncompressed for these 8 tasks: non-inferior at 5%", "may take"),
        ((0.3,) * 5, 0.02, "is worse than plain uncompressed for these 8 tasks: it keeps", "is worse too ("),
        ((0.02, 0.05, 0.08), 0.05, "these three training seeds of packed", "nothing is claimed: 3 training seeds, and"),
        ((-0.3, -0.2, 0.0, 0.3, 0.3), 0.05, "these five training seeds of packed", "stays unclear: other trainings"),
    ],
)
def test_training_seeds_and_their_recipe_have_an_answer_each(plant, lost, spread, these, recipe):
    """The checkpoints are judged as they are, the recipe apart, and tokens and time stand between the two."""
    said = answer_of(arms_of(plant, lost, spread))
    first, rest = said.split("It takes ")
    assert these in first
    assert rest.startswith("40.0 history tokens a decision against 40.0, and decides 1.00 times as fast")
    assert recipe in rest


@pytest.fixture(scope="module")
def single(plant):
    """Return a trial of two checkpoints that are of no recipe, of which the second loses a third."""
    made = arms_of(plant, (0.3,))
    named = tuple(one.model_copy(update={"recipe": None}) for one in made.resolved.checkpoints)
    return replace(made, resolved=made.resolved.model_copy(update={"checkpoints": named}))


def test_one_training_each_is_said(single):
    """Arms of single checkpoints say nothing of how they were trained."""
    said = answer_of(single)
    assert said.startswith("Packed-seed0@9 uncompressed is worse than plain-seed0@9 uncompressed")
    assert said.endswith("one training each tells nothing of how they were trained.")


def test_no_gain_is_no_answer(single):
    """A first arm that gains nothing has no verdict: the sentence gives the reason."""
    nothing = replace(single, arrays={**single.arrays, "trial/return": np.zeros_like(single.arrays["trial/return"])})
    assert answer_of(nothing).startswith("Nothing is said of packed-seed0@9 uncompressed against")


def test_an_unfinished_arm_has_no_answer(plant):
    """A part of the training seeds is none; a trial without arms has no such answer at all."""
    made = arms_of(plant, (0.3, 0.3, 0.3))
    part = replace(
        made, arrays={name: values[:5] if name.startswith(PER) else values for name, values in made.arrays.items()}
    )
    assert answers(board(part, samples=50)) == []
    assert answers(board(plant((("none", None, 0.0), ("recency", 0.5, 0.2))), samples=50)) == []


def test_every_form_leads_with_the_answer(single, capsys):
    """Terminal, JSON, the report's findings and the advice print the same sentences."""
    (said,) = answers(board(single))
    trial = SimpleNamespace(results=lambda: single)
    show_board(trial, as_json=False)
    assert " ".join(capsys.readouterr().out.split()).startswith(" ".join(said.split()))
    show_board(trial, as_json=True)
    assert json.loads(capsys.readouterr().out)["answers"] == [said]
    assert trial_findings(board(single), None)[0] == said
    claims = lead_of_trials([single])
    assert [one.key for one in claims] == ["trial.arms", "trial.arm0"]
    assert str(claims[1].sentence) == said
    assert measured_trials(single) == []  # its conditions are of several policies


def test_the_place_of_tokens_is_told_where_any_is_dropped(plant, single, capsys):
    """An uncompressed row has no position policy in the table, whatever an older trial's condition 0 says of it."""
    show_board(SimpleNamespace(results=lambda: single), as_json=False)
    assert "reindex" not in capsys.readouterr().out
    grid = plant((("none", None, 0.0), ("recency", 0.5, 0.2)))
    show_board(SimpleNamespace(results=lambda: grid), as_json=False)
    assert capsys.readouterr().out.count("reindex") == 1
