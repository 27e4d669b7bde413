"""Read a foreign checkpoint in a process of its own, and leave tensors and a report of plain values behind.

``python -m attnscope_model.checkpoints.foreign SOURCE FOLDER ORDER`` writes ``model.safetensors`` into FOLDER and
leaves a report there. Memory, processor time and the bytes written are bounded by the size of the file, so that a file
that expands without end takes this process down and nothing more.
"""

from __future__ import annotations

import io
import struct
import sys
import zipfile
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from safetensors.torch import save_file

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.parsing.apart import run_apart
from attnscope_model.parsing.archive import TorchArchive
from attnscope_model.parsing.choosing import Choice, chosen
from attnscope_model.parsing.legacy import StorageOf, read_legacy
from attnscope_model.parsing.limits import EXPANSION, MAX_FILE_BYTES, WEIGHTS, limit
from attnscope_model.parsing.messages import Parse, Parsed, Refused, leave
from attnscope_model.parsing.plain import configuration, training_step
from attnscope_model.parsing.rebuilding import Rebuilder
from attnscope_model.parsing.remedies import COPY_AGAIN, refuse
from attnscope_model.parsing.safe import read_safetensors
from attnscope_model.parsing.sniffing import format_of
from attnscope_model.parsing.tensors import plain_tensors
from attnscope_model.readers import readers
from attnscope_model.readers.refused import REFUSED
from attnscope_storage.errors import AttnscopeError

MODULE: Final = "attnscope_model.checkpoints.foreign"
"""This module, as the parent starts it."""

SLACK_BYTES: Final = 2**16
"""Bytes that tensors may claim beyond `EXPANSION` times their file."""

MAX_UNKNOWN: Final = 5
"""Unknown names that a note lists."""


def parse_apart(source: Path, folder: Path, choice: Choice | None = None) -> Parsed:
    """Parse `source` in a child process; return its plain values, and leave its tensors in `folder`.

    Raises
    ------
    CheckpointUnreadableError
        The file is missing, too large, damaged, of another format, or took too much memory or time.
    """
    if not source.is_file():
        raise CheckpointUnreadableError(f"there is no file {source}")
    if (size := source.stat().st_size) > MAX_FILE_BYTES:
        raise CheckpointUnreadableError(f"{source.name} has {size} bytes, more than the {MAX_FILE_BYTES} read here")
    order = Parse.by(choice or Choice())
    return run_apart(MODULE, [str(source), str(folder), order.model_dump_json()], folder, source.name, Parsed)


def parse_here(source: Path, folder: Path, choice: Choice | None = None) -> Parsed:
    """Parse in this process, within its limits; return the plain values, and leave the tensors in `folder`.

    Raises
    ------
    CheckpointUnreadableError
        The file is damaged, of another format, or holds no state dict or several that fit.
    """
    try:
        with ExitStack() as opened:
            content, unknown = _content(source, opened)
            found = chosen(content, choice or Choice(), _recognised)
            top = content if isinstance(content, Mapping) else {}
            config, notes = configuration(top)
            parsed = Parsed(
                step=training_step(top),
                config=config,
                notes=(*found.notes, *notes, *_unknown_note(unknown)),
            )
            tensors = plain_tensors(found.values, EXPANSION * source.stat().st_size + SLACK_BYTES)
        save_file(tensors, folder / WEIGHTS)
    except MemoryError as error:
        raise refuse("it takes more memory than a file of its size should") from error
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise refuse(f"it is damaged or cut off ({_cause(error)})", COPY_AGAIN) from error
    except (ValueError, TypeError, KeyError, RuntimeError, ArithmeticError, struct.error) as error:
        if isinstance(error, CheckpointUnreadableError):
            raise
        raise refuse(f"it is damaged ({_cause(error)})") from error
    return parsed


def _content(source: Path, opened: ExitStack) -> tuple[Any, set[str]]:
    """Return what a file holds, and the names in it that mean nothing here; tensors are cut out while it is open."""
    match format_of(source):
        case "archive":
            archive = TorchArchive(source)
            opened.callback(archive.close)
            return archive.content(), archive.rebuilder.unknown
        case "safetensors":
            return read_safetensors(source), set()
        case "pickle":
            made: list[Rebuilder] = []

            def within(data: bytes) -> object:
                return read_legacy(io.BytesIO(data), len(data), rebuilding, nested=True)

            def rebuilding(storage: StorageOf | None, *, nested: bool = False) -> Rebuilder:
                made.append(Rebuilder(storage, None if nested else within))
                return made[-1]

            file = opened.enter_context(source.open("rb"))
            content = read_legacy(file, source.stat().st_size, rebuilding)
            return content, set().union(*(rebuilder.unknown for rebuilder in made))


def _recognised(names: Collection[str]) -> bool:
    """Return whether a family that is read, or that is refused by name, has these names."""
    return any(layout.recognises(names) for layout in REFUSED) or any(r.recognises(names) for r in readers())


def _unknown_note(unknown: Collection[str]) -> list[str]:
    if not unknown:
        return []
    more = f" and {len(unknown) - MAX_UNKNOWN} more" if len(unknown) > MAX_UNKNOWN else ""
    listed = ", ".join(sorted(unknown)[:MAX_UNKNOWN])
    return [f"it names objects that were neither imported nor run: {listed}{more}"]


def _cause(error: Exception) -> str:
    line = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {line}"[:200]


def main() -> None:
    """Parse what the parent names."""
    source, folder, order = Path(sys.argv[1]), Path(sys.argv[2]), Parse.model_validate_json(sys.argv[3])
    limit(source.stat().st_size)
    try:
        leave(folder, parse_here(source, folder, order.choice))
    except AttnscopeError as error:
        leave(folder, Refused.because(error.message))


if __name__ == "__main__":
    main()
