"""The items on the stack of a list-of-arrays file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Shaped


class Mark:
    """The mark at which a run of items begins on the stack."""


@dataclass
class Blob:
    """Bytes of the file that are an array's content: where they are, and they themselves where wanted."""

    size: int
    content: bytes | None


@dataclass(eq=False)
class Array:
    """An array being rebuilt."""

    value: Shaped[np.ndarray, ...] | None = None
    shape: tuple[int, ...] = ()


@dataclass(eq=False)
class Items:
    """A list; it holds nothing, because its items are handed on when they are complete."""

    closed: bool = False


@dataclass(frozen=True)
class Name:
    """A permitted name."""

    name: str


@dataclass
class DType:
    """A dtype being rebuilt."""

    code: str
    order: str = "="

    @property
    def numpy(self) -> np.dtype[Any]:
        """The dtype."""
        return np.dtype(f"{'>' if self.order == '>' else '<'}{self.code}")
