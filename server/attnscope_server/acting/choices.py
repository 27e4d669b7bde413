"""Actions from decisions by the random numbers of the env axis, and the actor of an uncompressed policy."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Generic

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from attnscope_model.acting.deciding import Decision
from attnscope_model.acting.outputs import Output
from attnscope_model.acting.remembering import Deciding
from attnscope_model.acting.sampling import ACTION_STREAM, choose_on_device, uniforms
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
    draws
        Random numbers that a decision takes: one, or one for each branch or component of an action.
    placed
        Puts drawn numbers, float64 [step, env, draw], where the logits are.
    choose
        Returns actions from logits, a step's numbers (None is greedy) and the temperature.
    ahead
        Draw the next numbers in a thread while the present ones are used.
    """

    def __init__(
        self,
        axis: EnvAxis,
        temperature: float | None,
        drawn: int,
        draws: int,
        placed: Callable[[HostArray], ArrayT],
        choose: Callable[[Tensor, ArrayT | None, float], ArrayT],
        *,
        ahead: bool = False,
    ) -> None:
        self._axis, self._temperature, self._drawn, self._draws = axis, temperature, drawn, draws
        self._placed, self._choose = placed, choose
        self._first = -drawn
        self._numbers: Any = None  # rows of either library
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="numbers") if ahead else None
        self._next: tuple[int, Future[HostArray]] | None = None

    def __call__(self, step: int, logits: Float[Tensor, "env action"]) -> ArrayT:
        """Return the actions of a step, [env] or [env, part]."""
        if self._temperature is None or not self._draws:
            return self._choose(logits, None, 1.0)
        if self._numbers is None or not 0 <= step - self._first < self._drawn:
            self._first, self._numbers = step, self._placed(self._taken(step))
        return self._choose(logits, self._numbers[step - self._first], self._temperature)

    def _taken(self, step: int) -> HostArray:
        """Return the numbers from a step on, drawn ahead where that was done, and have the next ones drawn."""
        drawn = self._next[1].result() if self._next is not None and self._next[0] == step else self._draw(step)
        if self._thread is not None:
            following = step + self._drawn
            self._next = following, self._thread.submit(self._draw, following)
        return drawn

    def _draw(self, step: int) -> HostArray:
        axis, parts = self._axis, range(self._draws)
        numbers = (axis.seed, axis.task, axis.replica, step, self._drawn, ACTION_STREAM)
        return np.stack([uniforms(*numbers, part) for part in parts], axis=-1)


def host_choices(axis: EnvAxis, temperature: float | None, output: Output, drawn: int = DRAWN) -> Choices[HostArray]:
    """Return choices that are arrays of the host, by what the numbers of a head mean."""
    return Choices[HostArray](axis, temperature, drawn, output.draws, lambda numbers: numbers, output.choose)


def device_choices(axis: EnvAxis, temperature: float | None, drawn: int, device: torch.device) -> Choices[Tensor]:
    """Return choices of one action each, as tensors of a device that is never waited for; numbers are drawn ahead."""

    def placed(numbers: HostArray) -> Tensor:
        given = torch.from_numpy(np.ascontiguousarray(numbers[..., 0]))
        return given.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else given

    return Choices[Tensor](axis, temperature, drawn, 1, placed, choose_on_device, ahead=True)


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
