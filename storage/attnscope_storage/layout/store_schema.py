"""The schema of any store, as writer, readers and commits see it: its arrays, and how they grow together.

It knows no array by name; each kind of job lists its arrays in `attnscope_storage.kinds`.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, Protocol

import numpy as np
from jaxtyping import Shaped

SCHEMA_VERSION: Final = 2
"""Newest version of the layout. Each store names its own: 2 may hold several commits in one chunk."""

FIRST_VERSION: Final = 1
"""Version in which one commit is one chunk of every growing array."""

SPLITS: Final = ("train", "validation", "test")
"""Meaning of `env/split`, by value; -1 is unknown."""

FIRST_KIND: Final = "capture"
"""The kind of a store that names none; the first captures did not."""

KIND_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
"""The form of a kind's name."""

Growth = Literal["step", "row_step", "sample", "column", "compression", "static"]
"""The growth of an array's first axis.

It grows with every step, every stored row, every sampled map, every whole column of the overview or every compression
of a policy's history, or never.
"""

Entries = Shaped[np.ndarray, "..."]
"""New entries of a growing array."""

Axis = tuple[str, int]
"""An axis: its name and its length in the finished capture."""


@dataclass(frozen=True)
class ArraySpec:
    """One array of a capture.

    `shape` and `chunks` are those of the finished capture; for a growing array the first entry of `shape` is the
    length that it will have in the end.
    """

    name: str
    """Path inside the group, e.g. ``attention/rows``."""
    dtype: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    growth: Growth
    attributes: Mapping[str, object] = field(default_factory=dict)

    @property
    def fill(self) -> float | int:
        """The value of never-written data: NaN for floats, -1 for integers, 255 for bytes."""
        return {"f": math.nan, "u": 255}.get(np.dtype(self.dtype).kind, -1)

    @property
    def nbytes(self) -> int:
        """Decoded size of the finished array, in bytes."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


class Deriver(Protocol):
    """Computes arrays that follow from others, in the writer's thread, so that no producer has to."""

    def resume(self, committed: int, read: Callable[[str, int, int], Entries]) -> None:
        """Take in what is committed but belongs to an entry that is not whole yet.

        Parameters
        ----------
        committed
            Committed entries of the growing axis.
        read
            Returns an array's entries, from one to before another, as they are stored.
        """

    def derive(self, arrays: Mapping[str, Entries], first: int, steps: int) -> Mapping[str, Entries]:
        """Return the entries that become whole with these steps, by array.

        Parameters
        ----------
        arrays
            The arrays of a block; the first axis is the block's steps, or its stored rows.
        first
            Step that the block begins with.
        steps
            Steps in the block.
        """
        ...


class StoreSchema(ABC):
    """Every array of one store, and how they grow together."""

    kind: ClassVar[str]
    """Kind of job that it stores."""
    may_end_early: ClassVar[bool] = False
    """A store may be complete before its growing axis is full, as a decision is that has its answer."""
    flush_steps: int
    """Entries of the growing axis that one commit adds."""
    arrays: Mapping[str, ArraySpec]

    @property
    @abstractmethod
    def total(self) -> int:
        """Entries of the growing axis once the store is complete: a capture's steps, a trial's conditions."""

    @property
    def version(self) -> int:
        """Version of the layout that the store is written in."""
        return FIRST_VERSION

    @property
    def row_every(self) -> int:
        """Steps from one stored decision row to the next."""
        return 1

    @property
    def map_steps(self) -> tuple[int, ...]:
        """Steps whose whole maps are stored."""
        return ()

    @abstractmethod
    def length(self, spec: ArraySpec, steps: int) -> int:
        """Return the length of an array's first axis once `steps` entries of the growing axis are committed."""

    def most(self, spec: ArraySpec) -> int:
        """Return how many entries of an array one commit adds at most."""
        return self.length(spec, self.flush_steps)

    def deriver(self) -> Deriver | None:
        """Return what computes the arrays that follow from others; None where there are none."""
        return None


def array_spec(
    name: str,
    dtype: str,
    axes: tuple[Axis, ...],
    *,
    growth: Growth = "static",
    chunk: tuple[int, ...] = (),
    **attributes: object,
) -> ArraySpec:
    """Return an array whose chunks are `chunk` along its first axes and whole along the others."""
    shape = tuple(size for _, size in axes)
    return ArraySpec(
        name=name,
        dtype=dtype,
        dims=tuple(axis for axis, _ in axes),
        shape=shape,
        chunks=tuple(max(1, size) for size in (*chunk, *shape[len(chunk) :])),
        growth=growth,
        attributes=attributes,
    )
