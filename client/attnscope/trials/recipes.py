"""Verdicts on arms of recipes: on these training seeds, and on the recipe that gave them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from attnscope.measures.intervals import Estimate
from attnscope.trials.bootstrap import ENOUGH, PairedBootstrap
from attnscope.trials.naming import rule_of
from attnscope.trials.phases import gain
from attnscope.trials.results import TrialResults
from attnscope.trials.seeds import FEWEST, Gains, ReferenceGains, kept_of_recipe
from attnscope.trials.verdicts import NO_GAIN, NO_RANDOM, ONE_ROLLOUT, Verdict, word_of

ONE_SEED = "one training seed tells nothing of a recipe"

RARE = "unless trainings seldom lose much more than these"
"""The condition of a claim that a recipe loses little: a few training seeds do not show rare failures."""


@dataclass(frozen=True)
class ArmOfRecipe:
    """An arm over the training seeds of its recipe, against the first arm."""

    arm: int
    name: str
    """Recipe and rule."""
    against: str
    """The same of the first arm."""
    training_seeds: int
    """Checkpoints of the arm."""
    reference_seeds: int
    """Checkpoints of the first arm; one where it is of no recipe."""
    these: Verdict
    """On the mean over these checkpoints."""
    recipe: Verdict
    """On the recipe; it has a word from `FEWEST` training seeds on."""

    @property
    def seeds_words(self) -> str:
        """The verdict on these training seeds in words."""
        return self.these.words

    @property
    def recipe_words(self) -> str:
        """The verdict on the recipe in words, with its condition; no claim where the training seeds are too few."""
        if self.recipe.reason is not None:
            return f"no claim: {self.recipe.reason}"
        return f"{self.recipe.words}, {RARE}" if self.recipe.word == "non-inferior" else self.recipe.words

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON."""
        own = {name: value for name, value in vars(self).items() if not isinstance(value, Verdict)}
        claims = {"these_seeds": (self.these, self.seeds_words), "recipe": (self.recipe, self.recipe_words)}
        return own | {
            name: {**vars(one), "kept": dict(vars(one.kept)), "words": words} for name, (one, words) in claims.items()
        }


def arms_of_recipes(results: TrialResults, bootstrap: PairedBootstrap) -> tuple[ArmOfRecipe, ...]:
    """Return every arm of a recipe against the first arm; only arms whose conditions are all committed."""
    asked: dict[int, list[int]] = {}
    for one in results.resolved.conditions:
        if one.arm is not None:
            asked.setdefault(one.arm, []).append(one.index)
    whole = {arm: places for arm, places in asked.items() if places[-1] < results.committed}
    if 0 not in whole:
        return ()
    several = {arm: places for arm, places in whole.items() if arm and _recipe(results, places[0]) is not None}
    return tuple(_judged(results, bootstrap, arm, places, whole[0]) for arm, places in several.items())


def _judged(
    results: TrialResults, bootstrap: PairedBootstrap, arm: int, places: list[int], references: list[int]
) -> ArmOfRecipe:
    own, reference = (_gains(results, of) for of in (places, references))
    paired = _paired(results, places, references)
    bound = 1 - results.spec.margin
    these = _on_these(own, reference, bootstrap, bound)
    return ArmOfRecipe(
        arm=arm,
        name=_name(results, places[0]),
        against=_name(results, references[0]),
        training_seeds=len(places),
        reference_seeds=len(references),
        these=these,
        recipe=_on_recipe(own, reference, these, bootstrap, paired=paired),
    )


def _on_these(own: Gains, reference: ReferenceGains, bootstrap: PairedBootstrap, bound: float) -> Verdict:
    """Return the verdict on the mean over the checkpoints, whose training is taken as it is."""
    above, below = own.mean(axis=0), reference.mean(axis=0)
    kept = bootstrap.ratio(above, below)
    if (reason := _why_not(below, bootstrap)) is not None:
        return Verdict("inconclusive", kept, bound, reason=reason)
    return Verdict(word_of(kept.low, kept.high, bound), kept, bound)


def _on_recipe(
    own: Gains, reference: ReferenceGains, these: Verdict, bootstrap: PairedBootstrap, *, paired: bool
) -> Verdict:
    """Return the verdict on the recipe, for these tasks.

    Its interval is never narrower than that of these checkpoints, whose training seeds may be alike by chance.
    """
    fewest = min(len(one) for one in (own, reference) if len(one) > 1) if len(own) > 1 else 1
    share = kept_of_recipe(own, reference, paired=paired)
    rollouts, bound = own.size, these.bound
    low, high = np.minimum(share.low, these.kept.low), np.maximum(share.high, these.kept.high)
    kept = Estimate(share.value, float(low), float(high), 1.0, rollouts, share.freedom >= ENOUGH, "these tasks")
    reason = _why_not(reference.mean(axis=0), bootstrap)
    if fewest == 1:
        nothing = Estimate(kept.value, np.nan, np.nan, 1.0, rollouts, reliable=False, scope="these tasks")
        return Verdict("inconclusive", nothing, bound, reason=reason or ONE_SEED)
    if reason is None and not np.isfinite(kept.value):
        reason = NO_GAIN
    if reason is None and fewest < FEWEST:
        reason = f"{fewest} training seeds, and a recipe is judged from {FEWEST} on"
    if reason is not None:
        return Verdict("inconclusive", kept, bound, reason=reason)
    return Verdict(word_of(kept.low, kept.high, bound), kept, bound)


def _why_not(reference: Float64[np.ndarray, "seed task"], bootstrap: PairedBootstrap) -> str | None:
    if not np.isfinite(reference).all():
        return NO_RANDOM
    if not bootstrap.informative:
        return ONE_ROLLOUT
    return None if bootstrap.mean(reference).low > 0 else NO_GAIN


def _gains(results: TrialResults, places: list[int]) -> Gains:
    return np.stack([gain(results, place) for place in places])


def _paired(results: TrialResults, places: list[int], references: list[int]) -> bool:
    """Return True where the n-th conditions of both belong together: one checkpoint, or one training seed."""
    if len(places) != len(references):
        return False
    return [results.conditions[place].against for place in places] == references


def _recipe(results: TrialResults, place: int) -> str | None:
    return results.resolved.checkpoints[results.conditions[place].checkpoint].recipe


def _name(results: TrialResults, place: int) -> str:
    of = results.conditions[place]
    return f"{_recipe(results, place) or of.checkpoint_name} {rule_of(of)}"
