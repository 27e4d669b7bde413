"""Installed compressors as they pack for a checkpoint, found by a process of its own: the service loads no torch.

A package is tried once for each checkpoint; a worker tries it again before it acts, and refuses what has changed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import lru_cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.strategies import strategy
from attnscope_model.strategies.compressors import installed_compressors
from attnscope_model.strategies.fitting import why_not_policy
from attnscope_server.errors import ProblemError, refusal
from attnscope_server.running.environment import computing
from attnscope_storage.wire import CheckpointInfo, InstalledCompressor, ProblemCode

SECONDS: Final = 120
"""Seconds that loading and trying a compressor may take."""

KEPT: Final = 256
"""Compressors by checkpoints that are remembered."""


class Tried(BaseModel):
    """The answer of the process that tried a compressor: how it packs, or why it does not."""

    found: InstalledCompressor | None = None
    refused: str | None = None


def compressor_of(name: str, checkpoint: CheckpointInfo, registry: CheckpointRegistry) -> InstalledCompressor:
    """Return an installed compressor as it packs for a checkpoint.

    Raises
    ------
    ProblemError
        invalid-request: there is none of that name, or it does not fit the policy.
    """
    if (reason := why_not_policy(strategy("latents", by=name), checkpoint.policy)) is not None:
        raise _refused(reason)
    tried = _tried(registry.folder(checkpoint.id), name, _installation(installed_compressors()[name]))
    if tried.found is None:
        raise _refused(tried.refused or "the process that tried it gave no reason")
    return tried.found


def _installation(point: EntryPoint) -> str:
    """Return what tells one installation of a compressor from another."""
    dist = point.dist
    return point.value if dist is None else f"{point.value} {dist.name} {dist.version} {dist.locate_file('')}"


@lru_cache(maxsize=KEPT)
def _tried(folder: Path, name: str, installation: str) -> Tried:
    """Return the answer of a process that tried a compressor on the policy in a folder.

    Parameters
    ----------
    installation
        A new one is tried anew.
    """
    del installation
    command = [sys.executable, "-m", "attnscope_server.capturing.trying", str(folder), name]
    try:
        done = subprocess.run(  # noqa: S603 - our own
            command, capture_output=True, check=True, timeout=SECONDS, env=computing(os.environ), encoding="utf-8"
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise _refused(f"the process that tried {name} ended without an answer: {type(error).__name__}") from error
    return Tried.model_validate_json(done.stdout.splitlines()[-1])


def _refused(why: str) -> ProblemError:
    return refusal(ProblemCode.INVALID_REQUEST, f"compressor: {why}")
