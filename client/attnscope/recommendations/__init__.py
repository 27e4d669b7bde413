"""Recommendations: which of the context to keep, predicted from a capture, with what would show it wrong."""

from attnscope.recommendations.advice import recommend, recommend_from
from attnscope.recommendations.claims import Claim
from attnscope.recommendations.results import MeasuredTrial, Pattern, Recommendation
from attnscope.recommendations.text import Advice

__all__ = ["Advice", "Claim", "MeasuredTrial", "Pattern", "Recommendation", "recommend", "recommend_from"]
