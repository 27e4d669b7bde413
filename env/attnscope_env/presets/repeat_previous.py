"""Presets of POPGym's RepeatPrevious: a task is a list of the right action for each suit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import ClassVar, Final

from attnscope_env.histories.recording import Source
from attnscope_env.popgym_tasks.answers import DECK, SUITS, repeat_previous_vector
from attnscope_env.popgym_tasks.recaller import Recaller
from attnscope_env.presets.splits import SplitRule
from attnscope_env.presets.tasks import RuledPreset, Task, Vector

REPEAT_PREVIOUS_ID: Final = "attnscope/RepeatPrevious-v0"
"""Id of POPGym's environment with renamed answers; requests name it."""

RENAMED: Final = 2
"""Suits whose answer a task may change, at most."""

MAPS: Final = tuple(
    answers
    for answers in product(range(SUITS), repeat=SUITS)
    if sum(answer != suit for suit, answer in enumerate(answers)) <= RENAMED
)
"""The right action for each suit, task by task: POPGym's own, and every map that changes one or two of its answers."""

DEFAULT_K: Final = 16
"""Cards from the one that is asked for to the newest, both counted: it was shown 15 steps back."""


@dataclass(frozen=True)
class RepeatPreviousPreset(RuledPreset):
    """RepeatPrevious whose tasks are maps from suits to actions, one or two of whose answers are not POPGym's own."""

    k: int = DEFAULT_K
    decks: int = 1

    bound_kwargs: ClassVar[tuple[str, ...]] = ("k",)

    @property
    def task_count(self) -> int:
        """Number of maps."""
        return len(MAPS)

    @property
    def features(self) -> tuple[int, ...]:
        """A card's suit is all that is observed."""
        return (SUITS,)

    @property
    def remembered(self) -> int:
        """Transitions back at which the card that is asked for was shown; fewer tokens than these do not hold it."""
        return self.k - 1

    def task_of_goal(self, goal: Sequence[int]) -> Task:
        """Return the task with these answers, one for each suit."""
        try:
            return self.task(MAPS.index(tuple(goal)))
        except ValueError:
            raise ValueError(
                f"expected {SUITS} answers from 0 to {SUITS - 1}, one for each suit and {RENAMED} of them renamed at "
                f"most, got {list(goal)}"
            ) from None

    def make_vector(self, tasks: Sequence[Task]) -> Vector:
        """Return an environment that steps these tasks; EnvironmentUnusableError where POPGym is not installed."""
        answers = [tuple(int(one) for one in task.parameters["answers"]) for task in tasks]
        return repeat_previous_vector(answers, k=self.k, decks=self.decks)

    def source(self, tasks: Sequence[Task], *, steps: int, noise: float, seed: int) -> Source:  # noqa: ARG002 - as asked
        """Return an agent that remembers the card and learns its answer from rewards."""
        return Recaller(len(tasks), k=self.k, noise=noise, seed=seed)

    def _task(self, index: int) -> Task:
        asked = self.horizon + 1 - self.k
        return Task(
            index=index,
            label=f"answers {MAPS[index]}",
            goal=None,
            optimal_return=float(asked),
            random_return=asked * (2 / SUITS - 1),
            parameters={"answers": MAPS[index]},
        )


def repeat_previous_preset(
    name: str, description: str, *, k: int = DEFAULT_K, decks: int = 1, rule: SplitRule | None = None
) -> RepeatPreviousPreset:
    """Return a preset of RepeatPrevious; maps are split by the reference's rule."""
    rule = rule or SplitRule()
    return RepeatPreviousPreset(
        name=name,
        environment_id=REPEAT_PREVIOUS_ID,
        kwargs=MappingProxyType({"k": k, "decks": decks} | rule.kwargs()),
        horizon=DECK * decks - 1,
        actions=tuple(f"answer {number}" for number in range(SUITS)),
        description=description,
        rule=rule,
        k=k,
        decks=decks,
    )
