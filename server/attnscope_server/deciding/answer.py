"""The answer of a decision: one verdict, one plain sentence."""

from __future__ import annotations

import math
from enum import Enum

from pydantic import BaseModel, ConfigDict

from attnscope_server.deciding.statistics.power import SizeNeeded

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

    @property
    def kept_words(self) -> str:
        """Kept share and interval, "kept 0.981 [0.934, 1.028]", or the bound that stands in their place."""
        if self.changes_almost_nothing is not None:
            return f"changes almost nothing: at most {self.changes_almost_nothing:.1%} of rollouts differ"
        return f"kept {number(self.point)} [{number(self.low)}, {number(self.high)}]"


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

    @property
    def sentence(self) -> str:
        """The answer in plain words."""
        return _SENTENCES[self.kind](self)


def number(value: float, digits: int = 3) -> str:
    """Write a share with some digits after the point, or in words where a limit does not exist."""
    if math.isnan(value):
        return "unknown"
    return f"{value:.{digits}f}" if math.isfinite(value) else "no limit"


def size_words(needed: SizeNeeded, unit: str) -> str:
    """Sizes that would decide, at both ends of the 80 % interval."""
    if needed.if_near is None:
        return "no number can be given"
    near, far = (_size(needed.if_near), _size(needed.if_far))
    return (
        f"{near} {unit} would decide in four cases of five at the near end of the 80 % interval, {far} at its far end"
    )


def _size(size: int | None) -> str:
    if size is None:
        return "no number"
    return str(size) if size <= LARGEST_SIZE else f"more than {LARGEST_SIZE}"


def _judged(answer: Answer, rung: RungSummary) -> str:
    return f"{rung.kept_words}, {rung.seeds} seeds, {answer.scope}"


def _percent(answer: Answer) -> str:
    return f"{100 * answer.margin:g} %"


def _compress(answer: Answer) -> str:
    at = answer.chosen or 0
    rung = answer.rungs[at]
    first = f"Compress to {rung.arm}: non-inferior at {_percent(answer)} ({_judged(answer, rung)})."
    if at + 1 == len(answer.rungs):
        return first
    after = answer.rungs[at + 1]
    return f"{first} The next rung, {after.arm}, is {after.verdict} ({after.kept_words})."


def _none(answer: Answer) -> str:
    rung = answer.rungs[0]
    return (
        f"None of the arms tried holds at {_percent(answer)}: {rung.arm}, the smallest saving, is inferior "
        f"({_judged(answer, rung)})."
    )


def _do_not(answer: Answer) -> str:
    first, second = answer.rungs[:2]
    return (
        f"Do not compress: the best arms at two budgets, {first.arm} ({first.kept_words}) and {second.arm} "
        f"({second.kept_words}), are both inferior at {_percent(answer)} "
        f"({answer.scope})."
    )


def _undecided(answer: Answer) -> str:
    rung = answer.rungs[0]
    size = rung.tasks if answer.unit == "tasks" else rung.seeds
    futile = " (futility)" if rung.futile else ""
    more = "more tasks are needed: " if answer.unit == "tasks" else ""
    needed = size_words(SizeNeeded(rung.needed_near, rung.needed_far), answer.unit)
    return (
        f"Undecided{futile} at {size} {answer.unit}, {answer.scope}: {rung.arm} keeps between {number(rung.low)} and "
        f"{number(rung.high)}; {more}{needed}."
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
