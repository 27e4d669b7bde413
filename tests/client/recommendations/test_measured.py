"""Advice beside a trial: what was measured comes first, and predictions are scored by it."""

from __future__ import annotations

import numpy as np
import pytest

import attnscope
from attnscope.trials import TrialResults
from attnscope_model.strategies import strategy
from attnscope_storage.wire import ResolvedTrial, TrialSpec

NAMES = ("recency", "decay", "uniform", "random", "hierarchical", "sinks")
BUDGETS = (0.3, 0.5)


@pytest.fixture(scope="module", autouse=True)
def _fewer_histories():
    """Predict fewer decisions: the answer is planted, not sampled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("attnscope.reading.plan.HISTORIES", 128)
        yield


def measured(capture, losses) -> TrialResults:
    """Return a trial of six strategies at two budgets that lose what is given, whatever the budget."""
    seeds, tasks, episodes = 4, 4, 6
    conditions = [("none", None, 0.0), *((n, b, losses[n]) for b in BUDGETS for n in NAMES)]
    rng = np.random.default_rng(0)
    luck = rng.normal(0, 0.1, (seeds, tasks, episodes))
    returns = np.stack([1 + 4 * (1 - loss) + luck + rng.normal(0, 0.05, luck.shape) for _, _, loss in conditions])
    kept = np.stack([np.full(luck.shape, 29 * (budget or 1.0)) for _, budget, _ in conditions])
    arrays = {
        "trial/return": returns,
        "trial/kept": kept,
        "trial/held": np.full(kept.shape, 29.0),
        "trial/flops": kept,
        "env/seed": np.arange(seeds),
        "env/task": np.arange(tasks),
    }
    resolved = {
        "checkpoint_id": "c" * 64, "checkpoint_name": "toy", "environment_id": "e", "preset": "p", "horizon": 15,
        "sampling": "sample", "held_out": True, "envs": seeds * tasks, "steps": 90, "divergence_steps": (),
        "kept_steps": (),
        "tasks": [
            {"index": i, "split": "test", "split_index": i, "label": str(i), "random_return": 1.0} for i in range(tasks)
        ],
        "conditions": [
            {
                "index": place, "strategy": name, "parameters": strategy(name).parameters, "text": str(strategy(name)),
                "budget": budget, "positions": "keep", "interval": 1, "memory": "stateless", "path": "recompute",
                "control": False, "oracle": False,
            }
            for place, (name, budget, _) in enumerate(conditions)
        ],
    }  # fmt: skip
    spec = TrialSpec(
        checkpoint="toy",
        seeds=tuple(range(seeds)),
        episodes=episodes,
        budgets=BUDGETS,
        strategies=({"name": "recency"},),
    )
    return TrialResults("9" * 36, spec, ResolvedTrial.model_validate(resolved), capture.policy, {}, arrays)


def test_predictions_that_came_true_are_said_to(captures):
    """Attention is on the newest; the more of them a strategy drops, the more it loses."""
    capture = attnscope.open(captures["recent"])
    losses = {"recency": 0.0, "decay": 0.05, "sinks": 0.03, "hierarchical": 0.1, "random": 0.4, "uniform": 0.35}
    advice = attnscope.recommend(capture, budget=0.5, trials=[measured(capture, losses)])
    by = {one.key: one for one in advice.measured}
    assert by["score.within"].numbers["value"] > 0.7
    assert "tells which rule" in by["score.conclusion"].sentence
    first = advice.recommendations[0]
    assert first.key == "recency"
    assert first.measured is not None
    assert first.safe
    assert by["trial.jointly"].numbers["kept0"] == pytest.approx(1, abs=0.02)
    assert "recency 30%, keep" in by["trial.jointly"].sentence
    assert by["score.within"].sentence.replace("\n", " ")[:20] in advice.text


def test_predictions_that_did_not_are_said_not_to_and_the_measured_order_rules(captures):
    """Here the newest tokens are what is lost, though attention is on them."""
    capture = attnscope.open(captures["recent"])
    losses = {"recency": 0.5, "decay": 0.4, "sinks": 0.45, "hierarchical": 0.3, "random": 0.1, "uniform": 0.0}
    advice = attnscope.recommend(capture, budget=0.5, trials=[measured(capture, losses)])
    by = {one.key: one for one in advice.measured}
    assert by["score.within"].numbers["value"] < 0
    assert "is not shown to predict" in by["score.conclusion"].sentence
    assert by["score.regret"].numbers["value"] > 0.3
    assert [one.key for one in advice.recommendations[:2]] == ["uniform", "random"]
    assert "so" in advice.json()


def test_a_trial_at_other_budgets_scores_but_reorders_nothing(captures):
    """A measurement at a half says nothing of a strategy at a seventh."""
    capture = attnscope.open(captures["recent"])
    losses = dict.fromkeys(NAMES, 0.5)
    beside = attnscope.recommend(capture, budget=0.7, trials=[measured(capture, losses)])
    alone = attnscope.recommend(capture, budget=0.7)
    assert [one.key for one in beside.recommendations] == [one.key for one in alone.recommendations]
    assert beside.measured
    assert not alone.measured


def test_the_text_stays_short_beside_a_trial(captures):
    """Measured results, the table and the description of attention have at most 80 lines together."""
    capture = attnscope.open(captures["recent"])
    losses = dict(zip(NAMES, (0.0, 0.05, 0.35, 0.4, 0.1, 0.03), strict=True))
    text = attnscope.recommend(capture, trials=[measured(capture, losses)]).text
    assert "MEASURED BY TRIAL" in text
    assert len(text.splitlines()) <= 80
