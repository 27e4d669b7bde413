"""A small trial: a random policy on Darkroom, three tasks, two seeds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnscope_env import preset
from attnscope_model.ad import ADConfig, ADPolicy
from attnscope_server.trials.rollout import TrialRunner
from attnscope_storage.wire.tasks import TaskCell
from attnscope_storage.wire.trials import Condition, ResolvedTrial, TrialSpec

TASKS = (0, 7, 30)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Compare numbers at one thread count."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def policy():
    """Return a random policy whose context holds 39 transitions."""
    torch.manual_seed(1)
    made = ADPolicy(ADConfig((9, 9), 5, 40, width=32, layers=2, heads=4, feedforward=64))
    with torch.no_grad():
        for weights in made.parameters():
            weights.normal_(std=0.4)
    return made.eval().requires_grad_(requires_grad=False)


def condition(index, name, budget, **options):
    """Return a resolved condition."""
    common = {
        "parameters": {},
        "text": name,
        "positions": "reindex",
        "interval": 1,
        "memory": "stateless",
        "path": "recompute",
        "control": index == 0,
        "oracle": False,
    }
    return Condition(index=index, strategy=name, budget=budget, **(common | options))


@pytest.fixture(scope="session")
def runner(policy):
    """Return a function that makes a trial's runner of (strategy, budget, options) a condition."""

    def make(*conditions, **options):
        spec = {"seeds": (0, 5), "episodes": 5, "divergence_steps": 4, "kept_steps": 3, "speed": {"enabled": False}}
        spec |= {name: options.pop(name) for name in ("seeds", "episodes", "speed") if name in options}
        chosen = preset("darkroom-reference")
        cells = tuple(
            TaskCell.model_construct(index=task, split="test", optimal_return=None, random_return=None)
            for task in TASKS
        )
        steps = spec["episodes"] * 20
        every = [("none", None, {}), *conditions]
        resolved = ResolvedTrial.model_construct(
            horizon=20,
            sampling=options.pop("sampling", "sample"),
            tasks=cells,
            envs=len(TASKS) * len(spec["seeds"]),
            steps=steps,
            conditions=tuple(condition(i, name, budget, **more) for i, (name, budget, more) in enumerate(every)),
            divergence_steps=options.pop("divergence_steps", (3, 30, 50, 99)),
            kept_steps=options.pop("kept_steps", (0, 20, 80)),
        )
        asked = TrialSpec(checkpoint="toy", strategies=[{"name": "none"}], budgets=[10], **spec)

        def environments(axis):
            return chosen.make_vector([chosen.task(int(index)) for index in axis.task])

        return TrialRunner(asked, resolved, policy, environments, torch.device("cpu"), **options)

    return make


@pytest.fixture(scope="session")
def ran():
    """Return a function that runs every wave of a trial and gives the results."""

    def run(trial):
        return [result for wave in trial.waves() for result in trial.run(wave)]

    return run


@pytest.fixture(scope="session")
def differing():
    """Return a function that names the arrays, of what is not timed, in which two results are not bit-equal."""

    def names(one, other):
        left, right = one.arrays(), other.arrays()
        assert left.keys() == right.keys()
        return [n for n, v in left.items() if not n.startswith("speed/") and not np.array_equal(v, right[n])]

    return names
