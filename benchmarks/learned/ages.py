"""Departures of CAD's decisions from the same weights without latents, by the age of the compression before them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float, Float64

from attnscope_env import terminal_observations
from attnscope_env.presets.tasks import EnvPreset, Task
from attnscope_model.acting.sampling import choose_actions, uniforms
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.compression import Compression
from attnscope_model.compression.deciding import CompressedDecider
from attnscope_model.forward.policy import Policy
from attnscope_model.strategies import strategy
from attnscope_model.strategies.learned import Latents, packing_moments
from attnscope_server.screening import Histories, screen
from attnscope_storage.wire import PolicyDescription
from benchmarks.checksums import unchanged
from benchmarks.learned.running import FOLDER, sum_up
from benchmarks.learned.settings import RUN, Setting
from benchmarks.learned.subjects import CAD, CAD_24, Trainee, of_recipes

ARRAYS: Final = "ages.npz"

LEFT: Final = {CAD: (0, 23), CAD_24: (0, 7)}
"""Newest transitions that a compression leaves as they are, of the judged arms of each recipe."""

SEED: Final = 520
"""Of the rollouts; no trial uses it."""

EPISODES: Final = 20
"""Of a rollout."""

CPU: Final = torch.device("cpu")


def measure(runs: Path, to: Path = FOLDER) -> Path:
    """Screen every policy that packs and is not published, and publish departures by checkpoint; return their file."""
    own = [trainee for setting in RUN for trainee in packing(setting)]
    before = published_ages(to) if (to / ARRAYS).exists() else {}
    found = {one.name: before[one.name] if one.name in before else np.load(screened(one, runs)) for one in own}
    np.savez_compressed(to / ARRAYS, **found)  # type: ignore[arg-type]  # names are not keywords
    sum_up(to)
    return to / ARRAYS


def screened(trainee: Trainee, runs: Path) -> Path:
    """Screen one policy where that was not done before, and return the file of its departures."""
    to = runs / "learned" / "ages" / f"{trainee.name}.npy"
    if not to.exists():
        torch.set_num_threads(1)
        registry = CheckpointRegistry(runs / "learned" / "registry")
        policy: Any = load_policy(registry.folder(trainee.add(runs, registry).id), CPU)
        to.parent.mkdir(parents=True, exist_ok=True)
        np.save(to, departures(policy, trainee))
    return to


def packing(setting: Setting) -> tuple[Trainee, ...]:
    """Return the judged policies of a setting that pack their history."""
    return tuple(one for one in of_recipes(setting.recipes) if one.recipe in LEFT)


def departures(policy: Policy, trainee: Trainee) -> Float[np.ndarray, "arm rollout step"]:
    """Return the departure of every decision of 8 rollouts of the sliding window, for each way to pack."""
    plan = trainee.plan
    room = plan.environment()
    tasks = [room.task(index) for index in plan.task_lists().validation]
    histories = rolled_out(policy, room, tasks)
    arms = [Compression(Latents(newest=newest)) for newest in LEFT[trainee.recipe]]
    judged = screen(policy, histories, arms, decisions=histories.rollouts * histories.steps)
    steps = np.broadcast_to(np.arange(histories.steps), judged.arrays["decision/step"].shape)
    if not np.array_equal(judged.arrays["decision/step"], steps):
        raise ValueError("expected every decision to be judged, in its order")
    return judged.arrays["screen/departure"].swapaxes(0, 1).astype(np.float16)


def rolled_out(policy: Policy, room: EnvPreset, tasks: list[Task], episodes: int = EPISODES) -> Histories:
    """Return one rollout of each task by the same weights over a sliding window without latents."""
    envs, steps = len(tasks), episodes * room.horizon
    numbers = np.array([task.index for task in tasks])
    drawn = uniforms(np.full(envs, SEED), numbers, np.zeros(envs, int), 0, steps, 0)
    environment = room.make_vector(tasks)
    observation, _ = environment.reset(seed=[SEED] * envs)
    decider = CompressedDecider(policy, [Compression(strategy("none"))], torch.arange(envs), CPU)
    kept: dict[str, list[np.ndarray[Any, Any]]] = {name: [] for name in ("o", "a", "r", "n", "e")}
    with torch.inference_mode():
        for step in range(steps):
            action = choose_actions(decider.decide(observation), drawn[step], 1.0)
            following, reward, terminated, truncated, told = environment.step(action)
            after, ended = terminal_observations(following, told), terminated | truncated
            decider.append(observation, action, reward, after, ended)
            for name, values in zip(kept, (observation, action, reward, after, ended), strict=True):
                kept[name].append(np.array(values))
            observation = following
    whole = {name: np.stack(values, axis=1) for name, values in kept.items()}
    return Histories(
        observation=whole["o"],
        action=whole["a"],
        reward=whole["r"].astype(np.float32),
        next_observation=whole["n"],
        ended=whole["e"],
        task=numbers,
        seed=np.full(envs, SEED),
    )


def published_ages(folder: Path = FOLDER) -> dict[str, Float[np.ndarray, "arm rollout step"]]:
    """Return the published departures by checkpoint.

    Raises
    ------
    ValueError
        The file is not the one whose checksum was published.
    """
    with np.load(unchanged(folder / ARRAYS)) as stored:
        return dict(stored)


BANDS: Final = ((0, 0), (1, 1), (2, 3), (4, 7), (8, 15), (16, 46))
"""Ages of the table: 0 is the decision right after a compression."""


def by_age(
    departure: Float[np.ndarray, "rollout step"],
    policy: PolicyDescription,
    newest: int,
) -> Iterator[tuple[tuple[int, int], Float64[np.ndarray, " decision"]]]:
    """Yield each band of ages that occurs, with the departures of its decisions."""
    ages = np.array([-1 if one.age is None else one.age for one in packing_moments(policy, departure.shape[1], newest)])
    for first, last in BANDS:
        within = (ages >= first) & (ages <= last)
        if within.any():
            yield (first, last), departure[:, within].astype(np.float64).ravel()
