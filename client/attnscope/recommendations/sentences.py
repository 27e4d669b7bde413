"""The sentences of a recommendation, each a claim with its numbers."""

from __future__ import annotations

from typing import Final

import numpy as np

from attnscope.measures.intervals import LEVEL, RELIABLE_ROLLOUTS, Scope
from attnscope.provenance import policy_words
from attnscope.recommendations.claims import Claim, claim, numbers_of, spread
from attnscope.recommendations.decisions import Decisions
from attnscope.recommendations.expense import position_policy
from attnscope.recommendations.ranking import FLAT, TARGET, Judged, Verdict
from attnscope.study import Study
from attnscope_storage.wire import RecordedPolicy

RESAMPLED: Final[dict[Scope, str]] = {
    "these tasks": "whole rollouts within task",
    "beyond these tasks": "whole rollouts within task, and tasks",
}
PREDICTED: Final = (
    "Retained attention is a prediction. Among rules of one budget it ranked what they cost better than chance for two "
    "of three policies that were tried, never as well as intended, and for one of the two it advised to compress what "
    "must not be (docs/compression-study.md). Only a measured trial says whether the return is kept; the word for that "
    "is non-inferior, at a margin that you choose."
)
DROPPING: Final = (
    "Meant here is dropping input tokens of a context that is recomputed at every step. Dropping a token's key and "
    "value from a cache is another intervention: other tokens may hold what they computed from it before it went."
)
BY_ATTENTION: Final = (
    "Rules that choose by attention were given the uncompressed policy's rows of the steps before. Choosing anew from "
    "the whole context at every step costs the very forward that is to be saved; at an interval, or among what was "
    "kept, it does not, but then dropped tokens have no attention to come back by."
)
INFLUENCE: Final = "High attention need not mean influence, and low attention need not mean none."
COMPARED: Final = (
    "Parameters and budget were not chosen on the rollouts that judge, but many strategies were compared on those."
)


def notes(policy: RecordedPolicy) -> tuple[str, ...]:
    """Return what every reader of a recommendation must know."""
    positions = f"Positions to try first: {' — '.join(position_policy(policy))}."
    return PREDICTED, DROPPING, BY_ATTENTION, positions, INFLUENCE, COMPARED


