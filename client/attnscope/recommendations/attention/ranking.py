"""Choosing parameters and a budget on some rollouts, judging on others, and putting equals into tiers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Int

from attnscope.measures.intervals import Estimate, Resampling, default_scope
from attnscope.recommendations.attention.candidates import BUDGETS
from attnscope.recommendations.attention.decisions import Decisions
from attnscope.recommendations.attention.evaluation import Outcome, evaluate, kept_mass
from attnscope.recommendations.attention.uncertainty import Intervals
from attnscope_model.strategies import Candidate, Strategy, looks_at_attention

TARGET: Final = 0.8
"""Attention that the common budget should let the best rule keep, as in the guide."""

FLAT: Final = 0.02
"""Mass beyond evenly spaced tokens that is worth a rule: below it attention is too flat to choose by."""

Selectivity = Literal["selective", "flat", "undecided", "no gain", "no rule"]
"""True where a rule keeps more attention than evenly spaced tokens; ``no gain``: rules are not ranked (`gate`)."""


@dataclass(frozen=True, eq=False)
class Judged:
    """One candidate with its chosen parameters, judged on rollouts that chose nothing."""

    candidate: Candidate
    rule: Strategy
    outcome: Outcome
    retained: Estimate
    lift: Estimate
    excess: Estimate
    skill: Estimate
    curve: tuple[tuple[float, float], ...]
    tier: int = 0

    @property
    def simplicity(self) -> int:
        """Smaller is simpler; a wrapper adds its own to what it wraps."""
        inner = getattr(self.rule, "inner", None)
        return self.rule.simplicity + (inner.simplicity if isinstance(inner, Strategy) else 0)

    @property
    def oracle(self) -> bool:
        """True where it was judged by looking at attention to the whole context before every decision: a bound."""
        return looks_at_attention(self.rule)


def choose(
    candidates: tuple[Candidate, ...], decisions: Decisions | None, budget: float | None
) -> tuple[float, dict[str, Strategy]]:
    """Return the common budget and each candidate's parameters, from rollouts that will judge nothing.

    The budget is the smallest at which some rule that can be deployed keeps `TARGET` of the attention, else the largest
    that is tried.
    Without rollouts to choose by, the largest budget and the defaults.
    """
    defaults = {one.key: one.choices[0] for one in candidates}
    if decisions is None:
        return budget or BUDGETS[-1], defaults
    chosen, kept = defaults, budget or BUDGETS[-1]
    for share in (budget,) if budget else BUDGETS:
        scores = {one.key: [kept_mass(rule, share, decisions) for rule in one.choices] for one in candidates}
        chosen = {one.key: one.choices[int(np.argmax(scores[one.key]))] for one in candidates}
        kept = share
        real = [max(scores[one.key]) for one in candidates if one.online and one.key != "none"]
        if max(real, default=0.0) >= TARGET:
            break
    return kept, chosen


def judge(
    candidates: tuple[Candidate, ...],
    rules: dict[str, Strategy],
    budget: float,
    decisions: Decisions,
    task: Int[np.ndarray, " env"],
    *,
    ranks: bool = True,
) -> tuple[list[Judged], Selectivity]:
    """Return the candidates, those that can be deployed first, and whether any keeps more attention than blind ones.

    The order is by skill: the gain over as many evenly spaced tokens as a share of the largest gain that there is, so
    that rules which keep fewer tokens than they may are compared with as few. A tier holds what cannot be told from its
    best, paired over rollouts; inside it the simplest is first. Oracles follow in tiers of their own. ``none`` saves
    nothing and is last, and where attention is flat the uniform rule is first.

    Parameters
    ----------
    ranks
        False where the gate allows no order, or no rule can be applied: the candidates stay as they are listed, in no
        tier.
    """
    intervals = Intervals(Resampling(task, default_scope(task)), decisions.judged)
    judged = [_judged(one, rules[one.key], budget, decisions, intervals) for one in candidates]
    best = max((one for one in judged if one.candidate.key != "none"), key=lambda one: one.excess.value)
    none = [one for one in judged if one.candidate.key == "none"]
    real, bounds = (
        [one for one in judged if one.candidate.key != "none" and one.oracle is kind] for kind in (False, True)
    )
    if not ranks:
        return real + bounds + none, "no gain"
    if not best.excess.has_interval:
        verdict: Selectivity = "undecided"
    else:
        verdict = "selective" if best.excess.low > FLAT else "flat"
    ordered = _tiers(real, intervals)
    if verdict == "flat":
        ordered = sorted(ordered, key=lambda one: one.candidate.key != "uniform")
    ordered += _after(_tiers(bounds, intervals), ordered)
    return ordered + _last(none, ordered), verdict


def _judged(candidate: Candidate, rule: Strategy, budget: float, decisions: Decisions, intervals: Intervals) -> Judged:
    outcome = evaluate(rule, budget, decisions)
    curve = tuple((share, kept_mass(rule, share, decisions)) for share in BUDGETS)
    retained, lift, excess, skill = intervals.of(outcome)
    return Judged(candidate, rule, outcome, retained, lift, excess, skill, curve)


def _after(later: list[Judged], earlier: list[Judged]) -> list[Judged]:
    """Return candidates with tiers that go on behind those of others."""
    before = max((one.tier for one in earlier), default=0)
    return [_placed(one, before + one.tier) for one in later]


def _tiers(judged: list[Judged], intervals: Intervals) -> list[Judged]:
    ordered: list[Judged] = []
    left = sorted(judged, key=_worth)
    tier = 0
    while left:
        tier += 1
        best = left[0]
        equal = [one for one in left if one is best or _equal(best, one, intervals)]
        ordered += [_placed(one, tier) for one in sorted(equal, key=lambda one: (one.simplicity, _worth(one)))]
        left = [one for one in left if all(one is not taken for taken in equal)]
    return ordered


def _equal(best: Judged, other: Judged, intervals: Intervals) -> bool:
    """Return True where the paired difference may be nothing; without an interval nothing can be told apart."""
    apart = intervals.difference_in_skill(best.outcome, other.outcome)
    return not apart.has_interval or apart.low <= 0


def _last(none: list[Judged], ordered: list[Judged]) -> list[Judged]:
    tier = max((one.tier for one in ordered), default=0) + 1
    return [_placed(one, tier) for one in none]


def _worth(judged: Judged) -> float:
    """Return the key that the highest skill sorts first by; where no choice gains anything all are alike."""
    return -judged.skill.value if np.isfinite(judged.skill.value) else 0.0


def _placed(judged: Judged, tier: int) -> Judged:
    return Judged(**{**vars(judged), "tier": tier})
