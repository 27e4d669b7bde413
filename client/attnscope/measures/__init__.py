"""Measures of attention: pure functions over arrays, each beside its baseline and its interval.

Rows are decision rows as a capture stores them, [step, env, layer, head, slot] and NaN past the context; `length` is
``context/length`` of the same steps. Nothing here reads a file or a service.
"""

from attnscope.measures.anchors import self_mass, sink_mass
from attnscope.measures.baselines import lift, over_uniform, shuffled_rows, uniform_rows
from attnscope.measures.checks import check_rows
from attnscope.measures.coverage import MASS_LEVELS, Coverage, coverage, positions_for_mass, shuffled_oldest
from attnscope.measures.distance import attention_distance
from attnscope.measures.layout import (
    QUERY_LAST,
    ContextLayout,
    ages,
    by_age,
    by_transition_age,
    query_transition,
    slot_transitions,
    weights,
)
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

__all__ = [
    "MASS_LEVELS",
    "QUERY_LAST",
    "ContextLayout",
    "Coverage",
    "MeasureError",
    "NotMeasurableError",
    "RowsInvalidError",
    "ages",
    "attention_distance",
    "by_age",
    "by_transition_age",
    "check_rows",
    "coverage",
    "distance_from_uniform",
    "effective_positions",
    "entropy",
    "inverse_participation",
    "largest_weight",
    "lift",
    "normalised_entropy",
    "over_uniform",
    "positions_for_mass",
    "query_transition",
    "recency_mass",
    "scaled_entropy",
    "self_mass",
    "shuffled_oldest",
    "shuffled_rows",
    "sink_mass",
    "slot_transitions",
    "uniform_rows",
    "weights",
]
