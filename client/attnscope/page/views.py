"""The views of the page: a band of decision rows over steps, and the rows or maps of every head at one step.

Weights travel as one byte each, reduced where the data lies: the means over heads, the pooled maps and the bytes are
made by the slice route for a remote capture, and by the same code here for a downloaded one.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Float, Int64, UInt8

from attnscope.capture import Capture
from attnscope.errors import OutsideError
from attnscope.page.frames import Frame, numbers
from attnscope.page.rollouts import Rollout
from attnscope.reading.columns import stored_every
from attnscope_storage.reductions import POOLED, factor, pooled
from attnscope_storage.shades import ABSENT, as_u8, from_u8

COLUMNS: Final = 512
"""Steps of a band, at most."""

BINS: Final = 256
"""Slots of a band, at most; a bin of several slots holds their mean."""

MOST_STORED: Final = 1024
"""Layers, and heads of a layer, that the page shows, at most."""

LEAST_COLUMNS: Final = 128
"""Columns of a stored overview from which on it is shown; of fewer steps, rows show more."""

VIEW_BYTES: Final = 160_000
"""Bytes of weights of one view, at most."""

Kind = Literal["rows", "maps"]
Head = tuple[int, int]
"""Places of a layer and a head among the stored ones."""


def stored(capture: Capture, axis: str) -> list[int]:
    """Return the layers or heads that are stored, by number.

    Raises
    ------
    OutsideError
        There are too many to show, as only a damaged capture says.
    """
    name = f"attention/row_{axis}"
    if name in capture.names():
        return [int(entry) for entry in capture[name][:]]
    count = getattr(capture.policy, f"{axis}s")
    if count > MOST_STORED:
        raise OutsideError(
            f"the capture says that its policy has {count} {axis}s; the page shows {MOST_STORED} at most"
        )
    return list(range(count))


def row_steps(capture: Capture) -> range | list[int]:
    """Return the steps whose decision rows are committed; empty where rows are not captured."""
    if capture.row_form == "none":
        return []
    if "attention/row_step" in capture.names():
        return [int(step) for step in capture["attention/row_step"][:]]
    return range(min(len(capture.rows), capture.steps_committed))


def band(
    capture: Capture, rollout: Rollout, first: int, last: int, head: Head | None = None, *, fine: bool = False
) -> Frame:
    """Return decision rows over steps, one column each: shades [column, bin] of one head, or of the mean over heads.

    Where there are more rows than columns, columns are rows at equal distances.

    Parameters
    ----------
    rollout
        The environment.
    first, last
        Steps from `first` to before `last`; both are moved into what is committed.
    head
        Places of a layer and a head; None takes the mean over all.
    fine
        Every row and every slot: `last` moves to where the view is full.
    """
    last = min(max(last, 1), len(rollout.length))
    first = min(max(first, 0), max(0, last - 1))
    if fine:
        last = min(last, first + max(1, VIEW_BYTES // int(rollout.length[first:last].max(initial=1))))
    told: dict[str, Any] = {"first": first, "last": last, **rollout.within(first, last)}
    if head is not None or (columns := _overview(capture, rollout, first, last)) is None:
        columns = _stored_rows(capture, rollout, first, last, head, fine=fine)
    if columns is None:
        empty: dict[str, Any] = {"steps": [], "lengths": [], "starts": [], "rewards": [], "unit": 1, "every": 1}
        return Frame({**told, **empty}, np.empty((0, 0), np.uint8))
    steps = columns.steps
    told |= {"entries": columns.entries, "steps": steps.tolist(), "lengths": rollout.length[steps].tolist()}
    told |= {"starts": rollout.start[steps].tolist(), "unit": columns.unit, "every": columns.entries[2]}
    if rollout.summaries is not None:
        told["summaries"] = rollout.summaries[steps].tolist()
    return Frame(told | {"rewards": by_column(rollout, steps, last)}, columns.shades)


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of a band."""

    steps: Int64[np.ndarray, " column"]
    entries: list[int]
    """The stored rows that they are: the first, the one past the last, and their distance."""
    unit: int
    """Slots of a bin."""
    shades: UInt8[np.ndarray, "column bin"]


