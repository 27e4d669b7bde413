"""Which strategies are ranked, with the parameters that may be chosen for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from attnscope_model.strategies import ContextView, Strategy, ViewIncompleteError, looks_at_attention, strategy

BUDGETS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
"""Shares of the history that strategies are compared at."""


@dataclass(frozen=True)
class Candidate:
    """One strategy and its choices of parameters; the first is the default."""

    key: str
    """Name in lists; a wrapped strategy's names both."""
    choices: tuple[Strategy, ...]
    guide: bool = False
    """Whether it is one of the guide's three, which are always ranked."""

    @property
    def online(self) -> bool:
        """Whether it can be applied at every step without attention to the whole context, which costs the forward."""
        return not any(looks_at_attention(rule) for rule in self.choices)


def _candidate(key: str, name: str, *choices: Mapping[str, object], guide: bool = False) -> Candidate:
    rules = tuple(strategy(name, **choice) for choice in (choices or ({},)))
    return Candidate(key, rules, guide)


CANDIDATES: Final = (
    _candidate("none", "none"),
    _candidate("recency", "recency"),
    _candidate("uniform", "uniform"),
    _candidate("random", "random"),
    _candidate("sinks", "sinks", {"sinks": 4}, {"sinks": 1}, {"sinks": 8}),
    _candidate("decay", "decay", {"rate": 0.05}, {"rate": 0.02}, {"rate": 0.1}, {"rate": 0.5}),
    _candidate("episodes", "episodes", {"episodes": 2}, {"episodes": 1}, {"episodes": 3}),
    _candidate("anchored-recency", "anchored", {}, {"oldest": True}, {"first_rewarded": True}),
    _candidate("rewards", "rewards", {"share": 0.5}, {"share": 0.25}),
    _candidate("dedup", "dedup"),
    _candidate("relevant", "relevant"),
    _candidate("hierarchical", "hierarchical", guide=True),
    _candidate("pooled-window", "pooled-window", {"summaries": 4}, {"summaries": 2}, {"summaries": 8}, guide=True),
    _candidate("tova", "tova"),
    _candidate("nucleus", "nucleus", {"mass": 0.9}, {"mass": 0.8}, {"mass": 0.95}),
    _candidate("threshold", "threshold", {"lift": 1.0}, {"lift": 2.0}),
    _candidate("snapkv", "snapkv", {"rows": 16}, {"rows": 4, "kernel": 1}, {"rows": 16, "kernel": 1}),
    _candidate("h2o", "h2o", {"recent": 0.5}, {"recent": 0.25}, {"recent": 0.75}),
    _candidate(
        "anchored-h2o",
        "anchored",
        {"inner": {"name": "h2o", "recent": 0.0}},
        {"inner": {"name": "h2o", "recent": 0.25}},
        {"inner": {"name": "h2o", "recent": 0.25}, "oldest": True},
        guide=True,
    ),
    _candidate("redundancy", "redundancy", {"balance": 0.5}, {"balance": 0.8}),
    _candidate("merging", "merging"),
)
"""Everything that is ranked: the guide's three, the blind baselines, and other rules that need no training.

The guide's second (attention-weighted top-K with anchors) is ``anchored-h2o``: accumulated attention is cumulative.
"""


def applicable(view: ContextView) -> tuple[tuple[Candidate, ...], dict[str, str]]:
    """Return the candidates that this view can be judged by, and why each other one cannot."""
    fitting: list[Candidate] = []
    refused: dict[str, str] = {}
    for candidate in CANDIDATES:
        try:
            for rule in candidate.choices:
                rule.plan(view, 1)
        except ViewIncompleteError as error:
            refused[candidate.key] = str(error)
        else:
            fitting.append(candidate)
    return tuple(fitting), refused
