"""The advice in words. Every number comes from a claim; nothing is computed here."""

from __future__ import annotations

from textwrap import fill

from attnscope.recommendations.results import Advice, MeasuredTrial, Recommendation

WIDTH = 110
"""Columns of the text."""

PREDICTED = "STRATEGIES, best first; those of a tier cannot be told apart, and the simplest of them is first"
MEASURED_FIRST = (
    "STRATEGIES: what was measured first, by its verdict and what it keeps; the others as predicted, by tier"
)


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
