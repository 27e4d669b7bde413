"""Read a foreign checkpoint in a process of its own, and leave tensors and plain JSON behind.

``python -m attnscope_model.readers.parse SOURCE FOLDER`` writes ``model.safetensors`` and ``contents.json`` into
FOLDER, or ``error.json``. `torch.load` runs with ``weights_only=True`` and nowhere else than here; memory, processor
time and what it may write are bounded by the size of the file, so that a file that expands without end takes this
process down and nothing more. Knows no family.
"""

from __future__ import annotations

import json
import math
import os
import pickle  # noqa: TID251 - only its exception is named; nothing is unpickled with it
import re
import resource
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attnscope_model.errors import CheckpointUnreadableError

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS: Final = "model.safetensors"
CONTENTS: Final = "contents.json"
REFUSAL: Final = "error.json"

MAX_FILE_BYTES: Final = 4 * 2**30
"""Size of a checkpoint file, at most."""

SPARE_BYTES: Final = 512 * 2**20
"""Address space of the parser beyond what it holds before it opens the file, and beyond `EXPANSION` times the file."""

EXPANSION: Final = 4
"""Times a file's size that its tensors may take as float32: 2 for half precision, and some for tied weights."""

CPU_SECONDS: Final = 120
"""Processor time of the parser."""

WALL_SECONDS: Final = 180
"""Time until the parser is given up."""

MAX_CONFIG_ENTRIES: Final = 1000
"""Entries of a configuration, at most; a reference file has 50."""

MAX_TEXT: Final = 1000
"""Characters of a configuration's text and of a refusal."""

_PREFIXES: Final = ("module.", "_orig_mod.")
_FORBIDDEN: Final = re.compile(r"(?:Unsupported (?:global|class)|Trying to (?:load|call)|Can only)[^\n]*")
_OPERATION: Final = re.compile(r"Unsupported operand[^\n]*")


