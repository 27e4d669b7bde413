"""One capture, read once and measured: what every figure and every sentence of a report rests on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int64

from attnscope.capture import Capture
from attnscope.errors import NotCapturedError
from attnscope.measures import ContextLayout, NotMeasurableError, scaled_entropy, slot_transitions
from attnscope.measures.intervals import Interval, Resampling, default_scope
from attnscope.measures.phases import NEITHER, phases_by_episode, phases_by_return
from attnscope.study.choosing import chosen
from attnscope.study.plan import Choice, ReadingPlan, plan
from attnscope.study.tally import Phases, Tally

BLOCK_BYTES = 8 * 2**20
"""Rows measured at a time, in bytes as stored; a measure needs about ten times as much."""

STATISTICS = ("entropy", "max", "effective", "sink", "self", "recency")
"""Stored statistics that a study reads."""


@dataclass(frozen=True, eq=False)
class Study:
    """A capture's measures. Where rows or statistics were not captured, what rests on them is None."""

    capture: Capture
    choice: Choice
    plan: ReadingPlan
    layout: ContextLayout
    envs: Int64[np.ndarray, " env"]
    """Entries of the env axis that take part."""
    steps: int
    """Environment steps that take part."""
    length: Int64[np.ndarray, "step env"]
    """Context length of every step."""
    episode: Int64[np.ndarray, "step env"] | None
    reward: Float64[np.ndarray, "step env"] | None
    returns: Float64[np.ndarray, "env episode"] | None
    resampling: Resampling
    row_steps: Int64[np.ndarray, " row"]
    """Environment steps whose rows were read."""
    least: int
    """Tokens of the shortest context that counts in the means."""
    tally: Tally | None
    statistics: dict[str, Float64[np.ndarray, "env layer head"]]
    """Means over the steps read whose context counts; ``entropy`` is normalised, ``recency`` of the largest window."""
    window: int
    """Tokens of that window."""

    @property
    def tokens(self) -> float:
        """Mean context length of the steps that count in the means."""
        return float(self.length[self.length >= self.least].mean())

    def mean(self, values: Float[np.ndarray, " env *cell"]) -> Float64[np.ndarray, "*cell"]:
        """Return the mean over rollouts, as `interval` does, where no interval is shown."""
        return self.resampling.mean(values)

    def interval(self, values: Float[np.ndarray, " env *cell"]) -> Interval:
        """Return the mean over rollouts and its interval."""
        return self.resampling.interval(values)

    def followed(self, env: int = 0) -> tuple[range, Float[np.ndarray, "step transition"], int]:
        """Return consecutive steps, the attention to every transition at each, and the first transition's index.

        Mean over layers and heads, at drawing precision; NaN where a transition is not in the context.
        """
        entries = self.plan.followed
        place = self.places[env]
        shown = self.capture.rows.view((slice(entries.start, entries.stop), place), over=self.head_axes)
        steps = self.steps_of(np.array(entries, np.int64))
        at = int(self.envs[env])
        start = np.asarray(self.capture.context.start[: self.steps, at])[steps]
        length = self.length[steps, env]
        index = slot_transitions(start, length, shown.shape[-1], self.layout)
        first, last = int(start.min()), int(index.max(initial=0)) + 1
        line = np.full((len(steps), max(1, last - first)), np.nan)
        row, slot = np.nonzero(index >= 0)
        np.maximum.at(sums := np.zeros_like(line), (row, index[row, slot] - first), 0.0)
        np.add.at(sums, (row, index[row, slot] - first), shown[row, slot])
        line[row, index[row, slot] - first] = sums[row, index[row, slot] - first]
        return range(int(steps[0]), int(steps[-1]) + 1), line, first

    def overview(self, env: int = 0) -> tuple[Int64[np.ndarray, " row"], Float[np.ndarray, "row slot"]]:
        """Return steps over the whole run and their rows, mean over layers and heads, at drawing precision."""
        entries = self.plan.overview
        picked = tuple(int(entry) for entry in entries)
        return self.steps_of(entries), self.capture.rows.view((list(picked), self.places[env]), over=self.head_axes)

    @property
    def places(self) -> list[int]:
        """Places of the environments on the rows' env axis."""
        if "attention/row_env" not in self.capture.names():
            return [int(env) for env in self.envs]
        stored = [int(entry) for entry in self.capture["attention/row_env"][:]]
        return [stored.index(int(env)) for env in self.envs]

    @property
    def lengths(self) -> Int64[np.ndarray, " decision"]:
        """Context lengths behind the means over rows: of the steps read that count."""
        read = self.length[self.row_steps]
        return np.asarray(read[read >= self.least])

    def place(self, env: int) -> int:
        """Return the place of the study's environment `env` among the stored ones."""
        return self.places[env]

    @property
    def entries(self) -> int:
        """Stored rows' steps that take part."""
        return _rows_size(self.capture, self.steps, len(self.envs))[0]

    @property
    def head_axes(self) -> tuple[str, str]:
        """Names of the rows' layer and head axes."""
        dims = self.capture.rows.dims
        return dims[2], dims[3]

    def steps_of(self, entries: Int64[np.ndarray, " row"]) -> Int64[np.ndarray, " row"]:
        """Return the environment steps of entries of the rows' axis."""
        if "attention/row_step" not in self.capture.names():
            return entries
        steps: Int64[np.ndarray, " row"] = np.asarray(self.capture["attention/row_step"][:], np.int64)[entries]
        return steps


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
    asked = choice or Choice()
    steps = min(capture.steps_committed, asked.steps or capture.steps_committed)
    if steps == 0:
        raise NotCapturedError("nothing is committed yet: wait until the job has made its first steps")
    _, envs = chosen(capture, asked.envs)
    length = np.asarray(capture.context.length[:steps], np.int64)[:, envs]
    every = dict.fromkeys(("episode", "reward"))
    episode, reward = (_optional(capture, f"rollout/{name}", steps, envs) for name in every)
    least = _least(length)
    layout = ContextLayout(capture.policy.query_slot, capture.policy.tokens_per_transition)
    returns = _returns(capture, envs, steps)
    phases = _phases(episode, returns, length.shape)
    entries, entry_bytes = _rows_size(capture, steps, len(envs))
    reading = plan(
        entries=entries, entry_bytes=entry_bytes, steps=steps, slots=capture.policy.context_length, full=asked.full
    )
    names = capture.names()
    task = np.asarray(capture.env.task[:])[envs] if "env/task" in names else np.zeros(len(envs), np.int64)
    read = Study(
        capture=capture,
        choice=asked,
        plan=reading,
        layout=layout,
        envs=envs,
        steps=steps,
        length=length,
        episode=None if episode is None else episode.astype(np.int64),
        reward=None if reward is None else reward.astype(np.float64),
        returns=returns,
        resampling=Resampling(task, default_scope(task)),
        row_steps=reading.rows,
        least=least,
        tally=None,
        statistics={},
        window=0,
    )
    return _measured(read, phases)


