"""The sizes of a capture, the forms of its rows, and the lengths of its commits and chunks that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import numpy as np

from attnscope_storage.ages import SHARES, bin_edges
from attnscope_storage.kinds.capture import lengths
from attnscope_storage.kinds.capture.compressions import CompressionDims
from attnscope_storage.layout.store_schema import FIRST_VERSION, SCHEMA_VERSION
from attnscope_storage.shades import SQUARE_ROOT, U8_ERROR
from attnscope_storage.wire.outputs import ONE_CHOICE, OutputDescription

RECENCY_WINDOWS: Final = (1, 5, 10, 20)
"""Windows of `stats/recency`, in tokens before the query."""

RowForm = Literal["f16", "u8"]
"""Form of a stored decision row: weights as float16, or 254·√weight rounded to a byte (`attnscope_storage.shades`)."""

FORMS: Final[Mapping[RowForm, tuple[str, Mapping[str, object]]]] = MappingProxyType(
    {
        "f16": ("float16", {}),
        "u8": ("uint8", {"encoding": SQUARE_ROOT, "largest_error": U8_ERROR}),
    }
)
"""By form, the dtype of the rows and the attributes that say what was lost."""


@dataclass(frozen=True)
class CaptureDims:
    """The sizes that determine a capture's arrays."""

    steps: int
    envs: int
    layers: int
    heads: int
    slots: int
    """Tokens of a full context, the query among them."""
    actions: int
    observation_shape: tuple[int, ...]
    observation_dtype: str
    row_envs: tuple[int, ...] | None
    """Env axis entries whose rows are stored; None when rows are off (maps then cover every environment)."""
    row_layers: tuple[int, ...]
    row_heads: tuple[int, ...]
    row_every: int
    map_steps: tuple[int, ...]
    map_envs: tuple[int, ...]
    tokens_per_transition: int = 1
    row_form: RowForm = "f16"
    """Form of the rows of `row_envs`."""
    bin_envs: tuple[int, ...] = ()
    """Env axis entries whose rows are stored as age bins."""
    latents: int = 0
    """Latents that stand at the front of a context once older transitions are packed; 0 where nothing is packed."""
    compressions: CompressionDims | None = None
    """The parts of each compression that are kept; None where nothing is packed, and in earlier captures."""
    curve: bool = False
    """Store the retained-mass curve of every environment."""
    output: OutputDescription = ONE_CHOICE
    """The meaning of the head's numbers."""
    version: int = SCHEMA_VERSION
    """Version of the layout; a capture that an older version began is continued in that version."""

    @property
    def kept_envs(self) -> tuple[int, ...]:
        """Env axis entries of the rows and of the maps."""
        return self.row_envs or self.map_envs


@dataclass(frozen=True)
class Lengths:
    """Entries of a chunk: of rows, and of any other array by the bytes of one entry."""

    version: int
    """Version of the layout."""
    flush: int
    """Steps of a commit."""
    rows: int
    """Entries of a chunk of rows."""

    def long(self, spec_bytes: int, entries: int) -> int:
        """Return the entries of a chunk of an array that is no row.

        Parameters
        ----------
        spec_bytes
            Bytes of one entry.
        entries
            Entries that one commit adds.
        """
        return entries if self.version == FIRST_VERSION else lengths.long_entries(entries, spec_bytes)


def lengths_of(dims: CaptureDims) -> Lengths:
    """Return the steps of a commit and the lengths of chunks."""
    cells = len(dims.row_layers) * len(dims.row_heads)
    statistic = 4 * dims.envs * dims.layers * dims.heads
    row = np.dtype(FORMS[dims.row_form][0]).itemsize * cells * dims.slots
    bins = 2 * len(dims.bin_envs) * cells * (len(bin_edges(dims.slots)) - 1) if dims.bin_envs else 0
    kept = dims.row_envs is not None
    one = row if kept else bins or statistic
    first = lengths.first_version_steps(one, dims.row_every, dims.steps, rows=kept or bool(bins))
    every = dims.row_every
    if dims.version == FIRST_VERSION:
        return Lengths(dims.version, first, max(1, first // every))
    rows = row * len(dims.row_envs or ()) + bins + 2 * len(SHARES) * dims.envs * cells * dims.curve
    step = rows // every + (len(RECENCY_WINDOWS) + 5) * statistic
    flush = lengths.commit_steps(first, step, every, dims.steps)
    entries = lengths.row_entries(max(1, first // every), flush // every, row)
    return Lengths(dims.version, flush, entries)
