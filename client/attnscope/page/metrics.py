"""Metrics of every head: the stored statistics of one decision, or their means over a run as every report has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from attnscope.capture import Capture
from attnscope.errors import OutsideError
from attnscope.page.frames import numbers
from attnscope.page.rollouts import Rollout
from attnscope.page.views import stored
from attnscope.reading.reading import Reading

UNITS: Final = {"max": "weight", "self": "share", "sink": "share", "entropy": "nats", "effective": "tokens"}
"""Statistics in the order of their columns, with units."""

BLOCK_NUMBERS: Final = 2048
"""Numbers of one statistic that are fetched at once, at most: those of a power of two of adjacent steps.

Chunks have powers of two of steps too, so a block lies within one chunk, or fills several.
"""

MOST_BLOCKS: Final = 64
"""Blocks of steps that are kept."""

WORDS: Final = (
    "max: the largest weight; self: on the query's own token; sink: on the first slot; "
    "effective: 1 ÷ the sum of squared weights; recency: on the newest tokens before the query."
)


def metrics(capture: Capture, rollout: Rollout, step: int, reading: Reading | None = None) -> dict[str, Any]:
    """Return the metrics of every stored head: names, units, and values [metric][layer][head].

    Parameters
    ----------
    rollout
        The environment.
    step
        A committed step; means over a run do not depend on it.
    reading
        Of the capture, for means over every step whose context counts; None takes the statistics of that decision.

    Raises
    ------
    OutsideError
        The step is not committed, or no statistics are stored.
    """
    if not 0 <= step < len(rollout.length):
        raise OutsideError(f"step {step} is not committed; {len(rollout.length)} steps are")
    if not names_of(capture):
        raise OutsideError(capture.lacks("stats/entropy") or "no statistics are stored")
    found = _of_step(capture, rollout, step) if reading is None else of_run(reading, rollout.place)
    whose = f"of the decision at step {step}" if reading is None else over_the_run(reading)
    return table_of(capture, found, f"{WORDS} All are {whose}.")


def over_the_run(reading: Reading) -> str:
    """Return which decisions means over a run are taken of, in words."""
    return f"means over every step of this environment whose context has {reading.least} tokens or more"


def names_of(capture: Capture) -> list[str]:
    """Return the single statistics that are stored, in the order of their columns."""
    return [name for name in UNITS if f"stats/{name}" in capture.names()]


def windows_of(capture: Capture) -> list[int]:
    """Return the tokens of each window of recency; none where recency is not stored."""
    held = "stats/recency" in capture.names()
    return [int(window) for window in capture["stats/window"][:]] if held else []


def table_of(
    capture: Capture, found: Mapping[str, Float[np.ndarray, "layer head *window"]], words: str
) -> dict[str, Any]:
    """Return statistics of the stored heads as a table's columns."""
    names, windows = names_of(capture), windows_of(capture)
    picked = np.ix_(stored(capture, "layer"), stored(capture, "head"))
    values = [found[name][picked] for name in names]
    values += [found["recency"][..., at][picked] for at in range(len(windows))]
    return {
        "names": [*names, *(f"recency {window}" for window in windows)],
        "units": [*(UNITS[name] for name in names), *("share" for _ in windows)],
        "values": [numbers(one) for one in values],
        "words": words,
    }


def _of_step(capture: Capture, rollout: Rollout, step: int) -> dict[str, Float[np.ndarray, "layer head *window"]]:
    """Return the statistics of one decision; the steps around it are fetched with it and kept."""
    cells = capture.policy.layers * capture.policy.heads
    each = 1 << max(0, (BLOCK_NUMBERS // cells).bit_length() - 1)
    number = step // each
    if number not in rollout.blocks:
        held = [name for name in (*UNITS, "recency") if f"stats/{name}" in capture.names()]
        steps = slice(number * each, min((number + 1) * each, len(rollout.length)))
        if len(rollout.blocks) >= MOST_BLOCKS:
            rollout.blocks.clear()
        rollout.blocks[number] = {name: capture[f"stats/{name}"][steps, rollout.env] for name in held}
    return {name: np.asarray(values[step % each], np.float64) for name, values in rollout.blocks[number].items()}


def of_run(reading: Reading, place: int) -> dict[str, Float[np.ndarray, "layer head *window"]]:
    """Return the means over a run of the environment at a place among the stored ones."""
    env = list(reading.places).index(place)
    return {name: values[env] for name, values in reading.statistics.items()}
