"""Whole layers that are compiled, beside compiled attention and beside torch: decisions of a small policy.

The reference's shape (d 32, L 4, H 4, T 160), 1, 8 and 64 environments, with the rows recorded: both masks at a full
window, and the causal one from 80 to 120 transitions of a growing window, its appends among them.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from attnscope_model.acting.deciding import Decider
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.forward.fused import prefer_fused
from attnscope_model.forward.policy import Policy
from benchmarks.subject import CPU, Subject, subject
from benchmarks.timing import Cost, ratios, rounds, shown

ENVS: Final = (1, 8, 64)

WAYS: Final[dict[str, dict[str, bool]]] = {"torch": {"allowed": False}, "attention": {"whole": False}, "layers": {}}
"""Options of `prefer_fused`, by what they compile."""

ROUNDS: Final = 9
DECISIONS: Final = {1: 60, 8: 10, 64: 2}
"""Decisions of a run, by environments."""

FIRST: Final = 80
GROWN: Final = 40
"""Transitions of a growing window at its first decision, and decisions of a run."""


def policy_of(chosen: Subject, way: str) -> Policy:
    """Return a policy of its own that decides one way."""
    policy = load_policy(chosen.registry.folder(chosen.info.id), CPU)
    prefer_fused(policy, CPU, **WAYS[way])
    return policy


def decider(policy: Policy, envs: int, transitions: int) -> tuple[Decider, np.ndarray[Any, Any]]:
    """Return contexts after so many random transitions, and the observation of the next decision."""
    random, made = np.random.default_rng(0), Decider(policy, envs, CPU, sums="elsewhere")
    observation = random.integers(0, 9, (envs, 2))
    for _ in range(transitions):
        reached = random.integers(0, 9, (envs, 2))
        reward = random.random(envs).astype(np.float32)
        made.append(observation, random.integers(0, 5, envs), reward, reached)
        observation = reached
    return made, observation


def full(policy: Policy, envs: int) -> Any:  # noqa: ANN401 - a function of no arguments
    """Return a run of decisions at a full window."""
    made, observation = decider(policy, envs, policy.description.context_length + 3)

    def run() -> Cost:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(DECISIONS[envs]):
            made.decide(observation, rows=True)
        return Cost(time.perf_counter() - wall, time.process_time() - cpu)

    return run


def growing(policy: Policy, envs: int) -> Any:  # noqa: ANN401 - a function of no arguments
    """Return a run of decisions over a window that grows."""

    def run() -> Cost:
        made, observation = decider(policy, envs, FIRST)
        made.decide(observation, rows=True)  # keeps what there is
        action, reward = np.zeros(envs, np.int64), np.zeros(envs, np.float32)
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(GROWN):
            made.append(observation, action, reward, observation)
            made.decide(observation, rows=True)
        return Cost(time.perf_counter() - wall, time.process_time() - cpu)

    return run


def compared(runs: dict[str, Any], count: int) -> dict[str, Any]:
    """Return the ratios of processor time of each way over that of whole layers, round by round."""
    taken = rounds(runs, count)
    return {way: ratios(taken[way], taken["layers"], "cpu") for way in WAYS if way != "layers"}


def run(*, quick: bool) -> dict[str, Any]:
    """Compare the ways."""
    found: dict[str, Any] = {}
    count = 3 if quick else ROUNDS
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        for window, causal, made in (("full", False, full), ("full", True, full), ("growing", True, growing)):
            chosen = subject(Path(folder), causal=causal)
            for envs in ENVS[:2] if quick else ENVS:
                name = f"{window} window, {'causal' if causal else 'non-causal'}, {envs}"
                found[name] = compared({way: made(policy_of(chosen, way), envs) for way in WAYS}, count)
                over = ", ".join(f"{way} {shown(values)}" for way, values in found[name].items())
                print(f"   {name} environments: processor time over whole layers': {over}")
    return found
