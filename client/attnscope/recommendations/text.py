"""Advice, as a value and in words. Every number comes from a claim; nothing is computed here."""

from __future__ import annotations

import html
import json
import math
from dataclasses import dataclass
from textwrap import fill
from typing import Any, Literal

from attnscope.recommendations.claims import Claim
from attnscope.recommendations.results import MeasuredTrial, Pattern, Recommendation

WIDTH = 110
"""Columns of the text."""

PREDICTED = "STRATEGIES, best first; those of a tier cannot be told apart, and the simplest of them is first"
MEASURED_FIRST = (
    "STRATEGIES: what was measured first, by its verdict and what it keeps; the others as predicted, by tier"
)


@dataclass(frozen=True)
class Advice:
    """Everything that a capture says about compressing its policy's context. Print it, or show it in a notebook."""

    checkpoint: str
    environment: str
    job: str
    verdict: Literal["compress", "flat", "undecided"]
    """Whether a rule beats evenly spaced tokens; undecided where no interval tells."""
    headline: tuple[Claim, ...]
    basis: tuple[Claim, ...]
    """Where it comes from and what was read."""
    patterns: tuple[Pattern, ...]
    recommendations: tuple[Recommendation, ...]
    not_applicable: dict[str, str]
    """Strategies that this capture cannot judge, and why."""
    notes: tuple[str, ...]
    measured: tuple[Claim, ...] = ()
    """Whether such predictions came true in a trial, where one was given."""

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Every claim of the text, in its order."""
        patterns = tuple(one for pattern in self.patterns for one in pattern.claims)
        ranked = tuple(one for recommendation in self.recommendations for one in recommendation.claims)
        return (*self.basis, *self.measured, *self.headline, *patterns, *ranked)

    @property
    def text(self) -> str:
        """The advice as text: the guide's ``compression_recommendations.txt``."""
        return written(self)

    def to_json(self) -> dict[str, Any]:
        """Return the advice as JSON."""
        plain = {name: value for name, value in vars(self).items() if name in {"checkpoint", "environment", "job"}}
        return {
            **plain,
            "verdict": self.verdict,
            "headline": [one.to_json() for one in self.headline],
            "measured": [one.to_json() for one in self.measured],
            "basis": [one.to_json() for one in self.basis],
            "patterns": [
                {"name": one.name, "answer": one.answer, "claims": [claim.to_json() for claim in one.claims]}
                for one in self.patterns
            ],
            "recommendations": [one.to_json() for one in self.recommendations],
            "not_applicable": self.not_applicable,
            "notes": list(self.notes),
        }

    def json(self) -> str:
        """Return the JSON document."""
        return json.dumps(_known(self.to_json()), indent=1, allow_nan=False)

    def __str__(self) -> str:
        """Return the text."""
        return self.text

    def _repr_html_(self) -> str:
        """Return the text for a notebook; nothing in it is trusted as markup."""
        return f'<pre class="attnscope-advice">{html.escape(self.text)}</pre>'


def written(advice: Advice) -> str:
    """Return the whole text."""
    parts = [
        "Compression recommendations",
        "",
        *(_wrap(one.sentence) for one in advice.basis),
        "",
        *(_wrap(one.sentence) for one in advice.measured),
        *([""] if advice.measured else []),
        *(_wrap(one.sentence) for one in advice.headline),
        "",
        "PATTERNS",
    ]
    for pattern in advice.patterns:
        parts += ["", f"{pattern.name}: {pattern.answer}", *(_wrap(one.sentence, "  ") for one in pattern.claims)]
    parts += ["", MEASURED_FIRST if any(one.measured for one in advice.recommendations) else PREDICTED]
    for one in advice.recommendations:
        parts += ["", *_strategy(one)]
    if advice.not_applicable:
        parts += ["", "Not judged:", *(_wrap(f"{key}: {why}", "  ") for key, why in advice.not_applicable.items())]
    parts += ["", "READ THIS TOO", *(_wrap(note, "  ") for note in advice.notes)]
    return "\n".join(parts) + "\n"


def _strategy(one: Recommendation) -> list[str]:
    name = one.key + (" (the guide's)" if one.guide else "")
    lines = [f"{one.rank}. {name}, tier {one.tier}: {_spelled(one.strategy)}"]
    lines += [_wrap(claim.sentence, "   ") for claim in one.claims]
    by = "chooses without attention" if one.online else "chooses by attention"
    lines.append(_wrap(f"Positions: {one.positions}; {by}. Falsified by {one.falsified_by}.", "   "))
    if one.measured is not None:
        lines.append(_wrap(_measured(one.measured), "   "))
    if one.command is not None:
        lines.append(f"   Try it: {one.command}")
    return lines


def _measured(trial: MeasuredTrial) -> str:
    safe = "safe by this trial" if trial.verdict == "non-inferior" else "not shown to be safe"
    where = f" (job {trial.job})" if trial.job else ""
    positions = f", positions {trial.positions}" if trial.positions else ""
    return f"Measured{where}{positions}: return retained {trial.return_retained}, {trial.verdict}: {safe}."


def _spelled(spec: dict[str, object]) -> str:
    parameters = ", ".join(
        f"{name} {_spelled(value) if isinstance(value, dict) else value}"
        for name, value in spec.items()
        if name != "name"
    )
    return f"{spec['name']} ({parameters})" if parameters else str(spec["name"])


def _wrap(text: str, indent: str = "") -> str:
    return fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False)


def _known(value: Any) -> Any:  # noqa: ANN401 - anything JSON
    """Return the value with null where a number is not known."""
    if isinstance(value, dict):
        return {name: _known(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_known(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
