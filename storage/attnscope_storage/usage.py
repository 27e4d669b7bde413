"""Wrong usage of the two programs in our words: the option or argument, what was expected, and what came.

Knows typer's errors by name and attributes alone: typer brings its own copy of click, earlier versions used click
itself, and neither is imported here.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any, Final

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from attnscope_storage.wire.wording import sentence

WRONG_USAGE: Final = 2
"""Exit status of wrong usage."""

UsageError: Final[type[Exception]] = typer.BadParameter.__mro__[1]
"""The error that typer raises for every wrong use of a program; typer exports only this subclass."""

QUOTE: Final = "'"

MANY_WORDS: Final = "Got unexpected extra argument"
NO_VERB: Final = "Missing command"
"""The beginnings of two errors that have no class of their own."""


class WordedGroup(TyperGroup):
    """A program or a group of its verbs: a verb that there is not is refused with those whose names are near."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - click's, or typer's own copy
        """Return the verb that is asked for.

        Raises
        ------
        typer.BadParameter
            There is no such verb.
        """
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            near = get_close_matches(args[0], self.list_commands(ctx))
            raise typer.BadParameter(f"there is no verb {args[0]!r}{_near(near)}", ctx=ctx)
        return super().resolve_command(ctx, args)


def message_of(error: Exception) -> str:
    """Return the text for wrong usage: its sentence and how to see what is right; the help where no word was typed."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return str(error)
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", None)
    more = f" (see: {path} --help)" if path else ""
    return f"error: {_sentence(error)}{more}"


def _sentence(error: Exception) -> str:
    message = str(getattr(error, "message", error)).rstrip(".")
    place = _place(error)
    match type(error).__name__:
        case "MissingParameter":
            return f"{place} is needed"
        case "NoSuchOption":
            near: list[str] = sorted(getattr(error, "possibilities", None) or [])
            return f"there is no option {getattr(error, 'option_name', '')}" + _near(near)
        case "BadOptionUsage":
            name = getattr(error, "option_name", "")
            return f"{name} takes no value" if "does not take" in message else f"{name} needs a value behind it"
        case "BadParameter":
            cause = error.__cause__
            if isinstance(cause, ValidationError):
                message = sentence(cause.errors(include_url=False)[0])
            if (choice := re.fullmatch(r"(.+) is not one of (.+?)\.?", message)) is not None:
                message = f"expected one of {choice[2].replace(QUOTE, '')}, got {choice[1]}"
            return f"{place}: {message}" if place else message
    if message.startswith(MANY_WORDS):
        return f"too many arguments: {message.partition('(s) ')[2]}"
    return "name a verb" if message.startswith(NO_VERB) else message


def _place(error: Exception) -> str:
    """Return the option or argument that an error is about, as typed."""
    hint = getattr(error, "param_hint", None)
    if hint is not None:
        return hint if isinstance(hint, str) else " or ".join(hint)
    parameter: Any = getattr(error, "param", None)
    if parameter is None:
        return ""
    options = [name for name in getattr(parameter, "opts", ()) if name.startswith("-")]
    return max(options, key=len) if options else str(parameter.name).upper()


def _near(names: list[str]) -> str:
    return f"; did you mean {' or '.join(names)}?" if names else ""
