"""The tables of the page on learned compression, computed from the published arrays and the logs of the trainings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from attnscope.measures.intervals import Estimate
from attnscope.trials.costs import operations, tokens
from attnscope.trials.recipes import ArmOfRecipe
from attnscope.trials.results import TrialResults
from benchmarks.learned.comparing import ARM_NAMES, QUESTIONS, answer, by_episode, compared
from benchmarks.learned.running import published
from benchmarks.learned.subjects import ARTIFACTS, TRAINEES, Trainee
from benchmarks.study2.writing import rewritten, table

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "learned-compression.md"

GROWING: Final = 3
"""Episodes in which nothing is packed: 60 steps, and the first compression comes after 63."""


def tables(results: TrialResults) -> dict[str, str]:
    """Return every table of the page by the name of its mark."""
    return {
        "answers": table(
            ("", "arm", "against", "gain kept, these policies", "over training seeds", "so"), _answers(results)
        ),
        "returns": table(
            ("arm", "by training seed", "episodes 1–3", "episodes 4–20", "tokens", "million operations"),
            _returns(results),
        ),
        "trainings": table(("policy", "seed", "step", "CPU seconds", "validation returns, by step"), _trainings()),
    }


def write() -> Path:
    """Write the page's tables and return the page."""
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8"), tables(published())), encoding="utf-8")
    return PAGE


def _answers(results: TrialResults) -> Iterator[tuple[str, ...]]:
    for number, question in enumerate(QUESTIONS, 1):
        found = compared(results, question)
        names = ARM_NAMES[question.arm], ARM_NAMES[question.reference]
        yield (f"{number}", *names, _interval(found.these.kept), _over_seeds(found, names[1]), answer(found.these))


def _over_seeds(found: ArmOfRecipe, reference: str) -> str:
    """Return the interval over training seeds, or the reason why there is none."""
    if found.recipe.kept.has_interval:
        return _interval(found.recipe.kept)
    if found.training_seeds == 1:
        return "none: one seed"
    return f"none: the gain of {reference} is not shown over {found.reference_seeds} seeds"


def _returns(results: TrialResults) -> Iterator[tuple[str, ...]]:
    for arm, name in enumerate(ARM_NAMES):
        returns = by_episode(results, arm)
        places = [one.index for one in results.conditions if one.arm == arm]
        work = np.mean([operations(results, place)[0] for place in places]) / 1e6
        kept = np.mean([tokens(results, place) for place in places])
        yield (
            name,
            " ".join(f"{value:.2f}" for value in returns.mean(axis=1)),
            f"{returns[:, :GROWING].mean():.2f}",
            f"{returns[:, GROWING:].mean():.2f}",
            f"{kept:.1f}",
            f"{work:.1f}",
        )


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


def _interval(kept: Estimate) -> str:
    return f"{kept.value:.3f} [{kept.low:.3f}, {kept.high:.3f}]"


def spent(told: list[float]) -> float:
    """Return the CPU seconds of a run, whose count begins anew each time that it goes on."""
    following = [*told[1:], 0.0]
    return sum(one for one, after in zip(told, following, strict=True) if after < one)
