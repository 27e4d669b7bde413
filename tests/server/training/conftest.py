"""A run small enough to be trained in a test."""

from __future__ import annotations

import pytest
import torch

from attnscope_model.training.trainer import Recipe
from attnscope_server.training import run
from attnscope_server.training.plan import HistoryPlan, TrainingPlan


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Train on one thread and evaluate briefly."""
    torch.set_num_threads(1)
    monkeypatch.setattr(run, "EVALUATED_EPISODES", 2)


@pytest.fixture(scope="session")
def tiny() -> TrainingPlan:
    """Return the plan of a tiny policy."""
    return TrainingPlan(
        histories=HistoryPlan(per_task=1, episodes=2),
        context_length=12,
        width=8,
        layers=2,
        heads=2,
        feedforward=16,
        recipe=Recipe(steps=8, batch=4, warmup=2),
        evaluate_every=4,
        save_every=4,
    )


@pytest.fixture
def plan(tiny) -> TrainingPlan:
    """Return the plan of a tiny policy, for tests that make variants of it."""
    return tiny
