"""The tables of `docs/deciding.md`: every figure with its Monte-Carlo error."""

from __future__ import annotations

import math

import numpy as np

from attnscope_server.deciding.statistics.ladder import End
from attnscope_server.deciding.statistics.look_plans import LookPlan, seeds_plan, tasks_plan
from benchmarks.calibration.boards import Board, flat_board, read_board, study_board
from benchmarks.calibration.claims import many
from benchmarks.calibration.coverage import covered, futile, promised
from benchmarks.calibration.decisions import outcomes, rival
from benchmarks.calibration.gates import SHAPES as LATE
from benchmarks.calibration.gates import passed, passed_in_room
from benchmarks.calibration.ladders import ends
from benchmarks.calibration.ranking import COPIES, RULES, told
from benchmarks.calibration.worlds import World
from benchmarks.study2.published import published

PLANS: dict[str, LookPlan] = {
    "these 8 tasks": seeds_plan(8),
    "these 8 tasks, 20 seeds at most": seeds_plan(8, at_most=20),
    "these 8 tasks, extendable": seeds_plan(8, extendable=True),
    "these 16 tasks": seeds_plan(16),
    "these 16 tasks, extendable": seeds_plan(16, extendable=True),
    "these 12 tasks": seeds_plan(12),
    "these 4 tasks": seeds_plan(4),
    "this one task": seeds_plan(1),
    "beyond, up to 64 tasks": tasks_plan(64),
    "beyond, 16 tasks": tasks_plan(16),
}

SHAPES = ("normal", "skewed", "rare")
BOARDS = ("darkroom-absolute", "darkroom-rotary", "key-to-door")
RIVAL_ROLLOUTS = 3 * 40 + 40 + 32
"""Rollouts of the screen's top three on 8 tasks × 5 seeds, their baseline and the capture."""


def row(*cells: object) -> None:
    """Print one row of a table."""
    print(f"| {' | '.join(str(cell) for cell in cells)} |", flush=True)


def head(title: str, *columns: str) -> None:
    """Print a title and the head of a table."""
    print(f"\n{title}\n")
    row(*columns)
    print(f"|{'---|' * len(columns)}")


def error_of(repetitions: int, share: float = 0.025) -> str:
    """Return the Monte-Carlo standard error of a share."""
    return f"{math.sqrt(share * (1 - share) / repetitions):.4f}"


def false_verdicts(repetitions: int) -> None:
    """Print false verdicts at the margin, up to each look."""
    head(
        f"False verdicts where exactly 95 % is kept, up to each look; Monte-Carlo error {error_of(repetitions)}, "
        f"{error_of(repetitions // 4)} where extendable",
        *("plan", "rollouts", "non-inferior, by look", "inferior, by look"),
    )
    for name, plan in PLANS.items():
        for shape in SHAPES:
            count = repetitions // 4 if plan.extendable else repetitions
            found = many(World(0.95, shape), plan, count, seed=1, block=1_000)
            sides = (" ".join(f"{found.share(sign, x.number):.4f}" for x in plan.looks) for sign in (1, -1))
            row(name, shape, *sides)


def ladders(repetitions: int) -> None:
    """Print how often whole ladders say something false."""
    head(
        f"Ladders; Monte-Carlo error {error_of(repetitions)}, twice as much where extendable",
        *("plan", "rollouts", "any false safe, 3 rungs at 95 %", "any false safe, then 2 at 95 %"),
        "false do not compress",
    )
    for name in ("these 8 tasks", "these 8 tasks, extendable", "beyond, up to 64 tasks"):
        plan = PLANS[name]
        count = repetitions // 4 if plan.extendable else repetitions
        for shape in SHAPES:
            shares = []
            for kept, holds in (((0.95,) * 3, 0), ((1.0, 0.95, 0.95), 1)):
                climbs = ends([World(k, shape) for k in kept], plan, count, seed=3)
                shares.append(sum(c.last_safe is not None and c.last_safe >= holds for c in climbs) / count)
            harm = ends([World(0.95, shape), World(0.65, shape)], plan, count, seed=4)
            shares.append(sum(climb.end is End.DO_NOT_COMPRESS for climb in harm) / count)
            row(name, shape, *(f"{share:.4f}" for share in shares))


def intervals(repetitions: int) -> None:
    """Print coverage of the interval that a test ends with, and the bias of its point."""
    head(
        f"Interval and point at a test's end; Monte-Carlo error {error_of(repetitions)}, points {error_of(400, 0.5)}",
        *("plan", "rollouts", "kept", "interval above the truth", "below it", "median-unbiased point above", "plain"),
    )
    for name in ("these 8 tasks", "beyond, up to 64 tasks"):
        for shape in ("normal", "skewed"):
            for kept in (1.0, 0.97, 0.95, 0.90):
                found = covered(World(kept, shape), PLANS[name], repetitions, seed=5, points=400)
                bias = (f"{found.point_above:.2f}", f"{found.plain_above:.2f}")
                row(name, shape, kept, f"{found.too_high:.4f}", f"{found.too_low:.4f}", *bias)


