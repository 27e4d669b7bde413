"""From a capture to advice: read once, measure, choose on some rollouts, judge on the others, say it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

import numpy as np

from attnscope.capture import Capture
from attnscope.kinds.trial import VIEW
from attnscope.recommendations.basis import gather
from attnscope.recommendations.candidates import applicable
from attnscope.recommendations.decisions import one_of
from attnscope.recommendations.evaluation import split_rollouts
from attnscope.recommendations.expense import flops_saved, position_policy
from attnscope.recommendations.measured import (
    best_measured,
    find_measured,
    measured_first,
    measured_trials,
    score_claims,
    score_of,
)
from attnscope.recommendations.patterns import patterns
from attnscope.recommendations.ranking import Judged, choose, judge
from attnscope.recommendations.results import MeasuredTrial, Recommendation
from attnscope.recommendations.sentences import basis, falsified, headline, notes, why
from attnscope.recommendations.text import Advice
from attnscope.study import Choice, Study, study
from attnscope.trials.results import TrialResults
from attnscope_storage.wire import Capabilities


def recommend(
    capture: Capture,
    *,
    budget: float | None = None,
    trials: Sequence[MeasuredTrial | TrialResults] = (),
    capabilities: Capabilities | None = None,
    full: bool = False,
    envs: tuple[int, ...] | None = None,
    steps: int | None = None,
) -> Advice:
    """Return what a capture says about compressing its policy's context; also of a running job.

    Parameters
    ----------
    capture
        With decision rows; it may still be running.
    budget
        Share of the history that strategies are compared at; None finds the smallest at which one keeps 80 % of the
        attention.
    trials
        What was measured: it stands beside what is predicted and before it, and a whole trial scores the predictions.
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
        The capture has no decision rows, or none yet, or lacks an environment that is asked for.
    """
    read = study(capture, Choice(envs=envs, steps=steps, full=full))
    return recommend_from(read, budget=budget, trials=trials, capabilities=capabilities)


def recommend_from(
    read: Study,
    *,
    budget: float | None = None,
    trials: Sequence[MeasuredTrial | TrialResults] = (),
    capabilities: Capabilities | None = None,
) -> Advice:
    """Return the advice that follows from a study; a report gives its own, so that both rest on one reading.

    Parameters
    ----------
    read
        The study of a capture, or of a part of it.
    budget
        Share of the history that strategies are compared at; None finds the smallest at which one keeps 80 % of the
        attention.
    trials
        Measured results: they stand before predictions, and a whole trial scores these.
    capabilities
        Of the service; where it lists trials, each strategy comes with the command that tries it.

    Returns
    -------
    Advice
        Patterns, ranked strategies, and the claims that they rest on.

    Raises
    ------
    NotCapturedError
        The capture has no decision rows, or none yet.
    """
    found = gather(read)
    capture, decisions = read.capture, found.decisions
    task = read.reading.task[read.reading.row_envs]
    candidates, refused = applicable(one_of(decisions.view))
    choosing, judging, how = split_rollouts(task)
    kept, rules = choose(candidates, decisions.of(choosing) if len(choosing) else None, budget)
    judged, verdict = judge(candidates, rules, kept, decisions.of(judging), task[judging])
    resolved = capture.resolved
    command = _Commands(capture, capabilities)
    positions, _ = position_policy(capture.policy)
    known = [
        one for given in trials for one in (measured_trials(given) if isinstance(given, TrialResults) else [given])
    ]
    tried = {one.candidate.key: find_measured(known, one.rule.spec, kept, positions) for one in judged}
    measured = {key: trial for key, trial in tried.items() if trial is not None}
    ordered, scored = measured_first(judged, measured), score_of(found, trials)
    return Advice(
        checkpoint=resolved.checkpoint_name,
        environment=resolved.environment_id,
        job=capture.job,
        verdict=verdict,
        headline=headline(judged, verdict, kept, read),
        basis=basis(read, decisions, how, judged[0].retained.scope),
        patterns=patterns(read),
        recommendations=tuple(
            _recommendation(rank, one, kept, capture, command, measured.get(one.candidate.key))
            for rank, one in enumerate(ordered, start=1)
        ),
        not_applicable=refused,
        notes=notes(capture.policy),
        measured=(*(() if scored is None else score_claims(scored)), *best_measured(ordered, measured)),
    )


def _recommendation(
    rank: int,
    one: Judged,
    budget: float,
    capture: Capture,
    command: _Commands,
    measured: MeasuredTrial | None,
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
        guide=one.candidate.guide,
        claims=why(one, saved),
        falsified_by=falsified(one),
        command=command.line(one, budget, positions),
        measured=measured,
    )


class _Commands:
    """Writes the command that tries a strategy, where the service takes trials."""

    def __init__(self, capture: Capture, capabilities: Capabilities | None) -> None:
        self._capture = capture
        self._offered = capabilities is not None and VIEW.kind in capabilities.job_kinds

    def line(self, one: Judged, budget: float, positions: str) -> str | None:
        """Return the command, None where the service takes no trials, or a budget of everything compresses nothing."""
        if not self._offered or budget >= 1:
            return None
        resolved, asked = self._capture.resolved, self._capture.spec.environment
        words = ["attnscope", "trial", "--checkpoint", resolved.checkpoint_name, "--env", resolved.environment_id]
        for name, value in (asked.kwargs if asked is not None else {}).items():
            words += ["--env-kwarg", f"{name}={json.dumps(value)}"]
        words += ["--strategy", json.dumps(one.rule.spec), "--budget", str(budget), "--positions", positions]
        return shlex.join(words)
