"""From a foreign file to an entry of the registry: copied, parsed apart, recognised, checked and written natively."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from safetensors.torch import load_file, save_file

from attnscope_model.checkpoints.foreign import parse_apart
from attnscope_model.checkpoints.native import CONFIG, ENTRY, WEIGHTS, build_policy, config_bytes, identity
from attnscope_model.checkpoints.sources import checkpoint_within, settings_beside, unread_beside
from attnscope_model.errors import (
    CheckpointNameError,
    CheckpointUnreadableError,
    StatementMissingError,
    TrainTasksError,
)
from attnscope_model.parsing.choosing import Choice
from attnscope_model.parsing.limits import MAX_FILE_BYTES
from attnscope_model.readers import CheckpointReader, ParsedFile, reader_of, readers
from attnscope_model.readers.base import QUESTIONS, Answer
from attnscope_model.readers.hub.folder import hub_folder, said_beside
from attnscope_model.readers.presets import FACTS, split_note, unheard_of
from attnscope_model.readers.sidecar import joined
from attnscope_model.readers.statements import known, settle
from attnscope_storage.wire import CheckpointInfo

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")
"""The form of a checkpoint's name."""

STAND_INS: Final[Mapping[str, Answer | None]] = {
    "causal": False,
    "heads": 1,
    "context_length": 2,
    "norm": "pre",
    "preset": None,
}
"""Answers that `inspect` takes for open questions while it looks at shapes; never registered, never shown."""

_BLOCK_BYTES: Final = 2**20


@dataclass(frozen=True)
class CheckpointContents:
    """A foreign checkpoint, read and recognised."""

    reader: CheckpointReader
    file: ParsedFile
    source_name: str
    source_sha256: str
    notes: tuple[str, ...] = ()
    """The place of the policy within the file, and the parts of the file that were left out."""
    unread: tuple[str, ...] = ()
    """Configurations beside the file that nobody named, so that they were not read."""

    @property
    def why_unsaid(self) -> tuple[str, ...]:
        """Sentences on why something is not said that a trainer knew."""
        if not self.unread:
            return self.notes
        what = f"beside it lies {' and '.join(self.unread)}, which was not read: name the one of this run with --config"
        return (*self.notes, what)


def read_checkpoint(
    source: Path, folder: Path, config: Path | None = None, choice: Choice | None = None
) -> CheckpointContents:
    """Read a foreign file, leaving the weights that its policy needs as safetensors in `folder`.

    Parameters
    ----------
    config
        Its configuration, where the file holds none; the one beside it (``model.pt.json`` or ``.yaml``) where None.
    choice
        Which state dict of the file, and what of it is left out.

    Raises
    ------
    CheckpointUnreadableError
        The file is missing, too large, damaged, holds code, or is of no known family.
    """
    readers()  # an installed package that does not load is refused here, as what it is
    folder_given, source = source.is_dir(), checkpoint_within(source)
    declared = config if folder_given and hub_folder(source) else None
    beside = (None if declared else config) or settings_beside(source, within=folder_given)
    # Said before the weights are read: a configuration that is refused costs no copy and no child.
    said = None if beside is None else said_beside(beside, declared)
    copy = folder / "source"
    try:
        digest = _copy(source, copy)
        parsed = parse_apart(copy, folder, choice)
    except OSError as error:
        raise CheckpointUnreadableError(f"{source.name}: {error.strerror or error}") from error
    except CheckpointUnreadableError as error:
        raise CheckpointUnreadableError(error.message.replace(f"{copy.name}:", f"{source.name}:", 1)) from error
    copy.unlink()
    values = parsed.config if beside is None or said is None else joined(parsed.config, said, beside.name)
    file = ParsedFile(load_file(folder / WEIGHTS), values, parsed.step)
    try:
        reader = reader_of(file)
        kept = reader.kept(file)
    except CheckpointUnreadableError as error:
        raise CheckpointUnreadableError(f"{source.name}: {error.message}") from error
    if kept.keys() != file.tensors.keys():
        save_file(kept, folder / WEIGHTS)
    unread = unread_beside(source, beside)
    return CheckpointContents(reader, replace(file, tensors=kept), source.name, digest, parsed.notes, unread)


