"""The contract half of the invented kind: a specification, a schema of one growing array, its check and its words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from attnscope_storage.layout.store_schema import ArraySpec, StoreSchema, array_spec
from attnscope_storage.wire import ActingSpecification, PolicyDescription, ResolvedJob
from attnscope_storage.wire.contract import Contract, Words, register

if TYPE_CHECKING:  # these import zarr, which a client's list of jobs does without
    from attnscope_storage.reading.reader import CaptureReader
    from attnscope_storage.verify import VerificationReport

COUNTED = "count/value"


class CountSpec(ActingSpecification):
    """Count `entries` entries of two steps each."""

    kind: Literal["count"] = "count"
    entries: int = Field(ge=1)
    hold_after: int | None = Field(default=None, description="Entries after which a first attempt waits to be stopped.")


class ResolvedCount(ResolvedJob):
    """A subject, and how many entries."""

    entries: int

    @property
    def steps_total(self) -> int:
        """Two steps an entry."""
        return 2 * self.entries

    @property
    def steps_each(self) -> int:
        """Steps of an entry."""
        return 2

    @property
    def size(self) -> str:
        """The entries."""
        return f"{self.entries} counted entries"


@dataclass(frozen=True)
class CountSchema(StoreSchema):
    """One growing array."""

    kind: ClassVar[str] = "count"
    arrays: Mapping[str, ArraySpec]
    flush_steps: int = 1

    @property
    def total(self) -> int:
        """Entries of the finished store."""
        return self.arrays[COUNTED].shape[0]

    def length(self, spec: ArraySpec, steps: int) -> int:
        """Every array grows by entries."""
        del spec
        return steps


def count_schema(spec: CountSpec, resolved: ResolvedCount, policy: PolicyDescription) -> CountSchema:
    """Return the array that a count is stored in: an entry × an action."""
    del spec
    axes = (("entry", resolved.entries), ("action", policy.actions))
    return CountSchema({COUNTED: array_spec(COUNTED, "float32", axes, growth="step", chunk=(1,))})


def counted(entry: int, actions: int) -> np.ndarray:
    """Return what an entry holds."""
    return np.arange(actions, dtype=np.float32) + 10 * entry


def check_count(reader: CaptureReader, names: set[str], report: VerificationReport) -> None:
    """Note every entry that is not what was counted."""
    for entry, values in enumerate(reader.array(COUNTED)[:] if COUNTED in names else ()):
        if not np.array_equal(values, counted(entry, len(values))):
            report.note(f"entry {entry} was counted wrong")


CONTRACT = register(
    Contract(
        specification=CountSpec,
        resolved=ResolvedCount,
        schema=count_schema,
        verify="invented.contract:check_count",
        words=Words(entries="entries", smaller="entries"),
        not_replayable="a count has no maps",
    )
)
