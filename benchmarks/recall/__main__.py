"""`python -m benchmarks.recall` trains, measures, decides and writes the page; it goes on where it was.

`--only train`, `publish`, `decide` or `write` does one of these. `--recipe two-layers` is about the recipe that was
tried first.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

PARTS = ("train", "publish", "decide", "write")


def main() -> None:
    """Do the parts that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recall", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; repeat for several")
    parser.add_argument("--recipe", choices=("three-layers", "two-layers"), default="three-layers")
    parser.add_argument("--seed", type=int, help="of train and decide: this training seed alone")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for part in asked.only or PARTS:
        print(_done(part, asked.recipe, asked.runs, asked.seed))


def _done(part: str, recipe: str, runs: Path, only: int | None) -> str:
    """Do a part and return a line on it."""
    import torch  # noqa: PLC0415 - after OMP_NUM_THREADS is set

    from attnscope_server.training.watching import watch  # noqa: PLC0415 - as above
    from benchmarks.recall import deciding, measuring, subjects, writing  # noqa: PLC0415 - as above

    torch.set_num_threads(1)
    subject = subjects.SUBJECTS[recipe]
    seeds = [seed for seed in subjects.SEEDS if only in {None, seed}]
    if part == "train":
        trained = [watch(subject.folder(runs, seed).parent, subject.plan_of(seed)) for seed in seeds]
        return f"trained: {', '.join(map(str, trained))}"
    if part == "publish":
        return f"published: {measuring.publish(runs, subject)}"
    if part == "decide":
        for seed in seeds:
            for asked in deciding.ASKED:
                made = deciding.decide(runs, subject, seed, asked)
                shutil.copyfile(made, measuring.FOLDER / deciding.card_name(subject, asked, seed))
        return f"decided: seeds {', '.join(map(str, seeds))}"
    return f"written: {writing.write()}"


if __name__ == "__main__":
    main()
