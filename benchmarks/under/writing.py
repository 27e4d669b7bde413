"""The tables of the page on training under compression, computed from published arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, Float64
from scipy.stats import t as student

from attnscope.trials.seeds import FEWEST
from benchmarks.study2.writing import rewritten, table
from benchmarks.under.measuring import CELLS, FOLDER, WHOLE, Cell, published
from benchmarks.under.subjects import BASE, RULES, SEEDS, WITHOUT

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "trained-under-compression.md"

RESAMPLES: Final = 4000
"""Bootstrap resamples of rollouts within task and policy."""

HALF: Final = 0.5
"""Share of the loss whose recovery is claimed."""

NAMES: Final = {
    BASE: "before any fine-tuning",
    WITHOUT: "fine-tuned on whole contexts",
    "rewards": "fine-tuned under rewards 40 %",
    "recency": "fine-tuned under recency 40 %",
}
CONTEXTS: Final = {WHOLE: "whole", "rewards": "rewards 40 %", "recency": "recency 40 %"}

Returns = Mapping[str, np.ndarray]
"""The published arrays: returns [seed, task, rollout, episode] by condition, and what stands beside them."""


@dataclass(frozen=True)
class Recovered:
    """A share of a loss that training under a rule recovers, and the test of whether it is at least half."""

    rule: str
    against: str
    """The fine-tuning whose loss it is."""
    shares: Float64[np.ndarray, " seed"]
    excess: Float64[np.ndarray, " seed"]
    """T − F − (W − F) ÷ 2 of every training seed."""
    recipe: tuple[float, float]
    """Student's 95 % interval of the mean excess over training seeds."""
    these: tuple[float, float]
    """Bootstrap 95 % interval of the mean excess over rollouts, for these policies."""

    @property
    def claim(self) -> str:
        """The registered claim that holds, in words; one on the recipe needs as many training seeds as in trials."""
        if self.recipe[0] > 0 and len(self.excess) >= FEWEST:
            return "at least half, for the recipe"
        return "at least half, for these policies" if self.these[0] > 0 else "not shown to be half"


def recovered(arrays: Returns, rule: str, against: str, seed: int = 0) -> Recovered:
    """Return what training under a rule recovers of the loss of another fine-tuning."""
    parts = [_means(arrays, Cell(*cell)) for cell in ((rule, rule), (against, rule), (against, WHOLE))]
    trained, frozen, whole = (part.mean(axis=(1, 2)) for part in parts)
    excess = _excess(trained, frozen, whole)
    rng = np.random.default_rng(seed)
    seeds, tasks, rollouts = parts[0].shape
    # One fewer than there are, so that the variance is not too small by a tenth (Rao & Wu, 1988).
    drawn = rng.integers(0, rollouts, (RESAMPLES, seeds, tasks, rollouts - 1))
    places = np.arange(seeds)[:, None, None], np.arange(tasks)[:, None]
    # The conditions share random numbers, so one draw of rollouts serves all three.
    again = [part[places[0], places[1], drawn].mean(axis=(2, 3)) for part in parts]
    low, high = np.quantile(_excess(*again).mean(axis=1), (0.025, 0.975))
    half = student.ppf(0.975, seeds - 1) * excess.std(ddof=1) / np.sqrt(seeds)
    middle = float(excess.mean())
    shares = (trained - frozen) / (whole - frozen)
    return Recovered(rule, against, shares, excess, (middle - half, middle + half), (float(low), float(high)))


def tables(arrays: Returns) -> dict[str, str]:
    """Return every table of the page by the name of its mark."""
    held = [cell for cell in CELLS if cell.key in arrays]
    return {
        "returns": table(
            ("policy", "contexts", *(f"seed {seed}" for seed in SEEDS), "mean", "episodes 4–7"),
            (_line(arrays, cell) for cell in held),
        ),
        "recovered": table(
            (
                "rule",
                "against",
                "recovered share, by seed",
                "mean",
                "excess over half",
                "these three",
                "the recipe",
                "so",
            ),
            _recoveries(arrays),
        ),
    }


def write() -> Path:
    """Write the page's tables and return the page."""
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8"), tables(published(FOLDER))), encoding="utf-8")
    return PAGE


def _recoveries(arrays: Returns) -> Iterator[tuple[str, ...]]:
    for rule in RULES:
        for against in (WITHOUT, BASE):
            if not {f"{rule}-on-{rule}", f"{against}-on-{rule}", f"{against}-on-{WHOLE}"} <= arrays.keys():
                continue
            found = recovered(arrays, rule, against)
            claim = found.claim if (rule, against) == (next(iter(RULES)), WITHOUT) else "no claim registered"
            yield (
                CONTEXTS[rule],
                NAMES[against],
                " ".join(f"{share:.2f}" for share in found.shares),
                f"{found.shares.mean():.2f}",
                f"{found.excess.mean():+.3f}",
                f"[{found.these[0]:+.3f}, {found.these[1]:+.3f}]",
                f"[{found.recipe[0]:+.3f}, {found.recipe[1]:+.3f}]",
                claim,
            )


def _line(arrays: Returns, cell: Cell) -> tuple[str, ...]:
    returns = arrays[cell.key].astype(float)
    each = returns.mean(axis=(1, 2, 3))
    late = returns[..., 3:].mean()
    return (
        NAMES[cell.tuning],
        CONTEXTS[cell.contexts],
        *(f"{value:.2f}" for value in each),
        f"{each.mean():.2f}",
        f"{late:.2f}",
    )


def _means(arrays: Returns, cell: Cell) -> Float[np.ndarray, "seed task rollout"]:
    """Return the mean return of an episode of every rollout."""
    return arrays[cell.key].astype(float).mean(axis=-1)


def _excess(trained: np.ndarray, frozen: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return what is recovered beyond half of the loss."""
    return trained - frozen - HALF * (whole - frozen)
