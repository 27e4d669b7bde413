"""The file system under a folder, and whether a job database may lie on it. Writes nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from attnscope_server.errors import DataRootUnusableError

MOUNTS: Final = Path("/proc/self/mountinfo")
"""Mounts of this process, on Linux."""

NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "lustre", "gpfs", "beegfs", "ceph", "pvfs2", "orangefs"}
    | {f"fuse.{name}" for name in ("sshfs", "s3fs", "glusterfs", "ceph", "ceph-fuse", "juicefs", "gcsfuse", "rclone")}
)
"""File systems of several machines: SQLite's locks and its shared memory do not hold there."""

REMEDY: Final = "name a folder on a disk of this machine with --data-root or ATTNSCOPE_SERVER_DATA_ROOT"


def file_system(path: Path, mounts: Path = MOUNTS) -> str | None:
    """Return the type of the file system under a path, such as ``ext4``; None where the system does not tell."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    resolved = path.resolve()
    found: tuple[int, str] | None = None
    for line in lines:
        about, dash, source = line.partition(" - ")
        fields = about.split(" ")
        if not dash or len(fields) < 5:  # noqa: PLR2004 - the mount point is the fifth field
            continue
        point = Path(re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), fields[4]))
        if resolved.is_relative_to(point) and (found is None or len(point.parts) >= found[0]):
            found = len(point.parts), source.split(" ")[0]
    return None if found is None else found[1]


def refuse_network(root: Path, mounts: Path = MOUNTS) -> None:
    """Refuse a data root on a network disk, where the job database could be damaged.

    Raises
    ------
    DataRootUnusableError
        It lies on one.
    """
    kind = file_system(root, mounts)
    if kind in NETWORK:
        raise DataRootUnusableError(
            f"the data root {root} lies on a network disk ({kind}), where a job database can be damaged: {REMEDY}; "
            "captures can be fetched or copied to the network disk afterwards"
        )


def without_locks(root: Path, error: OSError) -> DataRootUnusableError:
    """Return the refusal of a disk that knows no locks."""
    return DataRootUnusableError(
        f"the disk of the data root {root} knows no locks ({error.strerror}), so two services could not be told apart: "
        f"{REMEDY}"
    )
