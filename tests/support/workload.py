"""One small job of each kind, and the comparison of what two services stored of it: equal to the bit but for times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from attnscope.job import JobHandle
from attnscope.service import Service
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_storage.layout.bucket import StorePath
from attnscope_storage.wire import TrialSpec
from attnscope_storage.wire.specifications.decisions import DecisionSpec
from planted import Planted, write_planted
from reading_here import reading_here
from stores import differing

STEPS: Final = 1024
"""Steps of the capture: eight commits."""

CAPTURE: Final = {
    "checkpoint": "AD-darkroom-seed42",
    "tasks": {"split": "test", "indices": [2, 7]},
    "steps": STEPS,
    "maps": {"steps": [70, STEPS - 1]},
}
TRIAL: Final = {
    "kind": "trial",
    "checkpoint": "AD-darkroom-seed42",
    "tasks": {"split": "test", "indices": [2, 7]},
    "seeds": [0, 4],
    "episodes": 6,
    "strategies": [{"name": "none"}, {"name": "recency"}],
    "budgets": [0.25],
    "positions": ["keep"],
    "divergence_steps": 3,
    "kept_steps": 4,
    "speed": {"envs": [1], "decisions": 2, "rounds": 1},
}
ARMS: Final = {
    "kind": "trial",
    "arms": [
        {"checkpoint": "AD-absolute-darkroom-reference-seed0@1000"},
        {"checkpoint": "AD-absolute-darkroom-reference-seed0@500"},
    ],
    "tasks": {"split": "test", "indices": [2, 7]},
    "seeds": [0, 1],
    "episodes": 3,
    "divergence_steps": 3,
    "kept_steps": 4,
    "speed": {"enabled": False},
}
"""A trial of two checkpoints, each of which its machine must have."""
SCREEN: Final = {
    "kind": "screen",
    "decisions": 64,
    "strategies": [{"name": "none"}, {"name": "recency"}],
    "budgets": [0.25, 10],
}
DECISION: Final = {
    "checkpoint": "stays",
    "tasks": {"goals": [[4, 5], [5, 4], [3, 4], [4, 3]]},
    "screening": {"goals": [[3, 3], [5, 5], [3, 5], [5, 3]]},
    "episodes": 3,
    "budgets": [8],
    "positions": ["reindex"],
    "screened": 64,
}
"""On a planted policy, which stays on the goal because of the reward one step back."""

TIMED: Final = frozenset({"speed/seconds", "speed/p50", "speed/p95", "cost/seconds", "decision/document"})
"""Arrays that no two runs have alike: durations, and the card that tells them."""

Store = Callable[[UUID | str], StorePath]
"""Returns the place of a job's store."""


def add_checkpoints(folder: Path, making: Path) -> None:
    """Register the planted policy in the folder of a service's checkpoints."""
    write_planted(making / "stays", Planted(back=1, reads="reward"), name="stays", preset="darkroom-toymeta")
    with reading_here():
        CheckpointRegistry(folder).add(making / "stays")


def submit(client: Service, kind: str, name: UUID, of: UUID | None = None) -> None:
    """Submit the job of a kind under a name, so that a repetition is harmless; `of` is the capture of a screen."""
    match kind:
        case "capture":
            client.submit(job_id=name, **CAPTURE)
        case "screen":
            client.submit(job_id=name, capture=of, **SCREEN)
        case "trial":
            client.submit(TrialSpec.model_validate(TRIAL), job_id=name)
        case "arms":
            client.submit(TrialSpec.model_validate(ARMS), job_id=name)
        case _:
            client.submit(DecisionSpec.model_validate(DECISION), job_id=name)


def apart(kind: str, left: tuple[JobHandle, Store], right: tuple[JobHandle, Store]) -> list[str]:
    """Return the arrays that two ended jobs of a kind do not have alike, those of a decision's parts too."""
    (one, its), (other, theirs) = left, right
    pairs: dict[str, tuple[StorePath, StorePath]] = {kind: (its(one.id), theirs(other.id))}
    if kind == "decision":
        parts: tuple[Mapping[str, Any], ...] = tuple(job.decision().card.children for job in (one, other))
        assert parts[0].keys() == parts[1].keys()
        pairs |= {f"decision/{name}": (its(parts[0][name]), theirs(parts[1][name])) for name in parts[0]}
    return [f"{what}: {name}" for what, pair in pairs.items() for name in differing(*pair) if name not in TIMED]
