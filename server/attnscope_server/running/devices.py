"""The devices of a service's settings: whether torch computes on them, asked in a process that may import torch.

Run as ``python -m attnscope_server.running.devices NAME…``: it prints one line of JSON.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Final

from attnscope_server.acting.devices import fault_of
from attnscope_server.errors import SettingUnusableError
from attnscope_server.running.messages import Message

ALWAYS: Final = frozenset({"auto", "cpu"})
"""Devices that every machine has."""

SECONDS: Final = 120.0
"""Time for that process, at most: a busy machine may need long for torch."""


class Unusable(Message):
    """Report of that process: the devices on which torch does not compute, each with its reason."""

    reasons: dict[str, str]


def unusable(names: Sequence[str]) -> Unusable:
    """Return the devices on which torch does not compute here, each with its reason."""
    found = {name: fault_of(name) for name in names}
    return Unusable(reasons={name: reason for name, reason in found.items() if reason is not None})


def asked_apart(names: Sequence[str]) -> Unusable:
    """Return what `unusable` says in a process of its own."""
    command = [sys.executable, "-m", __name__, *names]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=SECONDS)  # noqa: S603 - our own
        return Unusable.model_validate_json(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise SettingUnusableError(f"torch cannot be asked about {', '.join(names)}: {error}") from error


def refuse_unusable(devices: Sequence[str], ask: Callable[[Sequence[str]], Unusable] = asked_apart) -> None:
    """Refuse devices that this machine does not have; `ALWAYS` are not asked about.

    Raises
    ------
    SettingUnusableError
        Torch does not compute on one of them, or cannot be asked.
    """
    doubtful = [name for name in dict.fromkeys(devices) if name not in ALWAYS]
    found = ask(doubtful).reasons if doubtful else {}
    if found:
        name, reason = next(iter(found.items()))
        raise SettingUnusableError(f"the device {name} cannot be used: {reason}; name devices that are here, or auto")


if __name__ == "__main__":
    sys.stdout.buffer.write(unusable(sys.argv[1:]).line)
