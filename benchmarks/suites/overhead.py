"""What capture adds to acting: the same engine at a full window, 64 environments, more than 8,000 env-steps.

Without capture the policy decides by the same code on the same contexts, draws the same numbers and steps the same
environments, and nothing is recorded or written.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attnscope_env import preset, terminal_observations
from attnscope_model.deciding import Decider
from attnscope_model.sampling import ACTION_STREAM, choose_actions, uniforms
from benchmarks.subject import CPU, GOAL, Subject, subject
from benchmarks.timing import Cost, ratios, rounds, shown, spread

ENVS, STEPS = 64, 128
"""Environments, and steps at the full window: 8,192 env-steps."""


def act(it: Subject, envs: int, steps: int) -> Cost:
    """Act without recording; return the cost from the full window on."""
    chosen = preset(it.info.preset)
    task = chosen.task_of_goal(GOAL)
    environment = chosen.make_vector([task] * envs)
    zeros, tasks, replicas = np.zeros(envs, np.int64), np.full(envs, task.index), np.arange(envs)
    decider = Decider(it.policy, envs, CPU)
    observation, _ = environment.reset(seed=[0] * envs)
    begun = Cost()
    with torch.inference_mode():
        for step in range(it.window + steps):
            if step % 64 == 0:
                numbers = uniforms(zeros, tasks, replicas, step, 64, ACTION_STREAM)
            if step == it.window:
                begun = Cost(time.perf_counter(), time.process_time())
            actions = choose_actions(decider.decide(observation).logits, numbers[step % 64], 1.0)
            after, reward, _, _, infos = environment.step(actions)
            decider.append(observation, actions, reward, terminal_observations(after, infos))
            observation = after
    return Cost(time.perf_counter() - begun.wall, time.process_time() - begun.cpu)


def run(*, quick: bool) -> dict[str, Any]:
    """Compare rows on disk, statistics only, and nothing."""
    envs, steps, count = (8, 64, 1) if quick else (ENVS, STEPS, 3)
    with tempfile.TemporaryDirectory() as folder:
        it = subject(Path(folder), causal=False)
        it.capture(it.spec(1, 2))  # compiles and imports what a first capture does
        rows, statistics = it.spec(envs, it.window + steps), it.spec(envs, it.window + steps, rows={"enabled": False})
        taken = rounds(
            {
                "without capture": lambda: act(it, envs, steps),
                "statistics only": lambda: it.capture(statistics, it.window),
                "rows on disk": lambda: it.capture(rows, it.window),
            },
            count,
            warm=False,
        )
    results: dict[str, Any] = {"envs": envs, "env_steps": envs * steps}
    print(f"   {envs} envs, {envs * steps} env-steps at a full window; share over acting without capture")
    for name, costs in taken.items():
        over = {what: ratios(costs, taken["without capture"], what) for what in ("wall", "cpu")}
        results[name] = {
            "seconds": spread([cost.wall for cost in costs]),
            "over_without_capture": over["wall"],
            "over_without_capture_cpu": over["cpu"],
        }
        print(f"   {name:<18} wall × {shown(over['wall'], 3)}   processor time × {shown(over['cpu'], 3)}")
    return results
