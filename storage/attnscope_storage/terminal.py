"""Text on terminals of any encoding: characters that it lacks are replaced."""

from __future__ import annotations

import codecs
import io
from types import MappingProxyType
from typing import Final

INSTEAD: Final = MappingProxyType(
    {
        "\N{MINUS SIGN}": "-", "\N{EN DASH}": "-", "\N{EM DASH}": "-", "\N{HORIZONTAL ELLIPSIS}": "...",
        "\N{MULTIPLICATION SIGN}": "x", "\N{DIVISION SIGN}": "/", "\N{PLUS-MINUS SIGN}": "+/-", "\N{DEGREE SIGN}": "*",
        "\N{RIGHTWARDS ARROW}": "->", "\N{GREATER-THAN OR EQUAL TO}": ">=", "\N{LESS-THAN OR EQUAL TO}": "<=",
        "\N{DOUBLE VERTICAL LINE}": "||", "\N{MIDDLE DOT}": ".", "\N{BOX DRAWINGS HEAVY HORIZONTAL}": "-",
        "\N{GREEK SMALL LETTER ALPHA}": "alpha", "\N{GREEK SMALL LETTER PI}": "pi", "\N{GREEK SMALL LETTER RHO}": "rho",
        "\N{GREEK SMALL LETTER SIGMA}": "sigma", "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'", "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    }
)  # fmt: skip
"""Characters that our texts use, and how a terminal without them shows each."""

REPLACING: Final = "attnscope-replace"
"""Name of the codec error handler that `INSTEAD` makes; any other missing character becomes ``?``."""


def take_any_terminal(*streams: object) -> None:
    """Let text streams replace the characters that their encoding lacks, instead of raising."""
    codecs.register_error(REPLACING, _replaced)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=REPLACING)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(INSTEAD.get(character, "?") for character in text), error.end
