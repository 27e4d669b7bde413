"""The measured values of one condition of a trial."""

from __future__ import annotations

from dataclasses import dataclass

from attnscope.measures.intervals import Estimate
from attnscope.trials.costs import Divergence
from attnscope.trials.learning import Reached
from attnscope.trials.naming import name_of
from attnscope.trials.scores import TaskLosses
from attnscope.trials.speed import Speed
from attnscope.trials.verdicts import Verdict
from attnscope_storage.wire import Condition


@dataclass(frozen=True)
class Row:
    """The measured values of one condition."""

    condition: Condition
    verdict: Verdict
    """On all episodes: the area under the learning curve."""
    phases: dict[str, Verdict]
    """Growing context, full context and the last third of the episodes, each by itself, where there are any."""
    binds_from: int
    """First episode in which the budget drops anything; the number of episodes where it never does."""
    binding: Verdict | None
    """On the episodes from that one on; None where these are all of them, or none."""
    difference: Estimate
    """Compressed − uncompressed return of an episode."""
    retained: Estimate
    """Compressed ÷ uncompressed return."""
    iqm: Estimate | None
    """Task-normalised interquartile mean, beside the uncompressed one; None where a task's range is not known."""
    episodes_to: tuple[Reached, ...]
    tasks: TaskLosses
    share: Estimate
    """Effective budget."""
    tokens: float
    """History tokens of a decision, with a full context where it ever is full."""
    bytes: float
    """Of a rollout's context, with what its compressor takes for a moment (`context_bytes`)."""
    flops: float
    """Of a decision, those of its compressor among them."""
    flops_share: float
    divergence: Divergence | None
    speeds: tuple[Speed, ...]
    pairing: float
    over_uniform: Estimate | None
    """Share of the baseline's gain kept beyond what uniform keeps with as many tokens."""
    over_random: Estimate | None

    @property
    def words(self) -> str:
        """The verdict on the condition: jointly or by itself, or the rollouts that would decide."""
        of = self.condition
        if of.against == of.index:
            return "baseline" if of.arm is None else "reference"
        return self.verdict.words

    @property
    def name(self) -> str:
        """Strategy, budget and positions in a few words."""
        return name_of(self.condition)