def convert(
    contents: CheckpointContents,
    folder: Path,
    *,
    stated: Mapping[str, Answer | None],
    name: str | None,
    train_tasks: Collection[int] | None,
) -> CheckpointInfo:
    """Complete the entry whose weights `read_checkpoint` left in `folder`.

    Parameters
    ----------
    stated
        What the user states of `QUESTIONS`; None is not stated.

    Raises
    ------
    StatementMissingError
        The family's files do not say something that is not stated; `CausalityUnknownError` where it is the mask.
    CheckpointUnreadableError
        The tensors do not fit together, or a statement contradicts the file.
    CheckpointNameError
        The name is malformed.
    TrainTasksError
        The environment has no such tasks.
    """
    reader, file = contents.reader, contents.file
    try:
        settled = settle(reader, file, stated, contents.source_name)
    except StatementMissingError as error:  # why the file does not say it stands in the notes, where anything does
        raise type(error)("; ".join((error.message, *contents.why_unsaid))) from error
    config = reader.native_config(file, settled.answers)
    stored = config_bytes(config)
    (folder / CONFIG).write_bytes(stored)
    preset = str(settled.answers["preset"])
    hint = reader.hint(file) if settled.by_user.keys() - {"sampling"} else None
    unheard = unheard_of(file.config, reader.environments)
    stated_note = () if unheard is None else (f"its preset was stated: its file says that it was {unheard}",)
    info = CheckpointInfo(
        id=identity((folder / WEIGHTS).read_bytes(), stored),
        name=checked_name(name or reader.default_name(file)),
        policy=build_policy(config, file.tensors).description,
        preset=preset,
        causal_stated_by=settled.origins["causal"],
        sampling=settled.answers["sampling"],
        stated=settled.by_user,
        train_tasks=checked_tasks(train_tasks, preset),
        train_step=file.step,
        source_sha256=contents.source_sha256,
        source_name=contents.source_name,
        added_at=datetime.now(UTC),
        notes=(
            *(note for note in (hint, split_note(preset, file.config)) if note is not None),
            *stated_note,
            *contents.notes,
        ),
    )
    write_entry(folder, info)
    return info


def checked_name(name: str) -> str:
    """Return a name after checking its characters."""
    if not NAME.fullmatch(name):
        raise CheckpointNameError(f"a name has up to 100 letters, digits and ._@+- and starts plainly, got {name!r}")
    return name


def checked_tasks(train_tasks: Collection[int] | None, preset: str) -> tuple[int, ...] | None:
    """Return task indices, sorted and each once, after checking that the preset has such tasks; None stays None."""
    if train_tasks is None:
        return None
    if preset not in FACTS:
        return tuple(sorted(set(train_tasks)))
    tasks = FACTS[preset].tasks
    if beyond := sorted(index for index in train_tasks if not 0 <= index < tasks):
        raise TrainTasksError(f"expected train tasks within 0..{tasks - 1}, got {beyond[:5]}")
    return tuple(sorted(set(train_tasks)))


def write_entry(folder: Path, info: CheckpointInfo) -> None:
    """Write an entry, replacing the earlier one in one step."""
    fresh = folder / f".{ENTRY}"
    fresh.write_text(json.dumps(info.model_dump(mode="json"), indent=1) + "\n", encoding="utf-8")
    fresh.replace(folder / ENTRY)


def inspect(source: Path, config: Path | None = None, choice: Choice | None = None) -> dict[str, Any]:
    """Return what a file says, and the hint about what it does not; nothing is registered."""
    with tempfile.TemporaryDirectory() as scratch:
        contents = read_checkpoint(source, Path(scratch), config, choice)
        reader, file = contents.reader, contents.file
        of_file = known(reader, file)
        # Stand-ins for what is missing, so that shapes are checked and shown; each is replaced by what is said below.
        missing = [name for name in reader.questions if name not in of_file.answers]
        shown = {name: of_file.answers.get(name, f"not stored: state {QUESTIONS[name]}") for name in reader.questions}
        shown["causal"] = of_file.answers.get("causal", "not stored")
        return {
            "file": contents.source_name,
            "sha256": contents.source_sha256,
            "family": reader.family,
            **reader.native_config(file, {**STAND_INS, **of_file.answers}),
            **shown,
            "said_by": dict(of_file.origins),
            "to_state": {name: QUESTIONS[name] for name in missing},
            "presets": list(reader.presets),
            "hint": reader.hint(file),
            "step": file.step,
            "name": reader.default_name(file),
            "train_tasks": "unknown",
            **({"notes": list(contents.why_unsaid)} if contents.why_unsaid else {}),
            **({} if (note := split_note(str(of_file.answers.get("preset")), file.config)) is None else {"note": note}),
        }


def _copy(source: Path, target: Path) -> str:
    """Copy a file, so that a trainer may delete it meanwhile; return the sha256 of the bytes that were copied."""
    if not source.is_file():
        raise CheckpointUnreadableError(f"there is no file {source}")
    if (size := source.stat().st_size) > MAX_FILE_BYTES:
        raise CheckpointUnreadableError(f"{source.name} has {size} bytes, more than the {MAX_FILE_BYTES} read here")
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("wb") as writing:
        while block := reading.read(_BLOCK_BYTES):
            digest.update(block)
            writing.write(block)
    return digest.hexdigest()
