"""Recipes of checkpoints: equal for plans that differ by the training seed alone, and read from a run's plan."""

from __future__ import annotations

import json

import pytest

from attnscope_model.checkpoints.native import ENTRY
from attnscope_model.checkpoints.recipes import recipe_beside, recipe_of
from attnscope_model.checkpoints.registry import CheckpointRegistry, shipped_checkpoints

PLAN = {
    "preset": "darkroom-reference",
    "histories": {"source": "explorer", "seed": 0},
    "layout": "native",
    "compressor": {"latents": 16},
    "width": 64,
    "recipe": {"steps": 100, "seed": 3, "lengths": None},
    "start": {"checkpoint": "a" * 64, "name": "mine-seed3@100", "step": 100},
    "save_every": 250,
}


def but(plan, **changes):
    """Return a plan with other parts."""
    return {**plan, **changes}


@pytest.mark.parametrize(
    "other",
    [
        but(PLAN, recipe={"steps": 100, "seed": 4}),
        but(PLAN, save_every=10, tasks={"train": [1]}, under=None),
        but(PLAN, clock_steps=0, recipe={"steps": 100, "seed": 3, "discovery_weight": 1.0}),
        but(PLAN, compressor={"latents": 8}),  # of the layout cad alone
        but(PLAN, start={"checkpoint": "b" * 64, "name": "mine-seed4@100", "step": 100}),
    ],
)
def test_a_recipe_is_its_plan_but_for_the_seed(other):
    """The seed, the own start's name and how often a run saves are no part of it."""
    assert recipe_of(other)["recipe"] == recipe_of(PLAN)["recipe"]


@pytest.mark.parametrize(
    "other",
    [
        but(PLAN, recipe={"steps": 101, "seed": 3}),
        but(PLAN, width=32),
        but(PLAN, clock_steps=20),
        but(PLAN, clock_steps=20, clock_episodes=8),
        but(PLAN, recipe={"steps": 100, "seed": 3, "discovery_weight": 20.0}),
        but(PLAN, histories={"source": "explorer", "seed": 1}),
        but(PLAN, start={"checkpoint": "a" * 64, "name": "mine-seed3@200", "step": 200}),
        but(PLAN, layout="cad"),
    ],
)
def test_another_plan_is_another_recipe(other):
    """Everything else that decides the weights is a part of it."""
    assert recipe_of(other)["recipe"] != recipe_of(PLAN)["recipe"]


@pytest.mark.parametrize("text", ["", "[1]", '{"preset": "x"}', '{"recipe": {"seed": "0"}, "preset": "x"}', "[" * 9999])
def test_what_is_no_plan_says_nothing(tmp_path, text):
    """Another program's file of that name says neither a recipe nor a seed."""
    (tmp_path / "plan.json").write_text(text)
    assert recipe_beside(tmp_path) == {}


def test_an_older_entry_is_told_by_its_runs_plan(tmp_path):
    """A folder of a run whose entry says no plan has it beside; adding it again fills the entry in."""
    shipped = next(one for one in shipped_checkpoints() if "@250" in one.name)
    run = tmp_path / "run"
    step = run / "step-250"
    step.mkdir(parents=True)
    for path in shipped.iterdir():
        (step / path.name).write_bytes(path.read_bytes())
    assert "recipe" not in json.loads((step / ENTRY).read_bytes())
    registry = CheckpointRegistry(tmp_path / "registry")
    assert registry.add(run).recipe is None
    (run / "plan.json").write_text(json.dumps(PLAN))
    found = registry.add(run)
    assert (found.recipe, found.training_seed) == (recipe_of(PLAN)["recipe"], 3)
