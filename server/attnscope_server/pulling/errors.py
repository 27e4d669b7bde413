"""Errors of a worker's requests: each says whether the same request may succeed later."""

from __future__ import annotations

from attnscope_server.errors import ServiceError
from attnscope_storage.wire import Problem


class AwayError(ServiceError, ConnectionError):
    """The service does not answer now; the same request may succeed later."""


class RefusedError(ServiceError):
    """The service refuses this worker, and would again."""

    def __init__(self, message: str, document: Problem | None = None) -> None:
        super().__init__(message)
        self.problem = document
        """The refusal as it came; None where it was no problem document."""


class UnservedError(ServiceError):
    """The service answers reports, and not what the attempt needs before it begins."""


class OverError(ServiceError):
    """The attempt is over for this worker: its lease ended, or another attempt began."""
