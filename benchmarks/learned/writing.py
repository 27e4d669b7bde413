"""The table of the page on learned compression, computed from the logs of the trainings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.learned.subjects import ARTIFACTS, TRAINEES, Trainee
from benchmarks.study2.writing import rewritten, table

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "learned-compression.md"


def tables() -> dict[str, str]:
    """Return every table of the page by the name of its mark."""
    return {
        "trainings": table(("policy", "seed", "step", "CPU seconds", "validation returns, by step"), _trainings()),
    }


def write() -> Path:
    """Write the page's tables and return the page."""
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8"), tables()), encoding="utf-8")
    return PAGE


def _trainings() -> Iterator[tuple[str, ...]]:
    last: dict[str, Trainee] = {}
    for one in sorted(TRAINEES, key=lambda one: one.step):
        last[one.plan.run_name] = one
    for folder, one in sorted(last.items()):
        lines = (ARTIFACTS / folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
        log = [told for told in map(json.loads, lines) if told["step"] <= one.step]
        seconds = spent([told["cpu_seconds"] for told in log if "cpu_seconds" in told])
        validated = {told["step"]: told["validation_return"] for told in log if "validation_return" in told}
        returns = ", ".join(f"{value:.1f} ({step:,})" for step, value in validated.items())
        yield one.recipe, str(one.seed), f"{one.step:,}", f"{seconds:.0f}", returns


def spent(told: list[float]) -> float:
    """Return the CPU seconds of a run, whose count begins anew each time that it goes on."""
    following = [*told[1:], 0.0]
    return sum(one for one, after in zip(told, following, strict=True) if after < one)
