"""The numbers of one checkpoint that are followed over training: returns, attention, departures."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Shaped

from attnscope_storage.proposing import rollout_means
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire.specifications.screens import ResolvedScreen

NEWEST = 2
"""Entry of ``stats/recency`` whose window is ten tokens."""


LATE = 3
"""The late episodes are the last one of so many parts."""


def scalars(capture: CaptureReader, screen: CaptureReader) -> dict[str, float]:
    """Return the numbers by the names that TensorBoard shows; those that are not known are left out."""
    found = _returns(capture) | _attention(capture) | _departures(screen)
    return {name: float(value) for name, value in found.items() if np.isfinite(value)}


def _returns(capture: CaptureReader) -> dict[str, float]:
    """Return the return of an episode in the last third of the whole ones, and the share of rollouts that earn."""
    task = capture.array("env/task")[:]
    reward, ended = capture.array("rollout/reward")[:].astype(np.float64), capture.array("rollout/terminated")[:] > 0
    done = np.cumsum(ended | (capture.array("rollout/truncated")[:] > 0), axis=0)
    whole = int(done[-1].min()) if len(done) else 0
    if not whole:
        return {}
    before = np.concatenate([np.zeros((1, done.shape[1]), done.dtype), done[:-1]])
    first = whole - max(1, whole // LATE)
    late = np.where((before >= first) & (before < whole), reward, 0).sum(axis=0) / (whole - first)
    earned = (np.where(before < whole, reward, 0) != 0).any(axis=0).astype(np.float64)
    return {"return/late": _over_tasks(late, task), "return/rollouts that earn": _over_tasks(earned, task)}


def _attention(capture: CaptureReader) -> dict[str, float]:
    names = capture.names()
    found = {}
    for name, label in (("entropy", "entropy (nats)"), ("sink", "oldest slot"), ("self", "the query itself")):
        if f"stats/{name}" in names:
            found[f"attention/{label}"] = _mean(capture.array(f"stats/{name}")[:])
    if "stats/recency" in names:
        found["attention/newest 10 tokens"] = _mean(capture.array("stats/recency")[..., NEWEST])
    return found


def _departures(screen: CaptureReader) -> dict[str, float]:
    resolved = ResolvedScreen.model_validate(screen.attributes["resolved"])
    task = screen.array("rollout/task")[:]
    live = screen.array("decision/live")[:] != 0
    each = rollout_means(screen.array("screen/departure")[:], live)
    often = each * screen.array("rollout/live_each")[:].astype(float)[:, None]
    found = {}
    for arm in resolved.arms:
        budget = (
            "" if arm.budget is None else f" {arm.budget:.0%}" if isinstance(arm.budget, float) else f" {arm.budget}"
        )
        name = f"{arm.text}{budget} {arm.positions}"
        found[f"departure/{name}"] = _over_tasks(each[:, arm.index], task)
        found[f"departures an episode/{name}"] = _over_tasks(often[:, arm.index], task)
    return found


def _over_tasks(values: Float64[np.ndarray, " rollout"], task: Shaped[np.ndarray, " rollout"]) -> float:
    """Return the mean over tasks, which count alike; rollouts without a number are left out."""
    known = np.isfinite(values)
    if not known.any():
        return float("nan")
    return float(np.mean([values[known & (task == one)].mean() for one in np.unique(task[known])]))


def _mean(values: Shaped[np.ndarray, ...]) -> float:
    known = values.astype(np.float64)
    return float(np.nanmean(known)) if np.isfinite(known).any() else float("nan")
