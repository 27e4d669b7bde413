"""The values that a foreign file is reduced to: inert records of what it names, and tensors still in their bytes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

MAX_SHOWN: Final = 80
"""Characters of a foreign name that are ever shown."""

_ODD: Final = re.compile(r"[^A-Za-z0-9_.\[\]/@+*-]")


def shown(name: object) -> str:
    """Return a foreign name in at most `MAX_SHOWN` plain characters."""
    return _ODD.sub("?", str(name)[:MAX_SHOWN]) if isinstance(name, str | int) else type(name).__name__


@dataclass(frozen=True)
class Name:
    """A global that a file names: two texts, never looked up."""

    module: str
    name: str

    @property
    def path(self) -> str:
        """Return the dotted name."""
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class StandIn:
    """An object whose code is not here: its class is remembered, and nothing is ever done to it."""

    name: str


class Attributes(dict[str, Any]):
    """The attributes of a plain namespace (argparse's, or the standard library's simple one)."""


@dataclass(eq=False)
class Storage:
    """A run of numbers of one torch dtype; `load` gives its bytes when they are needed."""

    dtype: str
    count: int
    load: Callable[[], bytes] | None = None
    """None until it is known where the bytes stand."""


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A view of a storage: what to cut out of its bytes."""

    storage: Storage
    dtype: str
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def numel(self) -> int:
        """Return the number of elements that the tensor claims."""
        return math.prod(self.size)


@dataclass(eq=False)
class DType:
    """A NumPy dtype: kind and item size like ``f8``; None for a kind that is not read."""

    code: str | None
    order: str = "<"


@dataclass(eq=False)
class Array:
    """A NumPy array in its bytes; `data` is None until they came, and stays so for kinds that are not read."""

    code: str | None = None
    order: str = "<"
    shape: tuple[int, ...] = ()
    data: bytes | None = None
    fortran: bool = False
    built: bool = field(default=False)

    @property
    def numel(self) -> int:
        """Return the number of elements."""
        return math.prod(self.shape)


def is_tensor(value: object) -> bool:
    """Return whether a value holds numbers of a tensor or an array."""
    return isinstance(value, StoredTensor | Array)
