"""Whether the guide's three patterns hold in every capture, in none, or in some."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from attnscope.capture import Capture
from attnscope.comparison.numbers import recent_mass, share_for, sink
from attnscope.measures.intervals import Estimate
from attnscope.recommendations import recommend
from attnscope.study import Choice, Study
from attnscope.study.tally import RECENT

Answer = Literal["yes", "no", "unclear"]

SPARSE: Final = 0.5
"""Share of the context that may hold 80 % of the attention for it to count as sparse."""

ANCHOR_LIFT: Final = 2.0
"""How many times its uniform share the oldest slot must hold to count as an anchor."""


YARDSTICKS: Final = ("none", "uniform")
"""Rules that cannot beat evenly spaced tokens: they keep everything, or are those tokens."""


@dataclass(frozen=True)
class Verdict:
    """A pattern, what each capture answers, and what would follow from it."""

    pattern: str
    advice: str
    answers: tuple[Answer, ...]

    @property
    def consistent(self) -> bool:
        """Whether every capture gives the same clear answer."""
        return len(set(self.answers)) == 1 and self.answers[0] != "unclear"

    @property
    def word(self) -> str:
        """Whether the answers agree, contradict each other, or leave it open because some capture cannot tell."""
        if self.consistent:
            return "consistent"
        return "not consistent" if {"yes", "no"} <= set(self.answers) else "undecided"

    def __str__(self) -> str:
        """Return the verdict in a line."""
        return f"{self.pattern}: {self.word} ({', '.join(self.answers)}). {self.advice}"


def recommended(captures: list[Capture], choice: Choice | None = None) -> list[Verdict]:
    """Return a verdict for each of the guide's patterns, and for every strategy that some capture's advice ranks.

    Each capture's advice is its own (`attnscope.recommend`): parameters chosen there, judged on rollouts that chose
    nothing. Patterns are answered as there, by the same bounds. Strategies are asked whether they beat evenly spaced
    tokens; yes: the interval of the excess lies above 0; no: below.

    Raises
    ------
    NotCapturedError, NotMeasurableError
        Some capture has nothing to recommend from.
    """
    asked = choice or Choice()
    advice = [recommend(one, full=asked.full, envs=asked.envs, steps=asked.steps) for one in captures]
    found = [{one.key: one for one in given.recommendations} for given in advice]
    listed = dict.fromkeys(one.key for given in advice for one in given.recommendations)
    keys = [key for key in listed if key not in YARDSTICKS]
    ranks = {key: ", ".join(str(of[key].rank) if key in of else "–" for of in found) for key in keys}
    patterns = [
        Verdict(
            f"Pattern {same[0].name}",
            "As the recommendations of each capture answer it, by their bounds.",
            tuple(one.answer for one in same),
        )
        for same in zip(*(given.patterns for given in advice), strict=True)
    ]
    return patterns + [
        Verdict(
            f"Strategy {key}",
            f"Ranks: {ranks[key]}; asked: does it retain more than as many evenly spaced tokens?",
            tuple(_ahead(of[key].excess) if key in of else "unclear" for of in found),
        )
        for key in keys
    ]


def _ahead(excess: Estimate) -> Answer:
    if not excess.has_interval:
        return "unclear"
    return "yes" if excess.low > 0 else "no" if excess.high < 0 else "unclear"


def verdicts(studies: list[Study]) -> list[Verdict]:
    """Return what follows from the measures themselves; the guide's patterns have stricter bounds (`recommended`)."""
    return [
        Verdict(
            f"Newest {RECENT} above uniform",
            f"Where yes, keep the newest tokens; asked: do the newest {RECENT} hold more than uniform attention gives?",
            tuple(_above(study, recent_mass, min(RECENT, study.tokens - 1) / study.tokens) for study in studies),
        ),
        Verdict(
            "80 % in half of the context",
            f"Where yes, select by attention; asked: does {SPARSE:.0%} of the context hold 80 % of it?",
            tuple(_opposite(_above(study, share_for(0.8), SPARSE)) for study in studies),
        ),
        Verdict(
            "Oldest slot as anchor",
            f"Where yes, always keep it; asked: does it hold {ANCHOR_LIFT:g} times its uniform share?",
            tuple(_above(study, sink, ANCHOR_LIFT / study.tokens) for study in studies),
        ),
    ]


def _above(study: Study, measure: Callable[[Study], np.ndarray], bound: float) -> Answer:
    interval = study.interval(measure(study))
    if not np.isfinite([interval.low, interval.high]).all():
        return "unclear"
    return "yes" if interval.low > bound else "no" if interval.high < bound else "unclear"


def _opposite(answer: Answer) -> Answer:
    swapped: dict[Answer, Answer] = {"yes": "no", "no": "yes", "unclear": "unclear"}
    return swapped[answer]
