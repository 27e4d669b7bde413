"""The program ``attnscope``: every verb, and what an error ends in."""

from __future__ import annotations

import os
import sys

import typer
from pydantic import ValidationError

from attnscope.cli.app import STOPPED, app
from attnscope.cli.verbs import (
    advice,
    bulk,
    captures,
    catalogue,
    comparing,
    decisions,
    demonstration,
    influences,
    jobs,
    loops,
    pages,
    reports,
    screens,
    trials,
)
from attnscope.connecting.plain import plain
from attnscope.connecting.transport import close_all
from attnscope.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    JobCancelledError,
    JobFailedError,
)
from attnscope_storage.errors import AttnscopeError
from attnscope_storage.terminal import take_any_terminal
from attnscope_storage.usage import WRONG_USAGE, UsageError, message_of
from attnscope_storage.wire.wording import wrong_fields

VERBS = (
    jobs,
    bulk,
    captures,
    pages,
    influences,
    reports,
    advice,
    screens,
    trials,
    decisions,
    loops,
    catalogue,
    comparing,
    demonstration,
)
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
    os.environ["MPLBACKEND"] = "Agg"  # figures are files here; another program's backend may not exist
    take_any_terminal(sys.stdout, sys.stderr)
    try:
        status = app(prog_name="attnscope", standalone_mode=False) or 0
        if status == STOPPED:  # Ctrl-C
            _stop()
        raise SystemExit(status)
    except UsageError as error:
        sys.stderr.write(f"{plain(message_of(error))}\n")
        raise SystemExit(WRONG_USAGE) from error
    except typer.Abort:
        _stop()
        raise SystemExit(STOPPED) from None
    except (AttnscopeError, ValueError, OSError, ImportError) as error:
        sys.stderr.write(f"error: {plain(words(error))}\n")
        ours = isinstance(error, AttnscopeError)
        raise SystemExit(next((code for kind, code in STATUS if ours and isinstance(error, kind)), 1)) from error


def _stop() -> None:
    """Let no thread wait for an answer that nobody wants any more, and say that the command was stopped."""
    close_all()
    sys.stderr.write("stopped\n")


def words(error: Exception) -> str:
    """Return the sentence for an error; the words of other libraries become ours."""
    if isinstance(error, ValidationError):
        return "; ".join(wrong_fields(error.errors(include_url=False)))
    if isinstance(error, AttnscopeError):
        return str(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"{where}{error.strerror or error}"
    if isinstance(error, ImportError) and error.name:
        return f"the package {error.name} is not installed or cannot be loaded: {error}"
    return str(error)
