"""Divergence: what a compressed policy would have done on the uncompressed rollout's own history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from attnscope_model.acting.departing import departure
from attnscope_model.acting.influence import divergence
from attnscope_model.compression.deciding import CompressedDecider, PlainDecider
from attnscope_server.trials.acting import Deciding, Recorded


@dataclass(frozen=True, eq=False)
class Diverged:
    """The distance of compressed decisions from the uncompressed ones at the same histories."""

    kl: Float[np.ndarray, "batch step env"]
    """KL(π_full ‖ π_compressed) in nats; π is the softmax of the logits, before temperature."""
    departure: Float[np.ndarray, "batch step env"]
    """Total variation of the acted distributions, after temperature."""
    flip: Int[np.ndarray, "batch step env"]
    """True where the most likely action is another."""


class DivergenceMeter:
    """The uncompressed decisions at some steps of an uncompressed rollout, to compare others with.

    Parameters
    ----------
    recorded
        The uncompressed rollout.
    steps
        Where decisions are compared, in order.
    logits
        The uncompressed decisions there.
    temperature
        Of the actions; None is greedy.
    """

    def __init__(
        self,
        recorded: Recorded,
        steps: tuple[int, ...],
        logits: dict[int, Float[Tensor, "env action"]],
        temperature: float | None,
    ) -> None:
        self._temperature = temperature
        self._recorded = recorded
        self._steps = steps
        self._logits = logits

    def measure(self, decider: CompressedDecider, batches: int, before_step: Callable[[int], None]) -> Diverged:
        """Return how far the decisions of every batch are from the uncompressed ones.

        Every batch of rollouts is led through the uncompressed
        rollout's history, whatever it would have done itself.
        """
        divergences, departures, flips = [], [], []
        for step, logits in decisions_at(decider, self._recorded, self._steps, before_step, times=batches):
            full = self._logits[step].repeat(batches, 1)
            divergences.append(divergence(full, logits).view(batches, -1).cpu().numpy())
            departures.append(departure(full, logits, self._temperature).view(batches, -1).cpu().numpy())
            differs = full.argmax(dim=-1) != logits.argmax(dim=-1)
            flips.append(differs.view(batches, -1).cpu().numpy())
        return Diverged(
            np.stack(divergences, axis=1).astype(np.float32),
            np.stack(departures, axis=1).astype(np.float32),
            np.stack(flips, axis=1).astype(np.int8),
        )


def plain_logits(
    decider: PlainDecider, recorded: Recorded, steps: tuple[int, ...], before_step: Callable[[int], None]
) -> dict[int, Float[Tensor, "env action"]]:
    """Return the uncompressed decisions at some steps of a recorded rollout."""
    return dict(decisions_at(decider, recorded, steps, before_step))


def decisions_at(
    decider: Deciding,
    recorded: Recorded,
    steps: tuple[int, ...],
    before_step: Callable[[int], None],
    *,
    times: int = 1,
) -> list[tuple[int, Float[Tensor, "env action"]]]:
    """Return the decisions at some steps of a recorded rollout, given `times` over, batch beside batch."""
    found = []
    for step in range(max(steps, default=-1) + 1):
        before_step(step)
        transition = tuple(np.concatenate([part] * times) for part in recorded.transition(step))
        if step in steps:
            found.append((step, decider.decide(transition[0]).clone()))  # a policy may hand its own buffer out
        else:
            decider.pass_by(transition[0])
        decider.append(*transition)
    return found
