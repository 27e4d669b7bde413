"""An answer with numbers and bytes: a length, JSON, then one byte a weight."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Shaped, UInt8


@dataclass(frozen=True, eq=False)
class Frame:
    """The data that a view is drawn from."""

    head: dict[str, Any]
    """Numbers and texts; JSON."""
    shades: UInt8[np.ndarray, ...]
    """Weights at drawing precision, see `attnscope_storage.shades`."""

    def encode(self) -> bytes:
        """Return the frame as it travels: the length of the JSON in 4 bytes, little-endian, the JSON, the shades."""
        said = json.dumps({**self.head, "shape": list(self.shades.shape)}, allow_nan=False, separators=(",", ":"))
        text = said.encode()
        return struct.pack("<I", len(text)) + text + np.ascontiguousarray(self.shades).tobytes()


def numbers(values: Shaped[np.ndarray, ...]) -> list[Any]:
    """Return numbers as JSON knows them: what is not finite becomes None, floats keep seven digits."""
    flat = [
        (None if not np.isfinite(one) else float(f"{one:.7g}")) if isinstance(one, float) else one
        for one in np.asarray(values).reshape(-1).tolist()
    ]
    rows: list[Any] = np.asarray(flat, dtype=object).reshape(np.shape(values)).tolist()
    return rows
