"""Actions from decisions by the random numbers of the env axis, and the actor of an uncompressed policy."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final, Generic

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from attnscope_model.acting.deciding import Decision
from attnscope_model.acting.remembering import Deciding
from attnscope_model.acting.sampling import ACTION_STREAM, choose_actions, choose_on_device, uniforms
from attnscope_server.acting.axis import EnvAxis
from attnscope_server.acting.loop import ArrayT, Transition

DRAWN: Final = 64
"""Steps whose random numbers are drawn at a time, where nothing else is said."""

HostArray = np.ndarray[Any, Any]


class Choices(Generic[ArrayT]):
    """Actions by the random numbers of the env axis, or greedy ones; see `host_choices` and `device_choices`.

    Parameters
    ----------
    axis
        Determines the random numbers of every step.
    temperature
        Divides the logits; None is greedy.
    drawn
        Steps whose numbers are drawn at a time; it changes no number.
    placed
        Puts drawn numbers, float64 [step, env], where the logits are.
    choose
        Returns actions from logits, a step's numbers (None is greedy) and the temperature.
    """

    def __init__(
        self,
        axis: EnvAxis,
        temperature: float | None,
        drawn: int,
        placed: Callable[[HostArray], ArrayT],
        choose: Callable[[Tensor, ArrayT | None, float], ArrayT],
    ) -> None:
        self._axis, self._temperature, self._drawn = axis, temperature, drawn
        self._placed, self._choose = placed, choose
        self._first = -drawn
        self._numbers: Any = None  # rows of either library

    def __call__(self, step: int, logits: Float[Tensor, "env action"]) -> ArrayT:
        """Return the actions of a step, integers [env]."""
        if self._temperature is None:
            return self._choose(logits, None, 1.0)
        if self._numbers is None or not 0 <= step - self._first < self._drawn:
            axis = self._axis
            self._first = step
            self._numbers = self._placed(uniforms(axis.seed, axis.task, axis.replica, step, self._drawn, ACTION_STREAM))
        return self._choose(logits, self._numbers[step - self._first], self._temperature)


def host_choices(axis: EnvAxis, temperature: float | None, drawn: int = DRAWN) -> Choices[HostArray]:
    """Return choices that are arrays of the host."""
    return Choices[HostArray](axis, temperature, drawn, lambda numbers: numbers, choose_actions)


def device_choices(axis: EnvAxis, temperature: float | None, drawn: int, device: torch.device) -> Choices[Tensor]:
    """Return choices that are tensors of a device, which is never waited for."""
    return Choices[Tensor](
        axis, temperature, drawn, lambda numbers: torch.from_numpy(numbers).to(device), choose_on_device
    )


@dataclass
class PolicyActor(Generic[ArrayT]):
    """An uncompressed policy that acts, and records what its decisions attend to where that is asked for."""

    decider: Deciding
    choices: Choices[ArrayT]
    rows: bool = False
    """Record the decision rows."""
    map_steps: Collection[int] = ()
    """Steps whose attention maps are recorded."""

    def decide(self, step: int, observation: ArrayT) -> Decision:
        """Return the decision of a step."""
        return self.decider.decide(observation, rows=self.rows, maps=step in self.map_steps)

    def choose(self, step: int, decision: Decision) -> ArrayT:
        """Return the actions of a decision."""
        return self.choices(step, decision.logits)

    def append(self, transition: Transition[ArrayT]) -> None:
        """Add a finished transition to the contexts."""
        self.decider.append(
            transition.observation,
            transition.action,
            transition.reward,
            transition.next_observation,
            transition.ended,
        )
