"""The words of a trial's conditions, from one place: terminal, text, table, page and advice print the same."""

from __future__ import annotations

import numpy as np

from attnscope.measures.intervals import Estimate
from attnscope.trials.results import TrialResults
from attnscope.trials.row import Row


def number(estimate: Estimate | None) -> str:
    """Return a number with its interval in a few characters."""
    if estimate is None or not np.isfinite(estimate.value):
        return "–"
    if not estimate.has_interval:
        return f"{estimate.value:.2f}"
    unsure = "" if estimate.reliable else " †"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f}{unsure})"


def binding_words(row: Row) -> str:
    """Return what is kept from the first episode on in which the budget drops anything; a dash where that is all."""
    return "–" if row.binding is None else f"{number(row.binding.kept)} from episode {row.binds_from + 1}"


def speed_words(results: TrialResults) -> str:
    """Return what speeds are compared with, and where none may be claimed."""
    policy = results.policy
    if not (policy.causal and policy.query_slot == "last"):
        return "Speed is against the uncompressed policy computed anew, the fastest exact way to serve this one."
    return (
        "Speed is told for full contexts only, against the uncompressed policy computed anew. While the window grows "
        "this causal policy can be served exactly from kept keys and values, a token a decision: no speed-up is "
        "claimed there."
    )
