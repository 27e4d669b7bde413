"""A service in a process of its own, for suites that measure it from outside."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

KEY = "a-fixed-key-for-benchmarks"


@contextmanager
def served(root: Path) -> Iterator[str]:
    """Serve a data root on a free port with one torch thread; give the URL."""
    with process_of(root) as (url, _):
        yield url


@contextmanager
def process_of(root: Path, surroundings: Mapping[str, str] = os.environ) -> Iterator[tuple[str, int]]:
    """Serve as `served` does, in these surroundings; give the URL and the id of the process."""
    environment = {**surroundings, "ATTNSCOPE_SERVER_API_KEY": KEY, "ATTNSCOPE_SERVER_THREADS": "1"}
    command = [sys.executable, "-c", "from attnscope_server.cli import main; main()", "serve"]
    command += ["--data-root", str(root / "service"), "--port", "0", "--no-announce"]
    with (root / "service.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment, encoding="utf-8"
        )
    try:
        said = process.stdout.readline() if process.stdout else ""
        if not said.startswith("listening on "):
            raise SystemExit((root / "service.log").read_text(encoding="utf-8"))
        yield said.split()[-1], process.pid
    finally:
        process.terminate()
        process.wait()
        if process.stdout:
            process.stdout.close()
