"""Read the fenced blocks of a Markdown page, and the comments that say where they run.

``<!-- on: box[server] -->`` names the machine of the blocks behind it and the extras that are installed on it; a page
without one runs on a machine with no extra. ``<!-- not run: reason -->`` keeps the next block from being run. A reader
of the page sees neither.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ON = re.compile(r"<!-- on: (?P<name>[\w-]+)(?:\[(?P<extras>[\w,]*)\])? -->")
NOT_RUN = re.compile(r"<!-- not run: (?P<reason>[^>]+) -->")
FENCE = re.compile(r"^```(?P<language>\w*)\s*$")
RUN = frozenset({"sh", "python"})
"""Languages that are run."""
SHOWN = frozenset({"json", "text", "toml"})
"""Languages that are only read: what a program prints, a file's content, a drawing."""


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    page: str
    """Path of the page inside the tree."""
    line: int
    """Line of the opening fence, from 1."""
    section: str
    """Heading above it."""
    language: str
    text: str
    machine: str
    extras: tuple[str, ...]
    """Extras that the page says are installed on the machine."""
    reason: str | None
    """Why it is not run; None where it is."""

    def __str__(self) -> str:
        """Return where it stands."""
        return f"{self.page}:{self.line}"


def blocks_of(root: Path, page: str) -> list[Block]:
    """Return the blocks of a page, in order.

    Raises
    ------
    ValueError
        A fence is never closed, or a comment stands before no block.
    """
    blocks: list[Block] = []
    section, machine, extras, reason = "", "here", (), None
    fence: tuple[int, str] | None = None
    text: list[str] = []
    for number, line in enumerate((root / page).read_text().splitlines(), 1):
        opened = FENCE.match(line)
        if fence is not None and line.rstrip() == "```":
            blocks.append(Block(page, fence[0], section, fence[1], "\n".join(text), machine, extras, reason))
            fence, reason = None, None
        elif fence is not None:
            text.append(line)
        elif opened:
            fence, text = (number, opened["language"]), []
        elif line.startswith("#"):
            section = line.lstrip("# ")
        elif place := ON.fullmatch(line.strip()):
            machine, extras = place["name"], tuple(filter(None, (place["extras"] or "").split(",")))
        elif why := NOT_RUN.fullmatch(line.strip()):
            reason = why["reason"]
    if fence is not None or reason is not None:
        raise ValueError(f"{page}: a block or a comment at its end is left open")
    return blocks
