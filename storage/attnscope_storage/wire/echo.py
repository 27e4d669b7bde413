"""The question that an answer repeats in its headers, so that a client never takes it for the answer to another one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

JOB_HEADER: Final = "X-Attnscope-Job"
"""Id of the job."""

ARRAY_HEADER: Final = "X-Attnscope-Array"
"""Path of the array, of a slice."""

SELECTION_HEADER: Final = "X-Attnscope-Selection"
"""`echo_of` the other query parameters."""

KEY_HEADER: Final = "X-Attnscope-Key"
"""Key of the Zarr store."""

LONGEST: Final = 1000
"""Characters of a selection that are repeated as they are; a longer one is repeated as its SHA-256."""


def echo_of(parameters: Iterable[tuple[str, str]]) -> str:
    """Return query parameters, without the array, as a header repeats them: ASCII, and in the order of their names."""
    kept = sorted((name, value) for name, value in parameters if name != "array")
    text = "&".join(f"{quote(name, safe='')}={quote(value, safe=':,')}" for name, value in kept)
    return text if len(text) <= LONGEST else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