def basis(study: Study, decisions: Decisions, how: str, judging: Scope) -> tuple[Claim, ...]:
    """Return where the advice comes from, what was read, and what its intervals are.

    Parameters
    ----------
    judging
        What the intervals of strategies resample, which are judged on fewer rollouts than patterns are measured on.
    """
    reading = study.reading
    provenance, resolved = study.capture.provenance, study.capture.resolved
    mask = policy_words({"causal": study.capture.policy.causal, "causal_stated_by": "nobody"} | provenance)
    source = Claim(
        "source",
        f"For this checkpoint and environment: {resolved.checkpoint_name}, {mask}, "
        f"{resolved.environment_id}, job {study.capture.job}.",
    )
    sample = claim(
        "sample",
        "Read: statistics and rollout of all {steps:.0f} steps of {envs:.0f} rollouts of {tasks:.0f} tasks; decision "
        "rows of {heads:.0f} of {stored:.0f} stored steps, and mean rows over layers and heads of {rows:.0f}, of "
        "{of:.0f} rollouts. Patterns are measured at contexts of {least:.0f} to {most:.0f} tokens.",
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
    sampled = ", and hold the error of sampled steps where rows were sampled" if study.sampled else ""
    scope = claim(
        "scope",
        f"Intervals are {{level:.0f}} %, by resampling of {patterns_by}{apart}{sampled}; † marks those of "
        "fewer than {enough:.0f} rollouts a task, which are unreliable.",
        level=100 * LEVEL,
        enough=RELIABLE_ROLLOUTS,
    )
    asked = (Claim("narrowed", f"Only {reading.narrowed} count, as asked for."),) if reading.narrowed else ()
    return (source, *asked, sample, split, scope)


def headline(judged: list[Judged], verdict: Verdict, budget: float, study: Study) -> tuple[Claim, ...]:
    """Return the one thing to read: what to try first, or that there is nothing to choose by."""
    best = max((one for one in judged if one.candidate.key != "none"), key=lambda one: one.excess.value)
    if verdict == "compress":
        first = judged[0]
        template = (
            f"Try {first.candidate.key} first: at a budget of {{budget:.2f}} of the history it keeps {{tokens:.1f}} "
            f"transitions and {{kept:.3f}} of the attention ({spread(first.retained)}), as many evenly spaced ones "
            "{uniform:.3f}."
        )
        said = claim("headline", template, budget=budget, **_kept(first))
        return said, *_short_of_target(judged), *_without_attention(judged)
    if verdict == "flat":
        template = (
            "Attention is too flat to choose by: use uniform, or do not compress. At a budget of {budget:.2f} the best "
            f"rule ({best.candidate.key}) keeps {{value:.3f}} more than evenly spaced ones ({spread(best.excess)}), "
            "and {margin:.2f} would be worth a rule. Normalised entropy is {entropy:.3f}."
        )
        spread_out = study.quantity("normalised_entropy")
        entropy = np.nan if spread_out is None else spread_out.estimate.value
        return (claim("headline", template, budget=budget, margin=FLAT, entropy=entropy, **numbers_of(best.excess)),)
    template = (
        f"Too few rollouts to rank by: one rollout of one task has no interval. The best rule ({best.candidate.key}) "
        "keeps {value:.3f} more than evenly spaced transitions at a budget of {budget:.2f}. Capture more tasks, or "
        "replicas."
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
        _saving(key, 1 - kept["share"], saved),
    ]
    if one.rule.pooling:
        template = (
            "With pooled tokens counted whole it would be {represented:.3f}; attention cannot say what a mean of "
            "transitions still tells the policy, so only the tokens kept as they are count here."
        )
        represented = float(np.nanmean(one.outcome.represented))
        found.append(claim(f"{key}.represented", template, represented=represented))
    return tuple(found)


def _saving(key: str, tokens: float, flops: float) -> Claim:
    template = "Saves {tokens:.2f} of the history"
    if not np.isfinite(flops):
        return claim(f"{key}.saving", template + "; operations are unknown, as is the policy's width.", tokens=tokens)
    template += " and {flops:.2f} of a full context's operations (recomputed)."
    return claim(f"{key}.saving", template, tokens=tokens, flops=flops)


def falsified(one: Judged) -> str:
    """Return what would show a prediction wrong."""
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


def _short_of_target(judged: list[Judged]) -> tuple[Claim, ...]:
    """Return that the first rule keeps less than the budget was set for, and the first that keeps as much, if any."""
    if judged[0].retained.value >= TARGET:
        return ()
    template = "That is less than the {target:.2f} that is aimed at: it chooses best among as many transitions"
    enough = [one for one in judged if one.candidate.key != "none" and one.retained.value >= TARGET]
    if not enough:
        return (claim("headline.target", template + ", and no rule here keeps as much.", target=TARGET),)
    first = enough[0].candidate.key
    template += f". The first that keeps as much is {first}: {{kept:.3f}} in {{tokens:.1f}} transitions."
    kept = _kept(enough[0])
    return (claim("headline.target", template, target=TARGET, kept=kept["kept"], tokens=kept["tokens"]),)


def _without_attention(judged: list[Judged]) -> tuple[Claim, ...]:
    """Return the best rule that needs no attention while it is applied, where the first one does."""
    if judged[0].candidate.online:
        return ()
    first = next(one for one in judged if one.candidate.online)
    template = (
        f"Without attention at run time the best is {first.candidate.key}: {{tokens:.1f}} transitions and {{kept:.3f}} "
        f"of the attention ({spread(first.retained)}), as many evenly spaced {{uniform:.3f}}."
    )
    return (claim("headline.online", template, **_kept(first)),)


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
