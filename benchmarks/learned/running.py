"""The trial of the study: all arms on the same held-out tasks, by the code of every trial, and its published arrays."""

from __future__ import annotations

import json
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
from attnscope_storage.wire import PolicyDescription, ResolvedTrial, TrialSpec
from benchmarks.checksums import unchanged, write_sums
from benchmarks.learned.subjects import CAD, NEWEST, TRAINEES

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "study" / "learned"
ARRAYS: Final = "trial.npz"
FACTS: Final = "trial.json"

JOB: Final = "learned"

FRESH: Final = tuple(range(500, 505))
"""Evaluation seeds; no choice was made by rollouts of these seeds."""

EPISODES: Final = 20

MEAN_TOKENS: Final = 39
"""Tokens of history that CAD's decisions have in the mean of a period, rounded up."""

FROZEN: Final = "AD-reference-sweeper-darkroom-reference-seed0@2400"
"""A shipped policy with a context of 160."""

GROUPS: Final = tuple(dict.fromkeys(trainee.group for trainee in TRAINEES))
"""The trial's recipes."""


def _newest(checkpoint: str, tokens: int, **others: str) -> dict[str, Any]:
    return {"checkpoint": checkpoint, "strategy": {"name": "recency"}, "budget": tokens, **others}


ARMS: Final[tuple[dict[str, Any], ...]] = (
    {"checkpoint": NEWEST},
    {"checkpoint": CAD},
    _newest(NEWEST, MEAN_TOKENS, positions="reindex"),
    {"checkpoint": CAD, "strategy": {"name": "none"}},
    {"checkpoint": CAD, "strategy": {"name": "latents", "parameters": {"newest": 23}}},
    {"checkpoint": f"{NEWEST}-end"},
    {"checkpoint": f"{CAD}-end"},
    {"checkpoint": FROZEN},
    _newest(FROZEN, 63),
)
"""The registered arms; the first one is the reference."""

STORED: Final = ("trial/return", "trial/kept", "trial/held", "trial/flops", "env/seed", "env/task")
"""Arrays that are published."""


def specification() -> TrialSpec:
    """Return the trial's specification."""
    recipes = [{"name": group, "checkpoints": [one.name for one in TRAINEES if one.group == group]} for group in GROUPS]
    lists = TRAINEES[0].plan.task_lists()
    return TrialSpec.model_validate(
        {
            "arms": ARMS,
            "recipes": recipes,
            "tasks": {"split": "all", "indices": lists.test},
            "seeds": FRESH,
            "episodes": EPISODES,
            "divergence_steps": 0,
            "kept_steps": 0,
            "speed": {"enabled": False},
        }
    )


def run(runs: Path, to: Path = FOLDER) -> Path:
    """Register the policies, roll the trial out or go on with it, and publish its arrays; return their folder."""
    torch.set_num_threads(1)
    registry = CheckpointRegistry(runs / "learned" / "registry")
    registry.add_shipped()
    for trainee in TRAINEES:
        trainee.add(runs, registry)
    device = torch.device("cpu")

    def load(identity: str) -> tuple[Any, Any]:
        return load_policy(registry.folder(identity), device), registry.get(identity)

    spec = specification()
    resolved, path = resolve_trial(spec, registry), runs / "learned" / "trial.zarr"
    order = TrialOrder(JOB, "study", spec, resolved, path, durable=False, listings=LISTED, load=load)
    run_trial(order, *load(resolved.checkpoint_id), device, TrialRunner)
    return publish(path, to)


def publish(store: Path, to: Path) -> Path:
    """Put a finished trial's arrays and facts into a folder, with their checksums."""
    reader = CaptureReader.open(store)
    to.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, np.ndarray[Any, Any]] = {name: np.asarray(reader.array(name)[:]) for name in STORED}
    arrays["trial/return"] = arrays["trial/return"].astype(np.uint8)  # rewards are 0 or 1
    np.savez_compressed(to / ARRAYS, **arrays)  # type: ignore[arg-type]  # names have strokes
    facts = {name: reader.attributes[name] for name in ("spec", "resolved", "policy")}
    (to / FACTS).write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    write_sums(to, (ARRAYS, FACTS))
    return to


def published(folder: Path = FOLDER) -> TrialResults:
    """Return the published trial.

    Raises
    ------
    ValueError
        A file is not the one whose checksum was published.
    """
    facts = json.loads(unchanged(folder / FACTS).read_text(encoding="utf-8"))
    with np.load(unchanged(folder / ARRAYS)) as stored:
        arrays = dict(stored)
    return TrialResults(
        job=JOB,
        spec=TrialSpec.model_validate(facts["spec"]),
        resolved=ResolvedTrial.model_validate(facts["resolved"]),
        policy=PolicyDescription.model_validate(facts["policy"]),
        provenance={},
        arrays=arrays,
    )
