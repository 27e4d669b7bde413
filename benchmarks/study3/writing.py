"""The tables and figures of the third study's page, computed from published arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from attnscope_storage.proposing import Doubts, doubts_of
from benchmarks.study2.drawing import drawn, kept, ranks, regret
from benchmarks.study2.measures import (
    better_positions,
    by_task,
    halves_agree,
    kept_of,
    regrets,
    within_rules,
)
from benchmarks.study2.published import FOLDER as SECOND
from benchmarks.study2.published import Published, published
from benchmarks.study2.subjects import DIP_COUNTS, POSITIONS
from benchmarks.study2.writing import (
    FAILED_REGRET,
    HOLDS,
    LEAST_WITHIN,
    MOST_REGRET,
    budget_words,
    held,
    interval,
    loss_words,
    number,
    rank_words,
    rewritten,
    table,
)
from benchmarks.study3 import lengths
from benchmarks.study3.lengths import TRAINED, Lengths
from benchmarks.study3.subjects import STANDS, SUBJECTS

FOLDER: Final = SECOND.parent / "third"
PAGE: Final = SECOND.parents[1] / "compression-study-3.md"
CAPTION: Final = "Computed from docs/study/third by python -m benchmarks.study3 write; 95 % intervals."
HALF: Final = 0.5
MOST_DRAWN: Final = 2.5
"""Kept share at the upper edge of the figure: two policies gain by a shorter context."""


def write() -> list[Path]:
    """Write the page's tables and draw its figures; return the figures' paths."""
    policies = read()
    made = tables(policies, lengths.read(FOLDER))
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8"), made), encoding="utf-8")
    return draw(policies)


def draw(policies: Sequence[Published]) -> list[Path]:
    """Draw the page's figures and return their paths."""
    inside = ("departure", "signed loss")
    return drawn(
        {
            "third-kept": kept(policies, CAPTION, MOST_DRAWN),
            "third-ranks": ranks(policies, CAPTION, inside),
            "third-regret": regret(policies, CAPTION),
        }
    )


def read() -> list[Published]:
    """Return every published policy, in the order of the registration."""
    return published(FOLDER, SUBJECTS, STANDS)


def doubted(policy: Published) -> Doubts:
    """Return the numbers by which a screen of these arms doubts itself."""
    return doubts_of(policy.votes, policy.rules, range(len(policy.arms)))


def tables(policies: Sequence[Published], trained: Lengths | None) -> dict[str, str]:
    """Return every table of the page by the name of its mark.

    Parameters
    ----------
    trained
        The policy with trained lengths; None where it was not screened.
    """
    return {
        "picks": table(
            ("policy", "count", "the race's pick", "kept on the board", "worst and best task"),
            (line for policy in policies for line in _picks(policy)),
        ),
        "ranks": table(
            (
                "policy",
                "earn",
                "agreement",
                "still",
                "in a rule: TV-live",
                "signed loss",
                "ceiling",
                "better positions by TV-live",
                "by signed loss",
                "halves agree",
            ),
            map(_ranks, policies),
        ),
        "votes": table(
            ("policy", "within a budget: TV-live", "signed loss", "retained attention", "ceiling"),
            ((policy.subject.key, *budget_words(policy)) for policy in policies),
        ),
        "regrets": table(
            (
                "policy",
                "the race's pick",
                "first by TV-live",
                "first by signed",
                "first by retained",
                "best of the votes' first three",
                "recency",
            ),
            map(_regrets, policies),
        ),
        "lengths": table(("transitions", "TV-live, keep", "reindex", "kept, keep", "reindex"), _lengths(trained)),
        "claims": "\n".join(f"{place}. {line}" for place, line in enumerate(claims(policies, trained), 1)),
    }


