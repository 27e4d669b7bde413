"""Limits of a process that reads foreign bytes, and the names of the files between it and its parent."""

from __future__ import annotations

import resource
import sys
from importlib import import_module
from pathlib import Path
from typing import Final

WEIGHTS: Final = "model.safetensors"
REPORT: Final = "report.json"

MAX_FILE_BYTES: Final = 4 * 2**30
"""Size of a checkpoint file, at most."""

SPARE_BYTES: Final = 512 * 2**20
"""Address space of the parser beyond what it holds before it opens the file, and beyond `EXPANSION` times the file."""

EXPANSION: Final = 4
"""Times a file's size that its tensors may take as float32: 2 for half precision, and some for tied weights."""

CPU_SECONDS: Final = 120
"""Processor time of the parser."""

WALL_SECONDS: Final = 180
"""Time until the parser is given up."""

MAX_REFUSAL: Final = 1500
"""Characters of a refusal."""

MAX_REPORT_BYTES: Final = 64 * 2**20
"""Size of a report, at most; ten full configurations of a thousand texts each take about 10 MB."""


def limit(file_bytes: int) -> None:
    """Bound this process for good: its memory by what it has after loading torch and what such a file needs.

    Whatever else the process imports, it has imported before.
    """
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import_module("torch")  # what it maps must not count as the file's
    if sys.platform != "linux":
        return  # elsewhere the limit is not enforced, and there is no /proc to measure from
    held = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    most = held + SPARE_BYTES + 2 * EXPANSION * file_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    written = SPARE_BYTES + EXPANSION * file_bytes
    resource.setrlimit(resource.RLIMIT_FSIZE, (written, written))
