"""What a trial measured, beside what was predicted: which comes first, and whether predictions are worth anything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from attnscope.measures.refusals import NotMeasurableError
from attnscope.recommendations.basis import Basis
from attnscope.recommendations.claims import Claim, claim, numbers_of, spread
from attnscope.recommendations.ranking import Judged
from attnscope.recommendations.results import MeasuredTrial
from attnscope.recommendations.scoring import PredictionScore, score
from attnscope.trials.bootstrap import PairedBootstrap
from attnscope.trials.results import TrialResults
from attnscope.trials.scores import retained
from attnscope.trials.verdicts import judge

ORDER: Final = ("non-inferior", "inconclusive", "inferior")
"""Verdicts, best first."""


def measured_trials(results: TrialResults) -> list[MeasuredTrial]:
    """Return what a trial measured of each strategy and budget."""
    bootstrap = PairedBootstrap(results.seeds, len(results.tasks))
    return [
        MeasuredTrial(
            {"name": one.strategy, **one.parameters},
            float(one.budget) if isinstance(one.budget, float) else one.budget,
            retained(results, one.index, bootstrap),
            (verdict := judge(results, one.index, bootstrap)).word,
            results.job,
            one.positions,
            verdict.kept,
        )
        for one in results.conditions[1:]
        if one.budget is not None
    ]


def find_measured(
    trials: Sequence[MeasuredTrial], strategy: dict[str, object], budget: float, positions: str
) -> MeasuredTrial | None:
    """Return what was measured of a strategy at a budget, with these positions if they were tried."""
    same = [one for one in trials if one.strategy == strategy and math.isclose(one.budget, budget)]
    return next((one for one in same if one.positions == positions), same[0] if same else None)


def measured_first(judged: list[Judged], found: dict[str, MeasuredTrial]) -> list[Judged]:
    """Return candidates in another order: what was measured by its verdict and what it keeps, then the predicted ones.

    Parameters
    ----------
    found
        What was measured, by the candidates' keys.
    """

    def place(one: Judged) -> tuple[int, float]:
        trial = found.get(one.candidate.key)
        if trial is None or one.candidate.key == "none":
            return len(ORDER), 0.0
        kept = trial.kept.value if trial.kept is not None else trial.return_retained.value
        return ORDER.index(trial.verdict), -kept if math.isfinite(kept) else math.inf

    return sorted(judged, key=place)


def score_of(basis: Basis, trials: Sequence[MeasuredTrial | TrialResults]) -> PredictionScore | None:
    """Return how well the predictions fit the first whole trial; None where there is none that can score them.

    Raises
    ------
    NotMeasurableError
        A trial is of another checkpoint.
    """
    for one in trials:
        if isinstance(one, TrialResults):
            predicted = basis.predict(one)
            try:
                return score(one, *predicted)
            except NotMeasurableError:
                continue
    return None


def best_measured(ordered: list[Judged], found: dict[str, MeasuredTrial]) -> tuple[Claim, ...]:
    """Return what the trial found best at the common budget; nothing where nothing of it was tried."""
    first = ordered[0].candidate.key
    trial = found.get(first)
    if trial is None or trial.kept is None:
        return ()
    template = (
        f"Best measured at this budget, of {{tried:.0f}} tried: {first}, which keeps {{value:.3f}} of the gain over "
        f"uniform actions ({spread(trial.kept)}): {trial.verdict}. The best of several looks better than it is."
    )
    return (claim("measured.best", template, tried=len(found), **numbers_of(trial.kept)),)


def score_claims(found: PredictionScore) -> tuple[Claim, ...]:
    """Return what the score says, the conclusion last."""
    retained_by = found.of_return["retained"]
    template = (
        "Measured (trial {{job}}): within a budget, retained attention ranks {strategies:.0f} strategies by what they "
        f"really lose with a rank correlation of {{value:.2f}} ({_close(spread(retained_by.within))}), their number of "
        "tokens with {baseline:.2f}; over all budgets it is {overall:.2f}, and {blind:.2f} by the budget alone."
    ).replace("{{job}}", found.job[:8])
    numbers = numbers_of(retained_by.within)
    numbers |= {"overall": retained_by.overall.value, "blind": retained_by.overall.baseline or 0.0}
    said = [claim("score.within", template, strategies=found.strategies, **numbers)]
    if np.isfinite(found.ceiling):
        template = "The noise of the trial would let a perfect predictor reach {ceiling:.2f}."
        said.append(claim("score.ceiling", template, ceiling=found.ceiling))
    if found.regret is not None:
        best = numbers_of(found.regret.to_best)
        template = (
            "The first choices by attention lose {value:.3f} of the gain against the best of their budget "
            f"({spread(found.regret.to_best)}), on rollouts that did not choose it."
        )
        said.append(claim("score.regret", template, **best))
    return *said, _conclusion(found)


def _conclusion(found: PredictionScore) -> Claim:
    if not found.tells:
        return Claim(
            "score.conclusion",
            "So attention predicts no better than chance which strategy to choose here: go by what was measured, and "
            "without a measurement by nothing more elaborate than evenly spaced or newest tokens.",
        )
    if not found.of_return["retained"].excess.low > 0:
        return Claim(
            "score.conclusion",
            "So attention ranks strategies, but no better than the number of tokens that they keep.",
        )
    return Claim("score.conclusion", "So attention tells which strategy of a budget loses less.")


def _close(template: str) -> str:
    """Return an interval's template with as many digits as the number before it."""
    return template.replace(".3f", ".2f")
