"""The refusal to shorten the context of a policy that keeps more than its context shows."""

from __future__ import annotations

from attnscope_server.errors import refusal
from attnscope_storage.wire import PolicyDescription, ProblemCode


def refuse_whole(policy: PolicyDescription, name: str) -> None:
    """Refuse to shorten the context of a policy that keeps more than its context shows.

    Raises
    ------
    ProblemError
        invalid-request, with the reason.
    """
    if (reason := policy.why_whole) is not None:
        raise refusal(ProblemCode.INVALID_REQUEST, f"{name} takes no rule: {reason}; a capture shows what it looks at")
