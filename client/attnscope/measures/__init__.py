"""Measures of attention: pure functions over arrays, each beside its baseline and its interval.

Rows are decision rows as a capture stores them, [step, env, layer, head, slot] and NaN past the context; `length` is
``context/length`` of the same steps. Nothing here reads a file or a service.
"""

from attnscope.measures.anchors import self_mass, sink_mass
from attnscope.measures.baselines import lift, over_uniform, uniform_rows
from attnscope.measures.checks import check_rows
from attnscope.measures.costs import BUDGETS, CostCurve, cost_curve, kept_entries
from attnscope.measures.coverage import MASS_LEVELS, Coverage, coverage, positions_for_mass
from attnscope.measures.heads import cluster_heads, head_divergence
from attnscope.measures.intervals import RELIABLE_ROLLOUTS, Estimate, Interval, Resampling, default_scope
from attnscope.measures.layout import (
    QUERY_LAST,
    ContextLayout,
    ages,
    by_age,
    by_transition_age,
    slot_transitions,
    weights,
)
from attnscope.measures.phases import EARLY, LATE, NEITHER, phases_by_episode, phases_by_return
from attnscope.measures.places import (
    is_episode_start,
    marks_of,
    mass_on,
    reward_sign,
    same_state,
    state_ids,
    token_kinds,
)
from attnscope.measures.profiles import Decay, fit_decay, relative_profile, transition_timeline
from attnscope.measures.recency import recency_mass
from attnscope.measures.refusals import MeasureError, NotMeasurableError, RowsInvalidError
from attnscope.measures.spread import (
    distance_from_uniform,
    effective_positions,
    entropy,
    inverse_participation,
    largest_weight,
    normalised_entropy,
    scaled_entropy,
)
from attnscope.measures.streaming import RolloutMean

__all__ = [
    "BUDGETS",
    "EARLY",
    "LATE",
    "MASS_LEVELS",
    "NEITHER",
    "QUERY_LAST",
    "RELIABLE_ROLLOUTS",
    "ContextLayout",
    "CostCurve",
    "Coverage",
    "Decay",
    "Estimate",
    "Interval",
    "MeasureError",
    "NotMeasurableError",
    "Resampling",
    "RolloutMean",
    "RowsInvalidError",
    "ages",
    "by_age",
    "by_transition_age",
    "check_rows",
    "cluster_heads",
    "cost_curve",
    "coverage",
    "default_scope",
    "distance_from_uniform",
    "effective_positions",
    "entropy",
    "fit_decay",
    "head_divergence",
    "inverse_participation",
    "is_episode_start",
    "kept_entries",
    "largest_weight",
    "lift",
    "marks_of",
    "mass_on",
    "normalised_entropy",
    "over_uniform",
    "phases_by_episode",
    "phases_by_return",
    "positions_for_mass",
    "recency_mass",
    "relative_profile",
    "reward_sign",
    "same_state",
    "scaled_entropy",
    "self_mass",
    "sink_mass",
    "slot_transitions",
    "state_ids",
    "token_kinds",
    "transition_timeline",
    "uniform_rows",
    "weights",
]
