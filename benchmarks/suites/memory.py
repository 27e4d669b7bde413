"""Memory and disk against a capture's length: a fresh process a run, VmHWM as the kernel counts it."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from attnscope_storage.reading.reader import CaptureReader
from benchmarks.subject import subject

LENGTHS = (1_000, 10_000, 20_000)
"""Steps of the captures of one environment."""


def peak_mib() -> float:
    """Return this process's peak resident memory (Linux)."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))
    return int(found[1]) / 1024 if found else float("nan")


def capture(steps: int) -> str:
    """Capture `steps` steps with rows of every step; return the peak and the bytes on disk."""
    with tempfile.TemporaryDirectory() as folder:
        it = subject(Path(folder), causal=False)
        it.capture(it.spec(1, steps))
        (path,) = (Path(folder) / "captures").glob("*.zarr")
        assert CaptureReader.open(path).complete
        stored = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return f"{peak_mib()} {stored / 2**20}"


def run(*, quick: bool) -> dict[str, Any]:
    """Print peak and disk of each length, and the growth."""
    results: dict[str, Any] = {}
    for steps in LENGTHS[: 1 if quick else None]:
        command = [sys.executable, "-m", "benchmarks.suites.memory", str(steps)]
        peak, disk = map(
            float, subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8").stdout.split()
        )
        results[str(steps)] = {"peak_mib": peak, "disk_mib": disk}
        print(f"   {steps:>6} steps × 1 env, rows of every step: peak {peak:.1f} MiB, {disk:.1f} MiB on disk")
    if not quick:
        growth = results[str(LENGTHS[-1])]["peak_mib"] - results[str(LENGTHS[0])]["peak_mib"]
        results["growth_mib"] = growth
        print(f"   growth from {LENGTHS[0]} to {LENGTHS[-1]} steps: {growth:.1f} MiB")
    return results


if __name__ == "__main__":
    print(capture(int(sys.argv[1])))
