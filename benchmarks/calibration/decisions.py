"""Whole decisions over simulated policies, by the very driver: gate, race, ladder with looks and the answer.

Only the screen is made up: it proposes rules in an order that agrees with their true costs as votes do on boards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from attnscope_server.deciding.answer import AnswerKind
from attnscope_server.deciding.climbing import after_look
from attnscope_server.deciding.driver import after_capture, after_race, after_screen, request, start
from attnscope_server.deciding.state import (
    UNCOMPRESSED,
    Arm,
    Captured,
    DecisionPlan,
    DecisionState,
    Phase,
    Piece,
    Rolled,
)
from attnscope_server.deciding.statistics.scopes import choose_scope
from benchmarks.calibration.boards import Board, Truth
from benchmarks.calibration.worlds import World

GAIN = 10.0
"""Gain of the uncompressed policy over random actions, an episode."""

PROPOSED = 9
"""Rules that the votes send into the race, a budget, beside three blind baselines."""

BLIND = 3

PREDICTS = 0.6
"""Rank correlation of the made-up votes with true costs, about."""

RANDOM = 1.0
"""Return of uniform actions."""


@dataclass
class Simulated:
    """One decision on one simulated policy."""

    board: Board
    generator: np.random.Generator
    shape: str = "normal"
    between: float = 0.05
    """Standard deviation of an arm's kept share between tasks."""

    _plain: dict[tuple[int, int], float] = field(default_factory=dict)
    _shares: dict[str, dict[int, float]] = field(default_factory=dict)

    def decide(self, *, beyond: bool = False, extendable: bool = False, tasks: int = 8) -> DecisionState:
        """Run a decision to its answer."""
        scope = choose_scope("held-out", range(tasks), (), beyond=beyond)
        most = max(arm.tokens for arm in self.board.arms)
        plan = DecisionPlan(
            scope=scope,
            screening_tasks=(1000, 1001, 1002, 1003),
            capture_seeds=8,
            most_tokens=most,
            extendable=extendable,
            most_rollouts=20_000,
        )
        self._center(scope.tasks, beyond=beyond)
        state = start(plan)
        while (asked := request(state)) is not None:
            rolled = [self._rolled(piece) for piece in asked.pieces]
            if asked.phase is Phase.CAPTURE:
                late = rolled[0].returns
                earned = tuple(tuple(True for _ in row) for row in late)
                captured = Captured(late=late, random=(RANDOM,) * len(late), earned=earned, judged=late)
                state = after_capture(state, captured)
            elif asked.phase is Phase.SCREEN:
                state = after_screen(state, self._proposed())
            elif asked.phase is Phase.RACE:
                state = after_race(state, rolled)
            else:
                state = after_look(state, rolled, dict.fromkeys(scope.tasks, (RANDOM, 0.0)))
        return state

    def truth(self, name: str) -> float:
        """Return the kept share of an arm."""
        return self._arm(name).kept

    def _arm(self, name: str) -> Truth:
        return next(arm for arm in self.board.arms if arm.name == name)

    def _proposed(self) -> list[Arm]:
        """Return the arms that race: those that come first by votes that agree with true costs to some degree."""
        found = []
        for tokens in dict.fromkeys(arm.tokens for arm in self.board.arms):
            mine = [arm for arm in self.board.arms if arm.tokens == tokens]
            noise = self.generator.standard_normal(len(mine))
            kept = np.array([arm.kept for arm in mine])
            spread = float(kept.std()) or 1.0
            scores = PREDICTS * kept / spread + np.sqrt(1 - PREDICTS**2) * noise
            best = {int(at) for at in np.argsort(-scores)[:PROPOSED]} | set(range(min(BLIND, len(mine))))
            found += [Arm(name=mine[at].name, tokens=tokens, budget=str(tokens)) for at in sorted(best)]
        return found

    def _center(self, tasks: Sequence[int], *, beyond: bool) -> None:
        """Draw every arm's kept share of every judging task; a claim about named tasks has their mean as its truth."""
        for arm in self.board.arms:
            drawn = self._noise(len(tasks)) * self.between
            moved = drawn if beyond else drawn - drawn.mean()
            self._shares[arm.name] = dict(zip(tasks, (arm.kept + moved).tolist(), strict=True))

    def _rolled(self, piece: Piece) -> Rolled:
        rows = []
        for task in piece.tasks:
            plain = np.array([self._base(task, seed) for seed in range(piece.first, piece.last)])
            if piece.arm != UNCOMPRESSED:
                arm = self._arm(piece.arm)
                share = self._shares[arm.name].get(task, arm.kept)
                plain = plain + GAIN * (share - 1 + arm.spread * self._noise(len(plain)))
            rows.append(tuple(plain.tolist()))
        return Rolled(returns=tuple(rows))

    def _base(self, task: int, seed: int) -> float:
        key = (task, seed)
        if key not in self._plain:
            self._plain[key] = RANDOM + GAIN * (1 + 0.1 * float(self.generator.standard_normal()))
        return self._plain[key]

    def _noise(self, count: int) -> Float[np.ndarray, " draw"]:
        return World(1.0, self.shape).noise(self.generator, (count,))


