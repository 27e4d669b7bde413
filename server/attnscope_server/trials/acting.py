"""Acting in a trial: one batch of rollouts, compressed or not, from its first step to its last."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Shaped
from torch import Tensor

from attnscope_model.acting.outputs import Output
from attnscope_server.acting.axis import EnvAxis
from attnscope_server.acting.choices import Choices, HostArray, host_choices
from attnscope_server.acting.errors import NotReproducibleError
from attnscope_server.acting.loop import Transition, act
from attnscope_server.acting.rooms import HostRooms


@runtime_checkable
class Deciding(Protocol):
    """Contexts, and the decisions over them."""

    @abstractmethod
    def decide(self, observation: Any) -> Tensor:  # noqa: ANN401 - arrays of either library
        """Return the logits of the decision at an observation."""
        ...

    def pass_by(self, observation: Any) -> None:  # noqa: ANN401 - as above
        """Pass an observation without a decision."""

    def append(self, observation: Any, action: Any, reward: Any, next_observation: Any, ended: Any) -> None:  # noqa: ANN401 - as above
        """Add a finished transition."""


@dataclass
class Recorded:
    """The record of a batch of rollouts, step by step."""

    observation: list[Shaped[np.ndarray, "env ..."]] = field(default_factory=list)
    action: list[Shaped[np.ndarray, "env ..."]] = field(default_factory=list)
    reward: list[Float[np.ndarray, " env"]] = field(default_factory=list)
    reached: list[Shaped[np.ndarray, "env ..."]] = field(default_factory=list)
    ended: list[Shaped[np.ndarray, " env"]] = field(default_factory=list)

    def transition(self, step: int) -> tuple[np.ndarray[Any, Any], ...]:
        """Return (observation, action, reward, next observation, ended) of a step."""
        series = (self.observation, self.action, self.reward, self.reached, self.ended)
        return tuple(values[step] for values in series)

    def add(self, transition: Transition[HostArray]) -> None:
        """Add a step, its rewards in float32."""
        self.observation.append(transition.observation)
        self.action.append(transition.action)
        self.reward.append(np.asarray(transition.reward, np.float32))
        self.reached.append(transition.next_observation)
        self.ended.append(transition.ended)


def roll_out(
    decider: Deciding,
    rooms: HostRooms,
    axis: EnvAxis,
    steps: int,
    temperature: float | None,
    output: Output,
    at_step: Callable[[int, Tensor], None],
) -> Recorded:
    """Roll out and return what happened.

    Parameters
    ----------
    decider
        Keeps the contexts of the rollouts.
    rooms
        The environments, at the beginning of their rollouts.
    axis
        Determines the random numbers of every step.
    steps
        Steps of every rollout.
    temperature
        Of sampling; None is greedy.
    output
        The meaning of the head's numbers, from which actions follow.
    at_step
        Called with every decision, before the environments are stepped.
    """
    rolled = _RolledOut(decider, host_choices(axis, temperature, output), at_step)
    act(range(steps), rooms, rolled, rolled)
    return rolled.recorded


def take_again(
    rooms: HostRooms,
    actions: Shaped[np.ndarray, "env step ..."],
    rewards: Float[np.ndarray, "env step"],
    at_step: Callable[[int], None],
) -> Recorded:
    """Step environments through stored actions and return what happened.

    Raises
    ------
    NotReproducibleError
        Their rewards are not the stored ones.
    """
    taken = _TakenAgain(actions, rewards, at_step)
    act(range(actions.shape[1]), rooms, taken, taken)
    return taken.recorded


class _RolledOut:
    """A batch that acts and is recorded: both the actor and the recorder of the loop."""

    def __init__(self, decider: Deciding, choices: Choices[HostArray], at_step: Callable[[int, Tensor], None]) -> None:
        self._decider, self._at_step = decider, at_step
        self.choose = choices
        self.recorded = Recorded()

    def begin(self, step: int) -> None:
        """Do nothing: `at_step` is called with the decision."""

    def decide(self, _step: int, observation: HostArray) -> Tensor:
        return self._decider.decide(observation)

    def decided(self, step: int, decision: Tensor) -> None:
        self._at_step(step, decision)

    def stepped(self, _step: int, transition: Transition[HostArray]) -> None:
        self.recorded.add(transition)

    def append(self, _transition: Transition[HostArray]) -> None:
        self._decider.append(*self.recorded.transition(-1))


class _TakenAgain:
    """A batch that takes stored actions, without decisions: both the actor and the recorder of the loop."""

    def __init__(
        self,
        actions: Shaped[np.ndarray, "env step ..."],
        rewards: Float[np.ndarray, "env step"],
        at_step: Callable[[int], None],
    ) -> None:
        self._actions, self._rewards = actions, rewards
        self.begin = at_step
        self.recorded = Recorded()

    def decide(self, _step: int, observation: HostArray) -> None:
        """Decide nothing: the actions are stored."""

    def choose(self, step: int, _decision: None) -> HostArray:
        actions = self._actions[:, step]
        return actions if actions.dtype.kind == "f" else actions.astype(np.int64)

    def decided(self, step: int, decision: None) -> None:
        """Record nothing: there is no decision."""

    def stepped(self, step: int, transition: Transition[HostArray]) -> None:
        self.recorded.add(transition)
        stored, now = self._rewards[:, step], self.recorded.reward[step]
        if not np.array_equal(stored, now):
            raise NotReproducibleError(
                f"the environment does not reproduce its rewards at step {step}: stored {stored.tolist()}, "
                f"now {now.tolist()}"
            )

    def append(self, transition: Transition[HostArray]) -> None:
        """Append nothing: no contexts are kept."""
