"""The trials of the study: arms on the same held-out tasks, by the code of every trial; their published arrays."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from attnscope.trials.results import TrialResults
from attnscope_env import LISTED
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
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

EPISODES: Final = 20

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
    arms = [
        arm
        for arm in setting.arms.values()
        if arm["checkpoint"] in recipes or (shipped and arm["checkpoint"] not in setting.recipes)
    ]
    return TrialSpec.model_validate(
        {
            "arms": arms,
            "recipes": [{"name": name, "checkpoints": names} for name, names in recipes.items()],
            "tasks": {"split": "all", "indices": judged[0].plan.task_lists().test},
            "seeds": FRESH,
            "episodes": EPISODES,
            "divergence_steps": 0,
            "kept_steps": 0,
            "speed": {"enabled": False},
        }
    )


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

    Raises
    ------
    ValueError
        The parts have other tasks or evaluation seeds than each other.
    """
    spec = specification(setting)
    resolved = resolve_trial(spec, registered(of_recipes(setting.recipes), runs))
    stores = [CaptureReader.open(store_of(setting, runs, part)) for part in parts(setting)]
    arrays: dict[str, np.ndarray[Any, Any]] = {name: joined(stores, resolved, name) for name in BY_CONDITION}
    for name in SHARED:
        first, *others = (np.asarray(store.array(name)[:]) for store in stores)
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


def joined(stores: Iterable[CaptureReader], resolved: ResolvedTrial, name: str) -> np.ndarray[Any, Any]:
    """Return an array of the whole trial, each condition taken from the part that holds it."""
    held = {}
    for store in stores:
        own, values = ResolvedTrial.model_validate(store.attributes["resolved"]), np.asarray(store.array(name)[:])
        held |= {_known_by(condition): values[condition.index] for condition in own.conditions}
    return np.stack([held[_known_by(condition)] for condition in resolved.conditions])


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
