"""`python -m benchmarks.calibration [--repetitions N]`: errors and power of every plan, for `docs/deciding.md`."""

from __future__ import annotations

import argparse
import time

from attnscope_server.deciding.ladder import End
from attnscope_server.deciding.plans import LookPlan, seeds_plan, tasks_plan
from benchmarks.calibration.claims import many
from benchmarks.calibration.ladders import ends
from benchmarks.calibration.worlds import World

PLANS: dict[str, LookPlan] = {
    "these 8 tasks": seeds_plan(8),
    "these 8 tasks, 20 seeds at most": seeds_plan(8, at_most=20),
    "these 8 tasks, extendable": seeds_plan(8, extendable=True),
    "these 4 tasks": seeds_plan(4),
    "this one task": seeds_plan(1),
    "beyond, up to 64 tasks": tasks_plan(64),
    "beyond, 16 tasks": tasks_plan(16),
}

SHAPES = ("normal", "skewed", "rare")


def print_ladders(repetitions: int) -> None:
    """Print how often whole ladders say something false."""
    plan = seeds_plan(8)
    print("\nLadders of these 8 tasks\n")
    print("| rollouts | any false safe, 3 rungs at 95 % | false do not compress |\n|---|---|---|")
    for shape in SHAPES:
        safe = ends([World(0.95, shape)] * 3, plan, repetitions, seed=3)
        harm = ends([World(0.95, shape), World(0.65, shape)], plan, repetitions, seed=4)
        wrong = sum(climb.last_safe is not None for climb in safe) / repetitions
        word = sum(climb.end is End.DO_NOT_COMPRESS for climb in harm) / repetitions
        print(f"| {shape} | {wrong:.4f} | {word:.4f} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=40_000, help="simulated tests a row")
    repetitions, began = parser.parse_args().repetitions, time.perf_counter()
    print(f"False verdicts where exactly 95 % is kept, up to each look; {repetitions} repetitions a row\n")
    print("| plan | rollouts | non-inferior, by look | inferior, by look |\n|---|---|---|---|")
    for name, plan in PLANS.items():
        for shape in SHAPES:
            count = repetitions // 4 if plan.extendable else repetitions
            found = many(World(0.95, shape), plan, count, seed=1, block=1_000)
            sides = (" ".join(f"{found.share(sign, x.number):.4f}" for x in plan.looks) for sign in (1, -1))
            print(f"| {name} | {shape} | {' | '.join(sides)} |", flush=True)
    print_ladders(repetitions // 4)
    print("\nTrue verdicts, normal rollouts: share called non-inferior / inferior\n")
    shares = (1.0, 0.98, 0.97, 0.96, 0.94, 0.90)
    print(f"| plan | {' | '.join(f'kept {k}' for k in shares)} |\n|---|{'---|' * len(shares)}")
    for name, plan in PLANS.items():
        count = repetitions // (20 if plan.extendable else 5)
        found = [many(World(k), plan, count, seed=2, block=1_000) for k in shares]
        print(f"| {name} | {' | '.join(f'{x.share(1):.3f} / {x.share(-1):.3f}' for x in found)} |", flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
