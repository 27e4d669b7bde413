"""The answer as the page draws it: a decision's card and a screen's numbers, as JSON. It judges and computes nothing.

Every number is one that a figure draws too: `screens.panels` and `decisions.columns` give both their data.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from attnscope.decisions.columns import Column, columns, limits
from attnscope.decisions.wording import card_facts
from attnscope.figures.screens.words import subject
from attnscope.screens.board import WORDS, Row
from attnscope.screens.panels import Curves, Grid, curves, grids
from attnscope.screens.results import ScreenResults
from attnscope.screens.sentences import screen_sentences
from attnscope.screens.wording import budget_words, departure_words
from attnscope_storage.wire.specifications.cards import CardLook, DecisionCard

MOST_RULES: Final = 60
"""Rules of a map, and curves, that travel to the page, at most."""

PARTS: Final = ("decision", "screen")
"""Names of the parts of the answer."""

WORD: Final = {"rung": "judged"}
"""Words of facts for readers of the page, where the card's own is a word of the procedure."""


@dataclass(frozen=True)
class Evidence:
    """A decision and a screen, as far as they are committed."""

    card: DecisionCard | None = None
    running: bool = False
    """True while the decision's answer is not there yet."""
    screen: ScreenResults | None = None
    screen_job: str | None = None
    rollouts: tuple[int, int] | None = None
    """Rollouts of the screen that are committed, and all of them."""


def answer_of(evidence: Evidence) -> dict[str, Any]:
    """Return what the page shows of a decision and a screen; None for what there is not."""
    card, screen = evidence.card, evidence.screen
    judged = None if card is None else _decision(card, running=evidence.running)
    screened = None if screen is None else _screen(screen, evidence)
    return dict(zip(PARTS, (judged, screened), strict=True))


def _number(value: float | None) -> float | None:
    """Return a number as JSON knows it: seven digits, and None for what is not finite."""
    return None if value is None or not isfinite(value) else float(f"{value:.7g}")


def _decision(card: DecisionCard, *, running: bool) -> dict[str, Any]:
    """Return a card: its sentence, its facts, its ladder, and the arms that raced."""
    found = columns(card)
    chosen = None if card.chosen is None else card.chosen.name
    rungs = [
        {
            "arm": rung.arm,
            "tokens": rung.tokens,
            "verdict": rung.verdict,
            "words": rung.words,
            "sample": f"{rung.tasks} tasks × {rung.seeds} seeds",
            "chosen": rung.arm == chosen,
        }
        for rung in card.rungs
    ]
    raced = [
        {
            "arm": arm.name,
            "tokens": arm.tokens,
            "departs": _number(arm.departures_per_episode),
            "chosen": arm.name == chosen,
        }
        for arm in card.arms
    ]
    return {
        "job": card.job,
        "policy": f"{card.checkpoint_name} in {card.environment_id}",
        "answer": card.answer,
        "sentence": card.sentence,
        "running": running,
        "scope": f"{card.scope}; margin {100 * card.margin:g} % of the gain over uniform actions",
        "facts": [[WORD.get(word, word), text] for word, text in card_facts(card)],
        "lines": list(card.lines),
        "command": card.command,
        "paste": card.paste,
        "border": 1 - card.margin,
        "limits": [_number(end) for end in limits(found, card.margin)],
        "ladder": [_column(column) for column in found],
        "rungs": rungs,
        "raced": raced,
    }


def _column(column: Column) -> dict[str, Any]:
    """Return one arm with its looks."""
    looks = []
    for look, sample in zip(column.shown, column.samples, strict=True):
        one = {"sample": sample, "verdict": look.verdict, "kept": _number(look.kept)}
        one |= {"low": _number(look.low), "high": _number(look.high)}
        if isinstance(look, CardLook):
            one |= {"score": _number(look.score), "harm": _number(-look.harm)}
            one |= {"safe": _number(look.safe) if look.may_be_safe else None}
        looks.append(one)
    return {"arm": column.arm, "unit": column.unit, "scored": bool(column.looks), "looks": looks}


def _screen(results: ScreenResults, evidence: Evidence) -> dict[str, Any]:
    """Return a screen: its map, its curves, and what must be known beside them."""
    maps = grids(results)
    return {
        "job": evidence.screen_job,
        "rollouts": None if evidence.rollouts is None else list(evidence.rollouts),
        "subject": subject(results),
        "words": WORDS,
        "said": screen_sentences(results),
        "orders": results.orders,
        "measure": vars(departure_words(results.policy.output)),
        "top": _number(max((grid.top for grid in maps), default=0.0) or 1.0),
        "maps": [_grid(grid) for grid in maps],
        "curves": _curves(curves(results)),
    }


def _grid(grid: Grid) -> dict[str, Any]:
    lines = zip(grid.names[:MOST_RULES], grid.cells, strict=False)
    return {
        "title": grid.title,
        "oracle": grid.oracle,
        "budgets": [budget_words(budget) for budget in grid.budgets],
        "rules": [
            {"name": name, "cells": [None if row is None else _cell(row) for row in line]} for name, line in lines
        ],
        "left": max(0, len(grid.names) - MOST_RULES),
    }


def _cell(row: Row) -> dict[str, Any]:
    """Return the numbers of one arm."""
    return {
        "departs": [_number(one) for one in (row.per_episode, row.per_episode_low, row.per_episode_high)],
        "tv": [_number(one) for one in (row.tv_live, row.tv_live_low, row.tv_live_high)],
        "tokens": _number(row.tokens),
        "share": _number(row.share),
        "positions": row.positions,
        "retained": _number(row.retained),
        "cost": _number(row.predicted_cost),
    }


def _curves(found: Curves) -> dict[str, Any]:
    """Return departures of live decisions against tokens, rule by rule."""
    rules = [
        {
            "name": name,
            "lines": [
                {
                    "positions": place,
                    "points": [
                        {
                            "tokens": _number(row.tokens),
                            "tv": [_number(one) for one in (row.tv_live, row.tv_live_low, row.tv_live_high)],
                            "budget": budget_words(row.budget),
                            "dip": row.arm in found.dips,
                        }
                        for row in rows
                        if row.positions == place
                    ],
                }
                for place in found.positions
                if any(row.positions == place for row in rows)
            ],
        }
        for name, rows in list(found.rules.items())[:MOST_RULES]
    ]
    return {"positions": list(found.positions), "rules": rules}
