"""Sentences whose numbers can be looked up: every number of the text stands in exactly one claim."""

from __future__ import annotations

from dataclasses import dataclass, field
from string import Formatter
from typing import Any

from attnscope.measures.intervals import Estimate

Number = int | float
"""The values that fill a template."""

UNRELIABLE = " †"
"""Marks an interval of too few rollouts."""


@dataclass(frozen=True)
class Claim:
    """One sentence and the numbers in it.

    `key` names what was measured, so that a test (or a reader) can measure it again from the rows.
    """

    key: str
    sentence: str
    numbers: dict[str, float] = field(default_factory=dict)
    """The numbers by name, unrounded."""

    def to_json(self) -> dict[str, Any]:
        """Return the claim as JSON."""
        return {"key": self.key, "sentence": self.sentence, "numbers": self.numbers}


def claim(key: str, template: str, **numbers: Number) -> Claim:
    """Return a claim whose sentence is the template with its numbers, rounded as the template says."""
    used = {name for _, name, _, _ in Formatter().parse(template) if name}
    return Claim(key, template.format(**numbers), {name: float(numbers[name]) for name in sorted(used)})


def spread(estimate: Estimate) -> str:
    """Return the template of an estimate's interval; its fields are ``low`` and ``high``."""
    if not estimate.has_interval:
        return "no interval"
    return "{low:.3f} to {high:.3f}" + ("" if estimate.reliable else UNRELIABLE)


def numbers_of(estimate: Estimate) -> dict[str, float]:
    """Return the numbers that `spread` and the sentences around it use."""
    baseline = float("nan") if estimate.baseline is None else estimate.baseline
    return {"value": estimate.value, "baseline": baseline, "low": estimate.low, "high": estimate.high}


def estimate_json(estimate: Estimate) -> dict[str, Any]:
    """Return an estimate as JSON."""
    return dict(vars(estimate))
