"""The refusals of policies that a kind of job cannot take: by their context, or by their actions."""

from __future__ import annotations

from attnscope_server.errors import refusal
from attnscope_storage.wire import PolicyDescription, ProblemCode


def refuse_other_actions(policy: PolicyDescription, name: str) -> None:
    """Refuse a decision about a policy whose actions cannot be told apart by a number each.

    Raises
    ------
    ProblemError
        invalid-request, with the reason and what to ask for instead.
    """
    if (reason := policy.output.why_undecided) is not None:
        detail = f"{name} takes no decision: {reason}; a screen and a trial take it"
        raise refusal(ProblemCode.INVALID_REQUEST, detail)


def refuse_whole(policy: PolicyDescription, name: str) -> None:
    """Refuse to shorten the context of a policy that keeps more than its context shows.

    Raises
    ------
    ProblemError
        invalid-request, with the reason.
    """
    if (reason := policy.why_whole) is not None:
        raise refusal(ProblemCode.INVALID_REQUEST, f"{name} takes no rule: {reason}; a capture shows what it looks at")
