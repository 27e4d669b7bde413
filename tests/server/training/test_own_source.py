"""A policy of an environment that is not a room: its own source, its one feature, a capture, a trial under recency."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope_env import preset
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.training.trainer import Recipe
from attnscope_server.training.collecting import collect
from attnscope_server.training.plan import HistoryPlan, TrainingPlan
from attnscope_server.training.reporting import evaluate_checkpoints
from attnscope_server.training.run import TrainingRun
from attnscope_server.training.under import UnderPlan

ROOM = preset("repeat-previous")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> TrainingRun:
    """Return a run of two steps on few histories."""
    histories = HistoryPlan(source="own", per_task=1, episodes=1, noise=0.3, targets="intended")
    shape = {"width": 16, "layers": 1, "heads": 2, "feedforward": 16, "context_length": 24, "positions": "rotary"}
    recipe = Recipe(steps=2, batch=4)
    plan = TrainingPlan(preset="repeat-previous", histories=histories, recipe=recipe, evaluate_every=99, **shape)
    few = plan.task_lists().model_copy(update={"train": plan.task_lists().train[:6]})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TrainingPlan, "task_lists", lambda _plan: few)
        patched.setattr(TrainingRun, "_evaluate", lambda _run: 0.0)
        made = TrainingRun(tmp_path_factory.mktemp("own") / "run", plan)
        made.advance()
    return made


def test_the_source_is_recorded_with_what_it_meant_to_do(run):
    """Suits are the one feature; noise took other actions; equal plans give equal histories."""
    kept = run.histories
    assert kept.observations.shape == (6, 51, 1)
    assert set(np.unique(kept.observations)) == {0, 1, 2, 3}
    assert 0.02 < np.mean(kept.actions != kept.intended) < 0.3
    again = collect(ROOM, run.plan.histories, run.tasks.train)
    assert all(np.array_equal(getattr(kept, name), getattr(again, name)) for name in ("observations", "actions"))


def test_what_was_meant_is_what_was_learned_of_the_card_fifteen_back(run):
    """An answer that was paid for is meant again where the same suit is asked for."""
    kept = run.histories
    for cards, actions, rewards, meant in zip(
        kept.observations[..., 0], kept.actions, kept.rewards, kept.intended, strict=True
    ):
        known = {}
        for step in range(15, 51):
            due = cards[step - 15]
            assert meant[step] == known.get(due, meant[step])
            if rewards[step] > 0:
                known[due] = actions[step]
        assert known


def test_such_a_policy_is_registered_and_judged_on_whole_and_shortened_contexts(run, tmp_path):
    """One feature of four values, named tasks, and returns between −36 and 36."""
    folder = run.folder / "step-2"
    info = CheckpointRegistry(tmp_path / "registry").add(folder)
    assert (info.preset, info.policy.observation, info.policy.actions) == ("repeat-previous", "vector", 4)
    for under in (None, UnderPlan.of_text("recency:12", "reindex")):
        report = evaluate_checkpoints(
            [folder],
            splits=("held-out",),
            rollouts=1,
            episodes=1,
            at_most={"held-out": 2},
            seed=0,
            tell=lambda _line: None,
            under=under,
        )
        returns = np.array(report["splits"]["held-out"]["returns"])
        assert returns.shape == (1, 2, 1, 1)
        assert np.abs(returns).max() <= 36