@dataclass(frozen=True)
class Outcomes:
    """Answers of many decisions on one policy."""

    kinds: dict[str, float]
    """Share of every answer."""

    false_safe: float
    """Share that compresses to an arm which keeps 95 % or less."""

    false_harm: float
    """Share that says "do not compress" although one of its two arms keeps 95 % or more."""

    rollouts: float
    """Mean rollouts to the answer, those of baseline, gate and capture counted."""

    spent: Float[np.ndarray, " decision"]


def outcomes(board: Board, repetitions: int, seed: int, *, shape: str = "normal", **options: bool) -> Outcomes:
    """Decide many times on one policy."""
    kinds: dict[str, int] = {}
    safe, harm, spent = 0, 0, []
    for repetition in range(repetitions):
        simulated = Simulated(board, np.random.default_rng([seed, repetition]), shape)
        tasks = 64 if options.get("beyond") else 8
        answer = simulated.decide(tasks=tasks, **options).answer
        if answer is None:
            raise RuntimeError("a decision ends with an answer")
        kinds[answer.kind.value] = kinds.get(answer.kind.value, 0) + 1
        spent.append(answer.rollouts)
        if answer.kind is AnswerKind.COMPRESS_TO:
            safe += any(simulated.truth(rung.arm) <= 0.95 + 1e-9 for rung in answer.rungs[: (answer.chosen or 0) + 1])
        if answer.kind is AnswerKind.DO_NOT_COMPRESS:
            harm += any(simulated.truth(rung.arm) >= 0.95 - 1e-9 for rung in answer.rungs[:2])
    shares = {kind: count / repetitions for kind, count in sorted(kinds.items())}
    return Outcomes(shares, safe / repetitions, harm / repetitions, float(np.mean(spent)), np.array(spent, np.float64))


def rival(board: Board, repetitions: int, seed: int) -> tuple[float, float]:
    """Try the screen's top three at the largest budget with 8 tasks × 5 seeds each, by plain 95 % intervals.

    Returns
    -------
    The share that calls any arm safe, and the share that calls one safe which keeps 95 % or less.
    """
    generator = np.random.default_rng(seed)
    tokens = max(arm.tokens for arm in board.arms)
    mine = [arm for arm in board.arms if arm.tokens == tokens]
    kept = np.array([arm.kept for arm in mine])
    called, wrong = 0, 0
    for _ in range(repetitions):
        scores = PREDICTS * kept / (float(kept.std()) or 1.0)
        scores = scores + np.sqrt(1 - PREDICTS**2) * generator.standard_normal(len(mine))
        top = [mine[int(at)] for at in np.argsort(-scores)[:BLIND]]
        values = [arm.kept + arm.spread * generator.standard_normal((8, 5)) for arm in top]
        lows = [float(v.mean() - 1.96 * np.sqrt(v.var(axis=1, ddof=1).sum() / 5) / 8) for v in values]
        safe = [arm for arm, low in zip(top, lows, strict=True) if low > 0.95]
        called += bool(safe)
        wrong += any(arm.kept <= 0.95 for arm in safe)
    return called / repetitions, wrong / repetitions