def power(repetitions: int) -> None:
    """Print true verdicts, and what futility ends."""
    shares = (1.0, 0.98, 0.97, 0.96, 0.94, 0.90)
    head(
        f"True verdicts, normal rollouts: called non-inferior / inferior; Monte-Carlo error at most "
        f"{error_of(repetitions, 0.5)}",
        *("plan", *(f"kept {k}" for k in shares)),
    )
    for name, plan in PLANS.items():
        count = repetitions // (4 if plan.extendable else 1)
        found = [many(World(k), plan, count, seed=2, block=1_000) for k in shares]
        row(name, *(f"{x.share(1):.3f} / {x.share(-1):.3f}" for x in found))
    head(
        "Futility, if it is obeyed: tests that it ends / of all tests, those that would have been called non-inferior; "
        f"{max(400, repetitions // 10)} repetitions",
        *("plan", *(f"kept {k}" for k in shares)),
    )
    for name in ("these 8 tasks", "beyond, up to 64 tasks"):
        parts = [futile(World(k), PLANS[name], max(400, repetitions // 10), seed=6) for k in shares]
        row(name, *(f"{ended:.3f} / {lost:.3f}" for ended, lost in parts))
    head(
        "Conditional power at the true share, of tests open at the third look: promised / called non-inferior later; "
        f"{max(400, repetitions // 4)} repetitions",
        *("plan", *(f"kept {k}" for k in shares)),
    )
    for name in ("these 8 tasks", "beyond, up to 64 tasks"):
        pairs = [promised(World(k), PLANS[name], max(400, repetitions // 4), seed=14, number=3) for k in shares]
        row(name, *(f"{said:.3f} / {came:.3f}" for said, came in pairs))


def gates(repetitions: int) -> None:
    """Print how often the gate opens, or calls worse, a policy that acts at random."""
    head(
        f"The gate on a policy that acts at random, 4 tasks × 8 seeds; Monte-Carlo error {error_of(repetitions)}",
        *("late returns", "called better (false pass)", "called worse"),
    )
    for name, draw in LATE.items():
        found = passed(draw, repetitions, seed=7)
        row(name, f"{found.better:.4f}", f"{found.worse:.4f}")
    for preset, episodes in (("darkroom-reference", 9), ("key-to-door", 7)):
        found = passed_in_room(preset, episodes, repetitions // 4, seed=8)
        row(f"uniform actions, {preset}", f"{found.better:.4f}", f"{found.worse:.4f}")


def ranks(boards: int) -> None:
    """Print how often a measure that tells nothing is said to tell."""
    head(
        f"A measure that tells nothing (ρ = 0), {RULES} rules: interval above / below 0; Monte-Carlo error "
        f"{error_of(boards)}",
        *("board", "above", "below"),
    )
    for name, options in (
        ("no equal rules", {"copies": 0}),
        (f"{COPIES} of them copies, left on the board", {"merge": False}),
        (f"{COPIES} of them copies, merged", {}),
    ):
        found = told(boards, seed=9, **options)
        row(name, f"{found.above:.4f}", f"{found.below:.4f}")


def whole(repetitions: int) -> None:
    """Print answers and rollouts of whole decisions, and false answers at the margin."""
    head(
        "Whole decisions by the driver on the first study's policies, these 8 tasks",
        *("policy", "answers", "rollouts, mean ± error", "former grid", "share", "false", "top three × 5 seeds"),
    )
    ratios = []
    for name in BOARDS:
        board = read_board(name)
        found = outcomes(board, repetitions, seed=10)
        grid = board.grid + 40
        ratios.append(found.rollouts / grid)
        safe, wrong = rival(board, 4_000, seed=11)
        words = ", ".join(f"{kind} {share:.0%}" for kind, share in found.kinds.items())
        error = float(found.spent.std(ddof=1)) / math.sqrt(repetitions)
        beside = f"{RIVAL_ROLLOUTS} rollouts: any safe {safe:.0%}, falsely {wrong:.1%}"
        mean = f"{found.rollouts:.0f} ± {error:.0f}"
        row(name, words, mean, grid, f"{ratios[-1]:.3f}", f"{found.false_safe + found.false_harm:.3f}", beside)
    print(f"\nMean share of the former grid: {np.mean(ratios):.3f}")
    head(
        f"Whole decisions with every arm of the first budget at the margin; Monte-Carlo error {error_of(repetitions)}, "
        "twice as much but for these 8 tasks",
        *("scope", "rollouts", "compresses falsely", "“do not compress” falsely, second budget at 65 %"),
    )
    for scope, options in (("these 8 tasks", {}), ("extendable", {"extendable": True}), ("beyond", {"beyond": True})):
        for shape in SHAPES:
            count = repetitions if scope == "these 8 tasks" else repetitions // 4
            safe = outcomes(_margin(0.95), count, seed=12, shape=shape, **options).false_safe
            harm = outcomes(_margin(0.65), count, seed=13, shape=shape, **options).false_harm
            row(scope, shape, f"{safe:.4f}", f"{harm:.4f}")


def others(repetitions: int) -> None:
    """Print answers and rollouts of whole decisions on the policies of the second study, which set no plan."""
    head(
        "Whole decisions by the driver on the second study's policies, these 8 tasks; the capture's gate is passed",
        *("policy", "answers", "rollouts, mean ± error", "share of the former grid", "false"),
    )
    ratios = []
    for policy in published():
        board = study_board(policy)
        found = outcomes(board, repetitions, seed=15)
        ratios.append(found.rollouts / (board.grid + 40))
        words = ", ".join(f"{kind} {share:.0%}" for kind, share in found.kinds.items())
        error = float(found.spent.std(ddof=1)) / math.sqrt(repetitions)
        false = f"{found.false_safe + found.false_harm:.3f}"
        row(board.name, words, f"{found.rollouts:.0f} ± {error:.0f}", f"{ratios[-1]:.3f}", false)
    print(f"\nMean share of the former grid: {np.mean(ratios):.3f}")


def _margin(second: float) -> Board:
    return flat_board({80: 0.95, 40: second})
