"""Screens for tests of the laptop: arms and arrays with the departures that a test says, and nothing else of note."""

from __future__ import annotations

import numpy as np

from attnscope.screens.results import ScreenResults
from attnscope_storage.wire import Condition, PolicyDescription


def policy_of(transitions=4, **changes):
    """Return the shape of a causal policy whose context holds so many transitions."""
    common = {
        "family": "ad-native", "layers": 2, "heads": 2, "width": 8, "context_length": transitions + 1, "actions": 2,
        "causal": True, "positions": "learned-absolute", "query_slot": "last", "tokens_per_transition": 1,
        "observation": "cell", "parameters": 100,
    }  # fmt: skip
    return PolicyDescription(**(common | changes))


def arm_of(index, strategy, budget, **changes):
    """Return an arm."""
    common = {"parameters": {}, "text": strategy, "positions": "reindex", "interval": 1, "memory": "stateless"}
    more = {"path": "recompute", "control": False, "oracle": False}
    return Condition(index=index, strategy=strategy, budget=budget, **(common | more | changes))


def screen_of(arms, departure, task, *, transitions=200, earned=1, held=None, name="", **more):
    """Return the results of a screen with these departures [rollout, arm, decision]; every decision is live.

    Parameters
    ----------
    more
        Further arrays, by names with ``__`` for a slash, or fields of `ScreenResults`.
    """
    rollouts, _, decisions = departure.shape
    flat = np.ones((rollouts, decisions), np.int64)
    given = {key.replace("__", "/"): value for key, value in more.items() if "__" in key}
    fields = {key: value for key, value in more.items() if "__" not in key}
    kept = [transitions // 2 if arm.budget is None else int(arm.budget if arm.budget >= 1 else arm.budget * transitions)
            for arm in arms]  # fmt: skip
    arrays = {
        "screen/departure": departure.astype(np.float32),
        "screen/signed": departure.astype(np.float32),
        "screen/kl": (departure**2).astype(np.float32),
        "screen/flip": (departure > 0.5).astype(np.int8),
        "screen/kept": np.broadcast_to(np.array(kept)[:, None], departure.shape),
        "decision/held": flat * transitions if held is None else held,
        "decision/live": flat,
        "decision/follows": flat,
        "decision/found": flat,
        "decision/episode": flat * 0 + np.arange(decisions),
        "rollout/episodes": np.full(rollouts, decisions),
        "rollout/live_each": np.full(rollouts, 10.0),
        "rollout/earned": np.broadcast_to(np.asarray(earned), rollouts),
        "cost/seconds": np.ones((rollouts, 4)),
    }
    return ScreenResults(tuple(arms), policy_of(transitions), np.asarray(task), arrays | given, name=name, **fields)
