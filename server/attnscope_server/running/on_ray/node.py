"""The service's machine as a node of the cluster that runs nothing: Ray's driver needs one where it is.

Run as ``python -m attnscope_server.running.on_ray.node ADDRESS``. It becomes `ray start`, which ends its processes
when it is told to end; the kernel tells it when the driver has ended.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from typing import Final

from attnscope_server.running.child import PR_SET_PDEATHSIG

OBJECT_BYTES: Final = 80 * 2**20
"""Memory for objects that pass through this node: pieces of checkpoints; Ray takes no less."""

RAY: Final = (sys.executable, "-m", "ray.scripts.scripts")
"""Ray's program, by this interpreter: its script may lie beside another one."""

OPTIONS: Final = (
    "--num-cpus=0",
    "--num-gpus=0",
    f"--object-store-memory={OBJECT_BYTES}",
    "--disable-usage-stats",
    "--block",
)


def joined(address: str) -> subprocess.Popen[bytes]:
    """Start the node; it ends with the thread that called this."""
    return subprocess.Popen([sys.executable, "-m", __name__, address], start_new_session=True)  # noqa: S603 - our own


def become_node(address: str) -> None:
    """Become the node."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    os.execv(RAY[0], [*RAY, "start", f"--address={address}", *OPTIONS])  # noqa: S606 - no shell is meant


if __name__ == "__main__":
    become_node(sys.argv[1])
