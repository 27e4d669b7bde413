"""One reading of a capture: statistics and rollout of every step, and decision rows as the plan says.

This is the one module that fetches decision rows for figures and advice; everything after it is arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float16, Float32, Float64, Int64, Shaped

from attnscope.capture import Capture
from attnscope.measures.layout import ContextLayout, behind
from attnscope.reading.choosing import Choice
from attnscope.reading.plan import ReadingPlan, Size, Stretch, followed, overview
from attnscope.reading.reduced import between_shares, mean_profile, mean_retained, mean_statistic
from attnscope.reading.rollout import Phases, labels, phases_of, returns_of

KEPT_BYTES = 64 * 2**20
"""Bytes of rows that are kept once read, so that they are fetched once for figures and advice together."""


@dataclass(frozen=True, eq=False)
class Burst:
    """Adjacent decision rows of the environments whose rows are read."""

    number: int
    stratum: int
    step: Int64[np.ndarray, " row"]
    """Environment step of each row."""
    mean: Float32[np.ndarray, "row env slot"]
    """Each row averaged over layers and heads. Where contexts begin with latents, all rows leave them out: they are
    shares of the rest, from the first slot behind them on."""
    fresh: int
    """Rows before this one only tell what came before, and were counted already."""
    rows: Float16[np.ndarray, "last env layer head slot"]
    """The last rows of the burst, of every layer and head."""
    targets: Int64[np.ndarray, " target"]
    """Rows whose decision is judged; `rows` holds each of them."""

    @property
    def first_whole(self) -> int:
        """The row of the burst that `rows` begins with."""
        return len(self.step) - len(self.rows)


@dataclass(frozen=True, eq=False)
class Reading:
    """A capture and the part of it that takes part in every figure and every sentence."""

    capture: Capture
    choice: Choice
    layout: ContextLayout
    places: tuple[int, ...]
    """Places of the rollouts among the stored environments."""
    envs: Int64[np.ndarray, " env"]
    """Entries of the env axis that take part."""
    task: Shaped[np.ndarray, " env"]
    length: Int64[np.ndarray, "step env"]
    """Context length of every step that takes part."""
    least: int
    """Tokens of the shortest context that counts in the means."""
    row_step: Int64[np.ndarray, " row"]
    """Environment step of every stored row that takes part; none where rows were not captured."""
    plan: ReadingPlan | None
    """None where no decision rows were captured."""
    size: Size

    @property
    def steps(self) -> int:
        """Environment steps that take part."""
        return len(self.length)

    @cached_property
    def summaries(self) -> Int64[np.ndarray, "step env"] | None:
        """Latents at the front of each context; None where the policy packs nothing."""
        if "context/summaries" not in self.capture.names():
            return None
        return np.asarray(self.capture.context.summaries[: self.steps], np.int64)[:, self.envs]

    @property
    def own_length(self) -> Int64[np.ndarray, "step env"]:
        """Tokens of each context that stand for one transition or for the query: all but latents."""
        return self.length if self.summaries is None else self.length - self.summaries

    @cached_property
    def start(self) -> Int64[np.ndarray, "step env"]:
        """Transition index of slot 0, or of the first slot behind latents."""
        return np.asarray(self.capture.context.start[: self.steps], np.int64)[:, self.envs]

    @cached_property
    def episode(self) -> Int64[np.ndarray, "step env"] | None:
        """Episode of every step; None where it was not captured."""
        values = self._labels("rollout/episode")
        return None if values is None else values.astype(np.int64)

    @cached_property
    def reward(self) -> Float64[np.ndarray, "step env"] | None:
        """Reward of every step; None where it was not captured."""
        values = self._labels("rollout/reward")
        return None if values is None else values.astype(np.float64)

    @cached_property
    def action(self) -> Shaped[np.ndarray, "step env *part"] | None:
        """Action of every step, of each branch or component; None where it was not captured."""
        return self._labels("rollout/action")

    @cached_property
    def observation(self) -> Shaped[np.ndarray, "step env feature"] | None:
        """Observation of every step, flat; None where it was not captured."""
        values = self._labels("rollout/observation")
        return None if values is None else values.reshape(*values.shape[:2], -1)

    @cached_property
    def returns(self) -> Float64[np.ndarray, "env episode"] | None:
        """Return of every episode that ended within the steps; None where rewards are unknown."""
        return returns_of(self.capture, self.envs, self.steps)

    @cached_property
    def phases(self) -> Phases:
        """Phase of every step."""
        return phases_of(self.episode, self.returns, self.length >= self.least)

    @cached_property
    def windows(self) -> tuple[int, ...]:
        """Windows of the stored recency, in tokens."""
        if "stats/recency" not in self.capture.names():
            return ()
        return tuple(int(tokens) for tokens in self.capture["stats/window"][:])

    @cached_property
    def statistics(self) -> dict[str, Float64[np.ndarray, "env layer head *window"]]:
        """Stored statistics, the mean over every committed step whose context counts, one entry a rollout.

        ``entropy`` is in nats as stored; ``normalised_entropy`` is that of each step divided by ln(context length).
        What was not captured is not there.
        """
        held = [name.removeprefix("stats/") for name in self.capture.names() if name.startswith("stats/")]
        asked = {name: (f"stats/{name}", False) for name in held if name != "window"}
        if "entropy" in asked:
            asked["normalised_entropy"] = ("stats/entropy", True)
        envs = [int(env) for env in self.envs]
        return {
            name: mean_statistic(self.capture, array, self.length, envs, self.least, normalised=normalised)
            for name, (array, normalised) in asked.items()
        }

    @property
    def row_envs(self) -> list[int]:
        """Rollouts of this reading whose rows are read."""
        return [] if self.plan is None else list(self.plan.envs)

    @property
    def head_axes(self) -> tuple[str, str]:
        """Names of the rows' layer and head axes."""
        dims = self.capture.rows.dims
        return dims[2], dims[3]

    @cached_property
    def narrowed(self) -> str:
        """The part of a larger capture that was asked for, in words; empty where all of it counts."""
        stored = self.capture.rows.shape[1] if self.plan is not None else self.capture.context.length.shape[1]
        narrowed = [f"the first {self.steps} steps"] if self.steps < self.capture.steps_committed else []
        if len(self.places) < stored:
            narrowed.append(f"the environments at places {', '.join(map(str, self.places))}")
        return " of ".join(narrowed)

    def bursts(self) -> Iterator[Burst]:
        """Yield the rows of the plan, burst by burst, so that memory does not grow with the capture."""
        if self.plan is None:
            return iter(())
        return iter(self._kept) if self.plan.bytes(self.size) <= KEPT_BYTES else self._read()

    @cached_property
    def _kept(self) -> list[Burst]:
        return list(self._read())

    def _read(self) -> Iterator[Burst]:
        assert self.plan is not None  # noqa: S101 - callers looked
        seen = np.zeros((0, len(self.plan.envs), self.size.slots), np.float32)
        for number, part in enumerate(self.plan.parts):
            rows = self._rows(slice(part.end - part.heads, part.end))
            fresh = self._means(part, rows)
            seen = np.concatenate([seen[len(seen) - (part.fresh - part.first) :], fresh])
            at = np.arange(part.fresh, part.end)
            chosen = at[np.isin(at, self.plan.judged.entry)]
            step = self.row_step[part.first : part.end]
            yield Burst(number, part.stratum, step, seen, part.fresh - part.first, rows, chosen - part.first)

    def _rows(self, entries: slice) -> Float16[np.ndarray, "row env layer head slot"]:
        rows = self.capture.rows[(entries, self._pick(), ..., slice(0, self.size.slots))]
        return np.asarray(self._apart(np.asarray(rows), entries, self.row_envs), np.float16)

    def _apart(
        self, rows: Float[np.ndarray, "row env *cell slot"], entries: slice, envs: list[int]
    ) -> Float[np.ndarray, "row env *cell slot"]:
        """Return rows as shares of the attention that is not on latents, from the first slot behind them on."""
        if self.summaries is None:
            return rows
        return behind(rows, self.summaries[self.row_step[entries]][:, envs])

    def _means(
        self, part: Stretch, rows: Float16[np.ndarray, "last env layer head slot"]
    ) -> Float32[np.ndarray, "row env slot"]:
        """Return the rows averaged over layers and heads: of whole rows here, else where the data lies."""
        if part.heads == part.end - part.fresh:
            return np.asarray(rows.mean(axis=(2, 3), dtype=np.float32))
        key = (slice(part.fresh, part.end), self._pick(), ..., slice(0, self.size.slots))
        means = self.capture.rows.halves(key, over=self.head_axes).astype(np.float32)
        return np.asarray(self._apart(means, slice(part.fresh, part.end), self.row_envs), np.float32)

    def _pick(self) -> slice | list[int]:
        """Return an index of the environments whose rows are read; neighbours as a slice, which come in one piece."""
        places = self.row_places
        near = slice(places[0], places[-1] + 1)
        return near if places == list(range(near.start, near.stop)) else places

    @property
    def row_places(self) -> list[int]:
        """Places, among the stored environments, of the rollouts whose rows are read."""
        return [self.places[env] for env in self.row_envs]

    def head_profile(self) -> Float[np.ndarray, "env layer head age"] | None:
        """Return attention by age of each head over the plan's `heads`; None where the rows that are read do."""
        if self.plan is None or self.plan.heads is None:
            return None
        return mean_profile(self.capture, self.plan.heads, self.row_places, self.least, self.size.slots)

    def head_retained(self, budgets: int) -> Float[np.ndarray, "env layer head budget"] | None:
        """Return the mass that each head's own best tokens hold: over every step where a curve of each is stored.

        Else over the plan's `heads`, None as above.
        """
        if self.curve is not None:
            return between_shares(self.curve[self.row_envs], budgets)
        if self.plan is None or self.plan.heads is None:
            return None
        return mean_retained(self.capture, self.plan.heads, self.row_places, self.least, self.size.slots, budgets)

    @cached_property
    def curve(self) -> Float64[np.ndarray, "env layer head share"] | None:
        """The stored retained-mass curve of each head, mean over every step whose context counts; None without one."""
        names = self.capture.names()
        if "attention/curve" not in names or "attention/row_step" in names:
            return None
        envs = [int(env) for env in self.envs]
        return mean_statistic(self.capture, "attention/curve", self.length, envs, self.least)

    def followed(self, env: int) -> tuple[range, Float[np.ndarray, "step slot"]]:
        """Return entries of the last steps, every one, and their mean rows at drawing precision, latents left out."""
        entries = followed(self.size.entries, self.size.slots)
        key = (slice(entries.start, entries.stop), self.places[env], ..., slice(0, self.size.slots))
        shown = self.capture.rows.view(key, over=self.head_axes)
        if self.summaries is None:
            return entries, shown
        latents = self.summaries[self.row_step[entries.start : entries.stop], env]
        return entries, behind(shown, latents, shares=False)

    def overview(self, env: int) -> tuple[Int64[np.ndarray, " row"], Float[np.ndarray, "row slot"]]:
        """Return steps over the whole run and their mean rows, at drawing precision."""
        entries = overview(self.size.entries)
        key = ([int(entry) for entry in entries], self.places[env], ..., slice(0, self.size.slots))
        return self.row_step[entries], self.capture.rows.view(key, over=self.head_axes)

    def _labels(self, name: str) -> Shaped[np.ndarray, "step env *feature"] | None:
        return labels(self.capture, name, self.steps, self.envs)
