"""The ladder's part of the driver: rungs are fixed, asked for look by look, judged, and end in an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from attnscope_server.deciding.closing import capped, climb_of, finish, look_line, look_of, summarise, without_gain
from attnscope_server.deciding.state import UNCOMPRESSED, UNIFORM, Arm, DecisionState, Phase, Piece, Rolled
from attnscope_server.deciding.statistics.estimates import PairedReturns
from attnscope_server.deciding.statistics.ladder import Ladder, Rung
from attnscope_server.deciding.statistics.look_plans import Look, Reach
from attnscope_server.deciding.statistics.looks import LookResult, Verdict, judge
from attnscope_server.deciding.statistics.power import is_futile
from attnscope_server.deciding.statistics.race import front
from attnscope_server.deciding.statistics.sameness import ENOUGH_DECISIONS, Sameness, sameness

GAIN_BOUND = 1.959963984540054
"""z value that the gain must exceed before an arm is judged."""

CONTRAST_LOOKS = 2
"""Looks of a rung that can only confirm harm."""

ERROR = 0.025
"""One-sided error of the bound on differing rollouts, over all looks."""


def begin(state: DecisionState) -> DecisionState:
    """Fix the ladder: the winners that none clearly beats in tokens and raced return, and the hash of all that."""
    by_name = {arm.name: arm for arm in state.arms}
    arms = [by_name[name] for name in state.winners.values()]
    # An arm that did not race has no returns: none beats it, and it beats none.
    raced = [np.asarray(state.raced.get(arm.name, ()), dtype=np.float64) for arm in arms]
    places = front([arm.tokens for arm in arms], raced)
    rungs = tuple(arms[i] for i in places)
    others = sorted((-float(raced[i].mean()), i) for i in range(len(arms)) if i not in places and raced[i].size)
    contrast = arms[others[0][1]] if len(rungs) == 1 and others else None
    fixed = state.model_copy(update={"phase": Phase.LADDER, "rungs": rungs, "contrast": contrast, "look": 1})
    line = f"ladder: {' → '.join(arm.name for arm in rungs)}, fixed as {digest(fixed)[:12]}"
    return fixed.model_copy(update={"ladder": digest(fixed), "lines": (*state.lines, line)})


def digest(state: DecisionState) -> str:
    """Hash what the ladder of a state fixes."""
    arms = (*state.rungs, *([state.contrast] if state.contrast else []))
    plan = state.plan
    bounds = tuple((x.tasks, x.seeds, round(x.safe, 6), round(x.harm, 6)) for x in plan.looks.looks)
    rungs = tuple(Rung(arm.name, arm.tokens) for arm in arms)
    return Ladder(rungs, plan.margin, plan.scope.reach.value, plan.scope.tasks, plan.seed_base, bounds).digest()


def current(state: DecisionState) -> Arm | None:
    """Give the arm that is judged now; None at the end of the ladder."""
    arms = (*state.rungs, state.contrast) if state.contrast and climb_of(state).is_contrast else state.rungs
    at = climb_of(state).next_rung([Rung(arm.name, arm.tokens) for arm in arms])
    return None if at is None else arms[at]


def look_pieces(state: DecisionState) -> tuple[Piece, ...]:
    """List the rollouts that the next look lacks; those of the uncompressed policy are shared by all rungs.

    Raises
    ------
    ValueError
        If the ladder is no longer the one whose hash was stored before rung 1.
    """
    if digest(state) != state.ladder:
        raise ValueError("the ladder was changed after its hash was stored: start another decision")
    arm = current(state)
    if arm is None:
        return ()
    look = state.plan.looks.looks[state.look - 1]
    tasks, base = state.plan.scope.tasks[: look.tasks], state.plan.judging_seed
    pieces = []
    for name in (UNCOMPRESSED, arm.name):
        have = {task: len(state.judged.get(name, {}).get(task, ())) for task in tasks}
        for count in sorted(set(have.values())):
            group = tuple(task for task in tasks if have[task] == count)
            if count < look.seeds:
                pieces.append(Piece(arm=name, tasks=group, first=base + count, last=base + look.seeds))
    return tuple(pieces)


def after_look(
    state: DecisionState,
    rolled: Sequence[Rolled],
    random: Mapping[int, tuple[float, float]],
    uniform: Mapping[int, tuple[float, ...]] | None = None,
) -> DecisionState:
    """Judge one look: the rung ends with a verdict, or goes on to its next look.

    Parameters
    ----------
    rolled
        Rollouts of the request's pieces, in their order.
    random
        Random return and its standard error of every task of the look; a standard error of 0 says that it is exact.
    uniform
        Returns of uniform actions by task and judging seed, where no random return is known: they replace `random`.
    """
    if state.phase is not Phase.LADDER:
        raise ValueError(f"the decision is in its {state.phase.value} phase, not in the ladder phase")
    arm, state = _judging(state), _stored(state, rolled, random)
    if uniform:
        state = state.model_copy(update={"judged": {**state.judged, UNIFORM: dict(uniform)}})
    climb, plan = climb_of(state), state.plan.looks
    look = plan.looks[state.look - 1]
    result = judge(paired(state, arm, look), state.plan.margin, plan.reach, look)
    if not state.summaries and (float(result.gain.mean) <= 0 or float(result.gain.score) <= GAIN_BOUND):
        return without_gain(state, result)
    same = _sameness(state, arm)
    verdict = _verdict(result, same, state, arm)
    last = look.number == (min(CONTRAST_LOOKS, len(plan.looks)) if climb.is_contrast else len(plan.looks))
    futile = verdict is Verdict.OPEN and not last and is_futile(result.tested, plan, look.number)
    over = verdict is not Verdict.OPEN or futile or last
    summary = summarise(state, arm, result, verdict, same, futile=futile)
    lines = (*state.lines, look_line(state, summary, result, over=over))
    state = state.model_copy(update={"lines": lines, "looks": (*state.looks, look_of(arm, result, verdict))})
    if not over:
        return within_cap(state.model_copy(update={"look": state.look + 1}))
    state = state.model_copy(update={"summaries": (*state.summaries, summary), "look": 1})
    return finish(state) if current(state) is None else within_cap(state)


def _judging(state: DecisionState) -> Arm:
    arm = current(state)
    if arm is None:
        raise ValueError("the ladder has ended")
    return arm


def within_cap(state: DecisionState) -> DecisionState:
    """End a ladder whose next look would exceed the cap on rollouts."""
    asked = sum(piece.rollouts for piece in look_pieces(state))
    return state if state.rollouts + asked <= state.plan.most_rollouts else capped(state, asked)


def _stored(state: DecisionState, rolled: Sequence[Rolled], random: Mapping[int, tuple[float, float]]) -> DecisionState:
    """Put the rollouts of a look beside those of earlier looks."""
    judged = {arm: dict(tasks) for arm, tasks in state.judged.items()}
    differing, spent = dict(state.differing), state.rollouts
    for piece, new in zip(look_pieces(state), rolled, strict=True):
        if len(new.returns) != len(piece.tasks) or any(len(row) != piece.last - piece.first for row in new.returns):
            raise ValueError(f"{piece.arm} needs {len(piece.tasks)} tasks × {piece.last - piece.first} seeds")
        of_arm = judged.setdefault(piece.arm, {})
        for task, row in zip(piece.tasks, new.returns, strict=True):
            of_arm[task] = (*of_arm.get(task, ()), *row)
        if new.differing is not None:
            differing[piece.arm] = (*differing.get(piece.arm, ()), *(n for row in new.differing for n in row))
        spent += piece.rollouts
    changes = {"judged": judged, "differing": differing, "rollouts": spent, "random": {**state.random, **random}}
    return state.model_copy(update=changes)


def paired(state: DecisionState, arm: Arm, look: Look) -> PairedReturns:
    """Collect the paired returns of one look from the stored rollouts."""
    tasks = state.plan.scope.tasks[: look.tasks]

    def of(name: str) -> Float[np.ndarray, "task seed"]:
        return np.array([state.judged[name][task][: look.seeds] for task in tasks], dtype=np.float64)

    random = np.array([state.random[task] for task in tasks], dtype=np.float64)
    error = random[:, 1] if random[:, 1].any() else None
    each = of(UNIFORM) if UNIFORM in state.judged else None
    return PairedReturns(of(arm.name), of(UNCOMPRESSED), random[:, 0], error, each)


def _sameness(state: DecisionState, arm: Arm) -> Sameness | None:
    """Bound the share of rollouts that differ, its error shared by all looks; None where nothing was counted.

    Rollouts of one task hang together, so a claim beyond the judged tasks counts tasks; each look adds whole ones.
    """
    counts = state.differing.get(arm.name)
    if counts is None:
        return None
    plan = state.plan.looks
    together = plan.looks[0].seeds if plan.reach is Reach.BEYOND else 1
    units = np.asarray(counts).reshape(-1, together).sum(axis=1)
    return sameness(len(units), int(np.count_nonzero(units)), ERROR / len(plan.looks))


def _verdict(result: LookResult, same: Sameness | None, state: DecisionState, arm: Arm) -> Verdict:
    """Give a verdict only where enough decisions differ; an arm that hardly ever differs holds by its bound.

    A rollout that differs is taken to lose its whole gain, so a bound on their share below the margin bounds the loss.
    A rung after an inferior one is judged for harm only.
    """
    harm_only = climb_of(state).is_contrast
    if same is not None and same.holds(state.plan.margin) and not harm_only:
        return Verdict.SAFE
    if same is not None and sum(state.differing[arm.name]) < ENOUGH_DECISIONS:
        return Verdict.OPEN
    return Verdict.OPEN if harm_only and result.verdict is Verdict.SAFE else result.verdict
