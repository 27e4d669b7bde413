"""The guide's three patterns over several captures: each holds in every capture, in none, or in some."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from attnscope.measures.intervals import Estimate
from attnscope.recommendations import recommend_from
from attnscope.recommendations.patterns import patterns
from attnscope.recommendations.results import PatternAnswer
from attnscope.study import Study

YARDSTICKS: Final = ("none", "uniform")
"""Rules that cannot beat evenly spaced tokens: they keep everything, or are those tokens."""


@dataclass(frozen=True)
class Consistency:
    """A pattern with the answer of each capture, and the advice that would follow from it."""

    pattern: str
    advice: str
    answers: tuple[PatternAnswer, ...]

    @property
    def consistent(self) -> bool:
        """True where every capture gives the same clear answer."""
        return len(set(self.answers)) == 1 and self.answers[0] != "unclear"

    @property
    def word(self) -> str:
        """The relation of the answers: they agree, they differ, or it is open because a capture cannot tell."""
        if self.consistent:
            return "consistent"
        return "not consistent" if {"yes", "no"} <= set(self.answers) else "undecided"

    def __str__(self) -> str:
        """Return the verdict in a line."""
        return f"{self.pattern}: {self.word} ({', '.join(self.answers)}). {self.advice}"


def patterns_of(studies: list[Study]) -> list[Consistency]:
    """Return a verdict for each of the guide's patterns, answered by the rules that advice answers them by."""
    found = [patterns(study) for study in studies]
    return [
        Consistency(f"Pattern {same[0].name}", f"Asked: {same[0].rule}?", tuple(one.answer for one in same))
        for same in zip(*found, strict=True)
    ]


def strategies_of(studies: list[Study]) -> list[Consistency]:
    """Return a verdict for every strategy that some capture's advice ranks.

    Each capture's advice is its own (`attnscope.recommend`): parameters chosen there, judged on rollouts that chose
    nothing. Strategies are asked whether they beat evenly spaced tokens; yes: the interval of the excess lies above 0;
    no: below.

    Raises
    ------
    NotCapturedError, NotMeasurableError
        Some capture has nothing to recommend from.
    """
    advice = [recommend_from(one) for one in studies]
    found = [{one.key: one for one in given.recommendations} for given in advice]
    listed = dict.fromkeys(one.key for given in advice for one in given.recommendations)
    keys = [key for key in listed if key not in YARDSTICKS]
    ranks = {key: ", ".join(str(of[key].rank or "–") if key in of else "–" for of in found) for key in keys}
    return [
        Consistency(
            f"Strategy {key}",
            f"Ranks: {ranks[key]}; asked: does it retain more than as many evenly spaced tokens?",
            tuple(_ahead(of[key].excess) if key in of else "unclear" for of in found),
        )
        for key in keys
    ]


def _ahead(excess: Estimate) -> PatternAnswer:
    if not excess.has_interval:
        return "unclear"
    return "yes" if excess.low > 0 else "no" if excess.high < 0 else "unclear"
