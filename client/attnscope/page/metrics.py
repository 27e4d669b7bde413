"""Metrics of every head: the stored statistics of one decision, or their means over a run as every report has them."""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Float

from attnscope.capture import Capture
from attnscope.errors import OutsideError
from attnscope.page.frames import numbers
from attnscope.page.rollouts import Rollout
from attnscope.page.views import stored
from attnscope.reading.opening import read
from attnscope.reading.reading import Reading

UNITS: Final = {"max": "weight", "self": "share", "sink": "share", "entropy": "nats", "effective": "tokens"}
"""Statistics in the order of their columns, with units."""

WORDS: Final = (
    "max: the largest weight; self: on the query's own token; sink: on the first slot; effective: exp(entropy); "
    "recency: on the newest tokens before the query."
)

Over = Literal["step", "run"]


def metrics(capture: Capture, rollout: Rollout, step: int, over: Over) -> dict[str, Any]:
    """Return the metrics of every stored head: names, units, and values [metric][layer][head].

    Parameters
    ----------
    rollout
        The environment.
    step
        A committed step; means over a run do not depend on it.
    over
        ``step`` are the statistics of that decision, ``run`` the means over every step whose context counts.

    Raises
    ------
    OutsideError
        The step is not committed, or no statistics are stored.
    """
    if not 0 <= step < len(rollout.length):
        raise OutsideError(f"step {step} is not committed; {len(rollout.length)} steps are")
    names = [name for name in UNITS if f"stats/{name}" in capture.names()]
    if not names:
        raise OutsideError(capture.lacks("stats/entropy") or "no statistics are stored")
    reading = read(capture) if over == "run" else None
    found = _of_step(capture, rollout.env, step) if reading is None else _of_run(reading, rollout.place)
    picked = np.ix_(stored(capture, "layer"), stored(capture, "head"))
    windows = capture["stats/window"][:].tolist() if "recency" in found else []
    values = [found[name][picked] for name in names]
    values += [found["recency"][..., at][picked] for at in range(len(windows))]
    whose = f"of the decision at step {step}"
    if reading is not None:
        whose = f"means over every step of this environment whose context has {reading.least} tokens or more"
    return {
        "names": [*names, *(f"recency {window}" for window in windows)],
        "units": [*(UNITS[name] for name in names), *("share" for _ in windows)],
        "values": [numbers(one) for one in values],
        "words": f"{WORDS} All are {whose}.",
    }


def _of_step(capture: Capture, env: int, step: int) -> dict[str, Float[np.ndarray, "layer head *window"]]:
    held = [name for name in (*UNITS, "recency") if f"stats/{name}" in capture.names()]
    return {name: np.asarray(capture[f"stats/{name}"][step, env], np.float64) for name in held}


def _of_run(reading: Reading, place: int) -> dict[str, Float[np.ndarray, "layer head *window"]]:
    env = list(reading.places).index(place)
    return {name: values[env] for name, values in reading.statistics.items()}
