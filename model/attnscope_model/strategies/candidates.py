"""Forms of a rule that advice ranks: a rule's file declares them, and no list elsewhere names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from attnscope_model.strategies.base import Form, Strategy
from attnscope_model.strategies.errors import StrategyPackageError
from attnscope_model.strategies.fitting import looks_at_attention
from attnscope_model.strategies.registry import build, strategies

BETWEEN_SELECTIONS: Final = 10
"""Decisions between two selections of a rule that looks at attention: most decisions then run on the short context."""


@dataclass(frozen=True)
class Candidate:
    """One form of a rule with the parameters that may be chosen for it; the first choice is the default."""

    key: str
    """Name in lists; the form's own where a rule has several."""
    choices: tuple[Strategy, ...]
    guide: bool = False
    """True where it is one of the guide's three, which are always ranked."""
    every: int | None = None
    """The interval that its rule declares."""

    @property
    def online(self) -> bool:
        """True where it can be applied at every step without attention to the whole context."""
        return not any(looks_at_attention(rule) for rule in self.choices)

    @property
    def interval(self) -> int:
        """Decisions between two selections at which a stateless context can deploy it; 1 selects at every decision."""
        return self.every or (1 if self.online else BETWEEN_SELECTIONS)


def candidates_of(kind: type[Strategy]) -> tuple[Candidate, ...]:
    """Return the candidates that a rule declares; an oracle can only be a bound and has none.

    Raises
    ------
    StrategyPackageError
        A form cannot be made: it has an unknown parameter, or one out of range.
    """
    declared: tuple[Form, ...] = vars(kind).get("forms", (Form(),))  # a parent's forms are the parent's
    found = (
        Candidate(form.key or kind.name, tuple(_made(kind, one) for one in form.choices), form.guide, form.interval)
        for form in declared
    )
    return tuple(one for one in found if all(rule.oracle_reason is None for rule in one.choices))


def candidates(kinds: Iterable[type[Strategy]] | None = None) -> tuple[Candidate, ...]:
    """Return the candidates of every rule, in the order of the list of rules.

    Parameters
    ----------
    kinds
        The rules; None takes those of this distribution and of installed packages.

    Raises
    ------
    StrategyPackageError
        A form cannot be made, or two forms have one key.
    """
    found: dict[str, Candidate] = {}
    for kind in strategies().values() if kinds is None else kinds:
        for candidate in candidates_of(kind):
            if candidate.key in found:
                raise StrategyPackageError(f"{kind.name} has a form {candidate.key}, a key that is taken")
            found[candidate.key] = candidate
    return tuple(found.values())


def _made(kind: type[Strategy], choice: Mapping[str, Any]) -> Strategy:
    """Return the rule of a form's choice."""
    try:
        return build(kind.name, choice)
    except ValueError as error:
        raise StrategyPackageError(f"{kind.name} has a form that cannot be made: {error}") from error
