"""The trials of the study: arms on the same held-out tasks, by the code of every trial; their published arrays."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from attnscope.trials.results import TrialResults
from attnscope_env import LISTED
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.training.plan import tasks_of
from attnscope_server.trials.job import TrialOrder, run_trial
from attnscope_server.trials.resolving import resolve_trial
from attnscope_server.trials.rollout import TrialRunner
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import Condition, PolicyDescription, ResolvedTrial, TrialSpec
from benchmarks.checksums import unchanged, write_sums
from benchmarks.learned.settings import SETTINGS, Setting
from benchmarks.learned.subjects import WHOLE, Trainee, of_recipes

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "study" / "learned"

JOB: Final = "learned"

FRESH: Final = tuple(range(510, 515))
"""Evaluation seeds; no choice was made by rollouts of these seeds."""

BY_CONDITION: Final = ("trial/return", "trial/kept", "trial/held", "trial/flops")
SHARED: Final = ("env/seed", "env/task")
"""Arrays that are published: of each condition, and of all."""


def parts(setting: Setting) -> dict[str, tuple[Trainee, ...]]:
    """Return the policies of each part of a setting: a pair a training seed, and the ceiling where there is one."""
    own, found = of_recipes(setting.recipes), dict[str, tuple[Trainee, ...]]()
    for one in own:
        name = "ceiling" if one.recipe == WHOLE else f"seed{one.seed}"
        found[name] = (*found.get(name, ()), one)
    return found


def specification(setting: Setting, part: str | None = None) -> TrialSpec:
    """Return a trial's specification, or that of a part.

    Arms of no policy of a part are left out of it; those of a shipped policy are of the first.
    """
    of = parts(setting)
    judged = of_recipes(setting.recipes) if part is None else of[part]
    recipes = {one.recipe: [other.name for other in judged if other.recipe == one.recipe] for one in judged}
    shipped = part in {None, next(iter(of))}
    if shipped:
        recipes |= {name: [checkpoint] for name, checkpoint in setting.shipped.items()}
    arms = [
        arm
        for arm in setting.arms.values()
        if arm["checkpoint"] in recipes or (shipped and arm["checkpoint"] not in (*setting.recipes, *setting.shipped))
    ]
    return TrialSpec.model_validate(
        {
            "arms": arms,
            "recipes": [{"name": name, "checkpoints": names} for name, names in recipes.items()],
            "tasks": {"split": "all", "indices": tasks(setting)},
            "seeds": FRESH,
            "episodes": setting.episodes,
            "divergence_steps": 0,
            "kept_steps": 0,
            "speed": {"enabled": False},
        }
    )


def tasks(setting: Setting) -> tuple[int, ...]:
    """Return the held-out tasks of a setting."""
    plan = of_recipes(setting.recipes)[0].plan
    return tuple(task.index for task in tasks_of(plan.environment(), plan.task_lists().test, setting.tasks))


def registered(trainees: Iterable[Trainee], runs: Path) -> CheckpointRegistry:
    """Return a registry of shipped policies and of these."""
    registry = CheckpointRegistry(runs / "learned" / "registry")
    registry.add_shipped()
    for trainee in trainees:
        trainee.add(runs, registry)
    return registry


def store_of(setting: Setting, runs: Path, part: str) -> Path:
    """Return the store of a part."""
    return runs / "learned" / f"{setting.key}-{part}.zarr"


def roll_out(setting: Setting, runs: Path, part: str) -> Path:
    """Roll out a part, or go on with it, and return its store."""
    torch.set_num_threads(1)
    registry, device = registered(parts(setting)[part], runs), torch.device("cpu")

    def load(identity: str) -> tuple[Any, Any]:
        return load_policy(registry.folder(identity), device), registry.get(identity)

    spec, path = specification(setting, part), store_of(setting, runs, part)
    resolved = resolve_trial(spec, registry)
    order = TrialOrder(JOB, "study", spec, resolved, path, durable=False, listings=LISTED, load=load)
    run_trial(order, *load(resolved.checkpoint_id), device, TrialRunner)
    return path


def publish(setting: Setting, runs: Path, to: Path = FOLDER) -> Path:
    """Join the parts of a setting to one trial, and publish its arrays and facts; return their folder.

    A part that was not rolled out here is taken from what is published.

    Raises
    ------
    ValueError
        The parts have other tasks or evaluation seeds than each other.
    LookupError
        A condition is neither published nor of a part that was rolled out.
    """
    spec = specification(setting)
    resolved = resolve_trial(spec, registered(of_recipes(setting.recipes), runs))
    held = [part_of(published(setting, to))] if (to / f"{setting.key}.json").exists() else []
    held += [rolled(path) for part in parts(setting) if (path := store_of(setting, runs, part)).exists()]
    arrays: dict[str, np.ndarray[Any, Any]] = {name: joined(held, resolved, name) for name in BY_CONDITION}
    for name in SHARED:
        first, *others = (part.arrays[name] for part in held)
        if not all(np.array_equal(first, other) for other in others):
            raise ValueError(f"{name}: the parts of {setting.key} differ")
        arrays[name] = first
    arrays["trial/return"] = arrays["trial/return"].astype(np.uint8)  # rewards are 0 or 1
    to.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(to / f"{setting.key}.npz", **arrays)  # type: ignore[arg-type]  # names have strokes
    facts = {"spec": spec, "resolved": resolved, "policy": resolved.checkpoints[0].policy}
    told = {name: one.model_dump(mode="json") for name, one in facts.items()}
    (to / f"{setting.key}.json").write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    sum_up(to)
    return to


@dataclass(frozen=True)
class Part:
    """Conditions of a trial and their arrays, by name."""

    resolved: ResolvedTrial
    arrays: Mapping[str, np.ndarray[Any, Any]]


def part_of(results: TrialResults) -> Part:
    """Return a published trial as a part of a larger one."""
    return Part(results.resolved, results.arrays)


def rolled(path: Path) -> Part:
    """Return a part that was rolled out."""
    store = CaptureReader.open(path)
    arrays = {name: np.asarray(store.array(name)[:]) for name in (*BY_CONDITION, *SHARED)}
    return Part(ResolvedTrial.model_validate(store.attributes["resolved"]), arrays)


def joined(parts: Iterable[Part], resolved: ResolvedTrial, name: str) -> np.ndarray[Any, Any]:
    """Return an array of the whole trial, each condition taken from the last part that holds it.

    Raises
    ------
    LookupError
        No part holds a condition.
    """
    held = {_known_by(one): part.arrays[name][one.index] for part in parts for one in part.resolved.conditions}
    if missing := [one.text for one in resolved.conditions if _known_by(one) not in held]:
        raise LookupError(f"expected every condition rolled out or published, these are not: {missing}")
    return np.stack([held[_known_by(one)] for one in resolved.conditions])


def _known_by(condition: Condition) -> tuple[object, ...]:
    return condition.checkpoint_name, condition.text, condition.budget, condition.positions


def sum_up(folder: Path) -> None:
    """Write the checksums of all published files of a folder."""
    write_sums(folder, sorted(path.name for path in folder.iterdir() if path.suffix in {".npz", ".json"}))


def published(setting: Setting, folder: Path = FOLDER) -> TrialResults:
    """Return a published trial.

    Raises
    ------
    ValueError
        A file is not the one whose checksum was published.
    """
    facts = json.loads(unchanged(folder / f"{setting.key}.json").read_text(encoding="utf-8"))
    with np.load(unchanged(folder / f"{setting.key}.npz")) as stored:
        arrays = dict(stored)
    return TrialResults(
        job=JOB,
        spec=TrialSpec.model_validate(facts["spec"]),
        resolved=ResolvedTrial.model_validate(facts["resolved"]),
        policy=PolicyDescription.model_validate(facts["policy"]),
        provenance={},
        arrays=arrays,
    )


def everything(folder: Path = FOLDER) -> dict[str, TrialResults]:
    """Return every published trial by the key of its setting."""
    return {setting.key: published(setting, folder) for setting in SETTINGS}
