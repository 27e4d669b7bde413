"""The parts of advice as plain values: patterns and ranked strategies, each with its claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from attnscope.measures.intervals import Estimate
from attnscope.recommendations.claims import Claim, estimate_json

PatternAnswer = Literal["yes", "no", "unclear"]


@dataclass(frozen=True)
class Pattern:
    """One of the guide's three questions, answered with its numbers."""

    name: Literal["recency bias", "sparse attention", "position-specific anchors"]
    answer: PatternAnswer
    rule: str
    """The one rule that the answer follows, with its bound."""
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class MeasuredTrial:
    """The result of a trial for a strategy."""

    strategy: dict[str, Any]
    """Name and parameters, as `Recommendation.strategy` has them."""
    budget: float
    """As it was asked for: a share of the history, or transitions."""
    return_retained: Estimate
    verdict: Literal["non-inferior", "inferior", "inconclusive"]
    job: str | None = None
    positions: str | None = None
    """Position policy that it was measured with; None: not stated."""
    kept: Estimate | None = None
    """Share of the uncompressed policy's gain over uniform actions that is kept: what the verdict rests on."""
    jointly: bool = False
    """True where the verdict holds with all conditions of its trial judged at once; nothing else is called safe."""
    reported: str | None = None
    """The verdict as the trial's own report prints it; None where only the word is known."""

    @property
    def words(self) -> str:
        """The verdict as the trial's own report prints it."""
        return self.reported or (self.verdict if self.verdict == "inconclusive" else f"{self.verdict}, by itself")


@dataclass(frozen=True)
class Recommendation:
    """One strategy at one budget, with what it rests on."""

    rank: int | None
    """Place by the attention that it keeps, those that can be deployed first; None where no rule is ranked."""
    tier: int
    """Strategies of a tier are equal within their intervals, the simplest first; 0 where no rule is ranked."""
    key: str
    strategy: dict[str, Any]
    """Name and parameters; `attnscope_model.strategies.strategy(**this)` makes it."""
    budget: float
    """Share of the history that it was asked to keep."""
    tokens: float
    """Transitions of history that it kept on average (all tokens of one together): the effective budget."""
    share: float
    """The same as a share of the history."""
    retained: Estimate
    """Attention of the uncompressed policy to what is kept, on rollouts that chose nothing; baseline: evenly spaced."""
    lift: Estimate
    """Retained ÷ what as many evenly spaced tokens retain."""
    excess: Estimate
    """Retained minus what as many evenly spaced tokens retain, paired; 0 is no better than blind."""
    skill: Estimate
    """Excess as a share of the largest that any choice of as many tokens could have: what the order rests on."""
    represented: float
    """Retained, with pooled tokens counted whole."""
    worst_head: float
    """Retained by the head that loses most."""
    curve: tuple[tuple[float, float], ...]
    """Budget and retained mass."""
    flops_saved: float
    tokens_saved: float
    positions: str
    """Position policy to try first; `Advice.notes` says why."""
    online: bool
    """True where it needs no attention to the whole context while it is applied."""
    oracle: bool
    """True where it was judged here by looking at the whole context before every decision: a bound, never proposed."""
    interval: int
    """Decisions between two selections at which it can be deployed."""
    guide: bool
    claims: tuple[Claim, ...]
    falsified_by: str
    command: str | None
    measured: MeasuredTrial | None

    @property
    def safe(self) -> bool:
        """True where a trial found it non-inferior with all of its conditions judged at once."""
        return self.measured is not None and self.measured.verdict == "non-inferior" and self.measured.jointly

    def to_json(self) -> dict[str, Any]:
        """Return the recommendation as JSON."""
        plain = {name: value for name, value in vars(self).items() if name not in {"claims", "measured"}}
        trial = self.measured and {
            **vars(self.measured),
            "return_retained": estimate_json(self.measured.return_retained),
            "kept": None if self.measured.kept is None else estimate_json(self.measured.kept),
        }
        estimates = {name: estimate_json(getattr(self, name)) for name in ("retained", "lift", "excess", "skill")}
        found = {**estimates, "measured": trial}
        return {**plain, **found, "safe": self.safe, "claims": [one.to_json() for one in self.claims]}
