"""Recommendations: which of the context to keep, predicted from a capture, with what would show it wrong."""

from attnscope.recommendations.advice import recommend
from attnscope.recommendations.claims import Claim
from attnscope.recommendations.results import Advice, MeasuredTrial, Pattern, Recommendation

__all__ = ["Advice", "Claim", "MeasuredTrial", "Pattern", "Recommendation", "recommend"]
