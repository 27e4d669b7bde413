"""`python -m benchmarks.learned train [RECIPE …]` trains, `run` rolls out and stores, `write` makes tables and figure.

Each goes on where it was. `train` takes recipes by their names, and `--seed` one training seed. `keep` puts logs and
plans, and the sweep's judged weights in half precision, into `artifacts/learned`; name the recipes that lie in `runs`.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def main() -> None:
    """Train, keep, run or write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learned", description=__doc__)
    parser.add_argument("what", choices=("train", "keep", "run", "write"))
    parser.add_argument("named", nargs="*", metavar="NAME", help="of train: recipes; of run: settings, or ages; or all")
    parser.add_argument("--seed", type=int, help="this training seed alone; run then publishes nothing")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if asked.what in {"train", "keep"}:
        train(asked.runs, asked.named, asked.seed, keep=asked.what == "keep")
    elif asked.what == "run":
        rolled_out(asked.runs, asked.named, asked.seed)
    else:
        from benchmarks.learned.drawing import draw  # noqa: PLC0415 - after OMP_NUM_THREADS is set
        from benchmarks.learned.writing import write  # noqa: PLC0415 - as above

        print(write())
        print(draw())


def train(runs: Path, recipes: list[str], seed: int | None, *, keep: bool) -> None:
    """Train the policies that are asked for and are not there, or keep those that are."""
    import torch  # noqa: PLC0415 - after OMP_NUM_THREADS is set

    from benchmarks.learned.subjects import TRAINEES  # noqa: PLC0415 - as above

    torch.set_num_threads(1)
    for trainee in TRAINEES:
        if (not recipes or trainee.recipe in recipes) and seed in {None, trainee.seed}:
            print(trainee.keep(runs) if keep else trainee.train(runs))


def rolled_out(runs: Path, named: list[str], seed: int | None) -> None:
    """Roll out the settings that are asked for, by training seed, and screen departures by age."""
    from benchmarks.learned.ages import measure  # noqa: PLC0415 - after OMP_NUM_THREADS is set
    from benchmarks.learned.running import parts, publish, roll_out  # noqa: PLC0415 - as above
    from benchmarks.learned.settings import RUN  # noqa: PLC0415 - as above

    for setting in RUN:
        if named and setting.key not in named:
            continue
        for part in parts(setting):
            if seed is None or part == f"seed{seed}":
                print(roll_out(setting, runs, part))
        if seed is None:
            print(publish(setting, runs))
    if not named or "ages" in named:
        print(measure(runs))


if __name__ == "__main__":
    main()
