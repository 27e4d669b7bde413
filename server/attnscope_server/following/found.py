"""The checkpoints of a run folder, by training step."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FILE: Final = re.compile(r"ckpt-(\d{1,18})\.pt")
_FOLDER: Final = re.compile(r"step-(\d{1,18})")


@dataclass(frozen=True)
class Found:
    """A checkpoint that lies in a run folder."""

    step: int
    path: Path

    @property
    def stamp(self) -> tuple[int, int]:
        """Size and time of what lies there, which change while it is written."""
        parts = [self.path] if self.path.is_file() else sorted(self.path.rglob("*"))
        stats = [part.stat() for part in parts if part.exists()]
        return sum(one.st_size for one in stats), max((one.st_mtime_ns for one in stats), default=0)


def checkpoints_of(folder: Path) -> list[Found]:
    """Return the ``ckpt-<step>.pt`` files and ``step-<step>`` folders of a run, by step; a file before a folder."""
    found: dict[int, Found] = {}
    for path in sorted(folder.iterdir()):
        pattern = _FILE if path.is_file() else _FOLDER
        if (named := pattern.fullmatch(path.name)) is not None:
            found.setdefault(int(named[1]), Found(int(named[1]), path))
    return [found[step] for step in sorted(found)]
