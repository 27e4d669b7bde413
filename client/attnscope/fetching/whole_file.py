"""Files that appear whole or not at all."""

from __future__ import annotations

from pathlib import Path


def write_whole(file: Path, content: bytes) -> None:
    """Write a file that has its name only once it is whole, so that a later try may trust what it finds."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.unfinished")
    unfinished.unlink(missing_ok=True)  # a link in its place would be written through
    try:
        unfinished.write_bytes(content)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
