"""Verdicts on planted losses, and how often they are wrong where nothing, or exactly the margin, is lost."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope.trials.bootstrap import PairedBootstrap
from attnscope.trials.verdicts import NO_GAIN, NO_RANDOM, deciding, judge, judge_all


def bootstrap_of(trial, scope="these tasks", samples=1000):
    """Return the samples of a trial's rollouts."""
    return PairedBootstrap(trial.seeds, len(trial.tasks), scope, samples)


def test_planted_losses_get_their_verdicts(trial):
    """Nothing lost is non-inferior, much lost inferior; the control that is bit-equal has no spread at all."""
    found = judge_all(trial, bootstrap_of(trial))
    assert [one.word for one in found] == ["non-inferior"] * 2 + ["inferior", "non-inferior"] + ["inferior"] * 5
    assert (found[0].kept.low, found[0].kept.value, found[0].kept.high) == (1, 1, 1)
    assert found[4].kept.value == pytest.approx(0.8, abs=0.03)
    assert all(one.jointly for one in found if one.word == "inferior")


def test_noise_makes_it_inconclusive_and_says_what_would_decide(plant):
    """It names the seeds at both ends of the 80 % interval, or that none can be named."""
    losses = [("none", None, 0.0), ("recency", 0.5, 0.0)]
    few = plant(losses, seeds=3, noise=1.5, pairing=0.0)
    verdict = judge(few, 1, bootstrap_of(few))
    assert verdict.word == "inconclusive"
    assert verdict.decides is not None
    assert verdict.decides > 3
    assert "seeds would decide at best, no number at worst" in str(verdict)


def test_seeds_that_decide_are_the_usual_sample_size():
    """((z₀.₉₇₅ + z₀.₈) σ ÷ δ)², rounded up, at both ends of the 80 % interval, against values worked by hand."""
    # Ends at 0.0656 and 0.0144 from the bound: 40 × (2.8016 × 0.02 ÷ 0.0144)² = 608.2; the near one needs 29.
    assert deciding(0.99, 0.95, 40, 0.02) == (41, 609)
    # An interval of few rollouts is wider than normal: those that there are have not decided, however few would do.
    assert deciding(0.99, 0.95, 3, 0.01) == (4, 4)
    # 4 × (2.8016 × 0.02 ÷ 0.0456)² = 6.03; the far end lies beyond the bound, so no number decides for it.
    assert deciding(0.97, 0.95, 4, 0.02) == (7, None)


@pytest.mark.parametrize(("loss", "wrong"), [(0.0, "inferior"), (0.05, "inferior"), (0.05, "non-inferior")])
def test_verdicts_err_at_the_nominal_rate(loss, wrong):
    """In 1,500 trials of none against none (other seeds, unpaired) and of a loss of exactly the margin.

    Nominal is 2.5 %; the bound leaves three standard errors of the count. Rollouts are skewed as Darkroom's are: tasks
    differ, and some rollouts never find the goal.
    """
    rng = np.random.default_rng(5)
    bootstrap = PairedBootstrap(5, 8, samples=400)
    level = rng.uniform(6, 12, 8)
    words = []
    for _ in range(1500):
        plain, other = (level * (rng.random((5, 8)) > 0.1) + rng.normal(0, 1, (5, 8)) for _ in range(2))
        kept = bootstrap.ratio((1 - loss) * other, plain)
        words.append("non-inferior" if kept.low > 0.95 else "inferior" if kept.high < 0.95 else "inconclusive")
    rate = np.mean([word == wrong for word in words])
    assert rate < 0.025 + 3 * np.sqrt(0.025 * 0.975 / 1500)


def test_a_baseline_that_gains_nothing_has_nothing_to_retain(plant):
    """Retaining a share of nothing would be any number."""
    losses = [("none", None, 1.0), ("recency", 0.5, 1.0)]
    flat = plant(losses)
    assert judge(flat, 1, bootstrap_of(flat)).reason == NO_GAIN


def test_an_unknown_random_return_leaves_the_margin_without_size(trial):
    """It is not taken to be 0."""
    cells = [cell.model_copy(update={"random_return": None}) for cell in trial.resolved.tasks]
    unknown = type(trial)(
        trial.job, trial.spec, trial.resolved.model_copy(update={"tasks": tuple(cells)}), trial.policy,
        trial.provenance, trial.arrays,
    )  # fmt: skip
    assert judge(unknown, 1, bootstrap_of(unknown)).reason == NO_RANDOM


def test_wider_claims_resample_tasks(plant):
    """A condition that loses one task outright is inferior here, and not told for tasks like these."""
    losses = [("none", None, 0.0), ("recency", 0.5, 0.0)]
    trial = plant(losses, noise=0.05)
    trial.arrays["trial/return"][1, :, 3] = 1.0
    here = judge(trial, 1, bootstrap_of(trial))
    beyond = judge(trial, 1, bootstrap_of(trial, "beyond these tasks"))
    assert here.word == "inferior"
    assert beyond.word == "inconclusive"
    assert beyond.unit == "tasks"
