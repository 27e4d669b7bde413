"""Rules that shorten a context, written once: the laptop predicts with them, the service applies them.

They work on NumPy and torch arrays alike and import neither; `ContextView` is what they see, `Plan` what they decide.
"""

from attnscope_model.strategies.base import Scored, Selection, Strategy
from attnscope_model.strategies.errors import StrategyError, UnknownStrategyError, ViewIncompleteError
from attnscope_model.strategies.plan import Plan
from attnscope_model.strategies.registry import STRATEGIES, StrategyDescription, describe, strategy
from attnscope_model.strategies.view import ContextView

__all__ = [
    "STRATEGIES",
    "ContextView",
    "Plan",
    "Scored",
    "Selection",
    "Strategy",
    "StrategyDescription",
    "StrategyError",
    "UnknownStrategyError",
    "ViewIncompleteError",
    "describe",
    "strategy",
]
