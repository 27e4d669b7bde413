"""The schema of any store, as writer, readers and commits see it: its arrays, and how they grow together.

It knows no array by name; each kind of job lists its arrays in `attnscope_storage.kinds`.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal

import numpy as np

SCHEMA_VERSION: Final = 1
"""Version of the layout, stored in every capture."""

SPLITS: Final = ("train", "validation", "test")
"""Meaning of `env/split`, by value; -1 is unknown."""

FIRST_KIND: Final = "capture"
"""The kind of a store that names none; the first captures did not."""

KIND_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
"""The form of a kind's name."""

Growth = Literal["step", "row_step", "sample", "static"]
"""The growth of an array's first axis: with every step, with every stored row, with every sampled map, or never."""

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
        """The value of never-written data: NaN for floats, -1 for integers."""
        return math.nan if np.dtype(self.dtype).kind == "f" else -1

    @property
    def nbytes(self) -> int:
        """Decoded size of the finished array, in bytes."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


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
