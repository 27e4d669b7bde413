"""Rules that shorten a context, written once: the laptop predicts with them, the service applies them.

They work on NumPy and torch arrays alike and import neither; `ContextView` is what they see, `Plan` what they decide.
"""

from attnscope_model.strategies.base import Form, Scored, Selection, Strategy
from attnscope_model.strategies.candidates import Candidate, candidates
from attnscope_model.strategies.compressor import ContextCompressor
from attnscope_model.strategies.description import describe, describe_all
from attnscope_model.strategies.errors import (
    ParameterError,
    StrategyError,
    StrategyPackageError,
    UnknownStrategyError,
    ViewIncompleteError,
)
from attnscope_model.strategies.fitting import looks_at_attention, why_not, why_oracle
from attnscope_model.strategies.parameters import parameter
from attnscope_model.strategies.plan import Plan, pooled
from attnscope_model.strategies.registry import MAX_DEPTH, STRATEGIES, build, strategies, strategy
from attnscope_model.strategies.view import ContextView

__all__ = [
    "MAX_DEPTH",
    "STRATEGIES",
    "Candidate",
    "ContextCompressor",
    "ContextView",
    "Form",
    "ParameterError",
    "Plan",
    "Scored",
    "Selection",
    "Strategy",
    "StrategyError",
    "StrategyPackageError",
    "UnknownStrategyError",
    "ViewIncompleteError",
    "build",
    "candidates",
    "describe",
    "describe_all",
    "looks_at_attention",
    "parameter",
    "pooled",
    "strategies",
    "strategy",
    "why_not",
    "why_oracle",
]
