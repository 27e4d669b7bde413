"""``python -m benchmarks.study [POLICY …] [--folder runs/study]``: run the study, write its tables and pictures.

A trial that is there already is not run again; delete its folder to repeat it. With ``--page`` nothing is run: the
tables of the study's page are computed from the published ones.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from attnscope.connecting.connection import Connection
from attnscope.connecting.transport import Transport
from attnscope.service import Service
from benchmarks.service import KEY, served
from benchmarks.study.page import write as write_page
from benchmarks.study.running import study
from benchmarks.study.subjects import SUBJECTS
from benchmarks.study.writing import write


def main() -> None:
    """Run what is missing of the study, one policy after another."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.study", description=__doc__)
    parser.add_argument("policies", nargs="*", metavar="POLICY", help="which; all where nothing is said")
    parser.add_argument("--folder", type=Path, default=Path("runs/study"), help="where raw trials are kept")
    parser.add_argument("--trial", action="append", help="only these trials; repeat for several")
    parser.add_argument("--page", action="store_true", help="only compute the page's tables from the published ones")
    asked = parser.parse_args()
    if asked.page:
        write_page()
        return
    known = {one.key: one for one in SUBJECTS}
    unknown = sorted(set(asked.policies) - set(known))
    if unknown:
        parser.error(f"no policy {', '.join(unknown)}; there are {', '.join(known)}")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for key in asked.policies or known:
        folder = asked.folder / key
        folder.mkdir(parents=True, exist_ok=True)
        with served(folder) as url, Service(Transport(Connection(url, KEY, "the study"))) as service:
            found = study(service, known[key], folder, asked.trial)
        shutil.rmtree(folder / "service", ignore_errors=True)
        write(known[key], found)


if __name__ == "__main__":
    main()
