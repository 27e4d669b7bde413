"""The tables of the second study's page, computed from published arrays and put between its marks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.study2.measures import (
    Loss,
    Ranked,
    best_kept,
    better_positions,
    by_positions,
    by_task,
    confirmed,
    dips,
    kept_of,
    regrets,
    within_budgets,
    within_rules,
)
from benchmarks.study2.published import Published
from benchmarks.study2.subjects import SUBJECTS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "compression-study-2.md"

LEAST_WITHIN = 0.6
MOST_REGRET = 0.05
FAILED_REGRET = 0.10
HOLDS = 0.95
NEAR_ALL = 0.90


def tables(policies: Sequence[Published]) -> dict[str, str]:
    """Return every table of the page by the name of its mark."""
    return {
        "picks": table(
            (
                "policy",
                "count",
                "the race's pick",
                "kept on fresh rollouts",
                "worst and best task",
                "confirmed, 10 seeds",
            ),
            (line for policy in policies for line in _picks(policy)),
        ),
        "ranks": table(
            (
                "policy",
                "earn",
                "within a rule: TV-live",
                "ceiling",
                "within a budget: TV-live",
                "signed",
                "retained",
                "ceiling",
            ),
            (_ranks(policy) for policy in policies),
        ),
        "regrets": table(
            (
                "policy",
                "the race's pick",
                "first by TV-live",
                "first by signed",
                "first by retained",
                "recency",
                "best arm keeps",
            ),
            (_regrets(policy) for policy in policies),
        ),
        "afterwards": table(
            ("policy", "in a rule: signed", "retained", "better positions by TV-live", "by signed", "keep", "reindex"),
            (_afterwards(policy) for policy in policies),
        ),
        "claims": "\n".join(f"{number}. {line}" for number, line in enumerate(claims(policies), 1)),
    }


def claims(policies: Sequence[Published]) -> list[str]:
    """Return what became of every registered claim, in its order."""
    within = {policy.subject.key: within_rules(policy).found.value for policy in policies}
    signed = {policy.subject.key: within_budgets(policy)["signed loss"].found.value for policy in policies}
    lost = {policy.subject.key: regrets(policy)["the race's pick"] for policy in policies}
    missing = [subject.key for subject in SUBJECTS if subject.key not in within]
    over = [key for key, loss in lost.items() if loss.value > MOST_REGRET]
    failed = [key for key, loss in lost.items() if loss.high > FAILED_REGRET]
    found = [
        held("Within-rule Spearman of TV-live ≥ .6", within, [k for k, v in within.items() if not v >= LEAST_WITHIN]),
        held("The signed measure is positive within budgets", signed, [k for k, v in signed.items() if not v > 0]),
        f"Regret of the pick ≤ .05: {len(lost) - len(over)} of {len(lost)} policies"
        + (f", not {', '.join(over)}" if over else "")
        + f". Upper limit > .10, failed: {', '.join(failed) or 'none'}.",
        "No arm within 10 %, so that “none holds” is the word: " + _lossy(policies),
        "Dips: " + "; ".join(_dipped(policy) for policy in policies if policy.subject.dips) + ".",
    ]
    return [*found, f"Not finished: {', '.join(missing)}."] if missing else found


def rewritten(page: str, made: dict[str, str]) -> str:
    """Return the page with every table between its marks.

    Raises
    ------
    ValueError
        The page lacks a mark.
    """
    for name, table in made.items():
        pattern = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        if not pattern.search(page):
            raise ValueError(f"the page has no marks for {name}")
        page = pattern.sub(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", page)  # type: ignore[misc]
    return page


def _picks(policy: Published) -> Iterable[tuple[str, ...]]:
    fresh = confirmed(policy)
    for at, (count, arm) in enumerate(zip(policy.subject.counts, policy.picks, strict=True)):
        found, each = kept_of(policy, arm), by_task(policy, arm)
        again = "" if at or fresh is None else f"{interval(fresh.point, fresh.low, fresh.high)}"
        again += "" if at or fresh is None or fresh.low <= HOLDS else ", non-inferior"
        again += "" if at or fresh is None or fresh.high >= HOLDS else ", inferior"
        spread = f"{number(float(each.min()))} … {number(float(each.max()))}"
        yield (
            "" if at else policy.subject.key,
            str(count),
            policy.name(arm),
            interval(found.point, found.low, found.high),
            spread,
            again,
        )


def _ranks(policy: Published) -> tuple[str, ...]:
    within = within_rules(policy)
    ranked = (rank_words(within), number(within.ceiling))
    return (policy.subject.key, f"{policy.gate.earning:.0%}", *ranked, *budget_words(policy))


def budget_words(policy: Published) -> tuple[str, ...]:
    """Return every vote's correlation with cost within budgets, and the ceiling."""
    between = within_budgets(policy)
    three = (between.get(name) for name in ("departure", "signed loss", "retained attention"))
    limit = next(iter(between.values())).ceiling
    return (*("" if one is None else rank_words(one) for one in three), number(limit))


def _afterwards(policy: Published) -> tuple[str, ...]:
    ranked = (rank_words(within_rules(policy, vote)) for vote in ("signed loss", "retained attention"))
    right = (f"{better_positions(policy, vote):.0%}" for vote in ("departure", "signed loss"))
    means = (number(value) for value in by_positions(policy).values())
    return (policy.subject.key, *ranked, *right, *means)


def _regrets(policy: Published) -> tuple[str, ...]:
    found = regrets(policy)
    names = (
        "the race's pick",
        *(f"first by {vote}" for vote in ("departure", "signed loss", "retained attention")),
        "recency",
    )
    losses = (loss_words(found[name]) if name in found else "" for name in names)
    return (policy.subject.key, *losses, number(best_kept(policy)))


def held(claim: str, values: dict[str, float], without: list[str]) -> str:
    """Return on how many policies a claim holds, and where it does not."""
    listed = ", ".join(f"{key} {number(values[key])}" for key in without)
    return f"{claim}: {len(values) - len(without)} of {len(values)} policies" + (f"; not {listed}." if listed else ".")


def _lossy(policies: Sequence[Published]) -> str:
    lossy = [policy for policy in policies if best_kept(policy) < NEAR_ALL]
    if not lossy:
        return "no policy."
    said = []
    for policy in lossy:
        fresh = confirmed(policy)
        words = "not confirmed" if fresh is None else "below .95 as claimed" if fresh.high < HOLDS else "not below .95"
        said.append(f"{policy.subject.key} (best arm {number(best_kept(policy))}; {words})")
    return "; ".join(said) + "."


def _dipped(policy: Published) -> str:
    found = [f"{place} {', '.join(map(str, counts))}" for place, counts in dips(policy).items() if counts]
    return f"{policy.subject.key}: {' and '.join(found) or 'none'}"


def table(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table of Markdown."""
    rows = [columns, ["---"] * len(columns), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def rank_words(ranked: Ranked) -> str:
    """Return a correlation with its interval."""
    return interval(ranked.found.value, ranked.found.low, ranked.found.high)


def loss_words(loss: Loss) -> str:
    """Return a loss with its interval."""
    return interval(loss.value, loss.low, loss.high)


def interval(value: float, low: float, high: float) -> str:
    """Return a number with its interval."""
    return f"{number(value)} [{number(low)}, {number(high)}]"


def number(value: float) -> str:
    """Return a number of two digits, or that there is none."""
    if np.isnan(value):
        return "–"
    if np.isinf(value):
        return "no limit"
    return f"{value + 0.0:.2f}".replace("-0.00", "0.00")
