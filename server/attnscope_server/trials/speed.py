"""Speed: compressed decisions beside uncompressed ones, in turns, in one process.

A decision is what the policy computes, what the strategy itself costs, and adding the transition; environments are
not stepped and nothing is captured. Histories are the uncompressed rollout's, given over and over where they end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Float32, Float64

from attnscope_model.compression import Compression
from attnscope_model.compression.deciding import CompressedDecider, PlainDecider
from attnscope_model.compression.packed import decisions_between
from attnscope_model.forward.policy import Policy
from attnscope_model.strategies.learned import Latents
from attnscope_server.trials.acting import Recorded
from attnscope_storage.kinds.trial.schema import PHASES
from attnscope_storage.wire.specifications.trials import SpeedChoice

WARM_UP: Final = 2
"""Decisions of an arm that are taken before any is timed."""

HALF: Final = 2
"""A growing context is measured from a half of the window on."""


@dataclass(frozen=True, eq=False)
class Speeds:
    """The times of one condition, in seconds."""

    seconds: Float32[np.ndarray, "phase level arm round"]
    """Mean decision of every round."""
    p50: Float32[np.ndarray, "phase level arm"]
    p95: Float32[np.ndarray, "phase level arm"]


RECENT: Final = 16
"""Decisions before the timed ones that a stateless context is led through; earlier ones leave it nothing to do."""


@dataclass
class Arm:
    """One way to decide, at the point of its history where it is timed."""

    decider: PlainDecider | CompressedDecider
    cycle: int = 1
    """Decisions after which its work repeats; where they are more than are timed, those timed are spread over them."""
    forgets: bool = False
    """True where what it was long ago does not change its work: a stored window is selected from anew."""


class SpeedMeter:
    """Times conditions on the uncompressed rollout's histories.

    Parameters
    ----------
    recorded
        The uncompressed rollout.
    choice
        Levels, rounds, decisions of a round.
    before_arm
        Called before an arm is prepared or timed; stops everything by raising.
    compressed
        The policy that acts under compressions, where it is another than the uncompressed one.
    """

    def __init__(
        self,
        policy: Policy,
        device: torch.device,
        recorded: Recorded,
        choice: SpeedChoice,
        before_arm: Callable[[], None],
        compressed: Policy | None = None,
    ) -> None:
        self._policy, self._compressed = policy, compressed or policy
        self._device = device
        self._recorded = recorded
        self._choice = choice
        self._before_arm = before_arm
        self._capacity = policy.description.transitions
        self._full = max(self._capacity, self._compressed.description.transitions)

    def measure(self, setups: Sequence[Compression | None]) -> list[Speeds]:
        """Return the speeds of several compressions, each beside the uncompressed decisions of the same rounds.

        None stands for the uncompressed decisions themselves, timed a second time. A strategy that leaves out one
        entry after another before it decides is never timed (NaN): it takes a forward an entry, and no speed is
        claimed for it.
        """
        timed = [setup for setup in setups if setup is None or not setup.leaves_out]
        found = iter(self._measured(timed) if timed else ())
        untimed = _speeds(np.full(self._shape(2), np.nan))
        return [untimed if setup is not None and setup.leaves_out else next(found) for setup in setups]

    def _shape(self, arms: int) -> tuple[int, ...]:
        choice = self._choice
        return len(PHASES), len(choice.envs), arms, choice.rounds, choice.decisions

    def _measured(self, setups: Sequence[Compression | None]) -> list[Speeds]:
        """Return the speeds of compressions that are timed."""
        choice = self._choice
        shape = (1 + len(setups), len(PHASES), len(choice.envs), choice.rounds, choice.decisions)
        taken = np.zeros(shape, np.float64)
        for level, envs in enumerate(choice.envs):
            arms = [self._arm(None, envs), *(self._arm(setup, envs) for setup in setups)]
            done = [0] * len(arms)
            for phase, from_step in enumerate((self._capacity // HALF, self._full)):
                for number, arm in enumerate(arms):
                    self._lead(arm, done[number], from_step, envs)
                    done[number] = from_step
                self._rounds(arms, from_step, envs, taken[:, phase, level])
        pairs = [taken[[0, number]] for number in range(1, len(taken))]
        return [_speeds(np.moveaxis(pair, 0, 2)) for pair in pairs]

    def _arm(self, setup: Compression | None, envs: int) -> Arm:
        if setup is None:
            return Arm(PlainDecider(self._policy, envs, self._device))
        lanes = torch.arange(envs)
        cycle = setup.interval if isinstance(setup.interval, int) else 1
        if setup.interval == "full" and setup.memory == "stateful":
            capacity = self._compressed.description.transitions
            cycle = max(1, capacity - setup.limit(capacity))
        decider = CompressedDecider(self._compressed, [setup], lanes, self._device)
        if isinstance(setup.rule, Latents):  # a whole cycle, so that the compression in it counts as often as it comes
            return Arm(decider, decisions_between(setup.rule, self._compressed))
        return Arm(decider, cycle, forgets=setup.memory == "stateless")

    def _lead(self, arm: Arm, first: int, last: int, envs: int) -> None:
        """Give an arm its history from one step to another."""
        for step in range(first, last):
            self._before_arm()
            transition = self._transition(step, envs)
            if not arm.forgets or last - step <= max(RECENT, arm.cycle):
                arm.decider.pass_by(transition[0])
            arm.decider.append(*transition)

    def _rounds(
        self, arms: Sequence[Arm], from_step: int, envs: int, taken: Float64[np.ndarray, "arm round decision"]
    ) -> None:
        """Fill the times [arm, round, decision]; every other round goes through the arms backwards."""
        for arm in arms:
            self._timed(arm, from_step, envs, WARM_UP)
        numbers = range(len(arms))
        for turn in range(self._choice.rounds):
            for number in numbers if turn % 2 == 0 else reversed(numbers):
                self._before_arm()
                taken[number, turn] = self._timed(arms[number], from_step, envs, self._choice.decisions)

    def _timed(self, arm: Arm, from_step: int, envs: int, decisions: int) -> list[float]:
        """Return the times of decisions from a point of the history on, which stays as it is.

        Where a cycle from one selection to the next is longer than `decisions`, the whole cycle is timed, and each
        number is the mean of some successive decisions: selecting counts as often as it happens.
        """
        decider = arm.decider.copy()
        found = []
        for step in range(from_step, from_step + max(decisions, arm.cycle)):
            transition = self._transition(step, envs)
            self._wait()
            begun = time.perf_counter()
            decider.decide(transition[0])
            decider.append(*transition)
            self._wait()
            found.append(time.perf_counter() - begun)
        return [float(np.mean(part)) for part in np.array_split(found, decisions)]

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def _transition(self, step: int, envs: int) -> tuple[np.ndarray, ...]:
        """Return a step of the recorded rollouts, for as many as are wanted."""
        parts = self._recorded.transition(step % len(self._recorded.action))
        return tuple(part[np.arange(envs) % len(part)] for part in parts)


def _speeds(taken: Float64[np.ndarray, "phase level arm round decision"]) -> Speeds:
    flat = taken.reshape(*taken.shape[:3], -1)
    p50, p95 = (np.quantile(flat, share, axis=-1).astype(np.float32) for share in (0.5, 0.95))
    return Speeds(taken.mean(axis=-1).astype(np.float32), p50, p95)
