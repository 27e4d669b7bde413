"""The sentences of a recommendation, each a claim with its numbers."""

from __future__ import annotations

from typing import Final

import numpy as np

from attnscope.measures.intervals import LEVEL, RELIABLE_ROLLOUTS, Scope
from attnscope.provenance import policy_words
from attnscope.recommendations.attention.decisions import Decisions
from attnscope.recommendations.attention.expense import position_policy
from attnscope.recommendations.attention.ranking import FLAT, Judged, Selectivity
from attnscope.recommendations.claims import Claim, claim, numbers_of, spread
from attnscope.study import Study
from attnscope_storage.wire import RecordedPolicy

RESAMPLED: Final[dict[Scope, str]] = {
    "these tasks": "whole rollouts within task",
    "beyond these tasks": "whole rollouts within task, and tasks",
}
DROPPING: Final = (
    "Meant is dropping input tokens of a context that is recomputed at every step. Dropping a token's key and value "
    "from a cache is another intervention: other tokens may hold what they computed from it before it went."
)
INFLUENCE: Final = "High attention need not mean influence, and low attention need not mean none."


def notes(policy: RecordedPolicy) -> tuple[str, ...]:
    """Return what every reader of a recommendation must know."""
    if policy.why_whole is not None:
        return DROPPING, INFLUENCE
    positions = f"Positions to try first: {' — '.join(position_policy(policy))}."
    return DROPPING, positions, INFLUENCE


def basis(study: Study, decisions: Decisions, how: str, judging: Scope) -> tuple[Claim, ...]:
    """Return where the advice comes from, what was read, and what its intervals are.

    Parameters
    ----------
    judging
        What the intervals of strategies resample, which are judged on fewer rollouts than patterns are measured on.
    """
    reading = study.reading
    sample = claim(
        "sample",
        "Read: statistics of all {steps:.0f} steps of {envs:.0f} rollouts of {tasks:.0f} tasks; decision rows of "
        "{heads:.0f} of {stored:.0f} stored steps, mean rows of {rows:.0f}, of {of:.0f} rollouts; patterns at contexts "
        "of {least:.0f} to {most:.0f} tokens.",
        steps=reading.steps,
        heads=0 if reading.plan is None else reading.plan.head_rows_read,
        rows=0 if reading.plan is None else reading.plan.rows_read,
        stored=len(reading.row_step),
        of=len(reading.row_envs),
        envs=len(reading.task),
        tasks=len(np.unique(reading.task)),
        least=reading.least,
        most=int(reading.length.max()),
    )
    split = claim(
        "split",
        "{decisions:.0f} decisions of each rollout, over histories of {shortest:.0f} to {longest:.0f} transitions, are "
        "predicted from the rows before them; " + how + ".",
        decisions=len(decisions.step),
        shortest=int(decisions.view.count.min()),
        longest=int(decisions.view.count.max()),
    )
    patterns_by, judged_by = RESAMPLED[study.resampling.scope], RESAMPLED[judging]
    apart = "" if judged_by == patterns_by else f" for patterns and of {judged_by} for strategies"
    sampled = study.sampled or decisions.judged.share < 1
    apart += ", and hold the error of having sampled steps and decisions" if sampled else ""
    scope = claim(
        "scope",
        f"Intervals are {{level:.0f}} %, by resampling of {patterns_by}{apart}; † marks those of "
        "fewer than {enough:.0f} rollouts a task, which are unreliable.",
        level=100 * LEVEL,
        enough=RELIABLE_ROLLOUTS,
    )
    asked = (Claim("narrowed", f"Only {reading.narrowed} count, as asked for."),) if reading.narrowed else ()
    return (source_of(study), *asked, sample, split, scope)


def source_of(study: Study) -> Claim:
    """Return the policy, environment and job that advice is about."""
    provenance, resolved = study.capture.provenance, study.capture.resolved
    mask = policy_words({"causal": study.capture.policy.causal, "causal_stated_by": "nobody"} | provenance)
    return Claim(
        "source",
        f"For this checkpoint and environment: {resolved.checkpoint_name}, {mask}, "
        f"{resolved.environment_id}, job {study.capture.job[:8]}.",
    )


