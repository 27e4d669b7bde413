"""The data root: made private, held by one service at a time, and the local key that lies in it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attnscope_server.errors import DatabaseMissingError, DataRootInUseError, DataRootUnusableError
from attnscope_server.records.database import Database
from attnscope_server.records.keys import KeyStore
from attnscope_server.root.disk import refuse_network, without_locks
from attnscope_server.settings import Settings
from attnscope_storage.errors import BucketUnusableError
from attnscope_storage.layout.bucket import BucketPath
from attnscope_storage.layout.bucket_store import probe
from attnscope_storage.layout.places import STORES, stores_in
from attnscope_storage.wire.announcing import Announcement
from attnscope_storage.writing.lock import NO_LOCKS

MANIFEST = "backup.json"
"""File of a backup that says what belongs to it; no data root has it."""

LOCAL_OWNER = "local"
"""Owner of the key that the first start makes."""


def prepare(settings: Settings) -> None:
    """Make the data root and its folders, readable by nobody else.

    Raises
    ------
    DataRootUnusableError
        It cannot be made or written, lies on a network disk, or is a backup; or the bucket cannot hold stores.
    """
    root = settings.data_root
    if (root / MANIFEST).exists():
        command = shlex.join(["attnscope-server", "restore", str(root), "--data-root", "NEW"])
        raise DataRootUnusableError(f"{root} is a backup: `{command}`")
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (settings.captures_folder, settings.checkpoints_folder):
            folder.mkdir(mode=0o700, exist_ok=True)
        if root.stat().st_uid == os.geteuid():
            root.chmod(0o700)
    except OSError as error:
        raise DataRootUnusableError(f"the data root {root} cannot be used: {error.strerror}") from error
    if not os.access(root, os.W_OK | os.X_OK):
        raise DataRootUnusableError(f"the data root {root} cannot be written")
    refuse_network(root)
    if isinstance(settings.stores, BucketPath):
        try:
            probe(settings.stores / STORES)
        except BucketUnusableError as error:
            raise DataRootUnusableError(error.message) from error


def open_database(settings: Settings) -> Database:
    """Open the job database of a prepared data root, made where there is none; or the one that `database_url` names.

    Raises
    ------
    DatabaseMissingError
        There is none, but captures are: they would be nobody's.
    """
    if settings.database_url is not None:
        return Database.connect(settings.database_url.get_secret_value())
    if not settings.database_path.exists():
        left = sum(1 for _ in stores_in(settings.stores / STORES))
        if left:
            raise DatabaseMissingError(
                f"there are {left} captures but no job database at {settings.database_path}: restore it from a backup, "
                "or enter them anew with `attnscope-server doctor --rebuild`"
            )
    return Database.open(settings.database_path, durable=settings.durable)


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    """Open the job database, as `open_database` does, for as long as the context lasts."""
    database = open_database(settings)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def held(root: Path) -> Iterator[None]:
    """Hold the data root for as long as the context lasts.

    Raises
    ------
    DataRootInUseError
        Another service holds it.
    DataRootUnusableError
        Its disk knows no locks.
    """
    descriptor = os.open(root / "service.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            raise DataRootInUseError(
                f"another attnscope service (process {holder}) works on {root}; stop it or choose another --data-root"
            ) from error
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            raise without_locks(root, error) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def local_key(settings: Settings, keys: KeyStore) -> str:
    """Return the key of this machine's user, made where there is no valid one."""
    with contextlib.suppress(OSError, ValueError):  # pydantic's errors are ValueErrors
        stored = Announcement.model_validate_json((settings.data_root / "local.key").read_bytes()).key
        if stored is not None and keys.identify(stored) is not None:
            return stored
    return keys.create(LOCAL_OWNER, label="made by the first start")


def announce(settings: Settings, url: str, key: str) -> None:
    """Write url and key where the local client finds them."""
    content = Announcement(url=url, key=key).model_dump_json() + "\n"
    write_private(settings.data_root / "local.key", content)
    if settings.announce:
        settings.announce_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(settings.announce_folder / "local.json", content)


def withdraw(settings: Settings, url: str) -> None:
    """Take back what `announce` told the local client, unless another service has told it something since."""
    path = settings.announce_folder / "local.json"
    with contextlib.suppress(OSError, ValueError):
        if settings.announce and Announcement.model_validate_json(path.read_bytes()).url == url:
            path.unlink()


def write_private(path: Path, content: str) -> None:
    """Replace a file in one rename, readable by its owner only."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
    fresh.replace(path)
