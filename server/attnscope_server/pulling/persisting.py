"""Requests that an attempt needs before it begins: asked again for a while, never for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from attnscope_server.pulling.errors import AwayError, OverError, UnservedError

AnswerT = TypeVar("AnswerT")

AGAIN_AFTER: Final = 1.0
"""Seconds before a request is tried again that the service did not answer."""

TRIES: Final = 5
"""Tries before a request is given up, at least; a service that starts anew refuses more than that in its patience."""


class Clock(Protocol):
    """A reporter, as far as it tells time."""

    patience: float

    def clock(self) -> float:
        """Return the time in seconds."""
        ...

    def wait_over(self, seconds: float | None = None) -> None:
        """Wait until the attempt is over; at most so many seconds."""
        ...


def until_answered(ask: Callable[[], AnswerT], stopped: Callable[[], bool], reporter: Clock) -> AnswerT:
    """Ask until the service answers.

    Raises
    ------
    OverError
        `stopped()` became true.
    UnservedError
        It was asked several times, for as long as a service is waited for. Its reports may be answered all the while,
        so nothing else would end the attempt.
    """
    tries, begun = 0, reporter.clock()
    while True:
        try:
            return ask()
        except AwayError as error:
            if stopped():
                raise OverError(error.message) from error
            tries, waited = tries + 1, reporter.clock() - begun
            if tries >= TRIES and waited > reporter.patience:
                raise UnservedError(f"asked {tries} times in {waited:.0f} s: {error.message}") from error
            reporter.wait_over(AGAIN_AFTER)
