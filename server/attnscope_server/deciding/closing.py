"""The words of a decision: progress lines, summaries of rungs, and the answer that the ladder's end gives."""

from __future__ import annotations

from attnscope_server.deciding.answer import LARGEST_SIZE, Answer, AnswerKind, RungSummary, number
from attnscope_server.deciding.state import Arm, DecisionState, LookSummary, Phase
from attnscope_server.deciding.statistics.final_point import median_unbiased_kept
from attnscope_server.deciding.statistics.ladder import Climb, End
from attnscope_server.deciding.statistics.look_plans import Reach
from attnscope_server.deciding.statistics.looks import LookResult, Verdict
from attnscope_server.deciding.statistics.power import size_needed
from attnscope_server.deciding.statistics.sameness import ENOUGH_DECISIONS, Sameness

_KINDS = {
    End.HOLDS: AnswerKind.COMPRESS_TO,
    End.NONE_HOLDS: AnswerKind.NONE_HOLDS,
    End.DO_NOT_COMPRESS: AnswerKind.DO_NOT_COMPRESS,
    End.UNDECIDED: AnswerKind.UNDECIDED,
}


def climb_of(state: DecisionState) -> Climb:
    """Read the climb from the rungs whose verdict is final."""
    return Climb(tuple(Verdict(rung.verdict) for rung in state.summaries))


def summarise(
    state: DecisionState, arm: Arm, result: LookResult, verdict: Verdict, same: Sameness | None, *, futile: bool
) -> RungSummary:
    """Summarise one rung at one look."""
    by_bound = verdict is Verdict.SAFE and same is not None and same.holds(state.plan.margin)
    # A rung that its bound ends was not ended by the ratio, whose plain point then stands.
    point = result.kept.point if by_bound else median_unbiased_kept(result, state.plan.looks, state.plan.margin)
    needed = size_needed(result.tested, state.plan.looks, result.look.number)
    differing = sum(state.differing.get(arm.name, ()))
    few = verdict is Verdict.OPEN and same is not None and differing < ENOUGH_DECISIONS
    size = result.look.tasks if state.plan.looks.reach is Reach.BEYOND else result.look.seeds
    return RungSummary(
        arm=arm.name,
        tokens=arm.tokens,
        verdict=verdict.value,
        point=min(max(point, result.kept.low), result.kept.high),
        low=result.kept.low,
        high=result.kept.high,
        tasks=result.look.tasks,
        seeds=result.look.seeds,
        changes_almost_nothing=same.upper if by_bound and same is not None else None,
        futile=futile,
        needed_near=needed.if_near,
        needed_far=needed.if_far,
        few_differing=differing if few else None,
        enough_differing=same.enough(differing, size, state.plan.margin, LARGEST_SIZE) if few and same else None,
    )


def look_of(arm: Arm, result: LookResult, verdict: Verdict) -> LookSummary:
    """Summarise one look: its estimate, its repeated interval, and its score beside its bounds."""
    look = result.look
    return LookSummary(
        arm=arm.name,
        number=look.number,
        tasks=look.tasks,
        seeds=look.seeds,
        verdict=verdict.value,
        point=result.kept.point,
        low=result.kept.low,
        high=result.kept.high,
        score=float(result.tested.score),
        safe=look.safe,
        harm=look.harm,
        may_be_safe=look.may_be_safe,
    )


def look_line(state: DecisionState, rung: RungSummary, result: LookResult, *, over: bool) -> str:
    """Tell one look in plain words."""
    so_far = f"{rung.tasks} tasks so far" if state.plan.unit == "tasks" else f"{rung.seeds} seeds so far"
    interval = f"repeated interval [{number(rung.low, 2)}, {number(rung.high, 2)}]"
    found = f"kept {number(result.kept.point, 2)}, {interval}"
    if rung.changes_almost_nothing is not None:
        found = rung.kept_words
    if rung.few_differing is not None:
        found = f"{found}, differing decisions {rung.few_differing} of the {ENOUGH_DECISIONS} that a verdict needs"
    end = ("undecided (futility)" if rung.futile else rung.verdict) if over else "goes on"
    place = f"rung {len(state.summaries) + 1} of {len(state.rungs)}"
    if climb_of(state).is_contrast:
        place = "a second budget, for harm only"
    return f"{place}: {rung.arm}, {so_far}, {found}: {end}"


def finish(state: DecisionState) -> DecisionState:
    """Give the answer of a ladder that has ended."""
    climb = climb_of(state)
    return _answered(state, _KINDS[climb.end], chosen=climb.last_safe)


def capped(state: DecisionState, asked: int) -> DecisionState:
    """Give the answer where the cap on rollouts is reached: the rungs that hold keep their word."""
    climb = climb_of(state)
    if climb.last_safe is not None or climb.is_contrast:
        return finish(state)
    reason = (
        f"Too few rollouts: {state.rollouts} of at most {state.plan.most_rollouts} are spent, and the next "
        f"{'look' if state.phase is Phase.LADDER else state.phase.value} needs {asked} more."
    )
    return _answered(state, AnswerKind.TOO_FEW_ROLLOUTS, reason=reason)


def without_gain(state: DecisionState, result: LookResult) -> DecisionState:
    """Give the answer where the uncompressed policy gains too little on the judging tasks."""
    reason = (
        f"Too little gain to judge: the uncompressed policy returns {float(result.gain.mean):+.3g} above random on "
        f"{result.look.tasks} judging tasks, standard error {float(result.gain.error):.3g}."
    )
    return _answered(state, AnswerKind.TOO_LITTLE_GAIN, reason=reason)


def _answered(state: DecisionState, kind: AnswerKind, *, chosen: int | None = None, reason: str = "") -> DecisionState:
    shown = state.summaries[chosen or 0] if state.summaries else None
    tasks = shown.tasks if shown is not None else len(state.plan.scope.tasks)
    answer = Answer(
        kind=kind,
        margin=state.plan.margin,
        scope=state.plan.scope.words(tasks),
        rungs=state.summaries,
        chosen=chosen,
        reason=reason,
        unit=state.plan.unit,
        rollouts=state.rollouts,
        ladder=state.ladder,
        attempt=state.plan.attempt,
    )
    lines = (*state.lines, answer.sentence)
    return state.model_copy(update={"phase": Phase.DONE, "answer": answer, "lines": lines})
