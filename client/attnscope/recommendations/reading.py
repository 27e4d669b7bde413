"""What a recommendation reads of a capture: the small rollout arrays, and decision rows in bursts of adjacent steps.

A burst's last row is a decision to predict; the rows before it are what a strategy would have known by then. This is
the one module here that fetches anything; everything after it is arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from jaxtyping import Float, Int, Int64, Shaped

from attnscope.capture import Capture
from attnscope.errors import NotCapturedError
from attnscope.fetching.lazy import VIEW_BYTES
from attnscope.measures.layout import ContextLayout
from attnscope.measures.refusals import NotMeasurableError
from attnscope.study.choosing import chosen

LEAD: Final = 16
"""Decision rows before a predicted decision."""

ROW_SHARE: Final = 0.01
"""Share of the rows' bytes that is read by default."""

ROW_BYTES: Final = 2 * 2**20
"""Bytes of rows that are read in any case, where there are so many."""

FEWEST_BURSTS: Final = 10
"""Bursts that are read in any case, where there are so many."""

BLOCK_ROWS: Final = 256
"""Rows of a block when everything is read, at most."""

BLOCK_BYTES: Final = 4 * 2**20
"""Bytes, as stored, that are measured at a time; a measure needs about ten times as much."""


@dataclass(frozen=True, eq=False)
class Labels:
    """The rollout beside the rows, of the environments whose rows are stored; None where it is not known."""

    length: Int64[np.ndarray, "step env"]
    start: Int64[np.ndarray, "step env"]
    task: Shaped[np.ndarray, " env"]
    reward: Float[np.ndarray, "step env"] | None = None
    episode: Int[np.ndarray, "step env"] | None = None
    action: Int[np.ndarray, "step env"] | None = None
    observation: Shaped[np.ndarray, "step env feature"] | None = None
    lane: Int64[np.ndarray, " env"] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Entry of the env axis of each rollout."""


@dataclass(frozen=True, eq=False)
class Block:
    """Adjacent decision rows of every stored environment."""

    step: Int64[np.ndarray, " row"]
    """Environment step of each row."""
    rows: Float[np.ndarray, "row env layer head slot"]
    fresh: int
    """Rows before this one are only there for what came before, and were counted already."""
    targets: Int64[np.ndarray, " target"]
    """Rows whose decision is predicted."""


@dataclass(frozen=True, eq=False)
class Reading:
    """A capture and what is read of it."""

    capture: Capture
    labels: Labels
    layout: ContextLayout
    step: Int64[np.ndarray, " row"]
    """Environment step of every stored row."""
    blocks_of: tuple[tuple[int, int, int], ...]
    """First row, end, and first fresh row of each block."""
    stride: int
    """Predicted decisions are every so many rows, or a burst's last where 0."""
    places: tuple[int, ...]
    """Places of the rollouts on the rows' env axis."""
    narrowed: str = ""
    """What was asked for of a larger capture, in words; empty where all of it counts."""

    @property
    def rows_read(self) -> int:
        """Steps whose rows are read."""
        return sum(end - fresh for _, end, fresh in self.blocks_of)

    @property
    def sample(self) -> str:
        """What is read, in words."""
        total = len(self.step)
        if self.rows_read == total:
            return f"decision rows of all {total} stored steps"
        bursts = len(self.blocks_of)
        return f"decision rows of {self.rows_read} of {total} stored steps, {bursts} bursts of {LEAD + 1} spread evenly"

    @property
    def counted_steps(self) -> Int64[np.ndarray, " row"]:
        """Environment steps whose rows count in the patterns."""
        return np.concatenate([self.step[fresh:end] for _, end, fresh in self.blocks_of])

    def blocks(self) -> Iterator[Block]:
        """Yield the rows, block by block, so that memory does not grow with the capture."""
        for first, end, fresh in self.blocks_of:
            read = self._fetch(first, end)
            at = np.arange(fresh, end)
            chosen = at[at % self.stride == self.stride - 1] if self.stride else at[-1:]
            yield Block(self.step[first:end], read, fresh - first, chosen - first)

    def _fetch(self, first: int, end: int) -> Float[np.ndarray, "row env layer head slot"]:
        """Return adjacent rows; those of a burst a few environments at a time, as views and not as whole chunks."""
        rows, places = self.capture.rows, self.places
        one = (end - first) * int(np.prod(rows.shape[2:])) * rows.dtype.itemsize
        many = len(places) if end - first > LEAD + 1 else max(1, VIEW_BYTES // one)
        picks = [places[at : at + many] for at in range(0, len(places), many)]
        # A slice where it says the same: neighbours then come in one piece.
        beside = [
            slice(pick[0], pick[-1] + 1) if pick == tuple(range(pick[0], pick[-1] + 1)) else None for pick in picks
        ]
        parts = [np.asarray(rows[first:end, near or list(pick)]) for near, pick in zip(beside, picks, strict=True)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _pick(places: tuple[int, ...]) -> slice | list[int]:
    """Return an index of these places; a slice where they are neighbours, which come in one piece."""
    near = slice(places[0], places[-1] + 1)
    return near if places == tuple(range(near.start, near.stop)) else list(places)


def plan_blocks(total: int, entry_bytes: int, targets: int, *, full: bool = False) -> tuple[tuple[int, int, int], ...]:
    """Return first row, end and first fresh row of what is read of `total` rows of `entry_bytes` each."""
    wanted = max(FEWEST_BURSTS, max(ROW_BYTES, int(ROW_SHARE * total * entry_bytes)) // ((LEAD + 1) * entry_bytes))
    bursts = min(wanted, targets)
    block = max(1, min(BLOCK_ROWS, BLOCK_BYTES // entry_bytes))
    return _whole(total, block) if full or bursts * (LEAD + 1) >= total else _bursts(total, bursts)


def read(
    capture: Capture,
    targets: int,
    *,
    full: bool = False,
    envs: tuple[int, ...] | None = None,
    steps: int | None = None,
) -> Reading:
    """Return what to read of a capture for about `targets` predicted decisions a rollout.

    Parameters
    ----------
    envs
        Places among the stored environments; None takes all.
    steps
        Only so many environment steps from the beginning count; None takes all that is committed.

    Raises
    ------
    NotCapturedError
        No decision rows are stored, or none is committed yet, or an environment is asked for that is not stored.
    NotMeasurableError
        The policy's context, or every one so far, is its query alone.
    """
    if "attention/rows" not in capture.names():
        raise NotCapturedError(
            "recommendations rest on decision rows, which this job did not store: submit with --rows"
        )
    shape = capture.rows.shape
    if shape[0] == 0:
        raise NotCapturedError("no decision row is committed yet: wait until the job has made its first steps")
    if shape[-1] == 1:
        raise NotMeasurableError("contexts of this policy hold the query alone: there is nothing to drop")
    step = np.arange(shape[0], dtype=np.int64)
    if "attention/row_step" in capture.names():
        step = np.asarray(capture["attention/row_step"][:], np.int64)
    stored = len(step)
    step = step if steps is None else step[step < steps]
    places, lanes = chosen(capture, envs)
    if int(np.asarray(capture.context.length[: int(step[-1]) + 1])[step][:, lanes].max()) == 1:
        raise NotMeasurableError("every context so far is the query alone: there is no history yet to choose from")
    policy = capture.policy
    layout = ContextLayout(policy.query_slot, policy.tokens_per_transition)
    entry_bytes = len(places) * int(np.prod(shape[2:])) * capture.rows.dtype.itemsize
    blocks = plan_blocks(len(step), entry_bytes, targets, full=full)
    whole = sum(end - fresh for _, end, fresh in blocks) == len(step)
    stride = max(1, len(step) // targets) if whole else 0
    narrowed = [f"the first {steps} steps"] if len(step) < stored else []
    narrowed += [f"the environments at places {', '.join(map(str, places))}"] if len(places) < shape[1] else []
    labels = _labels(capture, int(step[-1]) + 1, lanes)
    return Reading(capture, labels, layout, step, blocks, stride, places, " of ".join(narrowed))


def _whole(total: int, block: int) -> tuple[tuple[int, int, int], ...]:
    edges = range(0, total, block)
    return tuple((max(0, first - LEAD), min(total, first + block), first) for first in edges)


def _bursts(total: int, count: int) -> tuple[tuple[int, int, int], ...]:
    """Return one burst in each of `count` equal stretches, at a place drawn with a fixed seed.

    Evenly spaced bursts would all fall on the same step of an episode where the spacing is a multiple of its length.
    """
    edges = np.linspace(0, total, count + 1).astype(np.int64)
    first = np.random.default_rng(total).integers(edges[:-1], np.maximum(edges[1:] - LEAD, edges[:-1] + 1))
    return tuple((int(at), int(at) + LEAD + 1, int(at)) for at in first)


def _labels(capture: Capture, steps: int, envs: Int64[np.ndarray, " env"]) -> Labels:
    names = capture.names()

    def optional(name: str) -> Shaped[np.ndarray, "step env *feature"] | None:
        values = np.asarray(capture[name][:steps])[:, envs] if name in names else None
        # -1 is how integers that were never written read; such a rollout is not known.
        unknown = values is None or (values.dtype.kind == "i" and name != "rollout/observation" and (values < 0).any())
        return None if unknown else values

    observation = optional("rollout/observation")
    if observation is not None:
        observation = observation.reshape(*observation.shape[:2], -1)
    return Labels(
        length=np.asarray(capture.context.length[:steps], np.int64)[:, envs],
        start=np.asarray(capture.context.start[:steps], np.int64)[:, envs],
        task=np.asarray(capture["env/task"][:])[envs] if "env/task" in names else np.zeros(len(envs), np.int64),
        reward=optional("rollout/reward"),
        episode=optional("rollout/episode"),
        action=optional("rollout/action"),
        observation=observation,
        lane=envs,
    )
