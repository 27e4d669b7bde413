"""Small trials: of a random policy on Darkroom; and of a golden checkpoint, with a runner that makes results up."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from attnscope_env import preset
from attnscope_model.families.ad import ADConfig, ADPolicy
from attnscope_server.capturing.rollout import RolloutStoppedError
from attnscope_server.trials.resolving import resolve_trial
from attnscope_server.trials.results import ConditionResult
from attnscope_server.trials.rollout import TrialRunner
from attnscope_storage.wire.specifications.trials import Condition, ResolvedTrial, TrialSpec
from attnscope_storage.wire.tasks import TaskCell

TASKS = (0, 7, 30)
ASKED = {
    "checkpoint": "causal",
    "tasks": {"goals": [(5, 4), (2, 7)]},
    "seeds": [0, 3],
    "episodes": 3,
    "strategies": [{"name": "none"}, {"name": "recency"}, {"name": "sinks", "parameters": {"sinks": 2}}],
    "budgets": [0.4, 8],
    "positions": ["reindex", "keep"],
    "divergence_steps": 4,
    "kept_steps": 3,
    "speed": {"envs": [1, 2], "rounds": 2, "decisions": 2},
}


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
            environment_id="attnscope/Darkroom-v0",
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


@pytest.fixture(scope="session")
def asked(registry) -> Callable[..., tuple[TrialSpec, ResolvedTrial]]:
    """Return a function that gives a specification and what it means."""

    def ask(**changes) -> tuple[TrialSpec, ResolvedTrial]:
        spec = TrialSpec.model_validate(ASKED | changes)
        return spec, resolve_trial(spec, registry)

    return ask


class MadeUp:
    """A runner whose results are random numbers of the condition; waves of three after the uncompressed one."""

    def __init__(self, spec, resolved, policy, environments, device, stopped, on_progress, others) -> None:
        self.spec, self.resolved, self.policy = spec, resolved, policy
        self.environments, self.device, self.stopped, self.on_progress = environments, device, stopped, on_progress
        self.others = others
        self.restored: tuple[np.ndarray, np.ndarray] | None = None
        self.ran: list[tuple[int, ...]] = []

    def waves(self) -> list[tuple[int, ...]]:
        """Return condition 0 alone, then three at a time."""
        rest = range(1, len(self.resolved.conditions))
        return [(0,), *(tuple(rest[at : at + 3]) for at in range(0, len(rest), 3))]

    def restore(self, actions: np.ndarray, rewards: np.ndarray) -> None:
        """Remember what was stored."""
        self.restored = (actions, rewards)

    def run(self, wave: tuple[int, ...]) -> Iterator[ConditionResult]:
        """Yield the wave's conditions, asking before each whether to stop."""
        self.ran.append(wave)
        for place, index in enumerate(wave):
            if self.stopped():
                raise RolloutStoppedError
            self.on_progress("rolling", (place + 1) * self.resolved.steps)
            yield self.result(index)

    def result(self, index: int) -> ConditionResult:
        """Return the results of one condition."""
        draw = np.random.default_rng(index)
        spec, resolved = self.spec, self.resolved
        shape = (len(spec.seeds), len(resolved.tasks))
        reward = draw.integers(0, 2, (*shape, resolved.steps)).astype(np.float32)
        held = np.full((*shape, spec.episodes), 12, np.float32)
        samples, moments, speed = len(resolved.divergence_steps), len(resolved.kept_steps), spec.speed
        tokens = (self.policy.description.context_length - 1) // self.policy.description.tokens_per_transition
        kept = np.full((moments, len(resolved.tasks), tokens), -1, np.int32)
        kept[:, :, :5] = np.arange(5)
        divergent = 0.0 if index == 0 else 0.25
        return ConditionResult(
            returns=reward.reshape(*shape, spec.episodes, -1).sum(axis=-1),
            kept=held / 2,
            held=held,
            flops=held * 1e6,
            action=draw.integers(0, 5, (*shape, resolved.steps)).astype(np.int32),
            reward=reward,
            kl=np.full((samples, *shape), divergent, np.float32),
            flip=np.zeros((samples, *shape), np.int8),
            departure=np.full((samples, *shape), divergent / 2, np.float32),
            kept_first=kept,
            kept_last=kept,
            seconds=draw.random((2, len(speed.envs), 2, speed.rounds)).astype(np.float32),
            p50=draw.random((2, len(speed.envs), 2)).astype(np.float32),
            p95=draw.random((2, len(speed.envs), 2)).astype(np.float32),
        )


@pytest.fixture
def made_up() -> type[MadeUp]:
    """Return the runner."""
    return MadeUp
