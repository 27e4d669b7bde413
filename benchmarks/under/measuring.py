"""The rollouts of the study: every policy on the same held-out tasks, on whole contexts and on compressed ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float64, UInt8

from attnscope_env import preset
from attnscope_model.checkpoints.native import load_policy
from attnscope_server.training.evaluation import episode_returns
from attnscope_server.training.plan import tasks_of
from benchmarks.checksums import unchanged, write_sums
from benchmarks.under.subjects import BASE, RULES, SEEDS, WITHOUT, Trainee

TASKS: Final = 24
"""Held-out tasks, spread evenly over the split, as the policies' cards have them."""

ROLLOUTS: Final = 10
"""Rollouts of each task."""

EPISODES: Final = 7
"""Episodes of a rollout: the window is then full once."""

FIRST_SEED: Final = 1000
"""Seed of the rollouts; no choice was made by rollouts of this seed."""

WHOLE: Final = "whole"
"""Contexts that are not compressed."""

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "study" / "under"
ARRAYS: Final = "returns.npz"


@dataclass(frozen=True)
class Cell:
    """A condition of the study: a fine-tuning, and the contexts that it is judged on."""

    tuning: str
    contexts: str
    """A rule or `WHOLE`."""

    @property
    def key(self) -> str:
        """Name in files."""
        return f"{self.tuning}-on-{self.contexts}"


CELLS: Final = tuple(
    Cell(tuning, contexts)
    for contexts, tunings in {
        WHOLE: (BASE, WITHOUT, "rewards", "recency"),
        "rewards": (BASE, WITHOUT, "rewards"),
        "recency": (BASE, WITHOUT, "recency"),
    }.items()
    for tuning in tunings
)


def measure(runs: Path, cell: Cell, seed: int) -> Float64[np.ndarray, "task rollout episode"]:
    """Return the returns of a training seed's policy in a condition; those that are kept are not measured again."""
    kept = runs / "under" / f"{cell.key}-seed{seed}.npy"
    if not kept.exists():
        room = preset("key-to-door")
        tasks = tasks_of(room, tuple(task.index for task in room.tasks("test")), TASKS)
        policy = load_policy(Trainee(seed, cell.tuning).folder(runs), torch.device("cpu"))
        setup = None if cell.contexts == WHOLE else RULES[cell.contexts].compression
        returns = episode_returns(
            policy, room, tasks, rollouts=ROLLOUTS, episodes=EPISODES, seed=FIRST_SEED, setup=setup
        )
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, returns)
    return np.asarray(np.load(kept, allow_pickle=False))


def measurable(runs: Path, cell: Cell) -> bool:
    """Return whether every training seed's policy of a condition is there, and those that its contexts belong to."""
    tunings = {cell.tuning} | ({cell.contexts} - {WHOLE})
    return all(Trainee(seed, tuning).folder(runs).exists() for seed in SEEDS for tuning in tunings)


def publish(runs: Path, to: Path = FOLDER, tunings: Sequence[str] = ()) -> list[str]:
    """Put the returns of all conditions that can be measured into one file with its checksum; return their names.

    Parameters
    ----------
    runs
        Folder of the runs, in which returns are kept.
    to
        Folder of the file.
    tunings
        Of which policies; all where nothing is said.
    """
    asked = [cell for cell in CELLS if not tunings or cell.tuning in tunings]
    done = [cell for cell in asked if measurable(runs, cell)]
    arrays: dict[str, UInt8[np.ndarray, "seed task rollout episode"]] = {
        cell.key: np.stack([measure(runs, cell, seed) for seed in SEEDS]).astype(np.uint8) for cell in done
    }
    room = preset("key-to-door")
    tasks = tasks_of(room, tuple(task.index for task in room.tasks("test")), TASKS)
    beside = {
        "task": np.array([task.index for task in tasks]),
        "random": np.array([task.random_return for task in tasks]),
    }
    to.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(to / ARRAYS, **arrays, **beside)
    write_sums(to, [ARRAYS])
    return [cell.key for cell in done]


def published(folder: Path = FOLDER) -> dict[str, np.ndarray]:
    """Return the published arrays.

    Raises
    ------
    ValueError
        The file is not the one whose checksum was published.
    """
    with np.load(unchanged(folder / ARRAYS)) as stored:
        return dict(stored)
