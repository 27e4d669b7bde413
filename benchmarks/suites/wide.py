"""A report and advice of a wide policy (12 layers, 12 heads, 1024 tokens), beside the code before one reading."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[2]

BEFORE = "5ab49cc"
"""The last commit at which figures and advice read a capture each for itself."""

FIRST_LAYOUT = "18f7e39"
"""The last commit that writes the first layout of captures."""

PACKAGES = ("client", "server", "model", "env", "storage")

WRITE = """
import sys
from pathlib import Path
from planted import write_large_capture
write_large_capture(Path(sys.argv[1]), layers=int(sys.argv[2]), heads=int(sys.argv[2]), slots=int(sys.argv[3]))
"""


@contextmanager
def checkout(commit: str, folder: Path) -> Iterator[Path | None]:
    """Give a checkout of a commit, None where there is no such history here."""
    made = subprocess.run(
        ["git", "worktree", "add", "--detach", str(folder), commit],
        cwd=HERE,
        capture_output=True,
        check=False,
    )
    try:
        yield folder if made.returncode == 0 else None
    finally:
        if made.returncode == 0:
            command = ["git", "worktree", "remove", "--force", str(folder)]
            subprocess.run(command, cwd=HERE, check=True, capture_output=True)


def environment(source: Path, *more: Path) -> dict[str, str]:
    """Return the environment in which the packages of a checkout are imported."""
    folders = [*(source / name for name in PACKAGES), *more]
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))}


def measured(source: Path, capture: Path, verb: str, out: Path) -> dict[str, Any]:
    """Return what a verb took with the packages of a checkout."""
    script = HERE / "benchmarks" / "wide_client.py"
    command = [sys.executable, str(script), str(source), str(capture), verb, str(out)]
    done = subprocess.run(
        command, env=environment(source), capture_output=True, text=True, check=True, encoding="utf-8"
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def write_wide(source: Path, path: Path, side: int, slots: int) -> None:
    """Write a planted capture of so many layers, as many heads, and tokens; 4 environments × 300 steps.

    A checkout that writes the first layout does so where there is one: the older code reads no other.
    """
    command = [sys.executable, "-c", WRITE, str(path), str(side), str(slots)]
    subprocess.run(command, env=environment(source, source / "tests" / "support"), check=True)


def run(*, quick: bool) -> dict[str, Any]:
    """Print bytes, processor seconds and memory of both verbs, now and before."""
    side, slots = (4, 256) if quick else (12, 1024)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "wide.zarr"
        with checkout(FIRST_LAYOUT, folder / "writer") as writer:
            write_wide(writer or HERE, path, side, slots)
        with checkout(BEFORE, folder / "before") as older:
            sources = {"now": HERE} | ({} if older is None else {"before": older})
            for verb in ("report", "recommend"):
                found[verb] = {n: measured(at, path, verb, folder / f"{n}-{verb}") for n, at in sources.items()}
    print(f"   {side} layers, {side} heads, {slots} tokens, 4 environments × 300 steps, over HTTP on loopback")
    for verb, taken in found.items():
        for when, cost in taken.items():
            print(
                f"   {verb} {when}: {cost['bytes'] / 1e6:.1f} MB received, {cost['cpu']:.1f} s of processor, "
                f"{cost['peak_mib']} MiB"
            )
        if "before" in taken:
            print(f"   {verb}: {taken['now']['cpu'] / taken['before']['cpu']:.0%} of the processor time before")
    return {"layers": side, "heads": side, "slots": slots, **found}
