"""The shape in which a slice is returned: the grammar of reductions, and their computation by `attnscope_storage`.

Reductions by name of an axis are in `slices`; these know steps, environments, slots and context lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

import numpy as np
from jaxtyping import Float, Int64, Shaped

from attnscope_server.errors import refusal
from attnscope_server.http.slices import Cut, as_npy, entries_of, reduce_over
from attnscope_storage import reductions
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.reductions import PoolBy, QuerySlot, Total
from attnscope_storage.shades import as_u8
from attnscope_storage.wire import ProblemCode

FORMATS: Final = ("npy", "f16", "u8")
OVER_STEPS: Final = ("step-mean", "age-profile", "retained-mass")
"""Reductions of the steps of an array [step, env, …] that know context lengths."""

BLOCK_WEIGHTS: Final = 2**20
"""Weights that are reduced at a time; a reduction needs about a hundred bytes for each."""


@dataclass(frozen=True)
class Shaping:
    """The reduction, pooling and format that a slice is asked for."""

    reduce: str | None = None
    over: tuple[str, ...] = ()
    form: str = "npy"
    least: int = 1
    """Tokens of the shortest context that counts, where steps are reduced."""
    per: str | None = None
    """``largest-entropy`` divides entropies by ln(context length) before their mean."""
    budgets: int = 20
    """Budgets of a retained-mass curve."""
    pool: int | None = None
    """Queries and keys of a pooled map, at most."""
    pool_by: str = "mean"

    def check(self) -> None:
        """Refuse a request that contradicts itself.

        Raises
        ------
        ProblemError
            invalid-request, with the parameter that is wrong.
        """
        if self.form not in FORMATS:
            raise _invalid(f"format: expected one of {', '.join(FORMATS)}, got {self.form!r}")
        if self.per not in {None, "largest-entropy"}:
            raise _invalid(f"per: expected largest-entropy, got {self.per!r}")
        if self.per is not None and self.reduce != "step-mean":
            raise _invalid("per: only reduce=step-mean divides by the largest entropy")
        if self.pool_by not in {"mean", "max"}:
            raise _invalid(f"pool_by: expected mean or max, got {self.pool_by!r}")
        if self.pool is not None and self.reduce is not None:
            raise _invalid("pool: a slice is pooled or reduced, not both")

    def apply(self, reader: CaptureReader, cut: Cut, values: Shaped[np.ndarray, ...]) -> tuple[Any, tuple[str, ...]]:
        """Return the values in the shape that was asked for, and the names of their axes.

        Parameters
        ----------
        values
            The cut of the array.

        Raises
        ------
        ProblemError
            invalid-request where the array has no such reduction.
        """
        if self.reduce in OVER_STEPS:
            return self._over_steps(reader, cut, values)
        if self.reduce is not None:
            return reduce_over(values, cut.dims, self.reduce, self.over)
        if self.pool is not None:
            if cut.dims[-2:] != ("query", "slot"):
                raise _invalid(f"pool: expected a cut whose last axes are query and slot, got {', '.join(cut.dims)}")
            return reductions.pooled(values, self.pool, cast("PoolBy", self.pool_by)), cut.dims
        return values, cut.dims

    def encode(self, values: Shaped[np.ndarray, ...]) -> tuple[bytes, np.dtype[Any]]:
        """Return the body of the answer and the dtype of its values."""
        if self.form == "u8":
            shades = as_u8(values)
            return shades.tobytes(), shades.dtype
        kept = values.astype(np.float16) if self.form == "f16" else values
        return as_npy(kept), kept.dtype

    def _over_steps(
        self, reader: CaptureReader, cut: Cut, values: Shaped[np.ndarray, "step env *cell"]
    ) -> tuple[Float[np.ndarray, " env *reduced"], tuple[str, ...]]:
        if cut.dims[:2] not in {(step, env) for step in ("step", "row_step") for env in ("env", "row_env")}:
            raise _invalid(f"reduce={self.reduce}: expected an array by step and environment, each cut as a:b or 1,2")
        length = _lengths(reader, cut)
        if self.reduce == "step-mean":
            return _step_mean(values, length, self), cut.dims[1:]
        if cut.array.name != "attention/rows" or cut.dims[-1] != "slot" or len(cut.dims) != 5:  # noqa: PLR2004 - rows
            raise _invalid(f"reduce={self.reduce}: expected attention/rows with all of its axes")
        if length.max(initial=1) > values.shape[-1]:
            raise _invalid(f"slot: a context here has {length.max()} tokens, {values.shape[-1]} slots were cut")
        slot = cast("QuerySlot", reader.attributes.get("query_slot", "last"))
        if self.reduce == "age-profile":
            total = _in_blocks(values, length, lambda rows, n: reductions.age_profile(rows, n, slot, self.least))
            last = "age"
        else:
            per = int(reader.attributes.get("tokens_per_transition", 1))
            total = _in_blocks(
                values, length, lambda rows, n: reductions.retained_mass(rows, n, slot, self.budgets, self.least, per)
            )
            last = "budget"
        return total.mean.astype(np.float32), (*cut.dims[1:-1], last)


def _step_mean(
    values: Shaped[np.ndarray, "step env *cell"], length: Int64[np.ndarray, "step env"], asked: Shaping
) -> Float[np.ndarray, " env *cell"]:
    if asked.per is not None:
        values = reductions.per_largest_entropy(values, length)
    return reductions.total_over_steps(values, length >= asked.least).mean


def _in_blocks(
    rows: Shaped[np.ndarray, "step env layer head slot"],
    length: Int64[np.ndarray, "step env"],
    reduce: Callable[[Any, Any], Total],
) -> Total:
    """Return the total of a reduction, a few steps at a time."""
    few = max(1, BLOCK_WEIGHTS // max(1, rows[:1].size))
    parts = [reduce(rows[at : at + few], length[at : at + few]) for at in range(0, len(rows), few)]
    total = parts[0] if parts else reduce(rows, length)
    for part in parts[1:]:
        total = total + part
    return total


def _lengths(reader: CaptureReader, cut: Cut) -> Int64[np.ndarray, "step env"]:
    """Return the context length of every decision of a cut."""
    picked = []
    names: tuple[Literal["row_step"], Literal["row_env"]] = ("row_step", "row_env")
    for axis, size, dim, subset in zip(cut.axes[:2], cut.array.shape[:2], cut.dims[:2], names, strict=False):
        entries = np.asarray(entries_of(axis, size), np.int64)
        name = f"attention/{subset}"
        known = dim == subset and name in reader.names()
        picked.append(np.asarray(reader.array(name)[:], np.int64)[entries] if known else entries)
    steps, envs = picked
    if not len(steps) or not len(envs):
        return np.ones((len(steps), len(envs)), np.int64)
    length = np.asarray(reader.array("context/length")[: int(steps.max()) + 1], np.int64)
    return np.asarray(length[steps][:, envs])


def shaping_of(parameters: Mapping[str, Any]) -> Shaping:
    """Return the shaping that query parameters ask for, checked.

    Raises
    ------
    ProblemError
        invalid-request where it contradicts itself.
    """
    over = tuple(str(parameters["over"]).split(",")) if parameters.get("over") else ()
    asked = Shaping(**{**{name: value for name, value in parameters.items() if value is not None}, "over": over})
    asked.check()
    return asked


def _invalid(detail: str) -> Exception:
    return refusal(ProblemCode.INVALID_REQUEST, detail)
