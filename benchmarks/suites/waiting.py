"""Threads that sleep while they wait for each other, beside threads that spin: decisions of 1, 8 and 64 environments.

Two processes with as many threads as torch likes take turns; they differ by `OMP_WAIT_POLICY` alone. The load decides
who is faster. With real-time priority (`chrt -f 10`) other programs hardly disturb, as on a machine of one's own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from benchmarks.machine import load
from benchmarks.timing import Cost, ratios, rounds, shown

ENVS: Final = (1, 8, 64)
DECISIONS: Final = {1: 50, 8: 15, 64: 3}
"""Decisions of a run, by environments: about a tenth of a second of work."""

ROUNDS: Final = 25
QUICK: Final = 4


@contextmanager
def deciding(policy: str | None) -> Iterator[subprocess.Popen[str]]:
    """Run a process that decides when it is asked, with a wait policy or without one."""
    others = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment = others if policy is None else others | {"OMP_WAIT_POLICY": policy}
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.decider"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=environment,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def asked(process: subprocess.Popen[str], envs: int) -> Cost:
    """Return the cost of some decisions."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process has no pipes")
    print(envs, DECISIONS[envs], file=process.stdin, flush=True)
    wall, cpu = map(float, process.stdout.readline().split())
    return Cost(wall, cpu)


def run(*, quick: bool) -> dict[str, Any]:
    """Compare both ways to wait."""
    found: dict[str, Any] = {}
    with deciding(None) as spins, deciding("PASSIVE") as sleeps:
        for envs in ENVS:
            before = load()
            ways = {
                "spinning": lambda envs=envs: asked(spins, envs),
                "sleeping": lambda envs=envs: asked(sleeps, envs),
            }
            taken = rounds(ways, QUICK if quick else ROUNDS)
            wall, cpu = (ratios(taken["sleeping"], taken["spinning"], what) for what in ("wall", "cpu"))
            found[str(envs)] = {"wall": wall, "cpu": cpu, "load": before}
            print(
                f"   {envs:>3} environments: sleeping ÷ spinning, wall {shown(wall)}, processor time {shown(cpu)}; "
                f"load {before}"
            )
    return found
