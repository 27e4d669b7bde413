"""The one acting loop: observe, decide, choose, step, append.

Captures, trials, evaluation and the rollout on a device run it, and so does a job that takes stored steps again. The
loop hands arrays on and looks at none of them, so that arrays of a device stay there and are never waited for. What
is stored, counted or compared is the business of a `Recorder`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from torch import Tensor

ArrayT = TypeVar("ArrayT", bound=np.ndarray[Any, Any] | Tensor)
"""The library whose arrays the environments speak: NumPy on the host, torch on a device."""

DecisionT = TypeVar("DecisionT")

HeardT_contra = TypeVar("HeardT_contra", contravariant=True)
"""A decision, for those that only hear of it."""


@dataclass(frozen=True, slots=True)
class Transition(Generic[ArrayT]):
    """One finished transition of every environment."""

    observation: ArrayT
    """The query, [env, ...]."""
    action: ArrayT
    """Actions: integers [env] or [env, branch], or vectors, float32 [env, component]."""
    reward: ArrayT
    """Rewards, [env]."""
    next_observation: ArrayT
    """s' of the transition, [env, ...]; the terminal observation where an episode ended."""
    terminated: ArrayT
    """Environments that reached a terminal state, bool [env]."""
    truncated: ArrayT
    """Environments whose episode was cut off, bool [env]."""
    ended: ArrayT
    """Environments whose episode ended either way, bool [env]."""
    episode: ArrayT
    """Number of the episode that the transition belongs to, int32 [env]."""


class Rooms(Protocol[ArrayT]):
    """Environments that are stepped together and begin their next episode by themselves."""

    @property
    @abstractmethod
    def observation(self) -> ArrayT:
        """The observation that the next decision is taken at, [env, ...]."""
        ...

    @abstractmethod
    def step(self, actions: ArrayT, /) -> Transition[ArrayT]:
        """Step every environment by its action."""
        ...


class Actor(Protocol[ArrayT, DecisionT]):
    """The contexts of all environments, and the decisions over them."""

    @abstractmethod
    def decide(self, step: int, observation: ArrayT, /) -> DecisionT:
        """Return the decision of a step at an observation."""
        ...

    @abstractmethod
    def choose(self, step: int, decision: DecisionT, /) -> ArrayT:
        """Return the actions of a decision."""
        ...

    @abstractmethod
    def append(self, transition: Transition[ArrayT], /) -> None:
        """Add a finished transition to the contexts."""
        ...


class Recorder(Protocol[ArrayT, HeardT_contra]):
    """A listener of the loop."""

    def begin(self, step: int, /) -> None:
        """Hear that a step begins; raise here to stop before it."""

    def decided(self, step: int, decision: HeardT_contra, /) -> None:
        """Take a decision down, while the contexts are those that it was taken over."""

    def stepped(self, step: int, transition: Transition[ArrayT], /) -> None:
        """Take a finished transition down."""


def act(
    steps: Iterable[int],
    rooms: Rooms[ArrayT],
    actor: Actor[ArrayT, DecisionT],
    recorder: Recorder[ArrayT, DecisionT],
) -> None:
    """Take steps, one after the other.

    Parameters
    ----------
    steps
        Numbers of the steps since the rollout began, in order.
    rooms
        The environments, which stand where the first of these steps begins.
    actor
        Decides, and keeps the contexts.
    recorder
        Hears of the beginning, the decision and the transition of every step, in this order.
    """
    for step in steps:
        recorder.begin(step)
        decision = actor.decide(step, rooms.observation)
        actions = actor.choose(step, decision)
        recorder.decided(step, decision)
        transition = rooms.step(actions)
        recorder.stepped(step, transition)
        actor.append(transition)
