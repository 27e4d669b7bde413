"""The findings of a trial, in sentences, and the table of verdicts as text."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Final

import numpy as np

from attnscope.figures.trials.words import caption_of_trial
from attnscope.trials.answering import answers
from attnscope.trials.arms import arm_sentences
from attnscope.trials.board import Board
from attnscope.trials.naming import name_of, positions_of
from attnscope.trials.outside import NO_INTERVAL
from attnscope.trials.packing import departures_by_age, packing_costs
from attnscope.trials.phases import mean_return
from attnscope.trials.reach import scope_words
from attnscope.trials.row import Row
from attnscope.trials.sameness import same_as
from attnscope.trials.selection import Winner
from attnscope.trials.speed import speed_at
from attnscope.trials.words import binding_words, number, speed_words
from attnscope_model.strategies import StrategyError, strategy
from attnscope_model.strategies.fitting import looks_at_attention

FEW: Final = 0.4
"""Effective budget that is aimed at."""

TWICE: Final = 2.0
"""Speed-up that is aimed at."""

REPEATED: Final = 5
"""Conditions that repeat another and are named, at most."""

WIDTH: Final = 110
"""Columns of the text."""


def trial_findings(board: Board, winner: Winner | None) -> list[str]:
    """Return sentences about a trial, what must be known first at the top."""
    if board.results.has_arms:
        reached = f"{_margin(board)} {board.reach}"
        return [*_warnings(board), *answers(board), *arm_sentences(board), *_outside(board), reached, *_packed(board)]
    judged = board.rows[1:]
    sentences = [*_warnings(board), _baseline(board), f"{_margin(board)} {board.reach}"]
    if winner is not None:
        sentences.append(_won(board, winner))
    sentences += [_cheapest(judged), _against_uniform(judged)]
    fast = _fast(judged)
    sentences += [*fast, *([speed_words(board.results)] if fast else []), *_lost(judged)]
    sentences += [*_repeated(board), *_packed(board), *_outside(board)]
    paired = [row.pairing for row in judged if np.isfinite(row.pairing) and row.condition.strategy != "none"]
    if paired:
        sentences.append(
            f"Pairing: within tasks, compressed and uncompressed returns correlate by {np.median(paired):.2f} (median "
            f"over conditions; {min(paired):.2f} to {max(paired):.2f}); what paths share narrows the intervals."
        )
    return sentences


def _outside(board: Board) -> list[str]:
    """Return a sentence an arm that another program ran."""
    return [one.words for one in board.outside]


def _packed(board: Board) -> list[str]:
    """Return how far each arm that packs its history departs, by the age of the compression."""
    found = []
    for row in board.rows[1:]:
        departs = departures_by_age(board.results, row.condition.index)
        costs = packing_costs(board.results, row.condition.index)
        words = [one for one in (None if departs is None else departs.words, costs) if one is not None]
        found += [f"{name_of(row.condition)} {'; '.join(words)}."] if words else []
    return found


def trial_text(board: Board, winner: Winner | None, more: Sequence[str] = ()) -> str:
    """Return the sentences, more of them if given, and the table of verdicts, with their provenance."""
    scope = scope_words(board.results, board.bootstrap.scope)
    whose = "these checkpoints" if board.results.has_arms else "this checkpoint"
    lines = [
        f"What compression cost, for {whose} and {scope.removeprefix('for ')}",
        caption_of_trial(board),
        "",
    ]
    lines += [
        fill(f"- {sentence}", WIDTH, subsequent_indent="  ") for sentence in [*trial_findings(board, winner), *more]
    ]
    apart = [(one.label, "–", "–", one.share, "–", NO_INTERVAL, "–") for one in board.outside]
    table = [(*COLUMNS,), *map(_cells, board.rows), *apart]
    wide = [max(len(row[index]) for row in table) for index in range(len(COLUMNS))]
    lines += [
        "",
        *("  ".join(cell.ljust(most) for cell, most in zip(row, wide, strict=True)).rstrip() for row in table),
    ]
    return "\n".join([*lines, "", KEY]) + "\n"


COLUMNS: Final = ("condition", "positions", "tokens", "gain kept", "where it binds", "verdict", "vs uniform")

KEY: Final = """jointly: with all conditions judged at once; where it binds: from the first episode on in which the
budget drops anything; ° oracle; † few degrees of freedom; vs uniform: share of the gain kept beyond what as many
evenly spaced tokens keep; after inconclusive: what would decide, at both ends of the 80 % interval."""


def _cells(row: Row) -> tuple[str, ...]:
    return (
        (row.name + (" °" if row.condition.oracle else ""))[: 40 if row.condition.checkpoint_name is None else 90],
        positions_of(row.condition),
        f"{row.share.value:.0%}",
        number(row.verdict.kept),
        binding_words(row),
        row.words,
        number(row.over_uniform),
    )


def attends(row: Row) -> bool:
    """Return True where a strategy of this installation chooses by attention, itself or by what it wraps."""
    try:
        rule = strategy(row.condition.strategy, **row.condition.parameters)
    except StrategyError:
        return False
    return looks_at_attention(rule)


def _warnings(board: Board) -> list[str]:
    results, warnings = board.results, []
    if not results.complete:
        warnings.append(f"Still running: {results.committed} of {len(results.resolved.conditions)} conditions.")
    reason = board.rows[0].verdict.reason
    if reason is not None:
        warnings.append(f"Nothing can be judged: {reason}.")
    elif not board.bootstrap.informative:
        warnings.append("One rollout has no interval: more seeds are needed for any verdict.")
    return warnings


def _baseline(board: Board) -> str:
    results = board.results
    parts = [board.bootstrap.mean(mean_return(results, 0, phase)) for phase in ("all", "late")]
    beside = ""
    if np.isfinite(results.random_return).all():
        beside = f"; uniform actions get {results.random_return.mean():.2f}"
    if np.isfinite(results.optimal_return).all():
        beside += f", the best possible is {results.optimal_return.mean():.2f}"
    return (
        f"Uncompressed: a return of {number(parts[0])} an episode, {number(parts[1])} in the last third of "
        f"{results.spec.episodes} episodes{beside}."
    )


def _margin(board: Board) -> str:
    judged = [row for row in board.rows[1:] if row.condition.against != row.condition.index]
    words = [row.verdict.word for row in judged]
    counts = ", ".join(f"{words.count(word)} {word}" for word in ("non-inferior", "inferior", "inconclusive"))
    jointly = sum(row.verdict.jointly for row in judged)
    beside = "reference" if board.results.has_arms else "uncompressed"
    return (
        f"At a margin of {board.results.spec.margin:.0%} of ({beside} − uniform actions), {len(words)} conditions: "
        f"{counts}; {jointly} of the verdicts hold with all conditions judged at once."
    )


def _won(board: Board, winner: Winner) -> str:
    row = board.rows[winner.condition]
    return (
        f"Chosen ({winner.why}; {winner.how}): {row.name}, positions {row.condition.positions}, {row.share.value:.0%} "
        f"of the tokens. On the rollouts that did not choose it keeps {number(winner.verdict.kept)} of the gain: "
        f"{winner.verdict.word}{f' ({winner.verdict.needs})' if winner.verdict.needs else ''}."
    )


def _cheapest(judged: tuple[Row, ...]) -> str:
    real = [row for row in judged if not row.condition.oracle and row.condition.strategy != "none"]
    held = sorted((row for row in real if row.verdict.word == "non-inferior"), key=lambda row: row.share.value)
    jointly = [row for row in held if row.verdict.jointly]
    first = "None was found non-inferior."
    if jointly:
        first = f"Fewest tokens of those that are non-inferior jointly: {_named(jointly[0])}."
    if held and held[0] not in jointly[:1]:
        first = f"{first if jointly else ''} Fewest of those that are so by themselves only: {_named(held[0])}.".strip()
    if held and held[0].share.value <= FEW:
        return first
    few = [row for row in real if row.share.value <= FEW and np.isfinite(row.verdict.kept.value)]
    if not few:
        return f"{first} Nothing with {FEW:.0%} of the tokens or fewer was tried."
    near = max(few, key=lambda row: row.verdict.kept.value)
    return f"{first} With {FEW:.0%} of the tokens or fewer the nearest is {_named(near)}, {near.verdict.words}."


def _against_uniform(judged: tuple[Row, ...]) -> str:
    found = [row for row in judged if row.over_uniform is not None and attends(row)]
    if not found:
        return "No condition that chooses by attention can be compared with evenly spaced tokens."
    apart = [row.over_uniform for row in found if row.over_uniform is not None]
    above, below = sum(one.low > 0 for one in apart), sum(one.high < 0 for one in apart)
    mean = float(np.mean([one.value for one in apart]))
    return (
        f"Of {len(found)} conditions that choose by attention, {above} keep more than as many evenly spaced tokens "
        f"and {below} less; the rest cannot be told apart (mean difference {mean:+.2f} of the gain)."
    )


def _fast(judged: tuple[Row, ...]) -> list[str]:
    timed = [(row, speed) for row in judged if (speed := speed_at(row.speeds)) and not row.condition.oracle]
    if not timed:
        return []
    envs = timed[0][1].envs
    quick = [(row, speed) for row, speed in timed if speed.ratio >= TWICE and row.condition.strategy != "none"]
    when = f"at {envs} environments with a full context"
    if not quick:
        row, speed = max(timed, key=lambda one: one[1].ratio)
        return [f"No condition is {TWICE:g} times as fast {when}; {row.name} reaches {speed.ratio:.2f}."]
    row, speed = max(quick, key=lambda one: (one[0].share.value, one[0].verdict.kept.value))
    spread = f"({speed.ratio:.2f} times, {speed.low:.2f} to {speed.high:.2f} over rounds)"
    return [f"{TWICE:g} times as fast {when}, its own work included: {_named(row)} {spread}."]


def _lost(judged: tuple[Row, ...]) -> list[str]:
    safe = [row for row in judged if row.verdict.word == "non-inferior" and row.tasks.lost]
    names = ", ".join(f"{row.name} ({len(row.tasks.lost)} of {len(row.tasks.succeeded)})" for row in safe[:5])
    return [f"Non-inferior on average, yet with tasks lost: {names}."] if safe else []


def _repeated(board: Board) -> list[str]:
    """Return which conditions are one by several names; each correlation counts them once."""
    same = same_as(board.results)
    names = [f"{board.rows[one].name} ({board.rows[first].name})" for one, first in same.items()]
    more = f" and {len(names) - REPEATED} more" if len(names) > REPEATED else ""
    return [f"Kept and did the same as another (in brackets): {', '.join(names[:REPEATED])}{more}."] if names else []


def _named(row: Row) -> str:
    return (
        f"{row.name}, positions {row.condition.positions}, {row.share.value:.0%} of the tokens, keeping "
        f"{number(row.verdict.kept)} of the gain"
    )
