"""The machine of a benchmark: processor, cores, memory, versions, and how busy the machine was."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path


def describe() -> dict[str, object]:
    """Return what the figures depend on."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("attnscope", "torch", "numpy", "zarr")},
    }


def load() -> float:
    """Return the processes that ran or waited to, on average over the last minute."""
    return round(os.getloadavg()[0], 1)


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    flags = " ".join(line for line in lines if line.startswith("flags"))
    widest = next((name for name in ("avx512f", "avx2") if name in flags), "")
    return " ".join(
        part for part in (names[0] if names else platform.processor() or platform.machine(), widest) if part
    )