def claims(policies: Sequence[Published], trained: Lengths | None) -> list[str]:
    """Return what became of every registered claim, in its order."""
    within = {policy.subject.key: within_rules(policy, STANDS).found.value for policy in policies}
    right = {policy.subject.key: better_positions(policy, STANDS) for policy in policies}
    means = [float(np.mean([better_positions(policy, vote) for policy in policies])) for vote in (STANDS, "departure")]
    lost = {policy.subject.key: regrets(policy)["the race's pick"] for policy in policies}
    over = [key for key, loss in lost.items() if loss.value > MOST_REGRET]
    failed = [key for key, loss in lost.items() if loss.high > FAILED_REGRET]
    missing = [subject.key for subject in SUBJECTS if subject.key not in within]
    found = [
        held(
            "Within-rule Spearman of signed loss ≥ .6", within, [k for k, v in within.items() if not v >= LEAST_WITHIN]
        ),
        held(
            "Signed loss prefers the better positions in half of the pairs or more",
            right,
            [k for k, v in right.items() if not v >= HALF],
        )
        + f" Mean over policies: {means[0]:.0%}, by TV-live {means[1]:.0%}.",
        f"Regret of the pick ≤ .05: {len(lost) - len(over)} of {len(lost)} policies"
        + (f", not {', '.join(over)}" if over else "")
        + f". Upper limit > .10, failed: {', '.join(failed) or 'none'}.",
        _doubt(policies),
        *([] if trained is None else [_dipped(trained)]),
    ]
    return [*found, f"Not finished: {', '.join(missing)}."] if missing else found


def _doubt(policies: Sequence[Published]) -> str:
    doubt = {policy.subject.key: doubted(policy) for policy in policies}
    says = [key for key, one in doubt.items() if one.disagree or one.too_still]
    bad = [policy.subject.key for policy in policies if not within_rules(policy).found.value >= LEAST_WITHIN]
    missed, cried = [key for key in bad if key not in says], [key for key in says if key not in bad]
    return (
        f"The screen doubts itself on {', '.join(says) or 'none'}; TV-live is under .6 within rules on "
        f"{', '.join(bad) or 'none'}. Missed: {', '.join(missed) or 'none'}; in vain: {', '.join(cried) or 'none'}."
    )


def _dipped(trained: Lengths) -> str:
    """Return the dips that were found, and the trained counts that keep more than both neighbours."""
    listed = {place: ", ".join(map(str, counts)) or "none" for place, counts in trained.dips().items()}
    more = {place: ", ".join(map(str, trained.better(place))) or "none" for place in listed}
    return (
        "Trained lengths: "
        + "; ".join(
            f"under {place} dips at {listed[place]}, more kept than at both neighbours at {more[place]}"
            for place in listed
        )
        + "."
    )


def _lengths(trained: Lengths | None) -> Iterable[tuple[str, ...]]:
    if trained is None:
        return
    departure, kept = trained.departures(), trained.kept()
    for at, count in enumerate(DIP_COUNTS):
        shares = (number(kept[place][count]) if count in kept[place] else "" for place in POSITIONS)
        mark = " (trained)" if count in TRAINED else ""
        yield f"{count}{mark}", *(f"{departure[place][at]:.3f}" for place in POSITIONS), *shares


def _picks(policy: Published) -> Iterable[tuple[str, ...]]:
    for at, (count, arm) in enumerate(zip(policy.subject.counts, policy.picks, strict=True)):
        found, each = kept_of(policy, arm), by_task(policy, arm)
        words = interval(found.point, found.low, found.high)
        words += ", non-inferior" if found.low > HOLDS else ", inferior" if found.high < HOLDS else ""
        spread = f"{number(float(each.min()))} … {number(float(each.max()))}"
        yield "" if at else policy.subject.key, str(count), policy.name(arm), words, spread


def _ranks(policy: Published) -> tuple[str, ...]:
    own, doubt = [within_rules(policy, vote) for vote in ("departure", STANDS)], doubted(policy)
    right = (f"{better_positions(policy, vote):.0%}" for vote in ("departure", STANDS))
    share = (number(doubt.agreement), f"{doubt.still:.0%}")
    return (
        policy.subject.key,
        f"{policy.gate.earning:.0%}",
        *share,
        *map(rank_words, own),
        number(own[0].ceiling),
        *right,
        f"{halves_agree(policy):.0%}",
    )


def _regrets(policy: Published) -> tuple[str, ...]:
    found = regrets(policy)
    votes = (f"first by {vote}" for vote in ("departure", "signed loss", "retained attention"))
    names = ("the race's pick", *votes, "best of the votes' first three", "recency")
    return (policy.subject.key, *(loss_words(found[name]) if name in found else "" for name in names))


__all__ = ["FOLDER", "PAGE", "claims", "doubted", "draw", "read", "tables", "write"]
