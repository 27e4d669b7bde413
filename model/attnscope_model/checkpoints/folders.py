"""Folders of the registry: entries in the native format, and the locked scratch folders in which they are made."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_storage.wire import CheckpointInfo
from attnscope_storage.wire.wording import sentence
from attnscope_storage.writing.lock import NO_LOCKS

ENTRY: Final = "entry.json"
_STEP: Final = re.compile(r"step-(\d{1,18})")

SCRATCH: Final = ".adding-"
"""Beginning of the names of folders in which entries are made; the maker holds a lock on the folder."""

UNHELD_SECONDS: Final = 60.0
"""Age below which such a folder is left: its maker may be about to lock it."""


@contextmanager
def new_folder(root: Path) -> Iterator[Path]:
    """Give a folder beside the entries, not listed among them, that is gone afterwards unless moved in."""
    root.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=root, prefix=SCRATCH))
    folder = scratch / "entry"
    with held(scratch):
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(scratch)


def move_in(root: Path, folder: Path, name: str) -> None:
    """Make a complete folder an entry in one step; another process may have been first with the same one."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    try:
        folder.rename(root / name)
    except OSError:
        if not (root / name / ENTRY).exists():
            raise


def sweep(root: Path) -> int:
    """Remove the scratch folders of processes that died while adding or removing; return how many."""
    swept = 0
    for scratch in root.glob(f"{SCRATCH}*"):
        with suppress(OSError):  # held: another process is adding; gone: it has ended
            if time.time() - scratch.stat().st_mtime < UNHELD_SECONDS:
                continue
            with held(scratch):
                shutil.rmtree(scratch)
                swept += 1
    return swept


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder, which the kernel drops when this process dies.

    Raises
    ------
    OSError
        Another process holds it, or it is gone.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            reason = f"{error.strerror}; the disk knows no locks: name a folder on a disk of this machine"
            raise OSError(error.errno, reason, str(folder)) from error
        yield
    finally:
        os.close(descriptor)


def read_entry(folder: Path) -> CheckpointInfo:
    """Return the entry of a folder in the native format.

    Raises
    ------
    CheckpointUnreadableError
        The entry is damaged.
    """
    try:
        return CheckpointInfo.model_validate_json((folder / ENTRY).read_bytes())
    except ValidationError as error:
        raise CheckpointUnreadableError(f"the entry {folder} is damaged: {sentence(error.errors()[0])}") from error


def shipped_checkpoints() -> list[Path]:
    """Return the folders of the checkpoints that travel with attnscope, in the native format."""
    return sorted(entry.parent for entry in Path(str(files("attnscope_model") / "shipped")).glob(f"*/{ENTRY}"))


def native_folder(source: Path) -> Path | None:
    """Return this folder where it is in the native format, or a run folder's of the highest step; None: neither."""
    if (source / ENTRY).is_file():
        return source
    named = ((_STEP.fullmatch(entry.parent.name), entry.parent) for entry in source.glob(f"*/{ENTRY}"))
    written = {int(found[1]): folder for found, folder in named if found}
    return written[max(written)] if written else None
