"""A capture written from foreign attention, one step in memory at a time; a refused source leaves nothing behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Float64, Int, Shaped

from attnscope.foreign.checks import checked
from attnscope.foreign.facts import Facts
from attnscope.measures import (
    entropy,
    inverse_participation,
    largest_weight,
    recency_mass,
    self_mass,
    sink_mass,
)
from attnscope.measures.layout import ContextLayout
from attnscope_storage.kinds.capture.schema import (
    RECENCY_WINDOWS,
    TOKEN_KINDS,
    CaptureDims,
    CaptureSchema,
    build_schema,
)
from attnscope_storage.writing.blocks import StepBlock
from attnscope_storage.writing.writer import CaptureWriter

MEASURED: Final = frozenset(
    {
        "attention/rows",
        "attention/maps",
        "attention/map_step",
        "attention/row_env",
        "context/length",
        "context/start",
        "context/token_kind",
        "stats/entropy",
        "stats/max",
        "stats/effective",
        "stats/sink",
        "stats/self",
        "stats/recency",
        "stats/window",
    }
)
"""Arrays that attention itself tells; the rollout joins them as far as the source says it."""


@dataclass(frozen=True, eq=False)
class Moment:
    """One step of a foreign source."""

    rows: Float[np.ndarray, "env layer head slot"]
    """Attention of the deciding query."""
    length: Int[np.ndarray, " env"]
    """Tokens of each context."""
    labels: Mapping[str, Shaped[np.ndarray, " env"]] = field(default_factory=dict)
    """The known values of the rollout at this step, by array."""
    maps: Float[np.ndarray, "env layer head query slot"] | None = None
    """Whole maps, where they are kept."""


def write(
    out: Path,
    facts: Facts,
    moments: Iterable[Moment],
    static: Mapping[str, Shaped[np.ndarray, " env"]] | None = None,
    tell: Callable[[int, int], None] = lambda _done, _all: None,
) -> Path:
    """Write the capture into a new folder; a source that is refused on the way leaves no folder.

    Parameters
    ----------
    static
        What is known of the environments, by array.
    tell
        Called with steps done and in all.

    Raises
    ------
    ForeignFileError
        A step is not attention over its context.
    """
    schema = _schema(facts)
    made = CaptureWriter.create(out, schema, facts.attributes(), {**_static(schema, facts), **(static or {})})
    try:
        with made as writer:
            _fill(writer, facts, moments, tell)
            writer.close(complete=True)
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        out.with_name(f"{out.name}.lock").unlink(missing_ok=True)
        raise
    return out


def _fill(writer: CaptureWriter, facts: Facts, moments: Iterable[Moment], tell: Callable[[int, int], None]) -> None:
    flush, block = writer.schema.flush_steps, writer.acquire()
    for step, moment in enumerate(moments):
        _put(block, step % flush, step, moment, facts)
        if moment.maps is not None:
            n = moment.maps.shape[-1]
            kept = np.full((*moment.maps.shape[:-2], facts.slots, facts.slots), np.nan, np.float16)
            kept[..., :n, :n] = moment.maps
            block.maps.append((step, kept))
        block.steps = step % flush + 1
        if block.steps == flush or step + 1 == facts.steps:
            writer.submit(block)
            tell(step + 1, facts.steps)
            if step + 1 < facts.steps:
                block = writer.acquire()


def _put(block: StepBlock, place: int, step: int, moment: Moment, facts: Facts) -> None:
    """Put a step's rows, statistics, context and labels into their place of a block."""
    rows = checked(step, moment.rows, moment.length)
    block.arrays["attention/rows"][place, ..., : rows.shape[-1]] = rows
    layout = ContextLayout(facts.query_slot, facts.tokens_per_transition)
    for name, value in _statistics(rows, moment.length, layout).items():
        block.arrays[f"stats/{name}"][place] = value
    block.arrays["context/length"][place] = moment.length
    block.arrays["context/start"][place] = step - (moment.length - 1) // facts.tokens_per_transition
    for name, values in moment.labels.items():
        block.arrays[name][place] = values


def _statistics(
    rows: Float64[np.ndarray, "env layer head slot"], length: Int[np.ndarray, " env"], layout: ContextLayout
) -> dict[str, Float[np.ndarray, ...]]:
    return {
        "entropy": entropy(rows, length),
        "max": largest_weight(rows, length),
        "effective": inverse_participation(rows, length),
        "sink": sink_mass(rows, length),  # slot 0 in every layout, as the service stores it
        "self": self_mass(rows, length, layout),
        "recency": recency_mass(rows, length, RECENCY_WINDOWS, layout),
    }


def _schema(facts: Facts) -> CaptureSchema:
    dims = CaptureDims(
        steps=facts.steps,
        envs=facts.envs,
        layers=facts.layers,
        heads=facts.heads,
        slots=facts.slots,
        actions=facts.actions or 1,
        observation_shape=(),
        observation_dtype="int32",
        row_envs=tuple(range(facts.envs)),
        row_layers=tuple(range(facts.layers)),
        row_heads=tuple(range(facts.heads)),
        row_every=1,
        map_steps=facts.map_steps,
        map_envs=tuple(range(facts.envs)),
        tokens_per_transition=facts.tokens_per_transition,
    )
    whole = build_schema(dims)
    known = MEASURED | facts.known
    return replace(whole, arrays={name: spec for name, spec in whole.arrays.items() if name in known})


def _static(schema: CaptureSchema, facts: Facts) -> dict[str, np.ndarray[Any, Any]]:
    kind = TOKEN_KINDS.index("transition") if facts.tokens_per_transition == 1 else -1
    kinds = np.full(schema.dims.slots, kind, np.int8)
    kinds[0 if facts.query_slot == "first" else -1] = TOKEN_KINDS.index("query")
    return {
        "stats/window": np.array(RECENCY_WINDOWS, np.int32),
        "context/token_kind": kinds,
        "attention/row_env": np.arange(facts.envs, dtype=np.int32),
    }
