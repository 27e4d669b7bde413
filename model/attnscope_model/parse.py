"""Read a foreign checkpoint in a process of its own, and leave tensors and plain JSON behind.

``python -m attnscope_model.parse SOURCE FOLDER`` writes ``model.safetensors`` and ``contents.json`` into FOLDER, or
``error.json``. `torch.load` runs with ``weights_only=True`` and nowhere else than here; memory and time are bounded, so
that a file that decompresses without end takes this process down and nothing more.
"""

from __future__ import annotations

import json
import pickle  # noqa: TID251 - only its exception is named; nothing is unpickled with it
import resource
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attnscope_model.errors import CheckpointUnreadableError

MEMORY_BYTES: Final = 12 * 2**30
"""Address space of the parser; torch alone maps several GiB."""

CPU_SECONDS: Final = 120
"""Processor time of the parser."""

WALL_SECONDS: Final = 180
"""Time until the parser is given up."""

MAX_FILE_BYTES: Final = 4 * 2**30
"""Size of a checkpoint file, at most."""

_PREFIXES: Final = ("module.", "_orig_mod.")


def parse_apart(source: Path, folder: Path) -> dict[str, Any]:
    """Parse `source` in a child process into `folder`; return its contents without the tensors.

    Raises
    ------
    CheckpointUnreadableError
        The file is missing, too large, damaged, holds code, or took too much memory or time.
    """
    if not source.is_file():
        raise CheckpointUnreadableError(f"there is no file {source}")
    if source.stat().st_size > MAX_FILE_BYTES:
        raise CheckpointUnreadableError(f"{source.name} has {source.stat().st_size} bytes, more than {MAX_FILE_BYTES}")
    command = [sys.executable, "-m", "attnscope_model.parse", str(source), str(folder)]
    try:
        ended = subprocess.run(  # noqa: S603 - our own interpreter and module; the path is one argument
            command, capture_output=True, text=True, timeout=WALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CheckpointUnreadableError(f"{source.name} took more than {WALL_SECONDS} s to read") from error
    refused = folder / "error.json"
    if refused.exists():
        raise CheckpointUnreadableError(f"{source.name}: {json.loads(refused.read_text())}")
    if ended.returncode != 0:
        raise CheckpointUnreadableError(
            f"{source.name}: its parser ended with {ended.returncode}: out of memory or time"
        )
    contents: dict[str, Any] = json.loads((folder / "contents.json").read_text())
    return contents


def parse_here(source: Path, folder: Path) -> None:
    """Parse in this process, which may be lost."""
    import torch  # noqa: PLC0415 - the parent never needs it
    from safetensors.torch import save_file  # noqa: PLC0415 - as above

    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise CheckpointUnreadableError(f"not a checkpoint that can be read without running code: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointUnreadableError(f"expected a dictionary, got {type(content).__name__}")
    state = content.get("model", content)
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise CheckpointUnreadableError("expected a state dict of tensors under 'model'")
    tensors = {_stripped(str(name)): tensor.detach().float().contiguous().clone() for name, tensor in state.items()}
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise CheckpointUnreadableError("a weight is not finite")
    save_file(tensors, folder / "model.safetensors")
    step, config = content.get("step"), content.get("config")
    contents = {
        "step": step if isinstance(step, int) else None,
        "config": _plain(config) if isinstance(config, Mapping) else {},
    }
    (folder / "contents.json").write_text(json.dumps(contents))


def _stripped(name: str) -> str:
    while prefix := next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None):
        name = name.removeprefix(prefix)
    return name


def _plain(config: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a configuration's plain values; devices and the like are left out."""
    return {
        str(key)[:100]: value
        for key, value in config.items()
        if key != "device" and (isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) < 1000))  # noqa: PLR2004
    }


def main() -> None:
    """Parse what the parent names."""
    source, folder = Path(sys.argv[1]), Path(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    try:
        parse_here(source, folder)
    except CheckpointUnreadableError as error:
        (folder / "error.json").write_text(json.dumps(error.message[:2000]))


if __name__ == "__main__":
    main()
