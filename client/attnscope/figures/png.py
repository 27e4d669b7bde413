"""PNG of whole pixels, written faster than a general writer does.

A picture of flat colour is mostly what stands above it, so one filter for all rows does what choosing one for each row
does, in a third of the time and no more bytes.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from jaxtyping import UInt8

SIGNATURE = b"\x89PNG\r\n\x1a\n"

UP = 2
"""PNG's filter that keeps each byte's difference from the one above it."""

EFFORT = 3
"""Of zlib's 9: more gains a few per cent of size and takes as long as the drawing."""

INCH = 0.0254
"""In metres, in which PNG states its resolution."""


def png(pixels: UInt8[np.ndarray, "y x 3"], dpi: float) -> bytes:
    """Return an RGB picture as a PNG file that states its resolution."""
    height, width = pixels.shape[:2]
    filtered = np.empty((height, 1 + 3 * width), np.uint8)
    filtered[:, 0] = UP
    apart = filtered[:, 1:].reshape(height, width, 3)
    apart[0] = pixels[0]
    for channel in range(3):  # each by itself, which NumPy does faster than three side by side
        np.subtract(pixels[1:, :, channel], pixels[:-1, :, channel], out=apart[1:, :, channel])
    per_metre = round(dpi / INCH)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"pHYs", struct.pack(">IIB", per_metre, per_metre, 1)),
        (b"IDAT", zlib.compress(filtered.data, EFFORT)),
        (b"IEND", b""),
    )
    return SIGNATURE + b"".join(_part(kind, content) for kind, content in parts)


def _part(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
