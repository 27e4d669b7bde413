"""The answer of a decision: one verdict, one plain sentence."""

from __future__ import annotations

import math
from enum import Enum

from pydantic import BaseModel, ConfigDict

from attnscope_server.deciding.statistics.power import SizeNeeded
from attnscope_server.deciding.statistics.sameness import ENOUGH_DECISIONS

LARGEST_SIZE = 1_000
"""Seeds or tasks beyond which a size is only called larger."""


class AnswerKind(Enum):
    """Answers of equal rank."""

    COMPRESS_TO = "compress to"
    NONE_HOLDS = "none holds"
    DO_NOT_COMPRESS = "do not compress"
    UNDECIDED = "undecided"
    NOT_BETTER_THAN_RANDOM = "not better than random here"
    WORSE_THAN_RANDOM = "worse than random here"
    TOO_LITTLE_GAIN = "too little gain"
    TOO_FEW_ROLLOUTS = "too few rollouts"


class RungSummary(BaseModel):
    """One judged rung as an answer shows it."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    arm: str
    tokens: int
    verdict: str
    point: float
    """Kept share, median-unbiased."""

    low: float
    high: float
    """Repeated interval of the rung's last look."""

    tasks: int
    seeds: int
    changes_almost_nothing: float | None = None
    """Upper limit of the share of rollouts with any different action, where it bounds the loss in place of a ratio."""

    futile: bool = False
    needed_near: int | None = None
    needed_far: int | None = None
    """Sample sizes that would decide, at both ends of the 80 % interval."""

    few_differing: int | None = None
    """Differing decisions, where they are too few for the interval to become a verdict."""

    enough_differing: int | None = None
    """Sample size with which these would be enough, at the rate so far; absent where no size in range is."""

    @property
    def kept_words(self) -> str:
        """Kept share and interval, "kept 0.981 [0.934, 1.028]", or the bound that stands in their place."""
        if self.changes_almost_nothing is not None:
            return f"changes almost nothing: at most {self.changes_almost_nothing:.1%} of rollouts differ"
        few = "" if self.few_differing is None else f", too few differing decisions: {self.few_differing}"
        return f"kept {number(self.point)} [{number(self.low)}, {number(self.high)}]{few}"


