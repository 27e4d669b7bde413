"""Run a reading of foreign bytes in a child process with limits, and return the report that it leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final, TypeVar

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.parsing.limits import MAX_REFUSAL, WALL_SECONDS
from attnscope_model.parsing.messages import Examined, Parsed, Refused, take

STOPPED: Final = "its file is damaged or was made to do harm: do not open it without these limits"


ReportT = TypeVar("ReportT", Parsed, Examined)
"""The report that a child leaves where it does not refuse the file."""


def run_apart(module: str, words: list[str], folder: Path, name: str, answer: type[ReportT]) -> ReportT:
    """Run a module of ours in a child process; take the report that it leaves in `folder`.

    Raises
    ------
    CheckpointUnreadableError
        It refused the file `name`, took too much memory or time, or left no report of the kind `answer`.
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
    report = take(folder)
    if isinstance(report, Refused):
        raise CheckpointUnreadableError(f"{name}: {report.reason}")
    if ended.returncode < 0:
        raise CheckpointUnreadableError(
            f"{name}: its parser was stopped by signal {-ended.returncode}, out of memory or time: {STOPPED}"
        )
    if ended.returncode != 0:
        reason = (ended.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CheckpointUnreadableError(f"{name}: its parser failed: {reason[:MAX_REFUSAL]}")
    if not isinstance(report, answer):
        raise CheckpointUnreadableError(f"{name}: its parser left no report that can be understood: {STOPPED}")
    return report
