"""Cursors of job pages: opaque to clients, a job's sequence number to the database."""

from __future__ import annotations

import base64
import binascii

from attnscope_server.errors import refusal
from attnscope_storage.wire import ProblemCode

MAX_CURSOR_DIGITS = 18
"""Decimal digits of a cursor's number, so that it fits the database's integers."""


def cursor_of(sequence: int) -> str:
    """Return the cursor of a sequence number."""
    return base64.urlsafe_b64encode(f"v1:{sequence}".encode()).decode()


def parse_cursor(cursor: str) -> int:
    """Return a cursor's sequence number.

    Raises
    ------
    ProblemError
        It is not one that this service gave.
    """
    try:
        version, _, sequence = base64.b64decode(cursor, altchars=b"-_", validate=True).decode().partition(":")
        if version != "v1" or not sequence.isascii() or not sequence.isdigit() or len(sequence) > MAX_CURSOR_DIGITS:
            raise ValueError(cursor)  # noqa: TRY301 - one answer for every way it can be wrong
        return int(sequence)
    except (ValueError, binascii.Error, UnicodeDecodeError) as error:
        raise refusal(ProblemCode.INVALID_REQUEST, "cursor: not one that this service gave") from error
