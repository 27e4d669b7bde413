"""The device of a worker, asked in a process of its own, so that the worker itself loads no torch.

Run as ``python -m attnscope_server.pulling.hardware NAME``: it prints one line of JSON.
"""

from __future__ import annotations

import subprocess
import sys

from attnscope_server.acting.devices import choose_device, fault_of
from attnscope_server.errors import SettingUnusableError
from attnscope_server.running.devices import SECONDS
from attnscope_server.running.messages import Message


class Hardware(Message):
    """Report of that process: a device as torch takes it, and its name there."""

    device: str
    name: str


def found(device: str) -> Hardware:
    """Return the device of a name, ``auto`` resolved."""
    import torch  # noqa: PLC0415 - heavy

    from attnscope_server.running.worker import placement  # noqa: PLC0415 - imports torch

    if (fault := fault_of(device)) is not None:
        raise SystemExit(fault)
    chosen = choose_device(device)
    return Hardware(device=chosen, name=placement(torch.device(chosen), "float32").device)


def asked_apart(device: str) -> Hardware:
    """Return what `found` says in a process of its own.

    Raises
    ------
    SettingUnusableError
        Torch does not compute on the device.
    """
    command = [sys.executable, "-m", __name__, device]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=SECONDS)  # noqa: S603 - our own
    except subprocess.SubprocessError as error:
        raise SettingUnusableError(f"torch cannot be asked about {device}: {error}") from error
    if done.returncode:
        reason = (done.stderr.decode(errors="replace").splitlines() or [f"status {done.returncode}"])[-1]
        raise SettingUnusableError(f"the device {device} cannot be used: {reason}")
    return Hardware.model_validate_json(done.stdout)


if __name__ == "__main__":
    sys.stdout.buffer.write(found(sys.argv[1]).line)
