"""The service that a command speaks to: options for its address and its key's file, before or behind the verb."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import attnscope
from attnscope.errors import ConfigurationError
from attnscope.service import Service
from attnscope_storage.usage import WordedGroup

ANYWHERE: Final = ("--url", "--key-file", "--key", "--table")
"""Options of the program that may also stand behind a verb; no verb has one of the same name."""

KEY_BYTES: Final = 4096
"""Bytes of a key file, at most."""

_named: ContextVar[Mapping[str, str]] = ContextVar("named", default=MappingProxyType({}))
"""The options of the command that runs, as far as they were said."""


class AddressedGroup(WordedGroup):
    """The program: its options that name the service may stand anywhere before ``--``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - click's context, or typer's own copy
        """Read the arguments with those options moved to the front, and note the service that they name."""
        left = super().parse_args(ctx, to_front(args))
        _named.set({name: str(ctx.params[name]) for name in ("url", "key_file") if ctx.params.get(name) is not None})
        return left


def to_front(args: list[str]) -> list[str]:
    """Return the arguments with `ANYWHERE` and their values before all others."""
    first: list[str] = []
    rest: list[str] = []
    left = list(args)
    while left:
        word = left.pop(0)
        if word == "--":
            return [*first, *rest, word, *left]
        if word in ANYWHERE:
            first += [word, *left[:1]]
            del left[:1]
        elif word.partition("=")[0] in ANYWHERE:
            first.append(word)
        else:
            rest.append(word)
    return first + rest


def key_of(path: Path) -> str:
    """Return the key that a file holds.

    Raises
    ------
    ConfigurationError
        The file cannot be read, or holds no key.
    """
    try:
        with path.open("rb") as file:
            content = file.read(KEY_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"the key file {path} cannot be read: {error.strerror}") from error
    words = content.split()
    if len(words) != 1 or len(content) > KEY_BYTES:
        raise ConfigurationError(f"the key file {path} must hold one key and nothing else")
    return words[0].decode("utf-8", errors="replace")


def connect() -> Service:
    """Return the service that the options of the program name, else the one that `attnscope.connect` finds."""
    named = _named.get()
    asked = {"url": named["url"]} if "url" in named else {}
    if "key_file" in named:
        asked["api_key"] = key_of(Path(named["key_file"]))
    return attnscope.connect(**asked)
