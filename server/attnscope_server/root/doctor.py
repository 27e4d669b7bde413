"""The faults of a data root, and their remedies. `examine` only reads, so it may run beside the service.

Torch takes seconds to import, so only the checkpoints and the devices, which come last, import it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from typing import Final

from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.errors import CheckpointError
from attnscope_server.acting.devices import choose_device, fault_of
from attnscope_server.root.disk import NETWORK, REMEDY, file_system
from attnscope_server.root.examined_database import database_findings
from attnscope_server.root.examined_stores import Tell, store_findings
from attnscope_server.root.finding import Finding, bad, good
from attnscope_server.settings import Settings
from attnscope_storage.errors import StorageUnwritableError

LITTLE_SPACE: Final = 2**30
"""Free bytes below which the disk is a finding."""


def examine(settings: Settings, *, quick: bool = False, tell: Tell = lambda _: None) -> Iterator[Finding]:
    """Yield what is found: the root, the database, every capture, the checkpoints, the devices.

    Parameters
    ----------
    quick
        Read root documents and entries only, no chunk and no weight.
    tell
        Called often with how far the reading of a capture or of the checkpoints is.
    """
    if not settings.data_root.is_dir():
        yield bad("root", f"{settings.data_root} is no folder", "name another --data-root, or start a service")
        return
    yield from _root(settings)
    jobs, findings = database_findings(settings)
    yield from findings
    try:
        yield from store_findings(settings, jobs, tell, quick=quick)
    except StorageUnwritableError as error:  # of a bucket: a disk's are told one by one
        yield bad("bucket", error.message, "see whether its server runs, and what keys the environment names")
    yield from _checkpoints(settings, tell, quick=quick)
    yield from _devices(settings)


def _root(settings: Settings) -> Iterator[Finding]:
    root = settings.data_root
    found = root.stat()
    mode = stat.S_IMODE(found.st_mode)
    yield Finding(
        "root",
        mode & 0o077 == 0,
        f"{root} has mode {mode:04o}",
        None if mode & 0o077 == 0 else f"others can read it: chmod 700 {root}",
    )
    if not os.access(root, os.W_OK | os.X_OK):
        yield bad("root", f"{root} cannot be written", "make it writable for the service's user")
    free = shutil.disk_usage(root).free
    enough = free >= LITTLE_SPACE
    remedy = None if enough else "free some space: delete captures, or let them expire (retention_days)"
    yield Finding("disk", enough, f"{free / 2**30:.1f} GiB free", remedy)
    kind = file_system(root)
    if kind in NETWORK:
        yield bad("file system", f"{root} lies on a network disk ({kind})", f"a job database can be damaged: {REMEDY}")
    else:
        yield good("file system", kind or "unknown")
    yield good("service", _holder(settings))


def _holder(settings: Settings) -> str:
    try:
        descriptor = os.open(settings.data_root / "service.lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return "none has run here"
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return f"process {os.pread(descriptor, 32, 0).decode(errors='replace').strip()} runs here"
    except OSError as error:
        return f"unknown: the disk knows no locks ({error.strerror}); {REMEDY}"
    else:
        return "none runs here now"
    finally:
        os.close(descriptor)


def _checkpoints(settings: Settings, tell: Tell, *, quick: bool) -> Iterator[Finding]:
    from attnscope_model.checkpoints.native import load_tensors  # noqa: PLC0415 - loads torch

    registry = CheckpointRegistry(settings.checkpoints_folder)
    try:
        entries = registry.list()
    except CheckpointError as error:
        yield bad("checkpoints", str(error), "remove its folder and add the checkpoint again")
        return
    for info in entries:
        if quick:
            yield good(f"checkpoint {info.name}", f"its entry is there, sha256 {info.id[:12]} not computed")
            continue
        tell(f"checkpoint {info.name}: its weights are read")
        try:
            load_tensors(registry.root / info.id)
        except CheckpointError as error:
            yield bad(f"checkpoint {info.name}", str(error), "remove it and add it again from its source")
        else:
            yield good(f"checkpoint {info.name}", f"sha256 {info.id[:12]} holds")
    if not entries:
        yield good("checkpoints", "none is registered", "attnscope-server checkpoint add …")


def _devices(settings: Settings) -> Iterator[Finding]:
    import torch  # noqa: PLC0415 - takes seconds

    for name in settings.devices:
        fault = fault_of(name)
        if fault is None:
            yield good(f"device {name}", f"torch {torch.__version__} computes on {choose_device(name)}")
        else:
            yield bad(f"device {name}", fault, "name devices that are here by --device")
