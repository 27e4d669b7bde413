"""The question that an answer repeats in its headers, held against the one that was asked."""

from __future__ import annotations

from collections.abc import Mapping

from attnscope.connecting.plain import plain
from attnscope.connecting.responses import Response
from attnscope.errors import UnexpectedAnswerError


def refuse_another(answer: Response, asked: Mapping[str, str]) -> None:
    """Refuse an answer whose headers repeat another question; a service that repeats none is believed.

    Raises
    ------
    UnexpectedAnswerError
        A header differs.
    """
    for header, value in asked.items():
        repeated = answer.headers.get(header, value)
        if repeated != value:
            raise UnexpectedAnswerError(
                f"the service answered another question ({header} {plain(repeated[:200])!r} for {value[:200]!r}): "
                "do two processes use one connection, or does a proxy mix answers?"
            )
