"""The arrays of a decision: names, dtypes, axes.

A decision grows by requests: each commit is one request: its rollouts, and the document that the next one
follows from. Its axis has room for the longest decision; a decision that has its answer earlier is complete as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final

import numpy as np
from jaxtyping import Int8
from pydantic import ValidationError

from attnscope_storage.errors import ChunkDamagedError
from attnscope_storage.layout.store_schema import ArraySpec, Axis, StoreSchema, array_spec
from attnscope_storage.wire.specifications.decisions import DecisionDocument
from attnscope_storage.wire.wording import sentence

DOCUMENT: Final = "decision/document"
"""JSON in UTF-8, filled up with zeros."""

DOCUMENT_BYTES: Final = 256 * 1024
"""Bytes of a document that does not grow with rollouts: arms, lines, rungs."""

ROLLOUT_BYTES: Final = 96
"""Bytes of a document for each rollout: its return, and its count of differing decisions."""


@dataclass(frozen=True)
class DecisionSchema(StoreSchema):
    """Every array of one decision."""

    kind: ClassVar[str] = "decision"
    may_end_early: ClassVar[bool] = True
    arrays: Mapping[str, ArraySpec]
    flush_steps: int = 1
    """Requests of one commit."""

    @property
    def total(self) -> int:
        """Requests of the longest decision."""
        return self.arrays[DOCUMENT].shape[0]

    def length(self, spec: ArraySpec, steps: int) -> int:
        """Return the length of an array's first axis once `steps` requests are committed."""
        return spec.shape[0] if spec.growth == "static" else steps


def build_decision_schema(parts: int, rollouts: int, episodes: int, steps: int, most_rollouts: int) -> DecisionSchema:
    """Return the arrays of a decision.

    Parameters
    ----------
    parts
        Requests of the longest decision.
    rollouts
        Rollouts of one request, at most.
    episodes, steps
        Length of a rollout.
    most_rollouts
        Rollouts of the longest decision.
    """
    part: Axis = ("part", parts)
    rollout: tuple[Axis, ...] = (part, ("rollout", rollouts))
    size = DOCUMENT_BYTES + ROLLOUT_BYTES * most_rollouts
    specs = [
        array_spec(
            DOCUMENT, "int8", (part, ("byte", size)), growth="step", chunk=(1,), long_name="JSON, zeros after it"
        ),
        _grows("decision/arm", "int32", rollout, long_name="-1: no rollout; 0: uncompressed; k: entry k - 1 of arms"),
        _grows("decision/task", "int32", rollout, long_name="task index"),
        _grows("decision/seed", "int64", rollout),
        _grows("decision/differing", "int32", rollout, long_name="judged decisions with another action than the twin"),
        _grows("decision/return", "float32", (*rollout, ("episode", episodes)), long_name="return of an episode"),
        _grows("decision/action", "int16", (*rollout, ("step", steps))),
    ]
    return DecisionSchema(MappingProxyType({spec.name: spec for spec in specs}))


def encoded(document: DecisionDocument, size: int) -> Int8[np.ndarray, " byte"]:
    """Return a document as bytes.

    Raises
    ------
    ValueError
        It has more bytes than there is room for.
    """
    content = document.model_dump_json().encode()
    if len(content) > size:
        raise ValueError(f"the decision's document has {len(content)} bytes, there is room for {size}")
    found = np.zeros(size, np.int8)
    found[: len(content)] = np.frombuffer(content, np.int8)
    return found


def decoded(values: Int8[np.ndarray, " byte"]) -> DecisionDocument:
    """Return the document that bytes hold.

    Raises
    ------
    ChunkDamagedError
        They hold none.
    """
    try:
        return DecisionDocument.model_validate_json(values.tobytes().rstrip(b"\0"))
    except ValidationError as error:
        wrong = sentence(error.errors(include_url=False)[0])
        raise ChunkDamagedError(f"{DOCUMENT} holds no document of a decision: {wrong}") from error


def _grows(name: str, dtype: str, axes: tuple[Axis, ...], **attributes: object) -> ArraySpec:
    return array_spec(name, dtype, axes, growth="step", chunk=(1,), **attributes)
