"""Re-reading a screen: what each committed rollout holds must be possible, and arms that drop nothing depart by 0."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from jaxtyping import Shaped

from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import VerificationReport

ROUNDING: Final = 1e-4
"""Error that float32 sums may add to a share, or take from a divergence."""

Read = Callable[[str], Shaped[np.ndarray, "..."] | None]


def check_screen(reader: CaptureReader, names: set[str], report: VerificationReport) -> None:
    """Check the committed rollouts, of the arrays `names`, whose chunks all decode."""

    def read(rollout: int) -> Read:
        return lambda name: reader.array(name)[rollout] if name in names else None

    for rollout in range(reader.steps_committed):
        for problem in (*_shares(read(rollout)), *_nothing_dropped(read(rollout)), *_decisions(read(rollout))):
            report.note(f"rollout {rollout}: {problem}")


def _shares(read: Read) -> Iterator[str]:
    for name in ("ages/departure", "ages/single", "ages/attention", "episodes/departure"):
        values = read(name)
        if values is not None and not ((values >= -ROUNDING) & (values <= 1 + ROUNDING) | np.isnan(values)).all():
            yield f"{name} is no share"
    for name in ("screen/departure", "screen/retained"):
        values = read(name)
        if values is not None and not ((values >= -ROUNDING) & (values <= 1 + ROUNDING)).all():  # false for a NaN
            yield f"{name} is no share"
    divergence, signed = read("screen/kl"), read("screen/signed")
    if divergence is not None and not (divergence >= -ROUNDING).all():
        yield "screen/kl is no divergence"
    if signed is not None and not np.isfinite(signed).all():
        yield "screen/signed has decisions without a number"
    for name in ("screen/flip", "decision/live", "decision/follows", "decision/found", "rollout/earned"):
        values = read(name)
        if values is not None and not np.isin(values, (0, 1)).all():
            yield f"{name} is neither 0 nor 1"


def _nothing_dropped(read: Read) -> Iterator[str]:
    departure, divergence = read("screen/departure"), read("screen/kl")
    if departure is not None and divergence is not None and (divergence[departure == 0] > ROUNDING).any():
        yield "screen/kl diverges where screen/departure is 0"
    kept, held = read("screen/kept"), read("decision/held")
    if kept is not None and (kept < 0).any():
        yield "screen/kept has decisions without a number"
    if kept is not None and held is not None and (kept > held).any():
        yield "screen/kept is more than was held"


def _decisions(read: Read) -> Iterator[str]:
    step, episode, logits = read("decision/step"), read("decision/episode"), read("policy/logits")
    if step is not None and ((step < 0).any() or (np.diff(step) <= 0).any()):
        yield "decision/step does not rise"
    if episode is not None and ((episode < 0).any() or (np.diff(episode) < 0).any()):
        yield "decision/episode falls"
    if logits is not None and np.isnan(logits).any():
        yield "policy/logits has decisions without logits"
