"""Advice, as a value and in words. Every number comes from a claim or a table; nothing is computed here."""

from __future__ import annotations

import html
from dataclasses import dataclass
from textwrap import fill
from typing import Any, Final, Literal

from attnscope.documents import document
from attnscope.recommendations.claims import Claim
from attnscope.recommendations.lead import Lead
from attnscope.recommendations.proposing import Proposed
from attnscope.recommendations.results import Pattern, Recommendation
from attnscope.recommendations.table import Table

WIDTH: Final = 110
"""Columns of the text."""

DESCRIPTION: Final = "ATTENTION, A DESCRIPTION: where the policy looks, which predicts no cost"

SHOWN: Final = ("recency.10", "positions", "anchor.rewarded", "anchor.named", "recency.absent", "positions.absent")
"""Claims of patterns that the text shows; the JSON has all."""

FOR_ONE: Final = "FOR ONE ANSWER"
"""Heading of the commands where a trial was measured."""

BASIS: Final = ("narrowed", "sample")
"""Claims of the basis that the text shows beside the source."""


@dataclass(frozen=True)
class Advice:
    """Everything that is known about compressing a policy's context. Print it, or show it in a notebook."""

    checkpoint: str
    environment: str
    job: str
    verdict: Literal["selective", "flat", "undecided", "no gain", "no rule", "not read"]
    """The answer of attention about rules: ``selective`` where one beats evenly spaced tokens; no word on cost.
    ``no rule`` where none can be applied to the policy, ``not read`` where no decision row is stored."""
    lead: Lead
    """The answer, else the screen, else what would give an answer."""
    table: Table
    headline: tuple[Claim, ...]
    basis: tuple[Claim, ...]
    """The origin of the advice, and the extent of the reading."""
    patterns: tuple[Pattern, ...]
    recommendations: tuple[Recommendation, ...]
    """Rules by the attention that they keep, those that can be deployed first."""
    not_applicable: dict[str, str]
    """Strategies that this capture cannot judge, and why."""
    notes: tuple[str, ...]
    proposal: Proposed
    """The rules that a trial would try first."""
    measured: tuple[Claim, ...] = ()
    """The results of trials, and the worth of attention as a predictor of them."""

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Every claim of the advice, in its order."""
        patterns = tuple(one for pattern in self.patterns for one in pattern.claims)
        ranked = tuple(one for recommendation in self.recommendations for one in recommendation.claims)
        return (*self.lead.gate, *self.lead.claims, *self.basis, *self.measured, *self.headline, *patterns, *ranked)

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
            "lead": {
                "kind": self.lead.kind,
                "gate": [one.to_json() for one in self.lead.gate],
                "claims": [one.to_json() for one in self.lead.claims],
                "commands": dict(self.lead.commands),
            },
            "table": {"title": self.table.title, "head": self.table.head, "rows": self.table.rows}
            | {"bounds": self.table.bounds},
            "proposal": self.proposal.to_json(),
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
        return document(self.to_json())

    def __str__(self) -> str:
        """Return the text."""
        return self.text

    def _repr_html_(self) -> str:
        """Return the text for a notebook; nothing in it is trusted as markup."""
        return f'<pre class="attnscope-advice">{html.escape(self.text)}</pre>'


def written(advice: Advice) -> str:
    """Return the whole text, at most 80 lines."""
    shown = [one for one in advice.basis if one.key in BASIS]
    source = [_wrap(one.sentence) for one in advice.basis if one.key == "source"]
    parts = ["Compression recommendations", *source, *(_wrap(one.sentence) for one in advice.lead.gate), ""]
    first, measured = lead_lines(advice.lead, measured=bool(advice.measured)), _measured(advice.measured)
    ordered = (first, measured) if advice.lead.kind == "answer" else (measured, first)
    parts += [line for section in ordered for line in section]
    if not advice.table.empty:
        parts += advice.table.lines()
        parts += [_wrap(advice.table.key)] if advice.table.key else []
    if advice.not_applicable:
        parts.append(_wrap(f"Not judged, for want of what they need: {', '.join(advice.not_applicable)}."))
    parts += ["", DESCRIPTION, *(_wrap(one.sentence) for one in (*shown, *advice.headline))]
    parts += [_wrap(_pattern(one)) for one in advice.patterns]
    return "\n".join([*parts, *map(_wrap, advice.notes)]) + "\n"


def lead_lines(lead: Lead, *, measured: bool = False) -> list[str]:
    """Return a lead as a section of text: heading, sentences, commands, an empty line.

    Parameters
    ----------
    measured
        Whether a trial was measured: then something is known, though there is no answer.
    """
    title = FOR_ONE if measured and lead.kind == "none" else lead.title
    wide = max((len(what) for what, _ in lead.commands), default=0)
    commands = [f"  {what + ':':<{wide + 1}}  {command}" for what, command in lead.commands]
    return [title, *(_wrap(one.sentence) for one in lead.claims), *commands, ""]


def _measured(claims: tuple[Claim, ...]) -> list[str]:
    return ["MEASURED BY TRIAL", *(_wrap(one.sentence) for one in claims), ""] if claims else []


def _pattern(pattern: Pattern) -> str:
    sentences = " ".join(one.sentence for one in pattern.claims if one.key in SHOWN)
    return f"{pattern.name}: {pattern.answer}. {sentences}".rstrip()


def _wrap(text: str) -> str:
    indent = text[: len(text) - len(text.lstrip())]
    return fill(text.strip(), WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False)
