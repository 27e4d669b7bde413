"""Divergence: what a compressed policy would have done on the uncompressed rollout's own history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from attnscope_model.acting.outputs import output_of
from attnscope_model.compression.deciding import CompressedDecider, PlainDecider
from attnscope_server.trials.acting import Deciding, Recorded
from attnscope_storage.wire import PolicyDescription


@dataclass(frozen=True, eq=False)
class Diverged:
    """The distance of compressed decisions from the uncompressed ones at the same histories."""

    departure: Float[np.ndarray, "batch step env"]
    """The departure of the acted distributions, after temperature, as `OutputDescription.departure` has it."""
    kl: Float[np.ndarray, "batch step env"] | None
    """KL(π_full ‖ π_compressed) in nats, before temperature; None where actions have no distribution."""
    flip: Int[np.ndarray, "batch step env"] | None
    """True where the most likely action is another; None where actions are vectors."""


def undiverged(policy: PolicyDescription, shape: tuple[int, ...]) -> Diverged:
    """Return the distances of decisions from themselves."""
    lacks = policy.output.lacks
    return Diverged(
        departure=np.zeros(shape, np.float32),
        kl=None if "kl" in lacks else np.zeros(shape, np.float32),
        flip=None if "flip" in lacks else np.zeros(shape, np.int8),
    )


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
    policy
        Says what the decisions' numbers mean.
    """

    def __init__(
        self,
        recorded: Recorded,
        steps: tuple[int, ...],
        logits: dict[int, Float[Tensor, "env action"]],
        temperature: float | None,
        policy: PolicyDescription,
    ) -> None:
        self._temperature = temperature
        self._output, self._lacks = output_of(policy), policy.output.lacks
        self._recorded = recorded
        self._steps = steps
        self._logits = logits

    def measure(self, decider: CompressedDecider, batches: int, before_step: Callable[[int], None]) -> Diverged:
        """Return how far the decisions of every batch are from the uncompressed ones.

        Every batch of rollouts is led through the uncompressed
        rollout's history, whatever it would have done itself.
        """
        output, pairs = self._output, list[tuple[Tensor, Tensor]]()
        for step, logits in decisions_at(decider, self._recorded, self._steps, before_step, times=batches):
            pairs.append((self._logits[step].repeat(batches, 1), logits))

        def measured(measure: Callable[[Tensor, Tensor], Tensor], dtype: type) -> Shaped[np.ndarray, "batch step env"]:
            found = [measure(full, other).view(batches, -1).cpu().numpy() for full, other in pairs]
            return np.stack(found, axis=1).astype(dtype)

        departed = partial(output.departure, temperature=self._temperature)
        return Diverged(
            departure=measured(departed, np.float32),
            kl=None if "kl" in self._lacks else measured(output.divergence, np.float32),
            flip=None if "flip" in self._lacks else measured(output.flips, np.int8),
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
