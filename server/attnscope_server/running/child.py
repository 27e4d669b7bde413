"""The first acts of every child of the service: end with it, and keep its reports apart from stray prints."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import BinaryIO

import structlog

from attnscope_server.logs import lines_of

PR_SET_PDEATHSIG = 1
"""Linux prctl option: the signal a process gets when its parent ends."""


def become_child() -> BinaryIO:
    """Prepare this process, and return where its reports go; whatever else it prints joins the log."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the service, which stops its workers
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=lines_of(sys.stderr)),  # type: ignore[arg-type]  # writes alone
    )
    reports = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a stray print must not break the protocol
    return reports


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends (Linux; elsewhere the closed pipe does it)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
