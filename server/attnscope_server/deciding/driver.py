"""The driver of a decision: a pure state machine over rollouts that somebody else runs.

`request` names the next work, one of the `after_…` functions takes its outcome, and the state between them is JSON.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attnscope_server.deciding.answer import Answer, AnswerKind
from attnscope_server.deciding.climbing import begin, look_pieces
from attnscope_server.deciding.closing import capped
from attnscope_server.deciding.hopeless import all_lose, unraced, with_fewer_judges
from attnscope_server.deciding.state import (
    UNCOMPRESSED,
    Arm,
    Captured,
    DecisionPlan,
    DecisionState,
    Phase,
    Piece,
    Request,
    Rolled,
)
from attnscope_server.deciding.statistics.gate import Standing, gate
from attnscope_server.deciding.statistics.race import FIRST_PAIRS, Round, following, opening

DUEL = 1
"""Arms at which the race of the largest budget ends: its last two race on, as the ladder begins with their winner."""

LAST = 2
"""Arms at which the races of other budgets end: the best of the last three is taken, which saves 32 rollouts each."""


def start(plan: DecisionPlan) -> DecisionState:
    """Begin a decision."""
    return DecisionState(plan=plan)


def request(state: DecisionState) -> Request | None:
    """Name the next work of a decision; None once it has its answer."""
    plan = state.plan
    if state.phase is Phase.CAPTURE:
        first, last = plan.first_seed, plan.first_seed + plan.capture_seeds
        return Request(
            phase=state.phase,
            pieces=(Piece(arm=UNCOMPRESSED, tasks=plan.screening_tasks, first=first, last=last),),
        )
    if state.phase is Phase.SCREEN:
        return Request(phase=state.phase)
    if state.phase is Phase.RACE:
        tasks, base = len(plan.screening_tasks), plan.first_seed
        first, last = base + state.raced_from // tasks, base + state.raced_to // tasks
        return Request(
            phase=state.phase,
            pieces=tuple(Piece(arm=arm, tasks=plan.screening_tasks, first=first, last=last) for arm in state.racing),
        )
    return Request(phase=state.phase, pieces=look_pieces(state)) if state.phase is Phase.LADDER else None


def after_capture(state: DecisionState, captured: Captured) -> DecisionState:
    """Read the gate from the capture; a policy that is not better than random ends the decision."""
    _expect(state, Phase.CAPTURE)
    error = None if captured.random_error is None else np.asarray(captured.random_error, dtype=np.float64)
    late = np.asarray(captured.late, dtype=np.float64)
    random = np.asarray(captured.random, dtype=np.float64)
    optimal = None if captured.optimal is None else np.asarray(captured.optimal, dtype=np.float64)
    found = gate(late, random, np.asarray(captured.earned, dtype=np.bool_), error, optimal)
    new = _moved(state, f"gate: {found.sentence}", rollouts=state.rollouts + late.size)
    if found.learns:
        judged = () if captured.judged is None else tuple(np.asarray(captured.judged).T.ravel().tolist())
        return _moved(new, phase=Phase.SCREEN, screen_ranks=found.screen_ranks, twins=judged, chance=captured.random)
    answer = Answer(
        kind=_REFUSED[found.standing],
        margin=state.plan.margin,
        scope=state.plan.scope.words(len(state.plan.scope.tasks)),
        reason=found.sentence,
        rollouts=new.rollouts,
        attempt=state.plan.attempt,
    )
    return _moved(new, answer.sentence, phase=Phase.DONE, answer=answer)


_REFUSED = {
    Standing.ALIKE: AnswerKind.NOT_BETTER_THAN_RANDOM,
    Standing.WORSE: AnswerKind.WORSE_THAN_RANDOM,
    Standing.SKEWED: AnswerKind.TOO_FEW_ROLLOUTS,
    Standing.OPEN: AnswerKind.TOO_FEW_ROLLOUTS,
}


def after_screen(state: DecisionState, arms: Sequence[Arm]) -> DecisionState:
    """Take the arms that the screen, or the list of rules where it may not rank, sends into the race.

    Raises
    ------
    ValueError
        If two arms have one name, or none keeps as few tokens as is worth having.
    """
    _expect(state, Phase.SCREEN)
    fit = tuple(arm for arm in arms if arm.tokens <= state.plan.most_tokens)
    if not fit:
        raise ValueError(f"no arm keeps {state.plan.most_tokens} tokens or fewer: there is nothing to race")
    if len({arm.name for arm in fit}) < len(fit) or UNCOMPRESSED in {arm.name for arm in fit}:
        raise ValueError("every arm needs a name of its own")
    budgets = len({arm.budget for arm in fit})
    return _race_next(_moved(state, f"screen: {len(fit)} arms at {budgets} budgets go into the race", arms=fit))


def _race_next(state: DecisionState) -> DecisionState:
    """Open the race of the next budget; budgets with one arm need none. After the last, build the ladder."""
    winners = dict(state.winners)
    for budget in dict.fromkeys(arm.budget for arm in state.arms):
        if budget in winners:
            continue
        names = [arm.name for arm in state.arms if arm.budget == budget]
        if state.hopeless:
            winners[budget] = unraced(names, tuple(winners.values()))
            state = _moved(state, winners=dict(winners))
            continue
        first = opening(names, first_pairs(state.plan))
        new = _moved(state, phase=Phase.RACE, racing=first.arms, raced_from=0, raced_to=first.last)
        return _within_cap(new)
    return _within_cap(begin(state))


def after_race(state: DecisionState, rolled: Sequence[Rolled]) -> DecisionState:
    """Take one round of a race: halve its arms, or name the budget's winner.

    Parameters
    ----------
    rolled
        Rollouts of the request's pieces, in their order.
    """
    _expect(state, Phase.RACE)
    raced = dict(state.raced)
    for arm, piece in zip(state.racing, rolled, strict=True):
        # Pairs run seed by seed, so that a later round only appends.
        new = np.asarray(piece.returns, dtype=np.float64).T.ravel()
        raced[arm] = (*raced.get(arm, ()), *new.tolist())
    done = Round(state.racing, state.raced_from, state.raced_to)
    keep = LAST if state.winners else DUEL
    following_round, order = following(done, np.array([raced[arm] for arm in state.racing]), keep)
    spent = state.rollouts + done.rollouts
    hopeless = all_lose(state, np.array([raced[arm] for arm in state.racing]))
    if hopeless:
        line = (
            f"race: all {len(order)} arms clearly lose more than {100 * state.plan.margin:g} % after {done.last} "
            f"rollouts each; {order[0]} loses least, and no smaller budget races"
        )
        budget = next(arm.budget for arm in state.arms if arm.name == order[0])
        # A larger budget that has a winner may hold, and needs all of the judges.
        plan = state.plan if state.winners else with_fewer_judges(state.plan)
        line += "" if plan is state.plan else f"; {len(plan.scope.tasks)} tasks judge: large losses show on few"
        winners = {**state.winners, budget: order[0]}
        changes = {"plan": plan, "raced": raced, "rollouts": spent, "winners": winners}
        return _race_next(_moved(state, line, hopeless=True, **changes))
    if following_round is not None:
        line = f"race: {len(order)} arms after {done.last} rollouts each, {len(following_round.arms)} go on"
        bounds = {"raced_from": following_round.first, "raced_to": following_round.last}
        new_state = _moved(state, line, raced=raced, rollouts=spent, racing=following_round.arms, **bounds)
        return _within_cap(new_state)
    budget = next(arm.budget for arm in state.arms if arm.name == order[0])
    line = f"race: {order[0]} is the best of budget {budget} after {done.last} rollouts"
    winners = {**state.winners, budget: order[0]}
    return _race_next(_moved(state, line, raced=raced, rollouts=spent, winners=winners))


def rollout_range(plan: DecisionPlan, arms: Sequence[Arm]) -> tuple[int, int]:
    """Estimate the rollouts of a decision before it starts: an answer at the first look, and the most there can be."""
    before = len(plan.screening_tasks) * plan.capture_seeds
    budgets = list(dict.fromkeys(arm.budget for arm in arms))
    for index, budget in enumerate(budgets):
        names = [arm.name for arm in arms if arm.budget == budget]
        now: Round | None = opening(names, first_pairs(plan))
        while now is not None:
            before += now.rollouts
            now, _ = following(now, np.zeros((len(now.arms), now.last)), LAST if index else DUEL)
    first, last = plan.looks.looks[0], plan.looks.looks[-1]
    most = before + (len(budgets) + 1) * last.tasks * last.seeds
    return before + 2 * first.tasks * first.seeds, min(most, plan.most_rollouts)


def first_pairs(plan: DecisionPlan) -> int:
    """Return the pairs of a race's first round: whole seeds of every screening task."""
    tasks = len(plan.screening_tasks)
    return tasks * max(1, -(-FIRST_PAIRS // tasks))


def race_round(state: DecisionState) -> int:
    """Return the number of the round that is asked for, 1 at the first; each doubles the pairs."""
    return (state.raced_to // first_pairs(state.plan)).bit_length()


def _within_cap(state: DecisionState) -> DecisionState:
    """End a decision whose next request would exceed the cap on rollouts."""
    asked = request(state)
    if asked is None or state.rollouts + asked.rollouts <= state.plan.most_rollouts:
        return state
    return capped(state, asked.rollouts)


def _expect(state: DecisionState, phase: Phase) -> None:
    if state.phase is not phase:
        raise ValueError(f"the decision is in its {state.phase.value} phase, not in the {phase.value} phase")


def _moved(state: DecisionState, line: str | None = None, **changes: object) -> DecisionState:
    lines = state.lines if line is None else (*state.lines, line)
    return state.model_copy(update={**changes, "lines": lines})
