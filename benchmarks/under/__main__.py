"""`python -m benchmarks.under train [TUNING …]` trains, `publish` measures and stores arrays, `write` makes tables.

Each goes on where it was. `train` and `publish` take base, rewards, without or recency; `--seed` is one training seed.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def main() -> None:
    """Train, publish or write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.under", description=__doc__)
    parser.add_argument("what", choices=("train", "publish", "write"))
    parser.add_argument("tunings", nargs="*", metavar="TUNING", help="which; all where nothing is said")
    parser.add_argument("--seed", type=int, help="of train: this training seed alone")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if asked.what == "train":
        train(asked.runs, asked.tunings, asked.seed)
    elif asked.what == "publish":
        from benchmarks.under.measuring import publish  # noqa: PLC0415 - after OMP_NUM_THREADS is set

        print(f"published: {', '.join(publish(asked.runs, tunings=asked.tunings))}")
    else:
        from benchmarks.under.writing import write  # noqa: PLC0415 - as above

        print(write())


def train(runs: Path, tunings: list[str], seed: int | None) -> None:
    """Train the policies that are asked for and are not there."""
    import torch  # noqa: PLC0415 - after OMP_NUM_THREADS is set

    from benchmarks.under.subjects import TRAINEES  # noqa: PLC0415 - as above

    torch.set_num_threads(1)
    for trainee in TRAINEES:
        if (not tunings or trainee.tuning in tunings) and seed in {None, trainee.seed}:
            print(trainee.train(runs))


if __name__ == "__main__":
    main()
