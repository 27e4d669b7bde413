"""The listeners of a capture: what fills its blocks, and what takes committed steps again after an interruption."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, Generic

import numpy as np

from attnscope_model.acting.deciding import Decision
from attnscope_model.acting.packing import PackedHistory
from attnscope_model.acting.remembering import Deciding, Window
from attnscope_server.acting.choices import HostArray
from attnscope_server.acting.errors import NotReproducibleError
from attnscope_server.acting.loop import ArrayT, Transition
from attnscope_storage.reading.reader import CaptureReader

ROLLOUT: Final = ("observation", "next_observation", "action", "reward", "episode", "terminated", "truncated")
"""Parts of a transition that a capture stores under ``rollout/``."""

REPRODUCED: Final = ("observation", "next_observation", "reward")
"""Parts of a transition that an environment has to give again."""


@dataclass
class BlockRecorder(Generic[ArrayT]):
    """Fills the arrays of one commit, of the host or of a device."""

    arrays: MutableMapping[str, ArrayT]
    """The commit's arrays by name; the first axis is the step."""
    first: int
    """Step of the commit's first row."""
    window: Window
    """The contexts that decisions are taken over."""
    attend: Callable[[int, int, Decision], None]
    """Stores step, row and decision: logits, statistics, rows and maps."""
    begin: Callable[[int], None]
    """Hears that a step begins; raises to stop before it."""
    report: Callable[[int, Transition[Any]], None]
    """Hears that a step is done."""

    def decided(self, step: int, decision: Decision) -> None:
        """Store a decision and the context that it was taken over."""
        row = step - self.first
        self.attend(step, row, decision)
        self.arrays["context/length"][row] = self.window.length
        self.arrays["context/start"][row] = self.window.start
        if isinstance(self.window, PackedHistory):
            self._packed(row, self.window)

    def _packed(self, row: int, window: PackedHistory) -> None:
        """Store the transitions that each slot stands for, and the latents' number and generation."""
        slots = self.arrays["context/transition_first"].shape[-1]
        for end, held in zip(("first", "last"), window.transitions(slots), strict=True):
            stored: Any = self.arrays[f"context/transition_{end}"]  # of either library; both take arrays of the host
            stored[row] = held
        self.arrays["context/summaries"][row] = window.summaries
        self.arrays["context/generation"][row] = window.generation

    def stepped(self, step: int, transition: Transition[ArrayT]) -> None:
        """Store a transition."""
        for name in ROLLOUT:
            self.arrays[f"rollout/{name}"][step - self.first] = getattr(transition, name)
        self.report(step, transition)


class RetakenSteps:
    """Committed steps, taken again with their stored actions: both the actor and the recorder of the loop.

    Parameters
    ----------
    reader
        The capture that holds them.
    committed
        Steps that it holds.
    flush
        Steps that are read at a time.
    decider
        Takes the transitions, and decides where the next decision needs the cache.
    begin, report
        Hear that a step begins (and may raise), and that one is done.
    """

    def __init__(
        self,
        reader: CaptureReader,
        committed: int,
        flush: int,
        decider: Deciding,
        begin: Callable[[int], None],
        report: Callable[[], None],
    ) -> None:
        self._reader, self._committed, self._flush = reader, committed, flush
        self._decider, self._decides = decider, decider.caches(committed)
        self.begin, self._report = begin, report
        self._stored: dict[str, HostArray] = {}

    def decide(self, step: int, observation: HostArray) -> None:
        """Build the cache on, where it is needed; the stored action is taken whatever the decision."""
        if self._decides:
            self._decider.decide(observation)
        if step % self._flush == 0:
            last = min(step + self._flush, self._committed)
            names = ("action", *REPRODUCED)
            self._stored = {name: self._reader.array(f"rollout/{name}")[step:last] for name in names}

    def choose(self, step: int, _decision: None) -> HostArray:
        """Return the stored actions of a step."""
        actions: HostArray = self._stored["action"][step % self._flush]
        return actions

    def decided(self, step: int, decision: None) -> None:
        """Store nothing: the step is stored."""

    def stepped(self, step: int, transition: Transition[HostArray]) -> None:
        """Compare a transition with the stored one.

        Raises
        ------
        NotReproducibleError
            They differ.
        """
        for name in REPRODUCED:
            stored, now = self._stored[name][step % self._flush], getattr(transition, name)
            if not np.array_equal(stored, np.asarray(now, dtype=stored.dtype)):
                raise NotReproducibleError(
                    f"the environment does not reproduce its {name} at step {step}: stored {stored.tolist()}, "
                    f"now {np.asarray(now).tolist()}"
                )
        self._report()

    def append(self, transition: Transition[HostArray]) -> None:
        """Add the transition to the contexts."""
        self._decider.append(
            transition.observation,
            transition.action,
            transition.reward,
            transition.next_observation,
            transition.ended,
        )
