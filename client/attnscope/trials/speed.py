"""Measured speed: compressed beside uncompressed, timed in turns in one process, the strategy's own work included."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attnscope.trials.results import TrialResults
from attnscope_storage.kinds.trial.schema import PHASES as TIMED


@dataclass(frozen=True)
class Speed:
    """One condition's decisions at one number of environments, with a growing or a full context."""

    phase: str
    envs: int
    seconds: float
    """Seconds of one compressed decision for all environments together, median over rounds."""
    uncompressed: float
    """Seconds of one uncompressed decision, timed in the same rounds."""
    ratio: float
    """Uncompressed time divided by compressed time; median over rounds."""
    low: float
    high: float
    """The slowest and the fastest round's ratio; rounds of one process are no sample of machines."""
    p50: float
    p95: float
    """Seconds of single decisions."""

    @property
    def per_second(self) -> float:
        """Environment steps per second; the time of the environments themselves is left out."""
        return self.envs / self.seconds


def speeds(results: TrialResults, condition: int) -> tuple[Speed, ...]:
    """Return the timings of a condition; empty where it was not timed."""
    timed = results.measured("speed/seconds")
    if timed is None:
        return ()
    levels = results.static("speed/envs")
    shares = [results.measured(f"speed/{share}") for share in ("p50", "p95")]
    found = []
    for phase, level in np.ndindex(timed.shape[1:3]):
        plain, compressed = timed[condition, phase, level]
        if not (np.isfinite(plain).all() and np.isfinite(compressed).all()):
            continue  # a window that never fills has no full phase
        ratio = plain / compressed
        p50, p95 = (float("nan") if one is None else float(one[condition, phase, level, 1]) for one in shares)
        found.append(
            Speed(
                TIMED[phase],
                int(levels[level]),
                float(np.median(compressed)),
                float(np.median(plain)),
                float(np.median(ratio)),
                float(ratio.min()),
                float(ratio.max()),
                p50,
                p95,
            )
        )
    return tuple(found)


def speed_at(found: tuple[Speed, ...]) -> Speed | None:
    """Return the speed with a full context at the largest number of environments; None where it was not timed."""
    return max((one for one in found if one.phase == "full"), key=lambda one: one.envs, default=None)
