"""What each kind of job means on this service and what it costs, so that no route has to tell them apart."""

from __future__ import annotations

import shutil

from attnscope_server.capturing.plan import capture_flops, estimate
from attnscope_server.capturing.resolving import resolve
from attnscope_server.errors import refusal
from attnscope_server.http.state import State
from attnscope_server.records.job import StoredJob
from attnscope_server.records.job_store import JobFilter
from attnscope_server.trials.plan import condition_bytes, decisions, estimate_trial, trial_flops, trial_schema
from attnscope_server.trials.resolving import resolve_trial
from attnscope_storage.wire import (
    AnySpec,
    Estimate,
    JobState,
    PolicyDescription,
    ProblemCode,
    Resolved,
    ResolvedCapture,
    ResolvedTrial,
    TrialSpec,
)


def resolved_of(state: State, spec: AnySpec) -> Resolved:
    """Return what a specification of any kind means on this service.

    Raises
    ------
    ProblemError
        It names what is not there, what does not fit, or more than this service allows.
    """
    if not isinstance(spec, TrialSpec):
        return resolve(spec, state.registry, state.listings)
    resolved = resolve_trial(spec, state.registry, state.listings)
    _refuse_large(state, spec, resolved)
    return resolved


def cost_of(state: State, spec: AnySpec, resolved: Resolved, owner: str) -> Estimate:
    """Return what a job will cost; its time at the rate of the owner's last job of that kind."""
    last, _ = state.jobs.page(JobFilter(owner=owner, states=(JobState.SUCCEEDED,), kind=spec.kind), 1, None)
    rate = _rate(state, last[0]) if last else None
    policy = _policy(state, resolved)
    free = shutil.disk_usage(state.settings.data_root).free
    if isinstance(spec, TrialSpec) and isinstance(resolved, ResolvedTrial):
        return estimate_trial(spec, resolved, policy, disk_free_bytes=free, flops_per_second=rate)
    assert not isinstance(spec, TrialSpec)  # noqa: S101 - specification and meaning are of one kind
    assert isinstance(resolved, ResolvedCapture)  # noqa: S101 - as above
    compiled = state.settings.fused_attention
    return estimate(spec, resolved, policy, disk_free_bytes=free, flops_per_second=rate, compiled=compiled)


def _rate(state: State, job: StoredJob) -> float | None:
    """Return the floating-point operations a second of an ended job; None where its times are not known."""
    if job.started_at is None or job.finished_at is None:
        return None
    took = max((job.finished_at - job.started_at).total_seconds(), 1e-3)
    policy = _policy(state, job.resolved)
    if isinstance(job.spec, TrialSpec) and isinstance(job.resolved, ResolvedTrial):
        return trial_flops(job.spec, job.resolved, policy) / took
    return capture_flops(job.resolved, policy) / took if isinstance(job.resolved, ResolvedCapture) else None


def _policy(state: State, resolved: Resolved) -> PolicyDescription:
    return state.registry.get(resolved.checkpoint_id).policy


def _refuse_large(state: State, spec: TrialSpec, resolved: ResolvedTrial) -> None:
    """Refuse a trial over a cap, and say how to ask for less."""
    limits = state.settings.limits
    policy = _policy(state, resolved)
    needed = condition_bytes(trial_schema(spec, resolved, policy))
    fewer = "name fewer strategies, budgets, position policies, tasks, seeds or episodes, or time fewer decisions"
    for requested, limit, what, remedy in (
        (decisions(spec, resolved, policy), limits.trial_decisions, "takes {} decisions", fewer),
        (needed, limits.trial_condition_bytes, "stores {} bytes a condition", "name fewer seeds, episodes or steps"),
    ):
        if requested > limit:
            detail = f"this trial {what.format(requested)}, {limit} are allowed: {remedy}"
            raise refusal(ProblemCode.TOO_LARGE, detail, limit=limit, requested=requested)
