"""Bodies of most of a megabyte that are wrong in every way somebody could think of, as functions of their length."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache

MEGABYTE = 2**20 - 100
"""Just under the cap of a body."""

CAPTURE = {"kind": "capture", "checkpoint": "x"}
TRIAL = {"kind": "trial", "checkpoint": "x", "strategies": [{"name": "recency"}], "budgets": [10]}

BODIES: dict[str, Callable[[int], object]] = {
    "indices below zero": lambda n: CAPTURE | {"tasks": {"indices": [-1] * n}},
    "indices of text": lambda n: CAPTURE | {"tasks": {"indices": ["a"] * n}},
    "goals of text": lambda n: CAPTURE | {"tasks": {"goals": [["a", "b"]] * n}},
    "one long goal": lambda n: CAPTURE | {"tasks": {"goals": [[1.5] * n]}},
    "the same goal": lambda n: CAPTURE | {"tasks": {"goals": [[1, 2]] * min(n, 10_000)}},
    "seeds of lists": lambda n: CAPTURE | {"seeds": [[]] * n},
    "the same seed": lambda n: CAPTURE | {"seeds": [7] * min(n, 10_000)},
    "rows": lambda n: CAPTURE | {"rows": {"envs": [-1] * n, "layers": [None] * 9, "heads": ["x"] * 9}},
    "maps": lambda n: CAPTURE | {"maps": {"steps": [-1] * n}},
    "unknown fields": lambda n: CAPTURE | {f"f{i}": 0 for i in range(n)},
    "unknown fields deeper": lambda n: CAPTURE | {"tasks": {f"f{i}": 0 for i in range(n)}},
    "strategies": lambda n: TRIAL | {"strategies": [{"name": "-", "a": 1, "b": 2}] * n},
    "budgets": lambda n: TRIAL | {"budgets": [-1] * n},
    "positions": lambda n: TRIAL | {"positions": ["nowhere"] * n},
    "speeds": lambda n: TRIAL | {"speed": {"envs": [-1] * n}},
    "parameters": lambda n: TRIAL | {"strategies": [{"name": "recency", "parameters": {f"p{i}": i for i in range(n)}}]},
    "kwargs": lambda n: CAPTURE | {"environment": {"kwargs": {f"k{i}": [i] for i in range(n)}}},
    "a long label": lambda n: CAPTURE | {"label": "x" * n},
    "a long kind": lambda n: {"kind": "x" * n, "checkpoint": "x"},
    "a list": lambda n: [0] * n,
    "text": lambda n: "x" * n,
    "deep lists": lambda n: CAPTURE | {"tasks": {"goals": json.loads("[" * min(n, 150) + "]" * min(n, 150))}},
}


@cache
def filled(make: Callable[[int], object]) -> str:
    """Return a body of a kind that fills most of a megabyte, as JSON."""
    each = (len(json.dumps(make(2000))) - len(json.dumps(make(1000)))) / 1000
    return json.dumps(make(max(1, int(0.9 * MEGABYTE / max(each, 1)))))
