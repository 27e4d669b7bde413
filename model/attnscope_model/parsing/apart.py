"""Run a reading of foreign bytes in a child process with limits, and return the plain JSON that it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.parsing.limits import CONTENTS, MAX_REFUSAL, REFUSAL, WALL_SECONDS

STOPPED: Final = "its file is damaged or was made to do harm: do not open it without these limits"


def run_apart(module: str, words: list[str], folder: Path, name: str) -> dict[str, Any]:
    """Run a module of ours in a child process; return the contents that it leaves in `folder`.

    Raises
    ------
    CheckpointUnreadableError
        It refused the file `name`, or took too much memory or time.
    """
    # -P keeps the current folder, which may be a downloaded one, off the module path.
    command = [sys.executable, "-P", "-m", module, *words]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ATTNSCOPE_")}
    try:
        ended = subprocess.run(  # noqa: S603 - our own interpreter and module; each word is one argument
            command,
            capture_output=True,
            text=True,
            timeout=WALL_SECONDS,
            check=False,
            env=environment | {"OMP_NUM_THREADS": "1"},
            encoding="utf-8",
        )
    except subprocess.TimeoutExpired as error:
        raise CheckpointUnreadableError(f"{name} took more than {WALL_SECONDS} s to read: {STOPPED}") from error
    refused = folder / REFUSAL
    if refused.exists():
        raise CheckpointUnreadableError(f"{name}: {json.loads(refused.read_bytes())}")
    if ended.returncode < 0:
        raise CheckpointUnreadableError(
            f"{name}: its parser was stopped by signal {-ended.returncode}, out of memory or time: {STOPPED}"
        )
    if ended.returncode != 0:
        reason = (ended.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CheckpointUnreadableError(f"{name}: its parser failed: {reason[:MAX_REFUSAL]}")
    contents: dict[str, Any] = json.loads((folder / CONTENTS).read_bytes())
    return contents
