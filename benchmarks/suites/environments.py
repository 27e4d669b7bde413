"""Stepping Darkroom: the array-stepped twin against a process an environment.

Only environments are stepped, with actions drawn beforehand, over whole episodes and their resets. The reference
steps a subprocess an environment over pipes; Gymnasium's own `AsyncVectorEnv` (shared memory) and `SyncVectorEnv`
stand beside it. Wall time: the subprocesses' own work is in it, on as many cores as the machine has.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from attnscope_env import DarkroomEnv, preset
from benchmarks.rooms import ProcessRooms
from benchmarks.timing import Cost, measured, ratios, rounds, shown, spread

ENVS = 64
HORIZON = 20
THEIRS, ASYNC, SYNC, OURS = (
    "a process an environment, pipes",
    "Gymnasium's AsyncVectorEnv",
    "Gymnasium's SyncVectorEnv",
    "attnscope's twin",
)
STEPS = {THEIRS: 200, ASYNC: 200, SYNC: 400, OURS: 8000}
"""Steps of a round, whole episodes each; a round of any takes about a second."""

MANY = 4096
"""Tasks of the second table."""


def one_room(goal: tuple[int, int]) -> gymnasium.Env[Any, Any]:
    """Return a single room with its time limit."""
    return gymnasium.wrappers.TimeLimit(DarkroomEnv(goal=goal), HORIZON)


def stepped(step: Callable[[np.ndarray], object], actions: int, envs: int, steps: int) -> Cost:
    """Return seconds per environment and step of `steps` steps."""
    drawn = np.random.default_rng(0).integers(0, actions, (steps, envs))
    with measured() as cost:
        for chosen in drawn:
            step(chosen)
    return Cost(cost.wall / (envs * steps), cost.cpu / (envs * steps))


def compared(count: int) -> dict[str, Any]:
    """Compare four ways to step the same 64 rooms; print it and return it."""
    chosen = preset("darkroom-reference")
    tasks = [*chosen.tasks("test") * ENVS][:ENVS]
    makers = [partial(one_room, task.goal) for task in tasks]
    rooms = ProcessRooms([task.goal for task in tasks])
    others = {
        ASYNC: AsyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP),
        SYNC: SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP),
        OURS: chosen.make_vector(tasks),
    }
    for environment in others.values():
        environment.reset(seed=0)
    ways = {THEIRS: rooms.step} | {name: environment.step for name, environment in others.items()}
    try:
        taken = rounds({n: partial(stepped, step, 5, ENVS, STEPS[n]) for n, step in ways.items()}, count)
    finally:
        rooms.close()
        for environment in others.values():
            environment.close()
    results = {}
    for name, costs in taken.items():
        faster = ratios(costs, taken[OURS])
        results[name] = {
            "env_steps_per_second": spread([1 / cost.wall for cost in costs]),
            "time_over_attnscopes_twin": faster,
        }
        print(f"   {ENVS:>5} envs  {name:<34}{shown(results[name]['env_steps_per_second'], 0):<40}{shown(faster, 1)}")
    return results


def twins(count: int) -> dict[str, Any]:
    """Return how fast each array-stepped twin steps thousands of tasks; print it."""
    results = {}
    for name in ("darkroom-reference", "darkroom-17", "darkroom-permuted", "key-to-door", "bandit-gaussian"):
        chosen = preset(name)
        tasks = (chosen.tasks("all") * (MANY // chosen.task_count + 1))[:MANY]
        environment = chosen.make_vector(tasks)
        environment.reset(seed=0)
        run = partial(stepped, environment.step, len(chosen.actions), MANY, 200)
        rates = spread([1 / cost.wall for cost in rounds({name: run}, count)[name]])
        results[name] = {"env_steps_per_second": rates}
        print(f"   {MANY:>5} envs  {name:<34}{shown(rates, 0)}")
    return results


def run(*, quick: bool) -> dict[str, Any]:
    """Compare at 64 environments; then every twin at thousands."""
    count = 1 if quick else 3
    print("   env-steps per second, median (low to high); its time over attnscope's twin's, round by round")
    return {"compared": compared(count), "twins": twins(count)}
