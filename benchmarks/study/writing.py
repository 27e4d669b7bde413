"""The files of the study: a table a trial, a summary a policy, and pictures."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import attnscope
from attnscope.documents import document
from attnscope.figures.style import save
from attnscope.figures.trials.pareto import pareto
from attnscope.figures.trials.predicted import predicted
from attnscope.figures.trials.table import trial_table
from attnscope.proposal import FIRST
from attnscope.recommendations.attention.basis import gather
from attnscope.report.report import small_png
from attnscope.study import study
from attnscope.trials.board import Board, board
from attnscope.trials.row import Row
from attnscope.trials.selection import winner
from benchmarks.study.running import Found
from benchmarks.study.subjects import Subject

DOCS = Path(__file__).resolve().parents[2] / "docs"
TABLES = DOCS / "study"
IMAGES = DOCS / "images" / "study"


def write(subject: Subject, found: Found) -> None:
    """Write a policy's tables, summary and pictures into the docs."""
    TABLES.mkdir(parents=True, exist_ok=True)
    boards = {name: board(results) for name, results in found.trials.items()}
    for name, one in boards.items():
        (TABLES / f"{subject.key}-{name}.csv").write_text(table(one), encoding="utf-8")
    summary: dict[str, Any] = {
        "checkpoint": subject.checkpoint,
        "advice": {
            "verdict": found.advice["verdict"],
            "first": [_short(one) for one in found.advice["recommendations"][:FIRST]],
        },
        "trials": {name: summarised(one) for name, one in boards.items()},
    }
    if "board" in boards:
        summary["predictions"] = _whole(subject, found, boards["board"])
    text = document(summary)
    (TABLES / f"{subject.key}.json").write_text(text + "\n", encoding="utf-8")
    print(f"{subject.key}: wrote {len(boards)} tables")


def _whole(subject: Subject, found: Found, whole: Board) -> dict[str, Any]:
    """Draw the trial of every strategy, and return how well the capture's predictions fit it."""
    basis = gather(study(attnscope.open(found.capture)))
    predictions, _ = basis.predict(whole.results)
    score = basis.score(whole.results)
    picture(trial_table(whole), f"{subject.key}-table")
    picture(pareto(whole), f"{subject.key}-pareto")
    picture(predicted(whole, predictions, score), f"{subject.key}-predicted")
    return score.to_json()


def table(one: Board) -> str:
    """Return a trial's rows as CSV, three decimals: what a reader compares."""
    text = io.StringIO()
    lines = [_line(row) for row in one.rows]
    writer = csv.DictWriter(text, list(lines[0]))
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def summarised(one: Board) -> dict[str, Any]:
    """Return what a trial came to: its checksum, its size, the winner on rollouts that chose nothing."""
    results = one.results
    best = winner(results)
    summary: dict[str, Any] = {
        "sha256": digest(results.arrays),
        "conditions": results.committed,
        "seeds": results.seeds,
        "tasks": len(results.tasks),
        "episodes": results.spec.episodes,
        "uncompressed_return": float(results.returns[0].mean()),
        "uncompressed_late_return": float(results.returns[0][..., -results.spec.episodes // 3 :].mean()),
        "optimal_return": float(np.nanmean(results.optimal_return)),
        "random_return": float(np.nanmean(results.random_return)),
    }
    if best is not None:
        kept = best.verdict.kept
        summary["winner"] = {
            "name": one.rows[best.condition].name,
            "share": one.rows[best.condition].share.value,
            "why": best.why,
            "how": best.how,
            "verdict": str(best.verdict),
            "kept": [kept.value, kept.low, kept.high],
        }
    return summary


def digest(arrays: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """Return the SHA-256 of a trial's decoded arrays, what was timed left out; equal on machines that compute alike."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        if name.startswith("speed/"):
            continue
        values = np.ascontiguousarray(arrays[name])
        found.update(f"{name} {values.dtype.str} {values.shape}\n".encode())
        found.update(values.tobytes())
    return found.hexdigest()


def _line(row: Row) -> dict[str, Any]:
    of, kept = row.condition, row.verdict.kept
    line: dict[str, Any] = {
        "strategy": of.text,
        "budget": of.budget,
        "positions": of.positions,
        "oracle": of.oracle,
        "share": row.share.value,
        "kept": kept.value,
        "kept_low": kept.low,
        "kept_high": kept.high,
        "verdict": row.verdict.word,
        "jointly": row.verdict.jointly,
        "decides": row.verdict.decides,
        "difference": row.difference.value,
        "late": row.phases["late"].kept.value if "late" in row.phases else None,
        "over_uniform": None if row.over_uniform is None else row.over_uniform.value,
        "over_uniform_low": None if row.over_uniform is None else row.over_uniform.low,
        "over_uniform_high": None if row.over_uniform is None else row.over_uniform.high,
        "tasks_lost": len(row.tasks.lost),
        "worst_task": min((one for one in row.tasks.kept if np.isfinite(one)), default=float("nan")),
        "kl": None if row.divergence is None or row.divergence.kl is None else row.divergence.kl.value,
        "flips": None if row.divergence is None or row.divergence.flips is None else row.divergence.flips.value,
        "flops_share": row.flops_share,
        "pairing": row.pairing,
    }
    return {name: _rounded(value) for name, value in line.items()}


def _rounded(value: Any) -> Any:  # noqa: ANN401 - a cell
    if isinstance(value, float):
        return round(value, 4) if np.isfinite(value) else ""
    return "" if value is None else value


def _short(recommendation: dict[str, Any]) -> dict[str, Any]:
    told = ("key", "strategy", "budget", "share", "positions", "tier", "retained", "skill")
    return {name: recommendation[name] for name in told}


def picture(figure: Figure, name: str) -> None:
    """Write a figure as a PNG of the docs."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    path = IMAGES / f"{name}.png"
    path.write_bytes(small_png(figure, save(figure, path)))
