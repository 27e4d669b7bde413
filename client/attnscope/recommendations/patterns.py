"""The guide's three questions: recency bias, sparse attention, position-specific anchors. Each yes, no or unclear.

An answer is yes or no only where the whole interval lies on one side of its bound; without an interval it is unclear.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from attnscope.measures.intervals import Estimate
from attnscope.measures.profiles import fit_decay
from attnscope.reading.blocks import LEVELS
from attnscope.recommendations.claims import Claim, Number, claim, numbers_of, spread
from attnscope.recommendations.results import Pattern, PatternAnswer
from attnscope.study import Study

WINDOWS: Final = (5, 10, 20)
"""Tokens that count as recent."""

RECENT_WINDOW: Final = 10
"""Tokens that 'the last 5–10 steps' are."""

MOST: Final = 0.5
"""Share of the attention that 'most' is."""

FEW: Final = 0.25
"""Share of the context that 'a few positions' are."""

ANCHOR_LIFT: Final = 2.0
"""Times its uniform share that a place must get to be an anchor."""

ANCHORS: Final = {
    "sink": "the oldest slot",
    "episode_start": "the first transition of each episode",
    "rewarded": "rewarded transitions",
    "same_state": "transitions from the query's own state",
}


def patterns(study: Study) -> tuple[Pattern, ...]:
    """Return the three patterns; what was not captured is said and leaves its pattern unclear."""
    return recency(study), sparsity(study), anchors(study)


def side(estimate: Estimate, bound: float) -> PatternAnswer:
    """Return whether the whole interval lies above a bound (yes) or below it (no)."""
    if not estimate.has_interval:
        return "unclear"
    return "yes" if estimate.low > bound else "no" if estimate.high < bound else "unclear"


def recency(study: Study) -> Pattern:
    """Return whether the newest tokens hold most of the attention, and more than uniform attention would give them."""
    rule = f"do the newest {RECENT_WINDOW} tokens hold most ({MOST}) of the attention"
    found: list[Claim] = []
    for window in WINDOWS:
        one = study.quantity(f"recency.{window}")
        if one is not None:
            found.append(
                claim(
                    f"recency.{window}",
                    "The newest {window:.0f} tokens before the query hold {value:.3f} of the attention "
                    f"({spread(one.estimate)}; uniform {{baseline:.3f}}, lift {{lift:.2f}}).",
                    window=window,
                    lift=np.nan if one.lift is None else one.lift.value,
                    **numbers_of(one.estimate),
                )
            )
    own, central = study.quantity("self"), study.quantity(f"recency.{RECENT_WINDOW}")
    if own is not None:
        template = (
            "The query's own token, which no window counts, holds {value:.3f} "
            f"({spread(own.estimate)}; uniform {{baseline:.3f}})."
        )
        found.append(claim("self", template, **numbers_of(own.estimate)))
    found += _decay(study)
    if central is None:
        found.append(Claim("recency.absent", "Recency was not captured, and there are no decision rows to take it of."))
        return Pattern("recency bias", "unclear", rule, tuple(found))
    bound = max(MOST, central.estimate.baseline or 0.0)
    answer = side(central.estimate, bound)
    words = "most ({bound:.1f}) of the attention in the newest {window:.0f}"
    if bound > MOST:  # of a short context they are most of the tokens, whatever a policy looks at
        words = "more attention in the newest {window:.0f} than the {bound:.3f} that uniform attention has there"
    found.append(_rule("recency.rule", answer, words, bound=bound, window=RECENT_WINDOW))
    return Pattern("recency bias", answer, rule, tuple(found))


def _decay(study: Study) -> list[Claim]:
    """Return how attention changes with age; nothing where no context is long enough for a fit."""
    if study.tally is None:
        return []
    decay = fit_decay(study.tally.mean(study.tally.profile))
    if not np.isfinite(decay.rate):
        return []
    template = "Mean attention changes by exp({change:+.4f}) a token of age, which explains {fit:.2f} of its variance."
    numbers = {"change": -float(decay.rate), "fit": float(decay.rate_fit)}
    return [Claim("decay", template.format(**numbers), numbers | {"rate": float(decay.rate)})]


def sparsity(study: Study) -> Pattern:
    """Return whether a few positions hold most of the attention."""
    rule = f"does a head need at most {FEW} of the positions for {LEVELS[0]} of its attention"
    each, shared = study.quantity(f"positions.{LEVELS[0]}"), study.quantity(f"shared_positions.{LEVELS[0]}")
    found: list[Claim] = []
    answer: PatternAnswer = "unclear"
    if each is not None and shared is not None:
        flipped: dict[PatternAnswer, PatternAnswer] = {"yes": "no", "no": "yes", "unclear": "unclear"}
        answer = flipped[side(each.estimate, FEW)]
        found = [
            claim(
                "positions",
                "A head needs {value:.3f} of the positions for {mass:.1f} of its attention "
                f"({spread(each.estimate)}; uniform {{baseline:.3f}}).",
                mass=LEVELS[0],
                **numbers_of(each.estimate),
            ),
            claim(
                "shared_positions",
                "The same positions for all heads, which is what dropping inputs means: {value:.3f} "
                f"({spread(shared.estimate)}; uniform {{baseline:.3f}}).",
                **numbers_of(shared.estimate),
            ),
        ]
    else:
        found.append(Claim("positions.absent", "Positions are unknown: decision rows were not captured."))
    entropy, moved = study.quantity("normalised_entropy"), study.quantity("flatness")
    if entropy is not None:
        template = f"{{value:.3f}} ({spread(entropy.estimate)}; uniform {{baseline:.0f}})."
        words = "Normalised entropy, ÷ ln(length), heads averaged last: "
        found.append(claim("normalised_entropy", words + template, **numbers_of(entropy.estimate)))
    if moved is not None:
        template = f"{{value:.3f}} of the attention would have to move to make it uniform ({spread(moved.estimate)})."
        found.append(claim("flatness", template, **numbers_of(moved.estimate)))
    words = "{mass:.1f} of the attention in at most {bound:.2f} of the positions"
    found.append(_rule("positions.rule", answer, words, mass=LEVELS[0], bound=FEW))
    return Pattern("sparse attention", answer, rule, tuple(found))


def anchors(study: Study) -> Pattern:
    """Return whether marked places get far more than their share."""
    rule = f"does a place hold more than {ANCHOR_LIFT} times its uniform share"
    found: list[Claim] = []
    answers: dict[str, PatternAnswer] = {}
    for name, words in ANCHORS.items():
        one = study.quantity(name)
        if one is None:
            continue
        mass, lift = one.estimate, one.lift
        if lift is None or not np.isfinite(lift.value):
            answers[name] = "unclear"
            found.append(Claim(f"anchor.{name}", f"{_capital(words)}: none was in the contexts that count."))
            continue
        answers[name] = side(lift, ANCHOR_LIFT)
        template = (
            f"{_capital(words)}: mass {{mass:.3f}} (uniform {{baseline:.3f}}), lift {{value:.2f}} ({spread(lift)})."
        )
        numbers = {**numbers_of(lift), "mass": mass.value, "baseline": mass.baseline or np.nan}
        found.append(claim(f"anchor.{name}", template, **numbers))
    answer: PatternAnswer = (
        "yes" if "yes" in answers.values() else "no" if set(answers.values()) == {"no"} else "unclear"
    )
    found.append(
        _rule("anchor.rule", answer, "a place with more than {bound:.1f} times its uniform share", bound=ANCHOR_LIFT)
    )
    named = [ANCHORS[name] for name, one in answers.items() if one == "yes"]
    if named:
        found.append(Claim("anchor.named", f"Anchors: {', '.join(named)}."))
    return Pattern("position-specific anchors", answer, rule, tuple(found))


def _rule(key: str, answer: PatternAnswer, template: str, **numbers: Number) -> Claim:
    """Return the sentence that says by which rule the answer came."""
    begins = {
        "yes": "Yes: the whole interval says ",
        "no": "No: the whole interval denies ",
        "unclear": "Unclear: no interval, or one on both sides of the bound, for ",
    }
    return claim(key, begins[answer] + template + ".", **numbers)


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]
