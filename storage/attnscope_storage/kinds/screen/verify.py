"""Re-reading a screen: what each committed rollout holds must be possible, and arms that drop nothing depart by 0."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from jaxtyping import Shaped

from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import VerificationReport
from attnscope_storage.wire.outputs import LOGITS, OutputArray, OutputDescription

ROUNDING: Final = 1e-4
"""Error that float32 sums may add to a share, or take from a divergence."""

ROWS: Final = 2.0**-10
"""Error of a share of attention: rows are stored in float16, and may sum to 1 + 2⁻¹¹ and some rounding."""

Read = Callable[[str], Shaped[np.ndarray, "..."] | None]


def check_screen(reader: CaptureReader, names: set[str], report: VerificationReport) -> None:
    """Check the committed rollouts, of the arrays `names`, whose chunks all decode."""
    output = reader.policy.output

    def read(rollout: int) -> Read:
        return lambda name: reader.array(name)[rollout] if name in names else None

    for rollout in range(reader.steps_committed):
        found = read(rollout)
        for problem in (*_shares(found, output), *_nothing_dropped(found), *_decisions(found, output.array)):
            report.note(f"rollout {rollout}: {problem}")


def _shares(read: Read, output: OutputDescription) -> Iterator[str]:
    most, what = (1 + ROUNDING, "share") if output.is_share else (np.inf, "distance")
    for name in ("ages/departure", "ages/single", "ages/attention", "episodes/departure"):
        values = read(name)
        limit = 1 + ROWS if name == "ages/attention" else most
        if values is not None and not ((values >= -ROUNDING) & (values <= limit) | np.isnan(values)).all():
            yield f"{name} is no {'share' if name == 'ages/attention' else what}"
    for name in ("screen/departure", "screen/retained"):
        values = read(name)
        limit = most if name == "screen/departure" else 1 + ROWS
        if values is not None and not ((values >= -ROUNDING) & (values <= limit)).all():  # false for a NaN
            yield f"{name} is no {what if name == 'screen/departure' else 'share'}"
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


def _decisions(read: Read, head: OutputArray) -> Iterator[str]:
    step, episode, numbers = read("decision/step"), read("decision/episode"), read(head)
    if step is not None and ((step < 0).any() or (np.diff(step) <= 0).any()):
        yield "decision/step does not rise"
    if episode is not None and ((episode < 0).any() or (np.diff(episode) < 0).any()):
        yield "decision/episode falls"
    if numbers is not None and np.isnan(numbers).any():
        yield f"{head} has decisions without {'logits' if head == LOGITS else 'numbers'}"
