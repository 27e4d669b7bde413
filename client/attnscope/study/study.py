"""The measures of one reading: the means and intervals that every figure and every sentence of a report rests on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float64, Int64

from attnscope.capture import Capture
from attnscope.measures import ContextLayout, slot_transitions
from attnscope.measures.intervals import Interval, Resampling, default_scope
from attnscope.reading import Choice, Reading, read
from attnscope.reading.measuring import tally
from attnscope.reading.tally import Tally
from attnscope.study.quantities import Quantity, quantity


@dataclass(frozen=True, eq=False)
class Study:
    """A capture's measures. Where rows or statistics were not captured, what rests on them is None."""

    reading: Reading
    resampling: Resampling
    """Of the rollouts that take part."""

    @property
    def capture(self) -> Capture:
        """The capture that was read."""
        return self.reading.capture

    @property
    def layout(self) -> ContextLayout:
        """Layout of the policy's context."""
        return self.reading.layout

    @property
    def envs(self) -> Int64[np.ndarray, " env"]:
        """Entries of the env axis that take part."""
        return self.reading.envs

    @property
    def steps(self) -> int:
        """Environment steps that take part."""
        return self.reading.steps

    @property
    def length(self) -> Int64[np.ndarray, "step env"]:
        """Context length of every step."""
        return self.reading.length

    @property
    def least(self) -> int:
        """Tokens of the shortest context that counts in the means."""
        return self.reading.least

    @property
    def episode(self) -> Int64[np.ndarray, "step env"] | None:
        """Episode of every step; None where it was not captured."""
        return self.reading.episode

    @property
    def reward(self) -> Float64[np.ndarray, "step env"] | None:
        """Reward of every step; None where it was not captured."""
        return self.reading.reward

    @property
    def returns(self) -> Float64[np.ndarray, "env episode"] | None:
        """Return of every finished episode; None where rewards are unknown."""
        return self.reading.returns

    @cached_property
    def tally(self) -> Tally | None:
        """Measures of the rows; None where decision rows were not captured."""
        return tally(self.reading)

    @property
    def statistics(self) -> dict[str, Float64[np.ndarray, "env layer head *window"]]:
        """Stored statistics, the mean over every committed step whose context counts."""
        return self.reading.statistics

    @property
    def sampled(self) -> bool:
        """True where the rows of some steps only were read."""
        return self.reading.plan is not None and not self.reading.plan.whole

    @property
    def tokens(self) -> float:
        """Mean context length of the steps that count in the means."""
        return float(self.length[self.length >= self.least].mean())

    def quantity(self, name: str) -> Quantity | None:
        """Return a named quantity (`attnscope.study.quantities`); None where nothing measures it."""
        if name not in self._quantities:
            self._quantities[name] = quantity(self.reading, self._rows_for(name), self.resampling, name)
        return self._quantities[name]

    @cached_property
    def _quantities(self) -> dict[str, Quantity | None]:
        return {}

    def _rows_for(self, name: str) -> Tally | None:
        """Return the tally, unless a stored statistic tells the quantity: then no row is read for it."""
        return None if name.partition(".")[0] in self.statistics else self.tally

    def mean(self, values: Float[np.ndarray, " env *cell"]) -> Float64[np.ndarray, "*cell"]:
        """Return the mean over rollouts, as `interval` does, where no interval is shown."""
        return self.resampling.mean(values)

    def interval(self, values: Float[np.ndarray, " env *cell"]) -> Interval:
        """Return the mean over rollouts and its interval, of values that rest on every step."""
        return self.resampling.interval(values)

    @cached_property
    def head_profile(self) -> Float[np.ndarray, "layer head age"] | None:
        """Attention by age of each head; None without rows."""
        if self.tally is None:
            return None
        reduced = self.reading.head_profile()
        return self.tally.mean(self.tally.heads) if reduced is None else self.tally.resampling.mean(reduced)

    def followed(self, env: int = 0) -> tuple[range, Float[np.ndarray, "step transition"], int]:
        """Return consecutive steps, the attention to every transition at each, and the first transition's index.

        Mean over layers and heads, at drawing precision; NaN where a transition is not in the context.
        """
        entries, shown = self.reading.followed(env)
        steps = self.reading.row_step[entries.start : entries.stop]
        start = self.reading.start[steps, env]
        index = slot_transitions(start, self.reading.own_length[steps, env], shown.shape[-1], self.layout)
        first, last = int(start.min()), int(index.max(initial=0)) + 1
        line = np.full((len(steps), max(1, last - first)), np.nan)
        row, slot = np.nonzero(index >= 0)
        sums = np.zeros_like(line)
        np.add.at(sums, (row, index[row, slot] - first), shown[row, slot])
        line[row, index[row, slot] - first] = sums[row, index[row, slot] - first]
        return range(int(steps[0]), int(steps[-1]) + 1), line, first

    def place(self, env: int) -> int:
        """Return the place of the study's environment `env` among the stored ones."""
        return self.reading.places[env]


def study(capture: Capture, choice: Choice | None = None) -> Study:
    """Read a capture as `choice` asks, and measure it.

    Parameters
    ----------
    capture
        Finished, running or downloaded.
    choice
        Which steps and environments are read.

    Returns
    -------
    Study
        What was measured, rollout by rollout; figures and advice read it.

    Raises
    ------
    NotCapturedError
        Nothing is committed yet, or an environment is asked for that the capture does not have.
    """
    reading = read(capture, choice)
    return Study(reading, Resampling(reading.task, default_scope(reading.task)))
