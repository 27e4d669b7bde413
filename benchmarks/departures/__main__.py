"""`python -m benchmarks.departures [POLICY …] [--folder runs/departures]`: screen what the study tried, fit costs.

A policy is captured on the tasks that it was chosen by, which the study's trials never saw, and screened under the
arms of its board. Measured costs are 1 − kept of the boards in `docs/study`. A policy that the
folder holds is not screened again. Once all are there, the curve is fitted and written to the client's package data.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np
import torch
from jaxtyping import Float64

from attnscope.screens.predicted import FILE
from attnscope.screens.results import ScreenResults
from attnscope_env import LISTED
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.compression import Compression
from attnscope_model.strategies import build
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_server.screening import screen
from attnscope_server.screening.stored import StoredHistories
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import CaptureSpec
from benchmarks.departures.isotonic import at, fitted
from benchmarks.study.subjects import BLIND, GUIDED, SUBJECTS, Subject
from benchmarks.subject import CPU

ROOT: Final = Path(__file__).resolve().parents[2]
COMMAND: Final = "python -m benchmarks.departures"
SEEDS: Final = (100, 101, 102, 103)
"""Seeds of the captures: those of the study's own begin here too, and no trial used them."""

TASKS: Final = 8

Points = Float64[np.ndarray, "condition 2"]
"""Departures of an episode, and the share of the gain that the trial lost."""


def main() -> None:
    """Screen the policies that are named, and fit the curve where all are there."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("policies", nargs="*", metavar="POLICY", help="which; all where nothing is said")
    parser.add_argument("--folder", type=Path, default=Path("runs/departures"), help="where screened numbers are kept")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    asked.folder.mkdir(parents=True, exist_ok=True)
    known = {one.key: one for one in SUBJECTS}
    for key in asked.policies or known:
        path = asked.folder / f"{key}.json"
        if not path.exists():
            path.write_text(json.dumps(screened(known[key]), indent=1) + "\n", encoding="utf-8")
        print(f"{key}: {len(json.loads(path.read_text(encoding='utf-8'))['departures'])} conditions", flush=True)
    paths = {key: asked.folder / f"{key}.json" for key in known}
    if all(path.exists() for path in paths.values()):
        write({key: json.loads(path.read_text(encoding="utf-8")) for key, path in paths.items()})


def screened(subject: Subject) -> dict[str, Any]:
    """Return the departures of an episode under every arm of a policy's board."""
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        registry = CheckpointRegistry(folder / "registry")
        registry.add_shipped()
        info = registry.get(subject.checkpoint)
        policy = load_policy(registry.folder(info.id), CPU)
        tasks = {"split": "all", "indices": tuple(info.validation_tasks or ())[:TASKS]}
        asked = {"checkpoint": info.id, "tasks": tasks, "seeds": SEEDS, "episodes": subject.episodes}
        spec = CaptureSpec.model_validate(asked | {"maps": {"count": 0}})
        resolved, path = resolve(spec, registry), folder / f"{uuid4()}.zarr"
        run_capture(CaptureOrder("capture", "bench", spec, resolved, path, durable=False), policy, info, CPU)
        reader = CaptureReader.open(path)
        source = StoredHistories(reader, reader.steps_committed, rows=True)
        rules = [build(choice.name, choice.parameters) for choice in (*BLIND, *GUIDED)]
        arms = [Compression(rule, share, subject.positions) for rule in rules for share in subject.shares]
        most = LISTED.listing(resolved.environment_id).preset(resolved.environment_kwargs).most_rewards
        found = screen(policy, source, arms, most_rewards=most)
    reach = {cell.index: (cell.random_return, cell.optimal_return) for cell in resolved.tasks}
    results = ScreenResults(found.conditions, policy.description, found.task, found.arrays, reach=reach)
    return {
        "checkpoint": subject.checkpoint,
        "arms": [[arm.text, arm.budget, arm.positions] for arm in results.arms],
        "departures": results.per_episode.value.tolist(),
        "attained": results.attained,
        "decisions": int(results.live.size),
        "rollouts": len(results.task),
        "tasks": len(set(results.task.tolist())),
        "seconds": round(time.process_time() - begun),
    }


def joined(key: str, of: dict[str, Any]) -> Points:
    """Return (departures, cost) of every condition of a policy's board that was screened."""
    with (ROOT / "docs" / "study" / f"{key}-board.csv").open(encoding="utf-8") as file:
        board = {(row["strategy"], row["budget"], row["positions"]): row for row in csv.DictReader(file)}
    screened_arms = [(text, str(budget), positions) for text, budget, positions in of["arms"]]
    return np.array(
        [
            (departures, 1 - float(board[arm]["kept"]))
            for arm, departures in zip(screened_arms, of["departures"], strict=True)
            if arm in board
        ],
        np.float64,
    )


def write(found: dict[str, dict[str, Any]]) -> None:
    """Fit the curve to all policies, predict each by the others, print both and write them."""
    points = {key: joined(key, of) for key, of in found.items()}
    policies = []
    for key, of in found.items():
        others = np.concatenate([points[other] for other in points if other != key])
        apart = at(fitted(*others.T), points[key][:, 0]) - points[key][:, 1]
        policies.append(
            {
                "checkpoint": of["checkpoint"],
                "conditions": len(points[key]),
                "attained": round(of["attained"], 3),
                "error": round(float(np.abs(apart).mean()), 3),
                "bias": round(float(apart.mean()), 3),
            }
        )
        print(f"{key}: {len(points[key])} conditions; predicted by the others it is off by {policies[-1]['error']}")
    together = np.concatenate(list(points.values()))
    knots = fitted(*together.T)
    said = {
        "command": COMMAND,
        "what": "share of the gain over uniform actions that trials lost, by departures of an episode of a screen",
        "fit": "isotonic least squares (pool adjacent violators) of all conditions; lines between the pools' means",
        "error": "mean absolute error of a policy's conditions, predicted by the curve of the other policies",
        "policies": policies,
        "knots": [[round(float(x), 4), round(float(y), 4)] for x, y in knots],
    }
    path = ROOT / "client" / "attnscope" / "screens" / FILE
    path.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {path.relative_to(ROOT)}: {len(knots)} knots of {len(together)} conditions")


if __name__ == "__main__":
    main()
