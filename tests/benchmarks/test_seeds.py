"""Aims over three training seeds: the page says what its arrays say, and a moved window decides as the rule does."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from benchmarks.seeds.aims import AIMS, Aim, Size
from benchmarks.seeds.measuring import FOLDER, published, tasks_on
from benchmarks.seeds.moving import MovedWindows
from benchmarks.seeds.writing import Reached

from attnscope_model.acting.outputs import output_of
from attnscope_model.compression.deciding import CompressedDecider
from attnscope_model.families.ad import ADConfig, ADPolicy
from attnscope_model.training.trainer import initialise
from attnscope_server.acting.choices import host_choices
from attnscope_server.acting.loop import Transition
from attnscope_server.training.evaluation import evaluation_axis
from attnscope_server.training.under import UnderPlan


@pytest.mark.parametrize("aim", AIMS, ids=lambda aim: aim.key)
def test_what_is_published_is_whole_and_small(aim):
    """Every training seed, task and rollout is there, on tasks that nobody trained on; the files are small."""
    arrays, lists = published(aim), aim.plans[0].task_lists()
    for split, size in aim.sizes.items():
        assert arrays[f"{split}-returns"].shape == (len(aim.plans), size.tasks, size.rollouts, aim.episodes)
        assert arrays[f"{split}-tasks"].tolist() == [task.index for task in tasks_on(aim, split)]
        assert not set(arrays[f"{split}-tasks"].tolist()) & set(lists.train)
    assert not set(arrays["held-out-tasks"].tolist()) & set(lists.validation)
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 1e5


def test_a_window_that_moves_by_episodes_decides_as_the_rule_does():
    """On the same transitions the logits are those of the arm `episodes`, to 1e-5, past three drops of an episode."""
    horizon, window, envs = 4, 3, 2
    policy = ADPolicy(ADConfig((5, 5), 5, horizon * window, width=16, layers=2, heads=2, feedforward=32))
    initialise(policy, 0)
    policy.eval().requires_grad_(requires_grad=False)
    aim = next(aim for aim in AIMS if aim.window_episodes is not None)
    axis = evaluation_axis(tasks_on(aim, "validation")[:envs], 1, 0)
    choices = host_choices(axis, 1.0, output_of(policy.description))
    moved = MovedWindows(policy, envs, horizon=horizon, episodes=window, choices=choices)
    setup = UnderPlan.of_text(f"episodes(episodes={window}):{horizon * window - 1}", "reindex").compression
    ruled = CompressedDecider(policy, [setup], torch.arange(envs), torch.device("cpu"))
    rng, nothing = np.random.default_rng(0), np.zeros(envs, bool)
    cells = rng.integers(0, 5, (horizon * (window + 3) + 1, envs, 2))
    for step, (here, there) in enumerate(pairwise(cells)):
        decision = moved.decide(step, here)
        with torch.inference_mode():
            torch.testing.assert_close(decision.logits, ruled.decide(here), atol=1e-5, rtol=0)
        actions, rewards = moved.choose(step, decision), rng.integers(0, 2, envs).astype(np.float32)
        ended = np.full(envs, (step + 1) % horizon == 0)
        moved.append(Transition(here, actions, rewards, there, nothing, ended, ended, np.full(envs, step // horizon)))
        ruled.append(here, actions, rewards, there, ended)


@pytest.mark.parametrize(
    ("means", "said"),
    [
        ((8, 8, 8, 8, 8), "reached, for the recipe"),
        ((8, 8, 8), "reached, for these policies"),
        ((10, 10, 5), "reached, for these policies"),
        ((7, 7, 6), "**missed**"),
    ],
)
def test_policies_and_their_recipe_are_told_apart(means, said):
    """Seeds that differ, and fewer than five, say nothing of the recipe; episodes before the judged do not count."""
    aim = Aim("key-to-door", "", first=2, episodes=3, least=7.5, of_optimum=False, sizes={"held-out": Size(2, 4)})
    returns = np.broadcast_to(np.array(means, np.uint8)[:, None, None, None], (len(means), 2, 4, 3)).copy()
    returns[..., 0] = 100
    found = Reached.of({"held-out-returns": returns, "held-out-optimal": np.array([10.0, 10.0])}, "held-out", aim)
    assert found.verdict(aim.least) == said
    assert found.each.tolist() == list(means)


def test_the_interval_of_these_policies_is_as_wide_as_their_rollouts_say():
    """With four rollouts a task, drawing four of four would make it 13 % too narrow."""
    aim = Aim("key-to-door", "", first=1, episodes=1, least=1, of_optimum=False, sizes={"held-out": Size(40, 4)})
    returns = np.random.default_rng(0).normal(1.0, 1.0, (3, 40, 4, 1))
    found = Reached.of({"held-out-returns": returns, "held-out-optimal": np.ones(40)}, "held-out", aim)
    error = np.sqrt(returns.var(axis=2, ddof=1).mean() / returns.size)
    assert abs((found.these[1] - found.these[0]) / (2 * 1.96 * error) - 1) < 0.05