def parse_apart(source: Path, folder: Path) -> dict[str, Any]:
    """Parse `source` in a child process into `folder`; return its contents without the tensors.

    Raises
    ------
    CheckpointUnreadableError
        The file is missing, too large, damaged, holds code, or took too much memory or time.
    """
    if not source.is_file():
        raise CheckpointUnreadableError(f"there is no file {source}")
    if (size := source.stat().st_size) > MAX_FILE_BYTES:
        raise CheckpointUnreadableError(f"{source.name} has {size} bytes, more than the {MAX_FILE_BYTES} read here")
    # -P keeps the current folder, which may be a downloaded one, off the module path.
    command = [sys.executable, "-P", "-m", "attnscope_model.readers.parse", str(source), str(folder)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ATTNSCOPE_")}
    try:
        ended = subprocess.run(  # noqa: S603 - our own interpreter and module; the path is one argument
            command,
            capture_output=True,
            text=True,
            timeout=WALL_SECONDS,
            check=False,
            env=environment | {"OMP_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired as error:
        raise CheckpointUnreadableError(f"{source.name} took more than {WALL_SECONDS} s to read") from error
    refused = folder / REFUSAL
    if refused.exists():
        raise CheckpointUnreadableError(f"{source.name}: {json.loads(refused.read_bytes())}")
    if ended.returncode < 0:
        raise CheckpointUnreadableError(
            f"{source.name}: its parser was stopped by signal {-ended.returncode}, out of memory or time"
        )
    if ended.returncode != 0:
        reason = (ended.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CheckpointUnreadableError(f"{source.name}: its parser failed: {reason[:MAX_TEXT]}")
    contents: dict[str, Any] = json.loads((folder / CONTENTS).read_bytes())
    return contents


def parse_here(source: Path, folder: Path) -> None:
    """Parse in this process, within whatever limits it has.

    Raises
    ------
    CheckpointUnreadableError
        The file is damaged, holds code, or holds more than a checkpoint does.
    """
    import torch  # noqa: PLC0415 - the parent never needs it
    from safetensors.torch import save_file  # noqa: PLC0415 - as above

    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
        state = content.get("model", content) if isinstance(content, Mapping) else None
        if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
            raise CheckpointUnreadableError("expected a dictionary with a state dict of tensors under 'model'")
        tensors = _plain_tensors(state, EXPANSION * source.stat().st_size)
        step, config = content.get("step"), content.get("config")
        contents = {"step": _plain_step(step), "config": plain_config(config if isinstance(config, Mapping) else {})}
        save_file(tensors, folder / WEIGHTS)
    except MemoryError as error:
        raise CheckpointUnreadableError("it takes more memory than a file of its size should") from error
    except (pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, OSError) as error:
        raise CheckpointUnreadableError(_explained(error)) from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        if isinstance(error, CheckpointUnreadableError):
            raise
        raise CheckpointUnreadableError(_explained(error)) from error
    (folder / CONTENTS).write_text(json.dumps(contents))


def _explained(error: Exception) -> str:
    """Return why a file was refused, without torch's advice to trust it."""
    if "can't allocate memory" in str(error):
        return "it takes more memory than a file of its size should"
    if forbidden := _FORBIDDEN.search(str(error)):
        return f"it holds more than tensors and plain values, and is not run to find out: {_sentence(forbidden[0])}"
    why = operation[0] if (operation := _OPERATION.search(str(error))) else f"{type(error).__name__} {error}"
    return f"not a checkpoint that can be read without running code: {_sentence(why)}"


def _sentence(text: str) -> str:
    return re.split(r"\. |\n", text, maxsplit=1)[0][:300]


def _plain_tensors(state: Mapping[Any, Tensor], most_bytes: int) -> dict[str, Tensor]:
    """Return the tensors whole, in float32, under names without the wrappers of training."""
    import torch  # noqa: PLC0415 - the parent never needs it

    claimed = 4 * sum(tensor.numel() for tensor in state.values())
    if claimed > most_bytes:
        raise CheckpointUnreadableError(
            f"its tensors would take {claimed} bytes, more than the {most_bytes} it can hold"
        )
    tensors: dict[str, Tensor] = {}
    for key, value in state.items():
        name = _stripped(str(key))
        if name in tensors:
            raise CheckpointUnreadableError(f"{name}: stored twice under different prefixes")
        if value.layout is not torch.strided or value.is_quantized or value.is_complex():
            raise CheckpointUnreadableError(f"{name}: expected a dense real tensor, got {value.layout} {value.dtype}")
        whole = value.detach().float() if value.is_floating_point() else value.detach()
        tensors[name] = whole.clone(memory_format=torch.contiguous_format)
        if not bool(torch.isfinite(tensors[name]).all()):
            raise CheckpointUnreadableError(f"{name}: a weight is not finite")
    return tensors


def _stripped(name: str) -> str:
    while prefix := next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None):
        name = name.removeprefix(prefix)
    return name.replace("._orig_mod.", ".")  # of a submodule that was compiled by itself


def _plain_step(step: object) -> int | None:
    return step if isinstance(step, int) and not isinstance(step, bool) and 0 <= step < 2**63 else None


def plain_config(config: Mapping[Any, Any]) -> dict[str, bool | int | float | str]:
    """Return a configuration's plain values; where it was trained, and whatever is not plain, is left out."""
    if len(config) > MAX_CONFIG_ENTRIES:
        raise CheckpointUnreadableError(f"its configuration has {len(config)} entries, more than {MAX_CONFIG_ENTRIES}")
    return {str(key)[:100]: value for key, value in config.items() if key != "device" and _is_plain(value)}


def _is_plain(value: object) -> bool:
    match value:
        case bool():
            return True
        case int():
            return abs(value) < 2**63
        case float():
            return math.isfinite(value)
        case str():
            return len(value) <= MAX_TEXT
        case _:
            return False


def _limit_memory(file_bytes: int) -> None:
    """Bound this process's memory by what it has and what such a file needs."""
    if sys.platform != "linux":
        return  # elsewhere the limit is not enforced, and there is no /proc to measure from
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = held + SPARE_BYTES + 2 * EXPANSION * file_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    written = SPARE_BYTES + EXPANSION * file_bytes
    resource.setrlimit(resource.RLIMIT_FSIZE, (written, written))


def main() -> None:
    """Parse what the parent names."""
    source, folder = Path(sys.argv[1]), Path(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import_module("torch")  # what it maps must not count as the file's
    _limit_memory(source.stat().st_size)
    try:
        parse_here(source, folder)
    except CheckpointUnreadableError as error:
        (folder / REFUSAL).write_text(json.dumps(error.message[:MAX_TEXT]))


if __name__ == "__main__":
    main()
