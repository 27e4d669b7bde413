"""`python -m benchmarks.seeds train [KEY …]` trains, `publish` measures and stores arrays, `write` makes the tables.

Each goes on where it was. A key is one of a recipe with an aim; all of them where none is named.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

SPLITS = ("validation", "held-out")


def main() -> None:
    """Train, publish or write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.seeds", description=__doc__)
    parser.add_argument("what", choices=("train", "publish", "write"))
    parser.add_argument("keys", nargs="*", metavar="KEY", help="recipes; all where nothing is said")
    parser.add_argument("--seed", type=int, help="of train: this training seed alone")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--split", choices=SPLITS, action="append", help="of publish: one split alone")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print(_done(asked))


def _done(asked: argparse.Namespace) -> str:
    """Do a part and return a line on it."""
    import torch  # noqa: PLC0415 - after OMP_NUM_THREADS is set

    from attnscope_server.training.watching import watch  # noqa: PLC0415 - as above
    from benchmarks.seeds import aims, measuring, writing  # noqa: PLC0415 - as above

    torch.set_num_threads(1)
    if asked.what == "write":
        return f"written: {writing.write()}"
    chosen = [aim for aim in aims.AIMS if not asked.keys or aim.key in asked.keys]
    if asked.what == "publish":
        return f"published: {measuring.publish(asked.runs, chosen, asked.split or SPLITS)}"
    plans = [plan for aim in chosen for plan in aim.plans if asked.seed in {None, plan.recipe.seed}]
    there = [measuring.checkpoint_of(asked.runs, plan) for plan in plans]
    for plan, folder in zip(plans, there, strict=True):
        if not folder.exists():
            watch(folder.parent, plan)
    return f"trained: {', '.join(map(str, there))}"


if __name__ == "__main__":
    main()
