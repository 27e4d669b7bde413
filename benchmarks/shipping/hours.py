"""`python -m benchmarks.shipping.hours`: CPU hours of trainings that are planned, from a hundredth of each; stored.

A plan with short windows is timed at both of its lengths. Histories are made of few tasks: windows cost the same. One
thread; evaluations and the making of histories are not counted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch

from attnscope_model.training.trainer import Trainer, initialise
from attnscope_model.training.windows import HistoryArrays
from attnscope_server.training.checkpoints import new_policy
from attnscope_server.training.collecting import collect
from attnscope_server.training.plan import HistoryPlan, TrainingPlan
from attnscope_server.training.under import UnderPlan
from benchmarks.machine import describe
from benchmarks.shipping.recipes import SHIPMENTS, SLIDING

FILE: Final = Path(__file__).resolve().parents[2] / "docs" / "study" / "policies" / "hours.json"
"""The hours as they were timed last, and the machine."""

SHARE: Final = 0.01
"""Share of a plan's steps that are timed, half of them of each length."""

LEAST: Final = 4
"""Steps that are timed at least."""

FEW_TASKS: Final = 20


@dataclass(frozen=True)
class Planned:
    """A training that may be made."""

    name: str
    plan: TrainingPlan
    seeds: int


def _changed(plan: TrainingPlan, *, histories: HistoryPlan | None = None, **recipe: float | None) -> TrainingPlan:
    """Return a plan with other values of its recipe, and other histories where they are given."""
    changed = {"recipe": replace(plan.recipe, **recipe)}  # type: ignore[arg-type]  # names and values are checked there
    return plan.model_copy(update=changed | ({} if histories is None else {"histories": histories}))


def planned() -> Iterable[Planned]:
    """Return the trainings in the order in which they are wanted."""
    door, large = SHIPMENTS["key-to-door"].plans[1], SHIPMENTS["darkroom-13"].plans[1]
    tuned = _changed(door, steps=400)
    yield Planned("key-to-door, the shipped recipe", door, 2)
    for rule in ("rewards:40%", "recency:40%"):
        under = tuned.model_copy(update={"under": UnderPlan.of_text(rule, "keep")})
        yield Planned(f"key-to-door, fine-tuned under {rule}", under, 3)
    yield Planned("key-to-door, fine-tuned on whole contexts", tuned, 3)
    yield Planned("key-to-door that slides, rotary", SLIDING, 3)
    yield Planned("13×13, 6,000 steps in place of 2,400", _changed(large, steps=6000), 2)
    yield Planned("13×13, 16 windows a step in place of 8", _changed(large, batch=16), 2)
    wider = large.histories.model_copy(update={"per_task": 60, "noise": 0.6})
    yield Planned("13×13, 60 noisier histories a task in place of 30", _changed(large, histories=wider), 2)


def hours(plan: TrainingPlan) -> float:
    """Return the CPU hours of a plan's steps, by a hundredth of them."""
    kept = collect(plan.environment(), plan.histories, plan.task_lists().train[:FEW_TASKS])
    policy = new_policy(plan)
    initialise(policy, plan.recipe.seed, plan.recipe.episode_steps)
    arrays = HistoryArrays(kept.observations, kept.actions, kept.rewards, kept.next_observations, kept.intended)
    under = None if plan.under is None else plan.under.under(plan.environment().horizon)
    trainer = Trainer(policy, arrays, plan.recipe, under)
    timed = max(LEAST, round(SHARE * plan.recipe.steps)) // 2
    spent = 0.0
    for first in (0, plan.recipe.steps - timed - 1):
        trainer.step = first
        trainer.advance()
        began = time.process_time()
        for _ in range(timed):
            trainer.advance()
        spent += (time.process_time() - began) / timed
    return plan.recipe.steps * spent / 2 / 3600


def lines(timed: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    """Yield the table's line of each training, in the order in which they are wanted."""
    for one in planned():
        each, together = timed["hours"][one.name]
        yield one.name, f"{one.plan.recipe.steps:,}", str(one.seeds), f"{each:.2f}", f"{together:.2f}"


def published() -> dict[str, Any]:
    """Return what was stored: the machine, the day, and the hours of a seed and of all seeds by training."""
    timed: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return timed


def main() -> None:
    """Time every plan, print its hours, and store them."""
    torch.set_num_threads(1)
    timed = {}
    for one in planned():
        each = hours(one.plan)
        timed[one.name] = round(each, 2), round(each * one.seeds, 2)
        print(f"{one.name}: {timed[one.name][0]} CPU hours a seed", flush=True)
    day = time.strftime("%Y-%m-%d", time.gmtime())
    told = {"command": "python -m benchmarks.shipping.hours", "when": day, "machine": describe(), "hours": timed}
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
