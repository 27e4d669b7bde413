"""The table of aims in the page on policies, computed from published arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from jaxtyping import Float64
from scipy.stats import t as student

from attnscope.trials.seeds import FEWEST
from benchmarks.seeds.aims import AIMS, Aim
from benchmarks.seeds.measuring import published
from benchmarks.study2.writing import rewritten, table

RESAMPLES: Final = 4000
"""Bootstrap resamples of rollouts within task and policy."""

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "policies.md"

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Reached:
    """The mean of the judged episodes, and what it says about three policies and about their recipe."""

    each: Float64[np.ndarray, " seed"]
    these: tuple[float, float]
    """Bootstrap 95 % interval over rollouts within task: of the mean of these policies."""
    recipe: tuple[float, float]
    """Student's 95 % interval over training seeds: of the recipe's mean."""

    @classmethod
    def of(cls, arrays: Arrays, split: str, aim: Aim) -> Self:
        """Return it for one split, as returns or as shares of the optimum, as the aim counts."""
        judged = arrays[f"{split}-returns"][..., aim.judged].astype(float).mean(axis=-1)
        values = judged / (arrays[f"{split}-optimal"].mean() if aim.of_optimum else 1.0)
        each = values.mean(axis=(1, 2))
        half = float(student.ppf(0.975, len(each) - 1) * each.std(ddof=1) / np.sqrt(len(each)))
        seeds, tasks, rollouts = values.shape
        rng = np.random.default_rng(0)
        # One fewer than there are, so that the variance is not too small by a quarter of four (Rao & Wu, 1988).
        drawn = rng.integers(0, rollouts, (RESAMPLES, seeds, tasks, rollouts - 1))
        means = values[np.arange(seeds)[:, None, None], np.arange(tasks)[:, None], drawn].mean(axis=(1, 2, 3))
        low, high = np.quantile(means, (0.025, 0.975))
        these = float(low), float(high)
        return cls(each, these, (float(each.mean()) - half, float(each.mean()) + half))

    def verdict(self, least: float) -> str:
        """Return the words for who reaches an aim, if anyone; a word on the recipe needs as many seeds as in trials."""
        if self.each.mean() < least:
            return "**missed**"
        if self.recipe[0] >= least and len(self.each) >= FEWEST:
            return "reached, for the recipe"
        if self.these[0] >= least:
            return "reached, for these policies"
        return "reached by the mean, within its error"


def lines(aim: Aim, arrays: Arrays) -> Iterator[tuple[str, ...]]:
    """Yield the line of each split, validation first."""
    first = next(iter(aim.sizes))
    for split in aim.sizes:
        found, tasks = Reached.of(arrays, split, aim), len(arrays[f"{split}-tasks"])
        least, optimum = _number(aim.least, aim), arrays[f"{split}-optimal"].mean()
        yield (
            aim.title if split == first else "",
            f"{split}, {tasks}",
            f"{aim.first}–{aim.episodes}",
            f"{least} of {optimum:.2f}",
            ", ".join(_number(value, aim) for value in found.each),
            _number(float(found.each.mean()), aim),
            _within(found.these, aim),
            _within(found.recipe, aim),
            found.verdict(aim.least) if split != first else "",
        )


def tables(folder: Path | None = None) -> dict[str, str]:
    """Return the table by the name of its mark."""
    head = ("recipe", "tasks", "episodes", "aim", "by training seed", "mean", "these three", "the recipe", "so")
    found = [line for aim in AIMS for line in lines(aim, published(aim, *([] if folder is None else [folder])))]
    return {"aims": table(head, found)}


def write() -> Path:
    """Write the page's table and return the page."""
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8"), tables()), encoding="utf-8")
    return PAGE


def _number(value: float, aim: Aim) -> str:
    return f"{value:.0%}" if aim.of_optimum else f"{value:.2f}"


def _within(limits: tuple[float, float], aim: Aim) -> str:
    return f"[{_number(limits[0], aim)}, {_number(limits[1], aim)}]"
