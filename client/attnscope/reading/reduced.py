"""Means over the steps of a capture: computed by the service for a remote one, by the same code for a downloaded one.

Only decisions whose context has at least `least` tokens count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Float, Float64, Int64

from attnscope.capture import Capture
from attnscope.fetching.lazy import LISTED, LazyArray
from attnscope_storage.ages import SHARES
from attnscope_storage.reductions import Total, age_profile, per_largest_entropy, retained_mass, total_over_steps

BLOCK_BYTES = 4 * 2**20
"""Bytes, as stored, that are reduced at a time on the laptop; a reduction needs about ten times as much."""

Reduce = Callable[[np.ndarray, np.ndarray], Total]
"""Takes values [step, env, …] and context lengths [step, env]."""


def mean_statistic(
    capture: Capture,
    name: str,
    length: Int64[np.ndarray, "step env"],
    envs: Sequence[int],
    least: int,
    *,
    normalised: bool = False,
) -> Float64[np.ndarray, " env *cell"]:
    """Return the mean of a stored statistic over every committed step that counts.

    Parameters
    ----------
    name
        Of the array, such as ``stats/sink``.
    length
        Context length of these environments, for every step that takes part.
    envs
        Entries of the env axis.
    least
        Tokens of the shortest context that counts.
    normalised
        Divide entropies in nats by ln(context length), step by step.
    """
    array, steps = capture[name], len(length)
    if array.remote:
        asked: dict[str, str | int] = {"reduce": "step-mean", "least": least}
        asked |= {"per": "largest-entropy"} if normalised else {}
        return np.asarray(array.over_steps((slice(0, steps), list(envs)), asked, array.shape[2:]), np.float64)
    total = None
    for at in _blocks(steps, array.dtype.itemsize * int(np.prod(array.shape[1:]))):
        values = np.asarray(array[at])[:, list(envs)]
        values = per_largest_entropy(values, length[at]) if normalised else values
        part = total_over_steps(values, length[at] >= least)
        total = part if total is None else total + part
    assert total is not None  # noqa: S101 - a capture without steps has no statistics to ask for
    return total.mean


def mean_profile(
    capture: Capture, entries: Int64[np.ndarray, " row"], places: Sequence[int], least: int, slots: int
) -> Float[np.ndarray, "env layer head age"]:
    """Return the mean attention by age of each head, 0 the query's own token.

    Parameters
    ----------
    entries
        Entries of the first axis of the decision rows.
    places
        Places among the stored environments.
    least
        Tokens of the shortest context that counts.
    slots
        Slots that are read: at least the tokens of the longest context among the entries.
    """
    slot = capture.policy.query_slot
    asked: dict[str, str | int] = {"reduce": "age-profile", "least": least}
    return _of_rows(capture, entries, places, (slots, slots), asked, lambda rows, n: age_profile(rows, n, slot, least))


def mean_retained(
    capture: Capture, entries: Int64[np.ndarray, " row"], places: Sequence[int], least: int, slots: int, budgets: int
) -> Float[np.ndarray, "env layer head budget"]:
    """Return the mean mass that each head's own best tokens hold, at `budgets` evenly spaced shares of the history.

    Parameters are those of `mean_profile`.
    """
    slot, per = capture.policy.query_slot, capture.policy.tokens_per_transition
    asked: dict[str, str | int] = {"reduce": "retained-mass", "least": least, "budgets": budgets}

    def reduce(rows: np.ndarray, length: np.ndarray) -> Total:
        return retained_mass(rows, length, slot, budgets, least, per)

    return _of_rows(capture, entries, places, (slots, budgets), asked, reduce)


def between_shares(curve: Float64[np.ndarray, "*head share"], budgets: int) -> Float64[np.ndarray, "*head budget"]:
    """Return a stored curve at `budgets` evenly spaced shares of the history; straight between the stored ones.

    A retained mass is concave, so a straight line understates it.
    """
    wanted, stored = np.arange(1, budgets + 1) / budgets, np.asarray(SHARES)
    place = np.minimum(np.searchsorted(stored, wanted, side="left"), len(stored) - 1)
    part = (wanted - stored[place - 1]) / (stored[place] - stored[place - 1])
    return np.asarray(curve[..., place - 1] * (1 - part) + curve[..., place] * part)


def _of_rows(
    capture: Capture,
    entries: Int64[np.ndarray, " row"],
    places: Sequence[int],
    sizes: tuple[int, int],
    asked: dict[str, str | int],
    reduce: Reduce,
) -> Float[np.ndarray, "env layer head cell"]:
    rows, (slots, cells) = capture.rows, sizes
    at = ..., slice(0, slots)
    if isinstance(rows, LazyArray) and rows.remote and len(entries) <= LISTED:
        key = (list(map(int, entries)), list(places), *at)
        return rows.over_steps(key, asked, (*rows.shape[2:4], cells))
    steps = np.asarray(capture["attention/row_step"][:]) if "attention/row_step" in capture.names() else None
    envs = [capture.row_env(place) for place in places]
    length = np.asarray(capture.context.length[:], np.int64)[:, envs]
    total = None
    for block in _blocks(len(entries), 2 * len(places) * int(np.prod(rows.shape[2:4])) * slots):
        part = entries[block]
        values = np.asarray(rows.at(part, list(places), *at))
        found = reduce(values, length[part if steps is None else steps[part]])
        total = found if total is None else total + found
    assert total is not None  # noqa: S101 - entries are never none
    return np.asarray(total.mean, np.float32)


def _blocks(count: int, entry_bytes: int) -> Iterator[slice]:
    """Yield slices of `count` entries, each of at most `BLOCK_BYTES`."""
    few = max(1, BLOCK_BYTES // max(1, entry_bytes))
    return (slice(first, min(count, first + few)) for first in range(0, count, few))
