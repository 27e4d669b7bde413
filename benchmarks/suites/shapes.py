"""Checking shapes while tests run: processor time of some folders of tests with the check and without, in turn."""

from __future__ import annotations

import resource
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.timing import Cost, ratios, rounds, shown

HERE: Final = Path(__file__).resolve().parents[2]

FOLDERS: Final = ("tests/client/measures", "tests/model/compression")
"""Folders whose tests call many small functions of arrays."""

UNCHECKED: Final = ("-o", "addopts=--strict-markers --strict-config --import-mode=importlib")
"""Options that take the place of those in pyproject.toml, which ask for the check."""

ROUNDS: Final = 3


def tested(folder: str, options: tuple[str, ...]) -> Cost:
    """Return the processor time of one run of a folder's tests, those of its child processes among them."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *options, folder]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False, encoding="utf-8")
    if done.returncode != 0:
        raise SystemExit(done.stdout[-4000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(cpu=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def run(*, quick: bool) -> dict[str, Any]:
    """Print the cost of each folder's tests with the check over that without."""
    found: dict[str, Any] = {}
    for folder in FOLDERS[:1] if quick else FOLDERS:
        taken = rounds(
            {"checked": partial(tested, folder, ()), "unchecked": partial(tested, folder, UNCHECKED)},
            1 if quick else ROUNDS,
        )
        found[folder] = ratios(taken["checked"], taken["unchecked"], "cpu")
        print(f"   {folder}: processor time with the check ÷ without {shown(found[folder])}")
    return found
