"""The cost of capturing beside acting: the same engine at a full window, 64 environments, more than 8,000 env-steps.

Without capture the policy decides by the same code on the same contexts, draws the same numbers and steps the same
environments, and nothing is recorded or written. Measured twice: whole runs in turn, by the clock and by processor
time; and step by step in one process, a step with capture and one without in turn, by the processor time of the
rollout's thread and of the writer's, which other work on the machine disturbs least.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attnscope_env import preset, terminal_observations
from attnscope_model.acting.deciding import Decider
from attnscope_model.acting.sampling import ACTION_STREAM, choose_actions, uniforms
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_storage.wire import CaptureSpec
from benchmarks.subject import CPU, GOAL, Subject, subject
from benchmarks.timing import Cost, ratios, rounds, shown, spread

ENVS, STEPS = 64, 128
"""Environments, and steps at the full window: 8,192 env-steps."""


def acting(it: Subject, envs: int) -> Iterator[None]:
    """Act without recording, one step every time that the iterator is asked."""
    chosen = preset(it.info.preset)
    task = chosen.task_of_goal(GOAL)
    environment = chosen.make_vector([task] * envs)
    zeros, tasks, replicas = np.zeros(envs, np.int64), np.full(envs, task.index), np.arange(envs)
    decider = Decider(it.policy, envs, CPU)
    observation, _ = environment.reset(seed=[0] * envs)
    step = 0
    while True:
        if step % 64 == 0:
            numbers = uniforms(zeros, tasks, replicas, step, 64, ACTION_STREAM)
        actions = choose_actions(decider.decide(observation).logits, numbers[step % 64], 1.0)
        after, reward, _, _, infos = environment.step(actions)
        decider.append(observation, actions, reward, terminal_observations(after, infos))
        observation, step = after, step + 1
        yield


def act(it: Subject, envs: int, steps: int) -> Cost:
    """Act without recording; return the cost from the full window on."""
    taken, begun = acting(it, envs), Cost()
    with torch.inference_mode():
        for step in range(it.window + steps):
            if step == it.window:
                begun = Cost(time.perf_counter(), time.process_time())
            next(taken)
    return Cost(time.perf_counter() - begun.wall, time.process_time() - begun.cpu)


def in_turn(it: Subject, spec: CaptureSpec) -> dict[str, float]:
    """Capture, and before each of its steps take one without; return the shares at a full window, by processor time."""
    bare: list[float] = []
    capturing: list[float] = []
    taken = acting(it, spec.replicas)
    left, others = [0.0], [0.0]

    def at_step() -> bool:
        begin = time.thread_time()
        if len(bare) == it.window:
            others[0] = time.process_time() - begin
        if bare:
            capturing.append(begin - left[0])
        before = time.thread_time()
        next(taken)
        left[0] = time.thread_time()
        bare.append(left[0] - before)
        return False

    path = it.folder / "captures" / f"{time.perf_counter_ns()}.zarr"
    order = CaptureOrder(path.stem, "bench", spec, resolve(spec, it.registry), path, durable=False)
    run_capture(order, it.policy, it.info, CPU, stopped=at_step)
    written = time.process_time() - time.thread_time() - others[0]
    alone, beside = np.array(bare[it.window : -1]), np.array(capturing[it.window :])
    return {
        "rollout": float(np.median(beside / alone)) - 1,
        "writer": written / (len(bare) - it.window) / float(np.median(alone)),
    }


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
        shares = {"statistics only": in_turn(it, statistics), "rows on disk": in_turn(it, rows)}
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
    for name, share in shares.items():
        results[name]["step_by_step"] = share
        print(
            f"   {name:<18} step by step, processor time: rollout's thread {100 * share['rollout']:+.1f} %, "
            f"writer's {100 * share['writer']:+.1f} %"
        )
    return results