def _stored_rows(
    capture: Capture, rollout: Rollout, first: int, last: int, head: Head | None, *, fine: bool
) -> Columns | None:
    """Return rows of these steps at equal distances; None where none is stored."""
    steps = row_steps(capture)
    low, high = bisect_left(steps, first), bisect_left(steps, last)
    if low == high:
        return None
    slots = int(rollout.length[np.asarray(steps[low:high])].max())
    unit = 1 if fine else factor(slots, BINS)
    every = 1 if fine else factor(high - low, min(COLUMNS, VIEW_BYTES // -(-slots // unit)))
    key = (slice(low, high, every), rollout.place)
    if head is None:
        shades = capture.rows.shades((*key, ..., slice(0, slots)), over=tuple(capture.rows.dims[2:4]))
    else:
        shades = capture.rows.shades((*key, *head, slice(0, slots)))
    chosen = np.asarray(steps[low:high:every], np.int64)
    return Columns(chosen, [low, high, every], unit, binned(shades, unit))


def _overview(capture: Capture, rollout: Rollout, first: int, last: int) -> Columns | None:
    """Return the columns of the stored overview; None where there is none, or too few of them lie in these steps.

    The last column is made of its row, where not all of its steps are committed.
    """
    stored, exact = stored_every(capture), capture.exact_place(rollout.place)
    if stored is None or exact is None or last - first < LEAST_COLUMNS * stored[0]:
        return None
    every, unit = stored
    rows = capture["overview/rows"]
    low, high = first // every, min(-(-last // every), len(rows))
    bins = -(-int(rollout.length[first:last].max()) // unit)
    shades = rows.shades((slice(low, high), exact, slice(0, bins)))
    steps = np.arange(low, high, dtype=np.int64) * every
    known = row_steps(capture)
    entry, distance = bisect_left(known, low * every), max(1, bisect_left(known, every))
    if (begun := high * every) < last and bisect_left(known, begun) < len(known):
        whole = slice(0, int(rollout.length[begun]))
        key = (slice(bisect_left(known, begun), bisect_left(known, begun) + 1), rollout.place, ..., whole)
        newest = binned(capture.rows.shades(key, over=tuple(capture.rows.dims[2:4])), unit)
        padded = np.pad(newest, [(0, 0), (0, bins - newest.shape[1])], constant_values=ABSENT)
        shades, steps = np.concatenate([shades, padded]), np.append(steps, begun)
    return Columns(steps, [entry, entry + distance * len(steps), distance], unit, shades)


def by_column(rollout: Rollout, chosen: Int64[np.ndarray, " column"], last: int) -> list[Any] | None:
    """Return the reward from each column's step to before the next one's; None where rewards are unknown."""
    if rollout.reward is None:
        return None
    edges = np.append(chosen, last)
    running = np.concatenate([[0.0], np.nancumsum(rollout.reward, dtype=np.float64)])
    return numbers(running[edges[1:]] - running[edges[:-1]])


def binned(shades: UInt8[np.ndarray, "column slot"], unit: int) -> UInt8[np.ndarray, "column bin"]:
    """Return the means of `unit` slots each; slots past a context are left out of them."""
    if unit == 1:
        return shades
    padded = np.pad(shades, [(0, 0), (0, -shades.shape[1] % unit)], constant_values=ABSENT)
    weights = from_u8(padded).reshape(len(shades), -1, unit)
    there = np.isfinite(weights).sum(axis=-1)
    means = np.divide(np.nansum(weights, axis=-1), there, out=np.full(there.shape, np.nan, np.float32), where=there > 0)
    return as_u8(means)


def heads(capture: Capture, rollout: Rollout, step: int, kind: Kind) -> Frame:
    """Return every stored head at one step: shades [layer, head, slot], or of maps [layer, head, query, slot].

    Parameters
    ----------
    rollout
        The environment.
    step
        Any committed step; a decision row of a step that has none stored is that of the stored step before.
    kind
        ``rows`` are decision rows; ``maps`` are whole maps, pooled to `VIEW_BYTES`.
    """
    _refuse_outside(rollout, step)
    if kind == "maps":
        cells = max(1, len(stored(capture, "layer")) * len(stored(capture, "head")))
        return _map(capture, rollout, step, None, min(POOLED, max(1, math.isqrt(VIEW_BYTES // cells))))
    steps = row_steps(capture)
    entry = bisect_right(steps, step) - 1
    if entry < 0:
        raise OutsideError(capture.lacks("attention/rows") or f"no decision row is stored up to step {step}")
    told = rollout.context(int(steps[entry]))
    shades = capture.rows.shades((entry, rollout.place, ..., slice(0, told["length"])))
    return Frame({**told, "entry": entry, "unit": 1, "source": "stored"}, shades)


def one_map(capture: Capture, rollout: Rollout, step: int, head: Head) -> Frame:
    """Return the map of one head at one step, shades [query, slot], pooled where it is larger than `POOLED`."""
    _refuse_outside(rollout, step)
    return _map(capture, rollout, step, head, POOLED)


def _map(capture: Capture, rollout: Rollout, step: int, head: Head | None, size: int) -> Frame:
    told = rollout.context(step)
    n, place = told["length"], rollout.place
    inside = slice(0, n)
    at = (...,) if head is None else head
    if step in rollout.sampled:
        maps, key = capture["attention/maps"], (rollout.sampled.index(step), rollout.map_place, *at, inside, inside)
        shades = maps.shades(key) if n <= size else maps.pooled_shades(key, size)
    else:
        found: Float[np.ndarray, "layer head query slot"] = capture.map(step, env=place)  # one replay for all heads
        shades = as_u8(pooled(found if head is None else found[head], size))
    if capture.policy.causal:
        shades[np.triu(np.ones(shades.shape[-2:], bool), 1) & (shades == 0)] = ABSENT
    source = "stored" if step in rollout.sampled else "replayed"
    return Frame({**told, "unit": factor(n, size), "source": source}, shades)


def _refuse_outside(rollout: Rollout, step: int) -> None:
    if not 0 <= step < len(rollout.length):
        raise OutsideError(f"step {step} is not committed; {len(rollout.length)} steps are")
