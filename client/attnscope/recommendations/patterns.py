"""The guide's three questions: recency bias, sparse attention, position-specific anchors. Each yes, no or unclear.

An answer is yes or no only where the whole interval lies on one side of its bound; without an interval it is unclear.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from attnscope.measures.intervals import Estimate
from attnscope.measures.profiles import fit_decay
from attnscope.recommendations.claims import Claim, Number, claim, numbers_of, spread
from attnscope.recommendations.evidence import LEVEL, WINDOWS, Evidence
from attnscope.recommendations.results import Answer, Pattern

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


def patterns(evidence: Evidence) -> tuple[Pattern, ...]:
    """Return the three patterns."""
    return recency(evidence), sparsity(evidence), anchors(evidence)


def side(estimate: Estimate, bound: float) -> Answer:
    """Return whether the whole interval lies above a bound (yes) or below it (no)."""
    if not estimate.has_interval:
        return "unclear"
    return "yes" if estimate.low > bound else "no" if estimate.high < bound else "unclear"


def recency(evidence: Evidence) -> Pattern:
    """Return whether the newest tokens hold most of the attention."""
    masses = [evidence.estimate("recency", place) for place in range(len(WINDOWS))]
    central = masses[WINDOWS.index(RECENT_WINDOW)]
    answer = side(central, MOST)
    found = [
        claim(
            f"recency.{window}",
            "The newest {window:.0f} tokens before the query hold {value:.3f} of the attention "
            f"({spread(mass)}; uniform {{baseline:.3f}}, lift {{lift:.2f}}).",
            window=window,
            lift=evidence.lift("recency", place).value,
            **numbers_of(mass),
        )
        for place, (window, mass) in enumerate(zip(WINDOWS, masses, strict=True))
    ]
    own = evidence.estimate("self")
    found.append(
        claim(
            "self",
            "The query's own token, which no window counts, holds {value:.3f} (uniform {baseline:.3f}).",
            value=own.value,
            baseline=own.baseline or np.nan,
        )
    )
    found += _decay(evidence)
    found.append(
        _rule(
            "recency.rule",
            answer,
            "most ({bound:.1f}) of the attention in the newest {window:.0f}",
            bound=MOST,
            window=RECENT_WINDOW,
        )
    )
    return Pattern("recency bias", answer, tuple(found))


def _decay(evidence: Evidence) -> list[Claim]:
    """Return how attention changes with age; nothing where no context is long enough for a fit."""
    profiles = evidence.values["profile"].reshape(-1, evidence.values["profile"].shape[-1])
    held = np.isfinite(profiles)
    total = np.where(held, profiles, 0).sum(axis=0)
    # Ages that no context reaches are NaN.
    decay = fit_decay(np.divide(total, held.sum(axis=0), out=np.full(total.shape, np.nan), where=held.any(axis=0)))
    if not np.isfinite(decay.rate):
        return []
    template = "Mean attention changes by exp({change:+.4f}) a token of age, which explains {fit:.2f} of its variance."
    numbers = {"change": -float(decay.rate), "fit": float(decay.rate_fit)}
    return [Claim("decay", template.format(**numbers), numbers | {"rate": float(decay.rate)})]


def sparsity(evidence: Evidence) -> Pattern:
    """Return whether a few positions hold most of the attention."""
    each, shared = evidence.estimate("positions"), evidence.estimate("shared_positions")
    flipped: dict[Answer, Answer] = {"yes": "no", "no": "yes", "unclear": "unclear"}
    answer = flipped[side(each, FEW)]
    entropy, moved = evidence.estimate("entropy"), evidence.estimate("flatness")
    found = (
        claim(
            "positions",
            "A head needs {value:.3f} of the positions for {mass:.1f} of its attention "
            f"({spread(each)}; uniform {{baseline:.3f}}).",
            mass=LEVEL,
            **numbers_of(each),
        ),
        claim(
            "shared_positions",
            "The same positions for all heads, which is what dropping inputs means: {value:.3f} "
            f"({spread(shared)}; uniform {{baseline:.3f}}).",
            **numbers_of(shared),
        ),
        claim(
            "entropy",
            f"Entropy ÷ ln(length), heads averaged last: {{value:.3f}} ({spread(entropy)}; uniform {{baseline:.0f}}).",
            **numbers_of(entropy),
        ),
        claim(
            "flatness",
            f"{{value:.3f}} of the attention would have to move to make it uniform ({spread(moved)}).",
            **numbers_of(moved),
        ),
        _rule(
            "positions.rule",
            answer,
            "{mass:.1f} of the attention in at most {bound:.2f} of the positions",
            mass=LEVEL,
            bound=FEW,
        ),
    )
    return Pattern("sparse attention", answer, found)


def anchors(evidence: Evidence) -> Pattern:
    """Return whether marked places get far more than their share."""
    found: list[Claim] = []
    answers: dict[str, Answer] = {}
    for name, words in ANCHORS.items():
        if name not in evidence.values:
            continue
        mass, lift = evidence.estimate(name), evidence.lift(name)
        answers[name] = side(lift, ANCHOR_LIFT) if np.isfinite(lift.value) else "unclear"
        if not np.isfinite(lift.value):
            found.append(Claim(f"anchor.{name}", f"{_capital(words)}: none was in the contexts that count."))
            continue
        template = (
            f"{_capital(words)}: mass {{mass:.3f}} (uniform {{baseline:.3f}}), lift {{value:.2f}} ({spread(lift)})."
        )
        numbers = {**numbers_of(lift), "mass": mass.value, "baseline": mass.baseline or np.nan}
        found.append(claim(f"anchor.{name}", template, **numbers))
    answer: Answer = "yes" if "yes" in answers.values() else "unclear" if "unclear" in answers.values() else "no"
    found.append(
        _rule("anchor.rule", answer, "a place with more than {bound:.1f} times its uniform share", bound=ANCHOR_LIFT)
    )
    named = [ANCHORS[name] for name, one in answers.items() if one == "yes"]
    if named:
        found.append(Claim("anchor.named", f"Anchors: {', '.join(named)}."))
    return Pattern("position-specific anchors", answer, tuple(found))


def _rule(key: str, answer: Answer, template: str, **numbers: Number) -> Claim:
    """Return the sentence that says by which rule the answer came."""
    said = {
        "yes": "Yes: the whole interval says ",
        "no": "No: the whole interval denies ",
        "unclear": "Unclear: no interval, or one on both sides of the bound, for ",
    }
    return claim(key, said[answer] + template + ".", **numbers)


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]
