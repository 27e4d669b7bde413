"""The tables of the study's page, computed from the published tables and summaries; no rollout is read."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from benchmarks.study.subjects import SUBJECTS
from benchmarks.study.writing import DOCS, TABLES
from benchmarks.study2.writing import rewritten, table

PAGE: Final = DOCS / "compression-study.md"

LEARNED: Final = "darkroom-absolute"

BOARD: Final = {
    "recency": "recency()",
    "rewards + recency": "rewards(share=0.5)",
    "sinks + recency": "sinks(sinks=4)",
    "uniform": "uniform()",
    "random": "random(seed=0)",
    "TOVA (oracle)": "tova()",
    "pooled window, attention-weighted (oracle)": "pooled-window(summaries=4, weighted=True)",
}
"""Rules of the first table, in words."""

ANCHORED: Final = "anchored(inner=recency(), starts=True, oldest=False, first_rewarded=False)"
COUNTED: Final = {"recency": "recency()", "uniform": "uniform()", "anchored recency": ANCHORED}
"""Rules of the table of counts."""


@dataclass(frozen=True)
class Kept:
    """The published files of one policy."""

    key: str

    def rows(self, trial: str) -> list[dict[str, str]]:
        """Return the conditions of a trial."""
        with (TABLES / f"{self.key}-{trial}.csv").open(encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def row(self, trial: str, strategy: str, budget: str) -> dict[str, str]:
        """Return one condition.

        Raises
        ------
        LookupError
            The trial has none, or several.
        """
        found = [one for one in self.rows(trial) if (one["strategy"], one["budget"]) == (strategy, budget)]
        if len(found) != 1:
            raise LookupError(f"{self.key}-{trial}: {len(found)} conditions of {strategy} at {budget}")
        return found[0]

    @cached_property
    def predictions(self) -> dict[str, Any]:
        """The fit of that time's advice to the board."""
        summary: dict[str, Any] = json.loads((TABLES / f"{self.key}.json").read_text(encoding="utf-8"))
        predictions: dict[str, Any] = summary["predictions"]
        return predictions


def tables() -> dict[str, str]:
    """Return every table of the page by the name of its mark."""
    kept = [Kept(subject.key) for subject in SUBJECTS]
    return {
        "board": table(("learned positions, gain kept", "10 %", "25 %", "40 %"), _board()),
        "counts": table(("kept at most", "share over the rollout", *COUNTED), _counts()),
        "advice": table(("", "learned positions", "rotary", "key-to-door"), _advice(kept)),
    }


def write() -> None:
    """Write the page's tables."""
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8"), tables()), encoding="utf-8")


def printed() -> tuple[set[str], set[str], set[str]]:
    """Return every interval, number and share in per cent that the published tables hold, as the page prints them."""
    intervals, numbers, shares = set[str](), set[str](), set[str]()
    for path in TABLES.glob("*.csv"):
        with path.open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                intervals.add(_interval(row))
                told = [float(row[name]) for name in ("kept", "late", "kl", "share") if row[name]]
                numbers |= {f"{one:.{digits}f}".replace("-", "−") for one in told for digits in (2, 3)}
                shares |= {f"{100 * float(row[name]):.0f} %" for name in ("share", "budget") if row[name]}
    return intervals, numbers, shares


def _board() -> Iterator[tuple[str, ...]]:
    for words, strategy in BOARD.items():
        yield words, *(_cell(Kept(LEARNED).row("board", strategy, share)) for share in ("0.1", "0.25", "0.4"))


def _counts() -> Iterator[tuple[str, ...]]:
    for count in ("40", "64", "96"):
        rows = [Kept(LEARNED).row("tokens", strategy, count) for strategy in COUNTED.values()]
        yield count, f"{float(rows[0]['share']):.2f}", *map(_cell, rows)


def _cell(row: dict[str, str]) -> str:
    """Return the gain kept with its interval, bold where it is non-inferior."""
    text = _interval(row)
    return f"**{text}**" if row["verdict"] == "non-inferior" else text


def _interval(row: dict[str, str]) -> str:
    return said([float(row[name]) for name in ("kept", "kept_low", "kept_high")])


def _advice(kept: Sequence[Kept]) -> Iterator[tuple[str, ...]]:
    def line(words: str, *path: str) -> tuple[str, ...]:
        return words, *(said(_estimate(_at(one.predictions, path))) for one in kept)

    def pair(*path: str) -> list[str]:
        return [f"{_at(one.predictions, path)['value']:.2f}".replace("-", "−") for one in kept]

    yield line("Spearman of retained attention with cost, within budgets", "of_return", "retained", "within")
    yield line('the same of the budget actually kept ("budget only")', "of_return", "tokens", "within")
    yield line("excess over budget only", "of_return", "retained", "excess")
    yield line("KL on the same histories, within budgets", "of_return", "kl", "within")
    both = zip(pair("of_return", "retained", "overall"), pair("of_return", "tokens", "overall"), strict=True)
    yield "over all budgets: retained attention; budget only", *(f"{one}; {other}" for one, other in both)
    yield "ceiling within budgets, by the noise of the costs", *(f"{one.predictions['ceiling']:.2f}" for one in kept)
    yield line("regret of its first choices (gain kept, to the best)", "regret", "to_best")
    yield line("the first choices over uniform", "regret", "over_uniform")


def _at(values: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    for name in path:
        values = values[name]
    return values


def _estimate(one: dict[str, Any]) -> list[float]:
    return [one["value"], one["low"], one["high"]]


def said(estimate: Sequence[float]) -> str:
    """Return a value with its interval as the page prints it."""
    value, low, high = (f"{number:.2f}".replace("-", "−") for number in estimate)
    return f"{value} [{low}, {high}]"
