"""Re-reading a trial: what each committed condition holds must agree with itself and with the uncompressed one.

Reads one condition at a time, so its memory does not grow with the trial.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from jaxtyping import Shaped

from attnscope_storage.kinds.trial.schema import DEPARTURE
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import VerificationReport

ROUNDING: Final = 1e-4
"""Relative difference that float32 sums of the same rewards may have."""

Read = Callable[[str], Shaped[np.ndarray, "..."] | None]


def check_trial(reader: CaptureReader, names: set[str], report: VerificationReport) -> None:
    """Check the committed conditions, of the arrays `names`, whose chunks all decode."""

    def read(condition: int) -> Read:
        return lambda name: reader.array(name)[condition] if name in names else None

    most = 1 + ROUNDING if reader.policy.output.is_share else np.inf
    for condition in range(reader.steps_committed):
        found = read(condition)
        for problem in (*_rollouts(found), *_divergence(found, condition, most), *_kept(found)):
            report.note(f"condition {condition}: {problem}")


def _rollouts(read: Read) -> Iterator[str]:
    returned, reward, action = read("trial/return"), read("rollout/reward"), read("rollout/action")
    if reward is not None and not np.isfinite(reward).all():
        yield "rollout/reward has steps without a reward"
    elif reward is not None and returned is not None:
        sums = reward.reshape(*returned.shape, -1).sum(axis=-1, dtype=np.float64)
        if not np.allclose(sums, returned, rtol=ROUNDING, atol=ROUNDING):
            yield "trial/return is not the sum of the rewards"
    if action is not None and (np.isnan(action) if action.dtype.kind == "f" else action < 0).any():
        yield "rollout/action has steps without an action"
    kept, held = read("trial/kept"), read("trial/held")
    if kept is not None and held is not None and not (kept <= held * (1 + ROUNDING) + ROUNDING).all():
        yield "trial/kept is more than was held"


def _divergence(read: Read, condition: int, most: float) -> Iterator[str]:
    divergence, flip = read("divergence/kl"), read("divergence/flip")
    if divergence is not None and not (divergence >= -ROUNDING).all():  # a NaN makes the comparison false
        yield "divergence/kl is no divergence"
    if flip is not None and not np.isin(flip, (0, 1)).all():
        yield "divergence/flip is neither 0 nor 1"
    departure = read(DEPARTURE)
    if departure is not None and not ((departure >= 0) & (departure <= most)).all():
        yield f"divergence/departure is no {'distance' if most == np.inf else 'share'}"
    if condition == 0 and any(values is not None and values.any() for values in (divergence, flip, departure)):
        yield "the uncompressed condition diverges from itself"


def _kept(read: Read) -> Iterator[str]:
    first, last = read("kept/first"), read("kept/last")
    if first is not None and last is not None and ((first > last).any() or ((first < 0) != (last < 0)).any()):
        yield "kept/first and kept/last are no stretches of transitions"
