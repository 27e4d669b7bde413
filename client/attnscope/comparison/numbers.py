"""The quantities that captures are compared by; each is the one that a report of the capture names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from attnscope.reading.blocks import RECENT
from attnscope.study import Study
from attnscope.study.quantities import Quantity, Values


@dataclass(frozen=True)
class Measure:
    """A measure that is comparable between context lengths, or stands beside its uniform value."""

    name: str
    quantity: str
    """Its name in `attnscope.study.quantities`; ``late_return`` is the return of the last third of the episodes."""

    def of(self, study: Study) -> Quantity:
        """Return the quantity of a study; NaN where it was not captured."""
        if self.quantity == "late_return":
            return Quantity(late_return(study), None, study.resampling)
        found = study.quantity(self.quantity)
        return Quantity(_absent(study), None, study.resampling) if found is None else found


def late_return(study: Study) -> Values:
    """Return the mean return of the last third of the episodes."""
    if study.returns is None or study.returns.shape[1] == 0:
        return _absent(study)
    return np.asarray(study.returns[:, -max(1, study.returns.shape[1] // 3) :].mean(axis=1), np.float64)


def _absent(study: Study) -> Values:
    return np.full(len(study.envs), np.nan)


MEASURES: Final = (
    Measure(f"newest {RECENT} tokens' share", f"recency.{RECENT}"),
    Measure("query's own share", "self"),
    Measure("oldest slot's share", "sink"),
    Measure("normalised entropy", "normalised_entropy"),
    Measure("distance from uniform", "flatness"),
    Measure("context for 80 % of attention", "shared_positions.0.8"),
    Measure("context for 90 % of attention", "shared_positions.0.9"),
    Measure("late return", "late_return"),
)
"""The measures of a comparison."""
