"""`python -m benchmarks.learned train [RECIPE …]` trains, `run` rolls out and stores, `write` makes tables and figure.

Each goes on where it was. `train` takes cad or newest, and `--seed` one training seed.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def main() -> None:
    """Train, run or write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learned", description=__doc__)
    parser.add_argument("what", choices=("train", "run", "write"))
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="of train: which; all where nothing is said")
    parser.add_argument("--seed", type=int, help="of train: this training seed alone")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if asked.what == "train":
        train(asked.runs, asked.recipes, asked.seed)
    elif asked.what == "run":
        from benchmarks.learned.running import run  # noqa: PLC0415 - after OMP_NUM_THREADS is set

        print(run(asked.runs))
    else:
        from benchmarks.learned.drawing import draw  # noqa: PLC0415 - as above
        from benchmarks.learned.writing import write  # noqa: PLC0415

        print(write())
        print(draw())


def train(runs: Path, recipes: list[str], seed: int | None) -> None:
    """Train the policies that are asked for and are not there."""
    import torch  # noqa: PLC0415 - after OMP_NUM_THREADS is set

    from benchmarks.learned.subjects import TRAINEES  # noqa: PLC0415 - as above

    torch.set_num_threads(1)
    for trainee in TRAINEES:
        if (not recipes or trainee.recipe in recipes) and seed in {None, trainee.seed}:
            print(trainee.train(runs))


if __name__ == "__main__":
    main()
