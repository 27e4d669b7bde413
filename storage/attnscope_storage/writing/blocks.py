"""Step blocks: the memory that decisions wait in until they are written, and the pool that bounds it.

A fixed number of blocks is allocated once. The rollout fills one while the writer's thread stores another; when all
are waiting to be stored, `BlockPool.acquire` blocks, so that a slow disk slows the rollout instead of filling memory.
Nothing here touches a disk.
"""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
from jaxtyping import Float16

from attnscope_storage.layout.store_schema import ArraySpec, Entries, StoreSchema

MAP_ARRAYS = frozenset({"attention/maps", "attention/map_step"})
"""Arrays that come one sample at a time, in `StepBlock.maps`; those of the growth ``column`` are derived."""


class StepBlock:
    """The steps of one commit, before they are stored.

    Every array starts out as "never written" (NaN or -1), so only what is known must be filled in: of
    ``attention/rows``, the slots below the context length.
    """

    def __init__(self, schema: StoreSchema) -> None:
        self._specs = [spec for spec in schema.arrays.values() if is_buffered(spec)]
        self.arrays: dict[str, Entries] = {
            spec.name: np.empty(block_shape(schema, spec), dtype=spec.dtype) for spec in self._specs
        }
        """By name, all growing arrays but the maps. First axis: the commit's steps, or its stored rows."""
        self.maps: list[tuple[int, Float16[np.ndarray, "row_env layer head query slot"]]] = []
        """Sampled maps of this block: (step since the capture's begin, map), in the order of steps."""
        self.steps = 0
        """Steps filled so far; set it before submitting."""
        self.clear()

    def clear(self) -> None:
        """Make everything "never written" again."""
        for spec in self._specs:
            self.arrays[spec.name].fill(spec.fill)
        self.maps.clear()
        self.steps = 0


def is_buffered(spec: ArraySpec) -> bool:
    """Return whether a block holds an array for this spec."""
    return spec.growth not in {"static", "column"} and spec.name not in MAP_ARRAYS


def block_shape(schema: StoreSchema, spec: ArraySpec) -> tuple[int, ...]:
    """Return the shape of an array in a block: the entries of one commit, and all of the other axes."""
    return (max(1, schema.most(spec)), *spec.shape[1:])


class BlockPool:
    """A fixed set of blocks between one rollout thread and one writer thread.

    Once the writer has failed, its error is raised from every call of the rollout's.
    """

    def __init__(self, schema: StoreSchema, count: int) -> None:
        if count < 1:
            raise ValueError(f"expected at least one block, got {count}")
        self._free = [StepBlock(schema) for _ in range(count)]
        self._queued: deque[StepBlock] = deque()
        self._lent: set[StepBlock] = set()
        self._writing = False
        self._finished = False
        self._dropped = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    @property
    def dropped(self) -> bool:
        """True where what is not committed yet shall be forgotten."""
        return self._dropped

    def acquire(self) -> StepBlock:
        """Lend an empty block, waiting while all of them are queued.

        Raises
        ------
        RuntimeError
            Every block is lent already, so waiting would never end, or the pool is finished.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._free or self._error or not (self._queued or self._writing))
            self.check()
            if self._finished or not self._free:
                raise RuntimeError("no block to lend: the writer is closed, or every block is lent and none submitted")
            block = self._free.pop()
            self._lent.add(block)
            return block

    def submit(self, block: StepBlock) -> None:
        """Queue a lent block for writing. Never waits: a lent block always has its place in the queue."""
        with self._changed:
            self.check()
            if self._finished or block not in self._lent:
                raise RuntimeError("only a block that was acquired from this open writer, and once, can be submitted")
            self._lent.remove(block)
            self._queued.append(block)
            self._changed.notify_all()

    def finish(self, *, drop: bool) -> None:
        """Let the writer end: after what is queued, or at once if `drop`."""
        with self._changed:
            self._finished = True
            self._dropped |= drop
            self._changed.notify_all()

    def check(self) -> None:
        """Raise the writer's error, if it failed."""
        if self._error is not None:
            raise self._error

    def take(self) -> StepBlock | None:
        """Wait for a queued block; None when there will be none. For the writer's thread."""
        with self._changed:
            self._changed.wait_for(lambda: self._queued or self._finished)
            if self._dropped or not self._queued:
                return None
            self._writing = True
            return self._queued.popleft()

    def recycle(self, block: StepBlock) -> None:
        """Empty a written block and lend it again. For the writer's thread, so the rollout does not pay for it."""
        block.clear()
        with self._changed:
            self._free.append(block)
            self._writing = False
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Hand the writer's error to the rollout and wake it."""
        with self._changed:
            self._error = error
            self._writing = False
            self._changed.notify_all()
