"""Text from a service, made safe to show: nothing in it moves a cursor, hides, or turns round what stands beside it.

Done once, where answers are read, so that no table, error, caption or report has to think of it. Markup is another
matter, and its writer's: the command line escapes rich's, reports escape HTML.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

_UNSAFE: Final = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, escape sequences among them; tab and newline may stay
    "\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"  # invisible, or turning the direction of text
    "\u00ad\u180e\ufff9-\ufffb\U000e0000-\U000e007f"  # invisible too: soft hyphens, annotations, tags
    "\ud800-\udfff"  # halves of characters, which cannot be written out
    "]"
)


def plain(text: str) -> str:
    r"""Return a text with every unsafe character spelled out, such as ``\x1b`` for escape."""
    return _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)


def plain_values(value: Any) -> Any:  # noqa: ANN401 - anything that JSON can be
    """Return parsed JSON with every text in it plain, names of fields too."""
    kinds: dict[type, Callable[[Any], Any]] = {
        str: plain,
        list: lambda items: [plain_values(item) for item in items],
        dict: lambda items: {plain(name): plain_values(item) for name, item in items.items()},
    }
    made = kinds.get(type(value))
    return value if made is None else made(value)
