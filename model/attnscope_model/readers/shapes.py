"""Sizes from tensors' shapes, with bounds on what is built from a file; and tensors held against a policy's own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor

from attnscope_model.errors import CheckpointUnreadableError

MAX_TOKENS: Final = 8192
MAX_WIDTH: Final = 4096
MAX_LAYERS: Final = 64
MAX_ACTIONS: Final = 4096
"""Bounds of what is built from a file."""


def shape(tensors: Mapping[str, Tensor], name: str, dimensions: int) -> tuple[int, ...]:
    """Return a tensor's shape after checking that it is there and has so many dimensions."""
    if name not in tensors:
        raise CheckpointUnreadableError(f"tensors are missing: {name}")
    found = tuple(tensors[name].shape)
    if len(found) != dimensions:
        raise CheckpointUnreadableError(f"{name}: expected {dimensions} dimensions, got {list(found)}")
    return found


def bounded(**sizes: tuple[int, int]) -> None:
    """Refuse sizes that are not between 1 and their bound."""
    for name, (size, most) in sizes.items():
        if not 1 <= size <= most:
            raise CheckpointUnreadableError(f"expected {name} between 1 and {most}, got {size}")


def side(cells: int) -> int:
    """Return the rows of a square room with so many cells."""
    if not 1 <= cells == math.isqrt(cells) ** 2:
        raise CheckpointUnreadableError(f"expected a square number of cells, got {cells}")
    return math.isqrt(cells)


def divisor(heads: object, width: int) -> int:
    """Return a number of heads after checking that it divides the width."""
    if not isinstance(heads, int) or isinstance(heads, bool) or not 1 <= heads <= width or width % heads:
        raise CheckpointUnreadableError(f"heads: expected a divisor of the width {width}, got {heads!r}")
    return heads


def positive(config: Mapping[str, Any], name: str) -> int | None:
    """Return a configuration's whole number, None where it has none of that name."""
    if name not in config:
        return None
    value = config[name]
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise CheckpointUnreadableError(f"config {name}: expected a whole number from 1 on, got {value!r}")
    return value


def lineage_sizes(width: int, layers: int) -> dict[str, int]:
    """Return what the reference's and its descendants' configurations say of width, layers and coordinates."""
    return {"tf_n_embd": width, "tf_n_layer": layers, "dim_states": 2}


def check_sizes(config: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
    """Refuse a configuration whose sizes, by its own names, are not what the tensors say."""
    for name, size in sizes.items():
        if name in config and config[name] != size:
            raise CheckpointUnreadableError(f"its config says {name} {config[name]!r}, its tensors say {size}")


def _ignoring(names: list[str]) -> str:
    """Return the options that leave tensors out, a module's tensors by one pattern."""
    patterns = list(dict.fromkeys(f"{name.rsplit('.', 1)[0]}.*" if "." in name else name for name in names))
    return " ".join(f"--ignore '{pattern}'" for pattern in patterns[:5])


def check_shapes(tensors: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], family: str) -> None:
    """Refuse missing and unknown tensors and other shapes than expected, by the file's names."""
    if missing := sorted(expected.keys() - tensors.keys()):
        raise CheckpointUnreadableError(f"tensors are missing: {', '.join(missing[:5])}")
    if unknown := sorted(tensors.keys() - expected.keys()):
        raise CheckpointUnreadableError(
            f"tensors that a file of {family} does not have: {', '.join(unknown[:5])}; where no decision of the policy "
            f"uses them (a value head, a mask that its family has anyway), leave them out: {_ignoring(unknown)}"
        )
    for name, wanted in expected.items():
        if tuple(tensors[name].shape) != wanted or not tensors[name].is_floating_point():
            got = f"{tensors[name].dtype} {list(tensors[name].shape)}"
            raise CheckpointUnreadableError(f"{name}: expected float {list(wanted)}, got {got}")
