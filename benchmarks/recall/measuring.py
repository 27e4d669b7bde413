"""The rollouts of the study: returns under recency below and above the needed memory, and attention by age."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from uuid import uuid4

import numpy as np
import torch
from jaxtyping import Float, Float64

from attnscope_env import environment_seeds, preset
from attnscope_env.histories import record
from attnscope_env.popgym_tasks.recaller import Recaller
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_server.training.evaluation import episode_returns
from attnscope_server.training.under import UnderPlan
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import CaptureSpec
from benchmarks.checksums import write_sums
from benchmarks.recall.subjects import SEEDS, THREE, Subject

BUDGETS: Final = (12, 14, 15, 16, 20, 25, 40, 51)
"""Newest transitions that are kept; the card that is asked for is 15 transitions back. Two layers have no 16."""

WHOLE: Final = 103
"""Transitions of a whole context."""

ROLLOUTS: Final = 5
"""Rollouts of each held-out task."""

SOURCE_ROLLOUTS: Final = 10
"""The same of the source, which costs little."""

EPISODES: Final = 3
"""Episodes of a rollout; the window is full in the third."""

FIRST_SEED: Final = 1000
"""Seed of the rollouts; nothing was chosen by rollouts of this seed."""

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "study" / "recall"
PRESET: Final = THREE.plan.preset


def file_of(subject: Subject) -> str:
    """Return the name of a recipe's file."""
    return f"measured-{subject.key}.npz"


def returns_under(runs: Path, subject: Subject, seed: int, budget: int) -> Float64[np.ndarray, "task rollout episode"]:
    """Return a policy's returns where the newest `budget` transitions are kept; measured once."""
    kept = subject.runs(runs) / "recall" / f"recency-{budget}-seed{seed}.npy"
    if not kept.exists():
        room = preset(PRESET)
        policy = load_policy(subject.folder(runs, seed), torch.device("cpu"))
        setup = None if budget == WHOLE else UnderPlan.of_text(f"recency:{budget}", "reindex").compression
        returns = episode_returns(
            policy, room, room.tasks("test"), rollouts=ROLLOUTS, episodes=EPISODES, seed=FIRST_SEED, setup=setup
        )
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, returns)
    return np.asarray(np.load(kept, allow_pickle=False))


def source_under(budget: int) -> Float64[np.ndarray, " episode"]:
    """Return the mean returns of the source where it draws every conclusion from the newest `budget` transitions."""
    room = preset(PRESET)
    tasks = [task for task in room.tasks("test") for _ in range(SOURCE_ROLLOUTS)]
    index = [task.index for task in tasks]
    agents = Recaller(len(tasks), k=16, noise=0.0, seed=0, window=budget)
    seeds = environment_seeds([FIRST_SEED] * len(tasks), index, range(len(tasks)))
    made = record(
        room.make_vector(tasks), agents, np.array(index), episodes=EPISODES, horizon=room.horizon, seeds=seeds
    )
    return np.asarray(made.episode_returns().mean(axis=0))


def attention_by_age(runs: Path, subject: Subject, seed: int) -> Float[np.ndarray, "layer head age"]:
    """Return the attention of decisions on transitions of each age, where the window is full and a card is asked for.

    Age 0 is the query itself; age n is the transition n steps back.
    """
    kept = subject.runs(runs) / "recall" / f"attention-seed{seed}.npy"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, _attention(subject.folder(runs, seed)))
    return np.asarray(np.load(kept, allow_pickle=False))


def _attention(checkpoint: Path) -> Float[np.ndarray, "layer head age"]:
    horizon = preset(PRESET).horizon
    with tempfile.TemporaryDirectory() as folder:
        registry = CheckpointRegistry(Path(folder) / "registry")
        info = registry.add(checkpoint)
        policy = load_policy(checkpoint, torch.device("cpu"))
        asked = {
            "checkpoint": info.name,
            "tasks": {"split": "test"},
            "steps": EPISODES * horizon,
            "seeds": [FIRST_SEED],
            "rows": {"form": "f16"},
            "maps": {"count": 0},
        }
        spec = CaptureSpec.model_validate(asked)
        path = Path(folder) / f"{uuid4()}.zarr"
        order = CaptureOrder("ages", "bench", spec, resolve(spec, registry), path, durable=False)
        run_capture(order, policy, info, torch.device("cpu"))
        reader = CaptureReader.open(path)
        first = (EPISODES - 1) * horizon + 15
        rows = reader.array("attention/rows")[first:].astype(np.float64)
        full = reader.array("context/length")[first:] == WHOLE + 1
    return rows[full].mean(axis=0)[..., ::-1]


def publish(runs: Path, subject: Subject, to: Path = FOLDER) -> Path:
    """Measure what is not measured yet, put it into one file, write the checksums, and return the file."""
    budgets = (*BUDGETS, WHOLE)
    arrays: Mapping[str, np.ndarray] = {
        "budgets": np.array(budgets),
        "returns": np.array(
            [[returns_under(runs, subject, seed, budget) for budget in budgets] for seed in SEEDS], np.float32
        ),
        "source": np.array([source_under(budget) for budget in budgets], np.float32),
        "attention": np.array([attention_by_age(runs, subject, seed) for seed in SEEDS], np.float32),
    }
    to.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(to / file_of(subject), **arrays)
    write_sums(to, sorted(path.name for path in to.glob("*.npz")))
    return to / file_of(subject)
