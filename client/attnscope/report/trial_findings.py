"""What a trial shows, in sentences, and the table of verdicts as text."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Final

import numpy as np

from attnscope.figures.trials.words import caption_of_trial
from attnscope.measures.intervals import Estimate
from attnscope.trials.board import Board, Row
from attnscope.trials.phases import mean_return
from attnscope.trials.selection import Winner
from attnscope.trials.speed import speed_at
from attnscope_model.strategies import StrategyError, strategy
from attnscope_model.strategies.fitting import looks_at_attention

FEW: Final = 0.4
"""Effective budget that is aimed at."""

TWICE: Final = 2.0
"""Speed-up that is aimed at."""

WIDTH: Final = 110
"""Columns of the text."""


def trial_findings(board: Board, winner: Winner | None) -> list[str]:
    """Return sentences about a trial, what must be known first at the top."""
    judged = board.rows[1:]
    said = [*_warnings(board), _baseline(board), _margin(board)]
    if winner is not None:
        said.append(_won(board, winner))
    said += [_cheapest(judged), _against_uniform(judged), *_fast(judged), *_lost(judged)]
    paired = [row.pairing for row in judged if np.isfinite(row.pairing) and row.condition.strategy != "none"]
    if paired:
        said.append(
            f"Pairing: within tasks, compressed and uncompressed returns correlate by {np.median(paired):.2f} (median "
            f"over conditions; {min(paired):.2f} to {max(paired):.2f}); what paths share narrows the intervals."
        )
    return said


def number(estimate: Estimate | None) -> str:
    """Return a number with its interval in a few characters."""
    if estimate is None or not np.isfinite(estimate.value):
        return "–"
    if not estimate.has_interval:
        return f"{estimate.value:.2f}"
    unsure = "" if estimate.reliable else " †"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f}{unsure})"


def trial_text(board: Board, winner: Winner | None, more: Sequence[str] = ()) -> str:
    """Return the sentences, more of them if given, and the table of verdicts, with their provenance."""
    lines = ["What compression cost, for this checkpoint and these tasks", caption_of_trial(board), ""]
    lines += [fill(f"- {said}", WIDTH, subsequent_indent="  ") for said in [*trial_findings(board, winner), *more]]
    lines += [
        "",
        f"{'condition':<34}{'positions':<12}{'tokens':>7}  {'gain kept':<22}{'verdict':<29}{'vs uniform':<22}",
    ]
    for row in board.rows:
        name = row.name + (" °" if row.condition.oracle else "")
        verdict = row.verdict.word + ("*" if row.verdict.jointly else "")
        if row.verdict.decides is not None:
            verdict += f", {row.verdict.needs}"
        lines.append(
            f"{name[:33]:<34}{row.condition.positions:<12}{row.share.value:>7.0%}  {number(row.verdict.kept):<22}"
            f"{verdict:<29}{number(row.over_uniform):<22}".rstrip()
        )
    lines += [
        "",
        "* holds with all conditions judged at once; ° oracle; † few degrees of freedom; vs uniform: share of",
    ]
    lines.append("the gain kept beyond what as many evenly spaced tokens keep; after inconclusive: what would decide.")
    return "\n".join(lines) + "\n"


def attends(row: Row) -> bool:
    """Whether a strategy of this installation chooses by attention, itself or by what it wraps."""
    try:
        rule = strategy(row.condition.strategy, **row.condition.parameters)
    except StrategyError:
        return False
    return looks_at_attention(rule)


def _warnings(board: Board) -> list[str]:
    results, said = board.results, []
    if not results.complete:
        said.append(f"Still running: {results.committed} of {len(results.resolved.conditions)} conditions.")
    reason = board.rows[0].verdict.reason
    if reason is not None:
        said.append(f"Nothing can be judged: {reason}.")
    elif not board.bootstrap.informative:
        said.append("One rollout has no interval: more seeds are needed for any verdict.")
    return said


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
    words = [row.verdict.word for row in board.rows[1:]]
    counts = ", ".join(f"{words.count(word)} {word}" for word in ("non-inferior", "inferior", "inconclusive"))
    jointly = sum(row.verdict.jointly for row in board.rows[1:])
    return (
        f"At a margin of {board.results.spec.margin:.0%} of (uncompressed − uniform actions), {len(words)} conditions: "
        f"{counts}; {jointly} of the verdicts hold with all conditions judged at once."
    )


def _won(board: Board, winner: Winner) -> str:
    row = board.rows[winner.condition]
    return (
        f"Chosen ({winner.why}; {winner.how}): {row.name}, positions {row.condition.positions}, {row.share.value:.0%} "
        f"of the tokens. On the rollouts that did not choose it keeps {number(winner.verdict.kept)} of the gain: "
        f"{winner.verdict}."
    )


def _cheapest(judged: tuple[Row, ...]) -> str:
    real = [row for row in judged if not row.condition.oracle and row.condition.strategy != "none"]
    safe = sorted((row for row in real if row.verdict.word == "non-inferior"), key=lambda row: row.share.value)
    first = f"Fewest tokens of a non-inferior one: {_named(safe[0])}." if safe else "None was found non-inferior."
    if safe and safe[0].share.value <= FEW:
        return first
    few = [row for row in real if row.share.value <= FEW and np.isfinite(row.verdict.kept.value)]
    if not few:
        return f"{first} Nothing with {FEW:.0%} of the tokens or fewer was tried."
    near = max(few, key=lambda row: row.verdict.kept.value)
    decides = "" if near.verdict.decides is None else f"; {near.verdict.needs} would decide"
    return f"{first} With {FEW:.0%} of the tokens or fewer the nearest is {_named(near)}, {near.verdict.word}{decides}."


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
    if not quick:
        row, speed = max(timed, key=lambda one: one[1].ratio)
        return [
            f"No condition is {TWICE:g} times as fast at {envs} environments; {row.name} reaches {speed.ratio:.2f}."
        ]
    row, speed = max(quick, key=lambda one: (one[0].share.value, one[0].verdict.kept.value))
    spread = f"({speed.ratio:.2f} times, {speed.low:.2f} to {speed.high:.2f} over rounds)"
    return [f"{TWICE:g} times as fast at {envs} environments, its own work included: {_named(row)} {spread}."]


def _lost(judged: tuple[Row, ...]) -> list[str]:
    safe = [row for row in judged if row.verdict.word == "non-inferior" and row.tasks.lost]
    names = ", ".join(f"{row.name} ({len(row.tasks.lost)} of {len(row.tasks.succeeded)})" for row in safe[:5])
    return [f"Non-inferior on average, yet with tasks lost: {names}."] if safe else []


def _named(row: Row) -> str:
    return (
        f"{row.name}, positions {row.condition.positions}, {row.share.value:.0%} of the tokens, keeping "
        f"{number(row.verdict.kept)} of the gain"
    )
