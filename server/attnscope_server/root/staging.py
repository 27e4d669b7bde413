"""Folders that appear whole or not at all: filled beside their place, then renamed to it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attnscope_server.errors import BackupRefusedError


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Give a fresh folder that becomes `folder` when the context ends without an error, and is removed otherwise.

    Raises
    ------
    BackupRefusedError
        `folder` is there and not empty, cannot be made, or another copy on its way to it exists.
    """
    folder = folder.absolute()
    fresh = folder.with_name(f".{folder.name}.partial")
    if folder.is_symlink() or (folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))):
        raise BackupRefusedError(f"{folder} is there already: name a folder that is new or empty")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh.mkdir(mode=0o700)
    except OSError as error:
        if isinstance(error, FileExistsError) and fresh.is_dir():
            raise BackupRefusedError(
                f"{fresh} is there: another copy is under way, or one was interrupted; then remove it"
            ) from error
        raise BackupRefusedError(f"{folder} cannot be made: {error.strerror}") from error
    try:
        yield fresh
        _settle(fresh)
        _rename(fresh, folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _rename(fresh: Path, folder: Path) -> None:
    try:
        fresh.rename(folder)
    except OSError as error:
        reason = f"{folder} cannot take its name: {error.strerror}; name a new folder below it where it is a mount"
        raise BackupRefusedError(reason) from error
    _sync(folder.parent)


def _settle(folder: Path) -> None:
    """Make every file and folder below outlast a power loss."""
    for below, _, files in os.walk(folder, topdown=False):
        for name in files:
            _sync(Path(below, name))
        _sync(Path(below))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
