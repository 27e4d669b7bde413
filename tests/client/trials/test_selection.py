"""Choosing on some rollouts, reporting on others."""

from __future__ import annotations

import numpy as np

from attnscope.trials.selection import parts, winner


def test_tasks_are_parted_where_there_are_enough_and_seeds_otherwise(trial, plant):
    """No rollout is on both sides."""
    by_task = parts(trial)
    assert by_task is not None
    assert by_task.choosing.arrays["env/task"].tolist() == [10, 12, 14, 16]
    assert by_task.reporting.arrays["env/task"].tolist() == [11, 13, 15, 17]
    assert by_task.reporting.measured("divergence/kl").shape == (9, 4, 5, 4)
    by_seed = parts(plant(tasks=2))
    assert by_seed is not None
    assert by_seed.choosing.arrays["env/seed"].tolist() == [0, 1]
    assert by_seed.reporting.arrays["env/seed"].tolist() == [2, 3, 4]
    assert by_seed.reporting.returns.shape == (9, 3, 2, 20)
    assert parts(plant(tasks=1, seeds=1)) is None


def test_the_winner_is_the_cheapest_that_loses_nothing(trial):
    """Recency at a half; tova, as good as it, is an oracle here."""
    found = winner(trial, samples=400)
    assert found is not None
    assert (found.condition, found.verdict.word) == (1, "non-inferior")


def test_where_all_lose_the_winner_keeps_most_and_is_judged_inferior(plant):
    """A winner is named even then, with the verdict that it deserves."""
    losses = [("none", None, 0.0), ("recency", 0.5, 0.3), ("uniform", 0.5, 0.5)]
    found = winner(plant(losses), samples=400)
    assert found is not None
    assert (found.condition, found.verdict.word) == (1, "inferior")
    assert "keeps most" in found.why


def test_reporting_on_other_rollouts_takes_away_the_winners_luck(plant):
    """Of 20 equal conditions the chosen one looks better than it is where it was chosen, and not elsewhere."""
    losses = [("none", None, 0.0), *[("recency", 0.5, 0.1)] * 20]
    found = [winner(plant(losses, noise=1.0, pairing=0.0, start=start), samples=50) for start in range(0, 160, 10)]
    chosen, reported = (
        np.mean([getattr(one, part).kept.value for one in found if one]) for part in ("chosen_at", "verdict")
    )
    assert chosen > 0.95
    assert abs(reported - 0.9) < 0.04
