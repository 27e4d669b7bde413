"""Results of trials beside attention: the verdicts that hold, and the worth of attention as a predictor of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from attnscope.measures.refusals import NotMeasurableError
from attnscope.recommendations.attention.basis import Basis
from attnscope.recommendations.attention.ranking import Judged
from attnscope.recommendations.attention.scoring import Correlation, PredictionScore, score
from attnscope.recommendations.claims import Claim, claim, numbers_of, spread
from attnscope.recommendations.results import MeasuredTrial
from attnscope.trials.answering import answers
from attnscope.trials.board import board
from attnscope.trials.bootstrap import PairedBootstrap
from attnscope.trials.naming import name_of
from attnscope.trials.results import TrialResults
from attnscope.trials.sameness import same_as
from attnscope.trials.scores import retained
from attnscope.trials.verdicts import Verdict, judge, judge_all
from attnscope_storage.wire import Condition

ORDER: Final = ("non-inferior", "inconclusive", "inferior")
"""Verdicts, best first."""

NAMED: Final = 5
"""Conditions of a group that are named."""

JOINTLY: Final = "Non-inferior with all conditions judged at once, so safe for these tasks"
SINGLY: Final = "Non-inferior by itself only, which is no claim on the best of several"


def measured_trials(results: TrialResults) -> list[MeasuredTrial]:
    """Return what a trial measured of each strategy and budget, its verdicts as the trial's own report has them.

    Nothing of a trial of checkpoints, whose conditions are not all of one policy.
    """
    if results.has_arms:  # its conditions are of several checkpoints
        return []
    bootstrap = PairedBootstrap(results.seeds, len(results.tasks))
    verdicts = judge_all(results, bootstrap)
    return [
        MeasuredTrial(
            {"name": one.strategy, **one.parameters},
            float(one.budget) if isinstance(one.budget, float) else one.budget,
            retained(results, one.index, bootstrap),
            verdict.word,
            results.job,
            one.positions,
            verdict.kept,
            verdict.jointly,
            verdict.words,
        )
        for one, verdict in zip(results.conditions[1:], verdicts[1:], strict=True)
        if one.budget is not None
    ]


def conditions(trials: Sequence[MeasuredTrial | TrialResults]) -> list[MeasuredTrial]:
    """Return every measured condition of some trials."""
    return [one for given in trials for one in (measured_trials(given) if isinstance(given, TrialResults) else [given])]


def find_measured(
    trials: Sequence[MeasuredTrial], strategy: dict[str, object], budget: float, positions: str
) -> MeasuredTrial | None:
    """Return what was measured of a strategy at a budget, with these positions if they were tried."""
    same = [one for one in trials if one.strategy == strategy and math.isclose(one.budget, budget)]
    return next((one for one in same if one.positions == positions), same[0] if same else None)


def measured_first(judged: list[Judged], found: dict[str, MeasuredTrial]) -> list[Judged]:
    """Return candidates in another order: what was measured by its verdict and what it keeps, then the others.

    Oracles stay behind those that can be deployed.

    Parameters
    ----------
    found
        What was measured, by the candidates' keys.
    """

    def place(one: Judged) -> tuple[bool, bool, int, float]:
        trial, none = found.get(one.candidate.key), one.candidate.key == "none"
        if trial is None or none:
            return none, one.oracle, len(ORDER), 0.0
        kept = trial.kept.value if trial.kept is not None else trial.return_retained.value
        return none, one.oracle, ORDER.index(trial.verdict), -kept if math.isfinite(kept) else math.inf

    return sorted(judged, key=place)


def lead_of_trials(trials: Sequence[MeasuredTrial | TrialResults]) -> tuple[Claim, ...]:
    """Return what whole trials found, the non-inferior conditions named; single results stand in the table only."""
    return tuple(one_claim for one in trials if isinstance(one, TrialResults) for one_claim in _found_by(one))


def _arms_of(results: TrialResults) -> Iterator[Claim]:
    """Yield the answer of a trial of checkpoints, a claim an arm."""
    many = len(results.resolved.checkpoints)
    margin = f"{100 * results.spec.margin:g} %"
    yield Claim("trial.arms", f"Trial {results.job[:8]} compares arms of {many} checkpoints, margin {margin}.")
    for place, sentence in enumerate(answers(board(results))):
        yield Claim(f"trial.arm{place}", sentence)


def _found_by(results: TrialResults) -> Iterator[Claim]:
    if results.has_arms:
        yield from _arms_of(results)
        return
    bootstrap = PairedBootstrap(results.seeds, len(results.tasks))
    verdicts, same = judge_all(results, bootstrap), same_as(results)
    named = f"Trial {results.job[:8]} (for these {len(results.tasks)} tasks, {results.seeds} seeds each"
    if verdicts[0].reason is not None:
        yield Claim("trial.unjudged", f"{named}) judges nothing: {verdicts[0].reason}.")
        return
    own = [
        (one, verdicts[one.index])
        for one in results.conditions[1:]
        if not (one.oracle or one.strategy == "none" or one.index in same)
    ]
    words = [verdict.word for _, verdict in own]
    counts = ", ".join(f"{words.count(word)} {word}" for word in ORDER)
    margin = f"{100 * results.spec.margin:g} %"
    yield Claim("trial.counts", f"{named}, margin {margin}): of {len(own)} deployable conditions {counts}.")
    for title, jointly in ((JOINTLY, True), (SINGLY, False)):
        members = [of for of in own if of[1].word == "non-inferior" and of[1].jointly is jointly]
        if members:
            yield _named(title, members)
    if "non-inferior" not in words:
        yield Claim("trial.none", "None of them is non-inferior.")


def _named(title: str, members: list[tuple[Condition, Verdict]]) -> Claim:
    """Return the conditions of a group with what they keep."""
    words, numbers = list[str](), dict[str, float]()
    for index, (one, verdict) in enumerate(members[:NAMED]):
        kept = verdict.kept
        words.append(f"{name_of(one)}, {one.positions} ({kept.value:.3f}, {kept.low:.3f} to {kept.high:.3f})")
        numbers |= {f"kept{index}": kept.value, f"low{index}": kept.low, f"high{index}": kept.high}
    more = f"; and {len(members) - NAMED} more" if len(members) > NAMED else ""
    key = "trial.jointly" if members[0][1].jointly else "trial.single"
    return Claim(key, f"{title}: {'; '.join(words)}{more}.", numbers)


def score_of(basis: Basis, trials: Sequence[MeasuredTrial | TrialResults]) -> PredictionScore | None:
    """Return how well the predictions fit the first whole trial; None where there is none that can score them.

    A trial that judges nothing scores nothing: its costs have no scale.

    Raises
    ------
    NotMeasurableError
        A trial is of another checkpoint.
    """
    for one in trials:
        if isinstance(one, TrialResults) and not one.has_arms:
            predicted = basis.predict(one)
            if judge(one, 0, PairedBootstrap(one.seeds, len(one.tasks))).reason is not None:
                continue
            try:
                return score(one, *predicted)
            except NotMeasurableError:
                continue
    return None


def score_claims(found: PredictionScore) -> tuple[Claim, ...]:
    """Return what the score says, the conclusion last; nothing from a number that is not there."""
    retained_by = found.of_return.get("retained")
    if retained_by is None or not np.isfinite(retained_by.within.value):
        said_none = f"Trial {found.job[:8]} cannot score attention: nothing varies within a budget."
        return (Claim("score.absent", said_none),)
    template = (
        f"Attention as a predictor (trial {found.job[:8]}): within a budget it ranks {{strategies:.0f}} rules by what "
        f"they lose with a rank correlation of {{value:.2f}} ({_close(spread(retained_by.within))}), their number of "
        "tokens with {baseline:.2f}."
    )
    claims = [claim("score.within", template, strategies=found.strategies, **numbers_of(retained_by.within))]
    if np.isfinite(found.ceiling):
        template = "The noise of the trial would let a perfect predictor reach {ceiling:.2f}."
        claims.append(claim("score.ceiling", template, ceiling=found.ceiling))
    if found.regret is not None and np.isfinite(found.regret.to_best.value):
        best = numbers_of(found.regret.to_best)
        template = (
            "Its first choices lose {value:.3f} of the gain against the best of their budget "
            f"({spread(found.regret.to_best)}), on rollouts that did not choose it."
        )
        claims.append(claim("score.regret", template, **best))
    return *claims, _conclusion(found, retained_by)


def _conclusion(found: PredictionScore, retained_by: Correlation) -> Claim:
    if not retained_by.within.has_interval:
        text = "So nothing is known of its worth: the correlation has no interval."
    elif retained_by.within.high < 0:
        text = "So attention predicts no better than chance here: go by what was measured."
    elif not found.tells:
        text = "So attention is not shown to predict which rule to choose here: go by what was measured."
    elif not retained_by.excess.low > 0:
        text = "So attention ranks rules, but is not shown to do so better than the number of tokens that they keep."
    else:
        text = "So attention tells which rule of a budget loses less, for this checkpoint and these tasks."
    return Claim("score.conclusion", text)


def _close(template: str) -> str:
    """Return an interval's template with as many digits as the number before it."""
    return template.replace(".3f", ".2f")
