"""Choosing parameters and a budget on some rollouts, judging on others, and putting equals into tiers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Int

from attnscope.measures.intervals import Estimate, Resampling, default_scope
from attnscope.recommendations.candidates import BUDGETS
from attnscope.recommendations.decisions import Decisions
from attnscope.recommendations.evaluation import Outcome, evaluate, kept_mass
from attnscope_model.strategies import Candidate, Strategy

TARGET: Final = 0.8
"""Attention that the common budget should let the best rule keep, as in the guide."""

FLAT: Final = 0.02
"""Mass beyond evenly spaced tokens that is worth a rule: below it attention is too flat to choose by."""

Verdict = Literal["compress", "flat", "undecided"]


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


def choose(
    candidates: tuple[Candidate, ...], decisions: Decisions | None, budget: float | None
) -> tuple[float, dict[str, Strategy]]:
    """Return the common budget and each candidate's parameters, from rollouts that will judge nothing.

    The budget is the smallest at which some rule keeps `TARGET` of the attention, else the largest that is tried.
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
        if max(max(found) for key, found in scores.items() if key != "none") >= TARGET:
            break
    return kept, chosen


def judge(
    candidates: tuple[Candidate, ...],
    rules: dict[str, Strategy],
    budget: float,
    decisions: Decisions,
    task: Int[np.ndarray, " env"],
) -> tuple[list[Judged], Verdict]:
    """Return the candidates in order of recommendation, and whether any is worth it.

    The order is by skill: the gain over as many evenly spaced tokens as a share of the largest gain that there is, so
    that rules which keep fewer tokens than they may are compared with as few. A tier holds what cannot be told from its
    best, paired over rollouts; inside it the simplest is first. ``none`` saves nothing and is last, and where attention
    is flat the uniform rule is first.
    """
    resampling = Resampling(task, default_scope(task))
    judged = []
    for one in candidates:
        rule = rules[one.key]
        outcome = evaluate(rule, budget, decisions)
        curve = tuple((share, kept_mass(rule, share, decisions)) for share in BUDGETS)
        retained = resampling.estimate(outcome.exact, outcome.uniform)
        lift = resampling.ratio(outcome.exact, outcome.uniform)
        excess, skill = resampling.estimate(outcome.excess), resampling.estimate(outcome.skill)
        judged.append(Judged(one, rule, outcome, retained, lift, excess, skill, curve))
    best = max((one for one in judged if one.candidate.key != "none"), key=lambda one: one.excess.value)
    if not best.excess.has_interval:
        verdict: Verdict = "undecided"
    else:
        verdict = "compress" if best.excess.low > FLAT else "flat"
    ordered = _tiers([one for one in judged if one.candidate.key != "none"], resampling)
    if verdict == "flat":
        ordered = sorted(ordered, key=lambda one: one.candidate.key != "uniform")
    return ordered + _last([one for one in judged if one.candidate.key == "none"], ordered), verdict


def _tiers(judged: list[Judged], resampling: Resampling) -> list[Judged]:
    ordered: list[Judged] = []
    left = sorted(judged, key=_worth)
    tier = 0
    while left:
        tier += 1
        best = left[0]
        equal = [one for one in left if one is best or _equal(best, one, resampling)]
        ordered += [_placed(one, tier) for one in sorted(equal, key=lambda one: (one.simplicity, _worth(one)))]
        left = [one for one in left if all(one is not taken for taken in equal)]
    return ordered


def _equal(best: Judged, other: Judged, resampling: Resampling) -> bool:
    """Whether the paired difference may be nothing; without an interval nothing can be told apart."""
    apart = resampling.estimate(best.outcome.skill - other.outcome.skill)
    return not apart.has_interval or apart.low <= 0


def _last(none: list[Judged], ordered: list[Judged]) -> list[Judged]:
    tier = max((one.tier for one in ordered), default=0) + 1
    return [_placed(one, tier) for one in none]


def _worth(judged: Judged) -> float:
    """Return the key that the highest skill sorts first by; where no choice gains anything all are alike."""
    return -judged.skill.value if np.isfinite(judged.skill.value) else 0.0


def _placed(judged: Judged, tier: int) -> Judged:
    return Judged(**{**vars(judged), "tier": tier})
