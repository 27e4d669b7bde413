"""The mark of a data root: a random line in a file, by which another machine tells that it sees the same folder.

A machine where the folder is not mounted would otherwise make one of its own and write captures that nobody finds.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

MARK: Final = "mark"
"""Name of the file."""


def mark_of(data_root: Path) -> str:
    """Return the mark of a data root, made where there is none."""
    path = data_root / MARK
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii")
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        mark = secrets.token_hex(16)
        file.write(mark)
    return mark


def sees(data_root: Path, mark: str) -> bool:
    """Return True where the data root with this mark lies at its path on this machine."""
    try:
        return (data_root / MARK).read_text(encoding="ascii") == mark
    except (OSError, UnicodeDecodeError):
        return False
