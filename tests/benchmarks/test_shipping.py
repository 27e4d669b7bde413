"""Shipping: which run counts as trained, and what further trainings would take."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.shipping.cards import card
from benchmarks.shipping.hours import planned
from benchmarks.shipping.making import shipped_plan, trained
from benchmarks.shipping.recipes import SHIPMENTS, TRIED

from attnscope_model.checkpoints.registry import shipped_checkpoints
from attnscope_model.training.trainer import Recipe
from attnscope_server.training import run as run_module
from attnscope_server.training.checkpoints import new_policy
from attnscope_server.training.plan import HistoryPlan, TrainingPlan
from attnscope_server.training.run import PlanChangedError, TrainingRun
from attnscope_storage.wire import CheckpointInfo


@pytest.fixture
def plan(monkeypatch) -> TrainingPlan:
    """Return the plan of a tiny policy, whose evaluation is brief."""
    monkeypatch.setattr(run_module, "EVALUATED_EPISODES", 2)
    return TrainingPlan(
        histories=HistoryPlan(per_task=1, episodes=2),
        context_length=12, width=8, layers=2, heads=2, feedforward=16,
        recipe=Recipe(steps=8, batch=4, warmup=2), evaluate_every=4, save_every=4,
    )  # fmt: skip


@pytest.mark.parametrize("layout", ["native", "reference"])
def test_a_run_is_trained_when_its_last_checkpoint_is_whole_and_of_its_plan(plan, tmp_path, layout):
    """Not before its end, not with a damaged file; a folder of another plan is refused rather than shipped."""
    plan = plan.model_copy(update={"layout": layout})
    folder = tmp_path / "run"
    assert not trained(folder, plan, 8)
    run = TrainingRun(folder, plan)
    run.advance(until=4)
    assert trained(folder, plan, 4)
    assert not trained(folder, plan, 8)
    run.advance()
    assert trained(folder, plan, 8)
    with pytest.raises(PlanChangedError, match=r"recipe\.steps.* differ"):
        trained(folder, plan.model_copy(update={"recipe": plan.recipe.__class__(steps=4)}), 4)
    file = folder / "ckpt-8.pt" if layout == "reference" else folder / "step-8" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-40])
    assert not trained(folder, plan, 8)


def test_the_named_seed_is_shipped_else_the_best_on_validation():
    """A seed that other results name is shipped though another did better; without one the best is."""
    returns = np.ones((3, 2, 2, 12))
    returns[1, ..., :2] = 50  # early episodes choose nothing
    returns[2, ..., 2:] = 2
    assert shipped_plan(SHIPMENTS["darkroom-rotary"], returns) == 0
    assert shipped_plan(SHIPMENTS["darkroom-13"], returns) == 2


@pytest.mark.parametrize(("key", "named"), [("darkroom-13", False), ("key-to-door", True)])
def test_a_card_says_when_its_seed_was_not_chosen_on_validation(key, named):
    """The sentence about choices stands in the shipped card too, so that no card claims more than was done."""
    shipment = SHIPMENTS[key]
    folder = next(
        folder for folder in shipped_checkpoints() if folder.name.startswith(f"{shipment.plans[0].run_name}@")
    )
    info = CheckpointInfo.model_validate_json((folder / "entry.json").read_text())
    said = "but for the seed: 0 is shipped whatever they say"
    assert (said in card(info, shipment.plans[0], shipment, "", final=True)) is named
    assert (said in (folder / "README.md").read_text()) is named


@pytest.mark.parametrize(
    "key", ["darkroom-absolute", "darkroom-rotary", "darkroom-13", "darkroom-13-discovery", "key-to-door"]
)
def test_seeds_of_a_recipe_have_their_own_runs(key):
    """Three seeds of one recipe, each with a folder of its own."""
    plans = SHIPMENTS[key].plans
    assert [plan.recipe.seed for plan in plans] == [0, 1, 2]
    assert len({plan.run_name for plan in plans}) == 3


def test_what_was_only_tried_can_be_made_and_is_not_shipped():
    """Every such recipe fits its room, has run folders of its own, and nothing of it travels in the package."""
    shipped = {plan.run_name for shipment in SHIPMENTS.values() for plan in shipment.plans}
    for shipment in TRIED.values():
        for plan in shipment.plans:
            plan.refuse_unfit()
            assert plan.run_name not in shipped
            assert not any(folder.name.startswith(f"{plan.run_name}@") for folder in shipped_checkpoints())
    assert not SHIPMENTS.keys() & TRIED.keys()


def test_trainings_whose_hours_are_told_can_be_made():
    """Every planned training fits its room and its policy."""
    for one in planned():
        one.plan.refuse_unfit()
        if one.plan.under is not None:
            one.plan.under.refuse_unfit(new_policy(one.plan).description)
