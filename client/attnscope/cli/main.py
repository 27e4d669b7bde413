"""The program ``attnscope``: every verb, and what an error ends in."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from attnscope.cli import advice, captures, catalogue, demonstration, influences, jobs, reports, trials
from attnscope.cli.app import app
from attnscope.connecting.plain import plain
from attnscope.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    JobCancelledError,
    JobFailedError,
)
from attnscope_storage.errors import AttnscopeError

VERBS = (jobs, captures, influences, reports, advice, trials, catalogue, demonstration)
"""Modules whose import registers verbs, in the order of the help."""

STATUS: list[tuple[type[BaseException], int]] = [
    (JobFailedError, 3),
    (JobCancelledError, 4),
    (ConnectionFailedError, 5),
    (ConfigurationError, 5),
    (AuthenticationError, 6),
    (LookupError, 7),
]
"""Exit status by error, the first that fits."""


def main() -> None:
    """Run the command line; an error that attnscope explains is one line and a status that means something."""
    try:
        app()
    except (AttnscopeError, ValueError) as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"error: {escape(plain(str(error)))}")
        raise SystemExit(next((code for kind, code in STATUS if isinstance(error, kind)), 1)) from error
