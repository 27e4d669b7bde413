"""The gate of advice: is this policy shown to gain anything here, and have most of its rollouts found a reward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from attnscope.measures.intervals import Estimate
from attnscope.recommendations.claims import Claim, claim, spread
from attnscope.study import Study

EARNING: Final = 0.8
"""Share of rollouts that must earn before rules are ranked: below it the policy has not found its goal."""

LATE: Final = 3
"""Divisor of the episodes: the last third says how well the policy acts once it has learned."""


@dataclass(frozen=True)
class Gate:
    """The uncompressed policy's gain over uniform actions, and the share of its rollouts that ever earn."""

    gain: Estimate | None
    """Late return − uniform actions, an episode; None where either is unknown."""
    earning: float | None
    """Share of rollouts with any reward other than 0; None where rewards are unknown."""

    @property
    def shown(self) -> bool | None:
        """True where the whole interval of the gain lies above 0; None where no interval tells."""
        if self.gain is None or not self.gain.has_interval:
            return None
        return self.gain.low > 0

    @property
    def ranks(self) -> bool:
        """True where rules may be ranked at all."""
        return self.shown is not False and (self.earning is None or self.earning >= EARNING)

    def claims(self) -> tuple[Claim, ...]:
        """Return why no rule is ranked, or what is unknown; nothing where the gain is shown."""
        if self.shown is False and self.gain is not None:
            how = "acts no better" if self.gain.high <= 0 else "is not shown to act better"
            template = (
                f"The policy {how} than uniform actions here: its late return is {{value:+.3f}} above theirs "
                f"({spread(self.gain)}). There is nothing shown to compress, and no rule is ranked."
            )
            numbers = {"value": self.gain.value, "low": self.gain.low, "high": self.gain.high}
            return (claim("gate.gain", template, **numbers),)
        if not self.ranks and self.earning is not None:
            template = (
                "Only {earning:.0f} % of the rollouts earn anything: this policy has hardly found its goal. Attention "
                "and departures of such a policy rank no rules; only rollouts of the compressed policy can."
            )
            return (claim("gate.earning", template, earning=100 * self.earning),)
        if self.shown is None:
            return (Claim("gate.unknown", f"It is not known whether the policy gains anything here: {self._why}."),)
        return ()

    @property
    def _why(self) -> str:
        if self.earning is None:
            return "rewards were not stored"
        return "the return of uniform actions is not known" if self.gain is None else "one rollout has no interval"


def gate_of(study: Study) -> Gate:
    """Return the gate of a study's rollouts."""
    reward, returns = study.reward, study.returns
    earning = None if reward is None else float((reward != 0).any(axis=0).mean())
    if returns is None or not returns.shape[1]:
        return Gate(None, earning)
    known = {cell.index: cell.random_return for cell in study.capture.resolved.tasks}
    random = [known.get(int(task)) for task in study.reading.task]
    if any(one is None for one in random):
        return Gate(None, earning)
    late = returns[:, -max(1, returns.shape[1] // LATE) :].mean(axis=1)
    if earning is None:
        earning = float((returns != 0).any(axis=1).mean())
    return Gate(study.resampling.estimate(late - np.array(random, np.float64)), earning)
