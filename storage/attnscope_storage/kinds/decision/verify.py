"""Re-reading a decision: its documents follow one another, and what was judged is what was rolled out."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import numpy as np

from attnscope_storage.errors import ChunkDamagedError
from attnscope_storage.kinds.decision.schema import DOCUMENT, decoded
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import VerificationReport
from attnscope_storage.wire.specifications.decisions import DecisionDocument

ROUNDING: Final = 1e-4
"""Difference that means of float32 returns may have."""

ROLLED: Final = ("decision/arm", "decision/task", "decision/seed", "decision/return")


UNIFORM: Final = "uniform actions"
"""Name under which the document holds returns of uniform actions, whose rollouts are not stored."""


def check_decision(reader: CaptureReader, names: set[str], report: VerificationReport) -> None:
    """Note every document that is none, and every judged return that no stored rollout gave."""
    documents: list[DecisionDocument] = []
    for part in range(reader.steps_committed if DOCUMENT in names else 0):
        try:
            documents.append(decoded(reader.array(DOCUMENT)[part]))
        except ChunkDamagedError as error:
            report.note(f"request {part}: {error.message}")
    for part, (before, after) in enumerate(pairwise(documents), start=1):
        if (
            after.card.rollouts < before.card.rollouts
            or after.card.lines[: len(before.card.lines)] != before.card.lines
        ):
            report.note(f"request {part}: its document does not go on from the one before")
    if documents and names.issuperset(ROLLED):
        _check_judged(reader, documents[-1], report)


def _check_judged(reader: CaptureReader, document: DecisionDocument, report: VerificationReport) -> None:
    """Note every arm whose judged returns are not those of its stored rollouts."""
    arms = ["uncompressed", *(arm.name for arm in document.card.arms)]
    stored = _stored(reader, document.card.first_episode)
    judged: dict[str, dict[str, Any]] = document.state.get("driver", {}).get("judged", {})
    for name, tasks in judged.items():
        if name == UNIFORM:
            continue
        if name not in arms:
            report.note(f"{name} was judged and never raced")
            continue
        for task, returns in tasks.items():
            rolled = stored.get((arms.index(name), int(task)), {})
            values = [rolled[seed] for seed in sorted(rolled)][-len(returns) :]
            if len(values) < len(returns) or not np.allclose(values, returns, rtol=ROUNDING, atol=ROUNDING):
                report.note(f"{name}, task {task}: the judged returns are not those of the stored rollouts")


def _stored(reader: CaptureReader, first_episode: int) -> dict[tuple[int, int], dict[int, float]]:
    """Return the mean return over judged episodes of every stored rollout, by arm and task, then seed."""
    found: dict[tuple[int, int], dict[int, float]] = {}
    for part in range(reader.steps_committed):
        arm, task, seed, returns = (reader.array(name)[part] for name in ROLLED)
        for place in np.flatnonzero(arm >= 0):
            judged = returns[place, first_episode:]
            mean = float(np.nanmean(judged)) if np.isfinite(judged).any() else float("nan")
            found.setdefault((int(arm[place]), int(task[place])), {})[int(seed[place])] = mean
    return found
