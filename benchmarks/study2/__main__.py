"""`python -m benchmarks.study2 run [POLICY …]` makes rollouts; `write` makes tables and figures of published arrays.

`run` goes on where it was. `publish` puts the arrays of finished policies into docs/study/second with their checksums.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def main() -> None:
    """Run, publish or write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.study2", description=__doc__)
    parser.add_argument("what", choices=("run", "confirm", "publish", "write"))
    parser.add_argument("policies", nargs="*", metavar="POLICY", help="which; all where nothing is said")
    parser.add_argument("--folder", type=Path, default=Path("runs/study2"), help="where parts are kept")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if asked.what in {"run", "confirm"}:
        rolled_out(asked.policies, asked.folder, confirm=asked.what == "confirm")
    elif asked.what == "publish":
        from benchmarks.study2.published import publish  # noqa: PLC0415 - `run` sets threads first

        print(f"published: {', '.join(publish(asked.folder))}")
    else:
        write()


def write() -> None:
    """Write the page's tables and figures from the published arrays."""
    from benchmarks.study2.drawing import draw  # noqa: PLC0415 - as above
    from benchmarks.study2.published import published  # noqa: PLC0415
    from benchmarks.study2.writing import PAGE, rewritten, tables  # noqa: PLC0415

    policies = published()
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8"), tables(policies)), encoding="utf-8")
    for path in draw(policies):
        print(path)


def rolled_out(policies: list[str], folder: Path, *, confirm: bool) -> None:
    """Make the parts of some policies that a folder lacks."""
    import torch  # noqa: PLC0415 - after OMP_NUM_THREADS is set

    from attnscope_model.checkpoints.registry import CheckpointRegistry  # noqa: PLC0415
    from benchmarks.study2.running import Study  # noqa: PLC0415
    from benchmarks.study2.subjects import SUBJECTS  # noqa: PLC0415

    torch.set_num_threads(1)
    registry = CheckpointRegistry(folder / "registry")
    registry.add_shipped()
    for subject in SUBJECTS:
        if not policies or subject.key in policies:
            study = Study(subject, registry, folder)
            (study.confirm if confirm else study.run)()


if __name__ == "__main__":
    main()
