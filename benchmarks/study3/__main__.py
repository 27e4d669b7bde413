"""`python -m benchmarks.study3 run [POLICY …]` makes rollouts; `write` makes tables and figures of published arrays.

`run` goes on where it was, and so does `lengths --trained FOLDER` for the run that was trained at a few lengths.
`publish` puts the arrays of finished policies into docs/study/third with their checksums.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def main() -> None:
    """Run, publish or write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.study3", description=__doc__)
    parser.add_argument("what", choices=("run", "lengths", "publish", "write"))
    parser.add_argument("policies", nargs="*", metavar="POLICY", help="which; all where nothing is said")
    parser.add_argument("--trained", type=Path, help="of lengths: the run's folder")
    parser.add_argument("--folder", type=Path, default=Path("runs/study3"), help="where parts are kept")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if asked.what == "run":
        run(asked.policies, asked.folder)
    elif asked.what == "lengths":
        from benchmarks.study3.lengths import make  # noqa: PLC0415 - after OMP_NUM_THREADS is set
        from benchmarks.study3.writing import FOLDER as TO  # noqa: PLC0415 - as above

        print(make(asked.trained, asked.folder, TO))
    elif asked.what == "publish":
        from benchmarks.study2.published import publish  # noqa: PLC0415 - `run` sets threads first
        from benchmarks.study3.subjects import SUBJECTS  # noqa: PLC0415
        from benchmarks.study3.writing import FOLDER  # noqa: PLC0415

        print(f"published: {', '.join(publish(asked.folder, FOLDER, SUBJECTS))}")
    else:
        from benchmarks.study3.writing import write  # noqa: PLC0415 - as above

        for path in write():
            print(path)


def run(policies: list[str], folder: Path) -> None:
    """Make the parts of some policies that a folder lacks."""
    import torch  # noqa: PLC0415 - after OMP_NUM_THREADS is set

    from attnscope_model.checkpoints.registry import CheckpointRegistry  # noqa: PLC0415
    from benchmarks.study2.running import Study  # noqa: PLC0415
    from benchmarks.study3.subjects import STANDS, SUBJECTS, THIRD  # noqa: PLC0415

    torch.set_num_threads(1)
    registry = CheckpointRegistry(folder / "registry")
    registry.add_shipped()
    for subject in SUBJECTS:
        if not policies or subject.key in policies:
            Study(subject, registry, folder, THIRD, STANDS).run()


if __name__ == "__main__":
    main()