def _measured(read: Study, phases: Phases) -> Study:
    """Return the study with its measures."""
    tally = None
    if len(read.plan.rows):
        tally = Tally(read.layout)
        for steps, rows in _blocks(read):
            length = read.length[steps]
            tally.add(rows, length, length >= read.least, phases.at(steps))
    statistics, window = _statistics(read)
    rows_at = read.steps_of(read.plan.rows) if tally else read.plan.rows
    return Study(**{**vars(read), "tally": tally, "statistics": statistics, "window": window, "row_steps": rows_at})


def _blocks(read: Study) -> Iterator[tuple[Int64[np.ndarray, " row"], Float[np.ndarray, "row env layer head slot"]]]:
    rows = read.capture.rows
    step_bytes = 2 * len(read.envs) * int(np.prod(rows.shape[2:]))
    size = max(1, BLOCK_BYTES // step_bytes)
    for first in range(0, len(read.plan.rows), size):
        entries = read.plan.rows[first : first + size]
        yield read.steps_of(entries), rows.at(entries, read.places)


def _statistics(read: Study) -> tuple[dict[str, Float64[np.ndarray, "env layer head"]], int]:
    """Return means of the stored statistics over the steps read whose context counts."""
    at, names = read.plan.statistics, read.capture.names()
    length = read.length[at]
    counts = (length >= read.least)[..., None, None]
    total = counts.sum(axis=0)
    means: dict[str, Float64[np.ndarray, "env layer head"]] = {}
    window = 0
    for name in STATISTICS:
        if f"stats/{name}" not in names:
            continue
        values = np.asarray(read.capture[f"stats/{name}"].at(at, list(map(int, read.envs))), np.float64)
        if name == "recency":
            windows = [int(tokens) for tokens in read.capture["stats/window"][:]]
            window = windows[-1]
            values = values[..., -1]
        if name == "entropy":
            values = scaled_entropy(values, length)
        held = np.where(counts, values, 0).sum(axis=0)
        means[name] = np.divide(held, total, out=np.full(held.shape, np.nan), where=total > 0)
    return means, window


def _optional(
    capture: Capture, name: str, steps: int, envs: Int64[np.ndarray, " env"]
) -> Float[np.ndarray, "step env"] | Int[np.ndarray, "step env"] | None:
    if name not in capture.names():
        return None
    values: Float[np.ndarray, "step env"] | Int[np.ndarray, "step env"] = capture[name][:steps][:, envs]
    return values


def _least(length: Int64[np.ndarray, "step env"]) -> int:
    """Return the shortest context that counts: the longest one where a fifth of the steps has it, else half of that."""
    longest = int(length.max())
    return longest if (length == longest).mean() >= 0.2 else (longest + 1) // 2  # noqa: PLR2004 - as said


def _rows_size(capture: Capture, steps: int, envs: int) -> tuple[int, int]:
    """Return the entries of the rows' axis within so many steps, and the bytes of one."""
    if "attention/rows" not in capture.names():
        return 0, 0
    rows = capture.rows
    entries = rows.shape[0]
    if "attention/row_step" in capture.names():
        entries = int((capture["attention/row_step"][:] < steps).sum())
    return min(entries, steps), rows.dtype.itemsize * envs * int(np.prod(rows.shape[2:]))


def _returns(
    capture: Capture, envs: Int64[np.ndarray, " env"], steps: int
) -> Float64[np.ndarray, "env episode"] | None:
    """Return the returns of the episodes that ended within the steps; None where rewards are unknown."""
    try:
        returns: Float64[np.ndarray, "env episode"] = np.asarray(capture.returns(), np.float64)[envs]
    except (NotCapturedError, AttributeError):
        return None
    if steps == capture.steps_committed or "rollout/episode" not in capture.names():
        return returns
    ended = int(((capture.rollout.truncated[:steps] > 0) | (capture.rollout.terminated[:steps] > 0)).sum(axis=0).min())
    within: Float64[np.ndarray, "env episode"] = returns[:, :ended]
    return within


def _phases(
    episode: Int[np.ndarray, "step env"] | Float[np.ndarray, "step env"] | None,
    returns: Float64[np.ndarray, "env episode"] | None,
    shape: tuple[int, ...],
) -> Phases:
    """Return the phase of every step, by its episode; neither where there are too few episodes."""
    phases = Phases(*(np.full(shape, NEITHER, np.int64) for _ in range(2)))
    if episode is None or returns is None:
        return phases
    try:
        of_episode = np.broadcast_to(phases_by_episode(returns.shape[1]), returns.shape)
        of_return = phases_by_return(returns)
    except NotMeasurableError:
        return phases
    known: Bool[np.ndarray, "step env"] = (episode >= 0) & (episode < returns.shape[1])
    env, number = np.nonzero(known)[1], episode[known].astype(np.int64)
    phases.by_episode[known] = of_episode[env, number]
    phases.by_return[known] = of_return[env, number]
    return phases