class Answer(BaseModel):
    """The end of a decision."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    kind: AnswerKind
    margin: float
    scope: str
    """Words of the scope: "these 8 tasks, all of the held-out split"."""

    rungs: tuple[RungSummary, ...] = ()
    """Judged rungs in order."""

    chosen: int | None = None
    """Index of the rung to compress to."""

    reason: str = ""
    """Sentence of the gate, or of what was missing."""

    unit: str = "seeds"
    """Unit of the sample sizes: seeds a task, or tasks."""

    rollouts: int = 0
    """Rollouts spent, those of baseline, gate and capture counted."""

    ladder: str = ""
    """Digest of the ladder that was fixed before rung 1."""

    attempt: int = 1
    """Number of the decision on its checkpoint and environment."""

    @property
    def sentence(self) -> str:
        """The answer in plain words."""
        again = f" This is decision number {self.attempt} on this policy here." if self.attempt > 1 else ""
        return _SENTENCES[self.kind](self) + again


def number(value: float, digits: int = 3) -> str:
    """Write a share with some digits after the point, or in words where a limit does not exist."""
    if math.isnan(value):
        return "unknown"
    return f"{value:.{digits}f}" if math.isfinite(value) else "no limit"


def size_words(needed: SizeNeeded, unit: str) -> str:
    """Sizes that would decide, at both ends of the 80 % interval."""
    if needed.if_near is None:
        return "no number that would decide can be given"
    each = "seeds a task" if unit == "seeds" else unit
    near, far = _size(needed.if_near), _size(needed.if_far)
    return (
        f"{near} {each} would decide in four cases of five if its true share lies far from the margin, {far} if it "
        "lies near (the ends of the 80 % interval)"
    )


def _size(size: int | None) -> str:
    if size is None:
        return "no number"
    return str(size) if size <= LARGEST_SIZE else f"more than {LARGEST_SIZE}"


def _where(answer: Answer, rung: RungSummary) -> str:
    """Return on how many seeds of which tasks a rung was judged."""
    if answer.scope.startswith("these"):
        return f"{rung.seeds} seeds on each of {answer.scope}"
    if answer.unit == "tasks":
        return f"{rung.seeds} seeds a task, {answer.scope}"
    return f"{rung.seeds} seeds on {answer.scope}"


def _keeps(rung: RungSummary) -> str:
    if rung.changes_almost_nothing is not None:
        return f"it changes almost nothing (at most {rung.changes_almost_nothing:.1%} of rollouts differ)"
    more = ", more than with the whole history" if rung.low > 1 else ""
    return (
        f"it keeps {number(rung.point)} [{number(rung.low)}, {number(rung.high)}] of the gain over random actions{more}"
    )


def _margin(answer: Answer) -> str:
    return f"at a margin of {100 * answer.margin:g} %"


def _compress(answer: Answer) -> str:
    at = answer.chosen or 0
    rung = answer.rungs[at]
    first = f"Compress to {rung.arm}: {_keeps(rung)}, non-inferior {_margin(answer)} ({_where(answer, rung)})."
    if at + 1 == len(answer.rungs):
        return first
    after = answer.rungs[at + 1]
    return f"{first} The next smaller, {after.arm}, is {after.verdict} ({after.kept_words})."


def _none(answer: Answer) -> str:
    rung = answer.rungs[0]
    after = answer.rungs[1:2]
    more = "".join(f" {one.arm}, judged for harm only, is {one.verdict} ({one.kept_words})." for one in after)
    return (
        f"None of the arms tried is shown to hold {_margin(answer)}: {rung.arm}, the smallest saving, is inferior; "
        f"{_keeps(rung)} ({_where(answer, rung)}).{more}"
    )


def _do_not(answer: Answer) -> str:
    first, second = answer.rungs[:2]
    return (
        f"Do not compress: the best arms at two budgets, {first.arm} ({first.kept_words}) and {second.arm} "
        f"({second.kept_words}), are both inferior {_margin(answer)} ({answer.scope})."
    )


def _undecided(answer: Answer) -> str:
    rung = answer.rungs[0]
    if rung.few_differing is not None:
        return _few(answer, rung, rung.few_differing)
    futile = ", as further looks would hardly decide" if rung.futile else ""
    more = "more tasks are needed: " if answer.unit == "tasks" else ""
    needed = size_words(SizeNeeded(rung.needed_near, rung.needed_far), answer.unit)
    return (
        f"Undecided{futile} ({_where(answer, rung)}): {rung.arm} keeps between {number(rung.low)} and "
        f"{number(rung.high)} of the gain over random actions; {more}{needed}."
    )


def _few(answer: Answer, rung: RungSummary, differing: int) -> str:
    """Return the sentence of an arm that differs too seldom for its interval, and too often for its bound."""
    futile = ", as further looks would hardly call it non-inferior" if rung.futile else ""
    each = "seeds a task" if answer.unit == "seeds" else answer.unit
    enough = f"about {rung.enough_differing} {each} would be enough"
    if rung.enough_differing is None:
        enough = f"no number of {each} up to {LARGEST_SIZE} would be enough"
    border = 1 - answer.margin
    alone = ""
    if rung.low <= border <= rung.high:
        sizes = size_words(SizeNeeded(rung.needed_near, rung.needed_far), answer.unit)
        alone = f" For the interval to clear the margin, {sizes}."
    return (
        f"Undecided{futile} ({_where(answer, rung)}): {rung.arm} keeps between {number(rung.low)} and "
        f"{number(rung.high)} of the gain over random actions, but too few of its decisions differ from the "
        f"uncompressed policy's for this interval to be believed: {differing}, and {ENOUGH_DECISIONS} are needed. "
        f"At the rate so far, {enough}.{alone}"
    )


def _reason(answer: Answer) -> str:
    return answer.reason


_SENTENCES = {
    AnswerKind.COMPRESS_TO: _compress,
    AnswerKind.NONE_HOLDS: _none,
    AnswerKind.DO_NOT_COMPRESS: _do_not,
    AnswerKind.UNDECIDED: _undecided,
    AnswerKind.NOT_BETTER_THAN_RANDOM: _reason,
    AnswerKind.WORSE_THAN_RANDOM: _reason,
    AnswerKind.TOO_LITTLE_GAIN: _reason,
    AnswerKind.TOO_FEW_ROLLOUTS: _reason,
}
