"""Comparing runs fairly on a machine that others use: interleaved rounds, medians, and the spread of the ratios."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Cost:
    """The duration of a run, in seconds."""

    wall: float = 0.0
    cpu: float = 0.0
    """Processor time of the whole process, all of its threads."""


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure the block."""
    cost, wall, cpu = Cost(), time.perf_counter(), time.process_time()
    yield cost
    cost.wall, cost.cpu = time.perf_counter() - wall, time.process_time() - cpu


def rounds(runs: Mapping[str, Callable[[], Cost]], count: int, *, warm: bool = True) -> dict[str, list[Cost]]:
    """Run each once to warm up, unless told otherwise, then all of them `count` times in turn."""
    for run in runs.values() if warm else ():
        run()
    taken: dict[str, list[Cost]] = {name: [] for name in runs}
    for _ in range(count):
        for name, run in runs.items():
            taken[name].append(run())
    return taken


def spread(values: list[float]) -> dict[str, float]:
    """Return median, lowest and highest."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def ratios(over: list[Cost], under: list[Cost], what: str = "wall") -> dict[str, float]:
    """Return the spread of one run's cost over another's, round by round."""
    return spread([getattr(a, what) / getattr(b, what) for a, b in zip(over, under, strict=True)])


def shown(values: Mapping[str, float], digits: int = 2) -> str:
    """Return a spread as it is printed."""
    return f"{values['median']:.{digits}f} ({values['low']:.{digits}f} to {values['high']:.{digits}f})"