def headline(judged: list[Judged], verdict: Selectivity, budget: float, study: Study) -> tuple[Claim, ...]:
    """Return whether attention tells rules apart at all; nothing where no rule is ranked."""
    best = max((one for one in judged if one.candidate.key != "none"), key=lambda one: one.excess.value)
    if verdict in {"no gain", "no rule"}:
        return ()
    if verdict == "selective":
        first = judged[0]
        template = (
            "Attention is selective: at {budget:.2f} of the history "
            f"{first.candidate.key} keeps {{kept:.3f}} of it ({spread(first.retained)}) in {{tokens:.1f}} transitions, "
            "as many evenly spaced {uniform:.3f}."
        )
        return (claim("headline", template, budget=budget, **_kept(first)),)
    if verdict == "flat":
        template = (
            "Attention is too flat to tell rules apart: at a budget of {budget:.2f} the most that a rule "
            f"({best.candidate.key}) keeps beyond evenly spaced tokens is {{value:.3f}} ({spread(best.excess)}); "
            "{margin:.2f} would count. Normalised entropy is {entropy:.3f}."
        )
        spread_out = study.quantity("normalised_entropy")
        entropy = np.nan if spread_out is None else spread_out.estimate.value
        return (claim("headline", template, budget=budget, margin=FLAT, entropy=entropy, **numbers_of(best.excess)),)
    template = (
        "Too few rollouts to rank by: one rollout of one task has no interval. At a budget of {budget:.2f} the most "
        f"that a rule ({best.candidate.key}) keeps beyond evenly spaced transitions is {{value:.3f}}. Capture more "
        "tasks, or replicas."
    )
    return (claim("headline", template, value=best.excess.value, budget=budget),)


def why(one: Judged, saved: float) -> tuple[Claim, ...]:
    """Return what a strategy keeps, how well it chooses and what it saves."""
    key, kept = one.candidate.key, _kept(one)
    found = [
        claim(
            f"{key}.retained",
            "Keeps {tokens:.1f} transitions of history ({share:.2f}) and {kept:.3f} of the attention "
            f"({spread(one.retained)}); as many evenly spaced {{uniform:.3f}}, the best as many {{possible:.3f}}.",
            possible=float(np.nanmean(one.outcome.possible)),
            **kept,
        ),
        claim(
            f"{key}.lift",
            f"Lift over evenly spaced {{value:.3f}} ({spread(one.lift)}); the head that loses most keeps "
            "{worst:.3f}.",
            worst=float(np.nanmean(one.outcome.worst_head)),
            **numbers_of(one.lift),
        ),
        _skill(one),
        SAVES_NOTHING if one.oracle else _saving(key, 1 - kept["share"], saved),
    ]
    if one.rule.pooling:
        template = (
            "With pooled tokens counted whole it would be {represented:.3f}; attention cannot say what a mean of "
            "transitions still tells the policy, so only the tokens kept as they are count here."
        )
        represented = float(np.nanmean(one.outcome.represented))
        found.append(claim(f"{key}.represented", template, represented=represented))
    return tuple(found)


SAVES_NOTHING: Final = Claim(
    "oracle", "Judged so it saves nothing: it looks at the whole context before every decision. It is a bound."
)


def _saving(key: str, tokens: float, flops: float) -> Claim:
    template = "Saves {tokens:.2f} of the history"
    if not np.isfinite(flops):
        return claim(f"{key}.saving", template + "; operations are unknown, as is the policy's width.", tokens=tokens)
    template += " and {flops:.2f} of a full context's operations (recomputed)."
    return claim(f"{key}.saving", template, tokens=tokens, flops=flops)


def falsified(one: Judged) -> str:
    """Return what would show wrong that a rule may be applied."""
    match one.candidate.key:
        case "none":
            return "nothing: it is the control that must reproduce the uncompressed returns"
        case "uniform" | "random":
            return "a paired trial at this budget whose return is inferior"
    return "a paired trial at this budget whose return is inferior, or no better than that of uniform and random"


def _skill(one: Judged) -> Claim:
    key = f"{one.candidate.key}.skill"
    if not np.isfinite(one.skill.value):
        return Claim(key, "No choice of as many transitions could gain anything.")
    template = f"Of what a choice could gain over evenly spaced it gains {{value:.3f}} ({spread(one.skill)})."
    return claim(key, template, **numbers_of(one.skill))


def _kept(one: Judged) -> dict[str, float]:
    retained, outcome = one.retained, one.outcome
    return {
        "kept": retained.value,
        "low": retained.low,
        "high": retained.high,
        "uniform": float("nan") if retained.baseline is None else retained.baseline,
        "tokens": float(np.nanmean(outcome.tokens)),
        "share": float(np.nanmean(outcome.share)),
    }
