"""The recipe of a checkpoint: the plan that it was trained by, but for the training seed.

Plans are read as plain values, as `attnscope-server train` writes them beside its checkpoints; other programs' files of
that name say nothing here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

PLAN: Final = "plan.json"
"""Name of a plan in a run's folder."""

MAX_PLAN_BYTES: Final = 2**20
"""Bytes of a plan that is read, at most."""

DECIDES: Final = (
    "preset", "histories", "layout", "compressor", "positions", "clock_steps", "clock_episodes", "context_length",
    "width", "layers", "heads", "feedforward", "recipe", "under", "start",
)  # fmt: skip
"""Parts of a plan that decide its weights; how often a run evaluates and saves does not."""

MEANT: Final = MappingProxyType({"clock_steps": 0, "clock_episodes": 0, "discovery_weight": 1.0})
"""Fields that plans did not always have, with what a plan without them means; such a value is no part of the recipe."""

OWN_START: Final = ("checkpoint", "name")
"""Fields of a plan's start that name the training seed's own checkpoint: the recipe is to go on from such a one."""


def recipe_of(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an entry says of a plan: ``recipe``, a hash, and ``training_seed``; nothing of what is no plan.

    Fields that a plan leaves out, that it says are None, and that say what `MEANT` does are the same, so that plans of
    before a field was added keep their hash.
    """
    trained = plan.get("recipe")
    seed = trained.get("seed") if isinstance(trained, Mapping) else None
    if not isinstance(trained, Mapping) or not isinstance(seed, int) or "preset" not in plan:
        return {}
    kept: dict[str, Any] = {name: plan[name] for name in DECIDES if name in plan}
    kept["recipe"] = {name: value for name, value in trained.items() if name != "seed"}
    if kept.get("layout", "native") != "cad":
        kept.pop("compressor", None)
    if isinstance(start := kept.get("start"), Mapping):
        kept["start"] = {name: value for name, value in start.items() if name not in OWN_START}
    text = json.dumps(_said(kept), sort_keys=True)
    return {"recipe": hashlib.sha256(text.encode()).hexdigest(), "training_seed": seed}


def recipe_beside(source: Path) -> dict[str, Any]:
    """Return what the plan of a run says of a checkpoint: its folder, a folder in it, or a file in it."""
    for folder in (source, source.parent):
        path = folder / PLAN
        if path.is_file() and path.stat().st_size <= MAX_PLAN_BYTES:
            try:
                plan = json.loads(path.read_bytes())
            except (ValueError, RecursionError):  # another program's file
                return {}
            return recipe_of(plan) if isinstance(plan, dict) else {}
    return {}


def _said(value: Any) -> Any:  # noqa: ANN401 - plain values of a JSON document
    if isinstance(value, Mapping):
        return {name: _said(one) for name, one in value.items() if one is not None and MEANT.get(name) != one}
    return [_said(one) for one in value] if isinstance(value, list | tuple) else value
