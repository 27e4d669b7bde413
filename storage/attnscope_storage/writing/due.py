"""The next commit of a store, and the chunks that it writes; known from the schema alone. Reads and writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from attnscope_storage.layout.chunks import chunk_key, grid_of, indices
from attnscope_storage.layout.store_schema import ArraySpec, StoreSchema


@dataclass(frozen=True)
class DueChunk:
    """A chunk that a commit writes."""

    spec: ArraySpec
    index: tuple[int, ...]
    committed: int
    """Entries on its first axis that are committed already."""

    @property
    def key(self) -> str:
        """Key in the store."""
        return chunk_key(self.spec.name, self.index)


def next_commit(schema: StoreSchema, steps: int | None) -> int | None:
    """Return how many entries the next commit leaves committed: 0 creates the store; None where none is to come.

    Parameters
    ----------
    steps
        Entries committed by now; None where there is no store.
    """
    if steps is None:
        return 0
    return None if steps >= schema.total else min(steps + schema.flush_steps, schema.total)


def due_chunks(schema: StoreSchema, steps: int | None, after: int) -> Iterator[DueChunk]:
    """Yield the chunks of the commit that goes from `steps` to `after` entries; None creates the store."""
    for spec in schema.arrays.values():
        if (spec.growth == "static") != (steps is None):
            continue
        before = 0 if steps is None else schema.length(spec, steps)
        length = spec.shape[0] if steps is None else schema.length(spec, after)
        size, *_ = spec.chunks
        others = grid_of(spec.shape[1:], spec.chunks[1:])
        for number in range(before // size, -(-length // size)) if length > before else ():
            for rest in indices(others):
                yield DueChunk(spec, (number, *rest), max(0, before - number * size))
