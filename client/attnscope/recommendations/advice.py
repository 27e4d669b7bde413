"""From a capture, and what is known beside it, to advice: one lead, one table, and a description of attention."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attnscope.capture import Capture
from attnscope.decisions.decision import Decision
from attnscope.kinds.trial import VIEW
from attnscope.recommendations.attention.basis import gather, unread
from attnscope.recommendations.attention.candidates import applicable
from attnscope.recommendations.attention.decisions import one_of
from attnscope.recommendations.attention.evaluation import split_rollouts
from attnscope.recommendations.attention.expense import flops_saved, position_policy
from attnscope.recommendations.attention.ranking import Judged, choose, judge
from attnscope.recommendations.beside import Beside, beside_of
from attnscope.recommendations.commands import trial_command
from attnscope.recommendations.gate import gate_of
from attnscope.recommendations.lead import Lead, lead_of, why_unproposed
from attnscope.recommendations.measured import (
    conditions,
    find_measured,
    lead_of_trials,
    measured_first,
    score_claims,
    score_of,
)
from attnscope.recommendations.patterns import patterns
from attnscope.recommendations.proposing import proposed
from attnscope.recommendations.results import MeasuredTrial, Recommendation
from attnscope.recommendations.screened import Best, best_arms
from attnscope.recommendations.sentences import basis, falsified, headline, notes, why
from attnscope.recommendations.table import Table, attention_table, screen_table
from attnscope.recommendations.text import Advice
from attnscope.recommendations.unread import advice_beside
from attnscope.screens.results import ScreenResults
from attnscope.screens.screen import Screen
from attnscope.study import Choice, Study, study
from attnscope.trials.results import TrialResults
from attnscope_storage.wire import Capabilities
from attnscope_storage.wire.specifications.decisions import DecisionCard


def recommend(
    capture: Capture,
    *,
    budget: float | None = None,
    trials: Sequence[MeasuredTrial | TrialResults] = (),
    screen: Screen | ScreenResults | None = None,
    decision: Decision | DecisionCard | None = None,
    capabilities: Capabilities | None = None,
    full: bool = False,
    envs: tuple[int, ...] | None = None,
    steps: int | None = None,
) -> Advice:
    """Return what is known about compressing a policy's context; also of a running capture.

    A decision leads, else a screen, else the command that gives an answer. Attention is the description behind them.

    Parameters
    ----------
    capture
        With decision rows; it may still be running.
    budget
        Share of the history that rules are compared at by attention; None finds the smallest at which one keeps 80 %.
    trials
        Trials of the same checkpoint, or single measured conditions of them; a whole trial scores attention too.
    screen
        Of the capture, or of another one of its policy.
    decision
        On the same checkpoint and environment.
    capabilities
        Of the service; where it lists trials, each strategy comes with the command that tries it.
    full
        Read the rows of every step and judge every decision, not a sample.
    envs
        Places among the stored environments that count; None takes all.
    steps
        Only so many environment steps from the beginning count; None takes all that is committed.

    Raises
    ------
    NotCapturedError
        The capture has no decision rows, or none yet, and there is neither a screen nor a decision; or it lacks an
        environment that is asked for.
    NotMeasurableError
        The decision, the screen or a trial is of another checkpoint.

    Examples
    --------
    >>> advice = attnscope.recommend(capture)
    >>> advice.recommendations[0].rank
    1
    """
    read = study(capture, Choice(envs=envs, steps=steps, full=full))
    beside = beside_of(capture, decision, screen)
    return recommend_from(read, budget=budget, trials=trials, beside=beside, capabilities=capabilities)


def recommend_from(
    read: Study,
    *,
    budget: float | None = None,
    trials: Sequence[MeasuredTrial | TrialResults] = (),
    beside: Beside | None = None,
    capabilities: Capabilities | None = None,
) -> Advice:
    """Return the advice that follows from a study; a report gives its own, so that both rest on one reading.

    Parameters
    ----------
    read
        The study of a capture, or of a part of it.
    budget
        Share of the history that rules are compared at by attention; None finds the smallest at which one keeps 80 %.
    trials
        Measured results: they stand before attention, and a whole trial scores it.
    beside
        A decision and a screen of the same policy.
    capabilities
        Of the service; where it lists trials, each strategy comes with the command that tries it.

    Returns
    -------
    Advice
        The lead, one table of rules, and the attention behind it.

    Raises
    ------
    NotCapturedError
        The capture has no decision rows, or none yet, and there is neither a screen nor a decision.
    """
    gate, beside = gate_of(read), beside or Beside()
    best = [] if beside.screen is None else best_arms(beside.screen)
    if (why := unread(read)) is not None and (beside.screen is not None or beside.answered):
        return advice_beside(read, why, gate, beside, best, trials)
    found = gather(read)
    capture, decisions = read.capture, found.decisions
    candidates, refused = applicable(one_of(decisions.view), capture.policy)
    whole = capture.policy.why_whole
    ranks = gate.ranks and whole is None
    task = read.reading.task[read.reading.row_envs]
    choosing, judging, how = split_rollouts(task)
    kept, rules = choose(candidates, decisions.of(choosing) if len(choosing) else None, budget)
    judged, verdict = judge(candidates, rules, kept, decisions.of(judging), task[judging], ranks=ranks)
    known = conditions(trials)
    positions, _ = position_policy(capture.policy)
    tried = {one.candidate.key: find_measured(known, one.rule.spec, kept, positions) for one in judged}
    measured = {key: trial for key, trial in tried.items() if trial is not None}
    ordered = measured_first(judged, measured) if ranks else judged
    tries = capabilities is not None and VIEW.kind in capabilities.job_kinds
    offered = tries and whole is None and kept < 1  # 1 compresses nothing
    ranked = tuple(
        _recommendation(rank if ranks else None, one, kept, capture, measured.get(one.candidate.key), offered=offered)
        for rank, one in enumerate(ordered, start=1)
    )
    scored = score_of(found, trials)
    return Advice(
        checkpoint=capture.resolved.checkpoint_name,
        environment=capture.resolved.environment_id,
        job=capture.job,
        verdict=verdict if whole is None else "no rule",
        lead=lead_of(capture, gate, beside, best),
        table=_table(beside, best, known, ranked, measured, ranks=ranks, whole=whole is not None),
        headline=headline(judged, verdict, kept, read),
        basis=basis(read, decisions, how, judged[0].retained.scope),
        patterns=patterns(read),
        recommendations=ranked,
        not_applicable=refused,
        notes=notes(capture.policy),
        proposal=proposed(gate, beside.screen, best, ranked, why_unproposed(capture.policy, beside.screen)),
        measured=(*lead_of_trials(trials), *(() if scored is None else score_claims(scored))),
    )


def _table(
    beside: Beside,
    best: list[Best],
    known: list[MeasuredTrial],
    ranked: tuple[Recommendation, ...],
    measured: dict[str, MeasuredTrial],
    *,
    ranks: bool,
    whole: bool,
) -> Table:
    """Return the one table: of the screen where there is one, else of attention."""
    if beside.screen is None or not best:
        return attention_table(ranked, measured, ranked=ranks, whole=whole)
    output = beside.screen.policy.output
    return screen_table(best, known, output, ranked=ranks and beside.screen.orders, decided=beside.answered)


def lead_beside(read: Study, beside: Beside) -> Lead:
    """Return the lead alone, for a capture whose attention says nothing."""
    best = [] if beside.screen is None else best_arms(beside.screen)
    return lead_of(read.capture, gate_of(read), beside, best)


def _recommendation(
    rank: int | None,
    one: Judged,
    budget: float,
    capture: Capture,
    measured: MeasuredTrial | None,
    *,
    offered: bool,
) -> Recommendation:
    policy, outcome = capture.policy, one.outcome
    per = policy.tokens_per_transition
    tokens, share = float(np.nanmean(outcome.tokens)), float(np.nanmean(outcome.share))
    saved = flops_saved(policy, float(policy.transitions * per + 1), policy.transitions * share * per + 1)
    positions, _ = position_policy(policy)
    return Recommendation(
        rank=rank,
        tier=one.tier,
        key=one.candidate.key,
        strategy=one.rule.spec,
        budget=budget,
        tokens=tokens,
        share=share,
        retained=one.retained,
        lift=one.lift,
        excess=one.excess,
        skill=one.skill,
        represented=float(np.nanmean(outcome.represented)),
        worst_head=float(np.nanmean(outcome.worst_head)),
        curve=one.curve,
        flops_saved=saved,
        tokens_saved=1 - share,
        positions=positions,
        online=one.candidate.online,
        oracle=one.oracle,
        interval=one.candidate.interval,
        guide=one.candidate.guide,
        claims=why(one, saved),
        falsified_by=falsified(one),
        command=trial_command(capture, one, budget, positions) if offered else None,
        measured=measured,
    )
