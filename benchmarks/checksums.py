"""The checksums that stand beside published files, as `sha256sum -c SHA256SUMS` reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

SUMS: Final = "SHA256SUMS"
"""Name of the file with the checksums of a folder."""


def write_sums(folder: Path, names: Iterable[str]) -> None:
    """Write the checksums of these files of a folder, in this order."""
    lines = [f"{_digest(folder / name)}  {name}\n" for name in names]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def summed(folder: Path) -> dict[str, str]:
    """Return the published checksums of a folder's files by their names."""
    lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}


def unchanged(path: Path) -> Path:
    """Return the path of a published file.

    Raises
    ------
    ValueError
        The file is not the one whose checksum was published.
    """
    if summed(path.parent).get(path.name) != _digest(path):
        raise ValueError(f"{path.name} is not the file whose checksum was published")
    return path


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
