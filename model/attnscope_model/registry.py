"""The checkpoint registry: a folder with one entry a checkpoint, named by the hash of what it holds.

Adding copies and converts, so that the source may go away. Reading the registry imports no torch.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Collection
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from attnscope_model.errors import (
    CausalityUnknownError,
    CheckpointAmbiguousError,
    CheckpointError,
    CheckpointUnknownError,
    CheckpointUnreadableError,
)
from attnscope_model.parse import parse_apart
from attnscope_storage.wire import CheckpointInfo

ENTRY = "entry.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")
"""What a checkpoint may be called."""

_NUMBERED = re.compile(r"ckpt-(\d+)\.pt")


class CheckpointRegistry:
    """The checkpoints of one service.

    Parameters
    ----------
    root
        Folder of the entries; made when the first is added.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(
        self,
        source: Path,
        *,
        causal: bool | None,
        name: str | None = None,
        train_tasks: Collection[int] | None = None,
    ) -> CheckpointInfo:
        """Copy and convert a checkpoint file, or the newest of a run folder; adding it again changes nothing.

        Parameters
        ----------
        source
            A file, or a folder with ``ckpt-<step>.pt`` files: the highest number is taken.
        causal
            Whether the policy has a causal mask. None is refused where the file does not say.
        train_tasks
            Task indices that it was trained on; None is unknown, and nothing then says "held-out".

        Raises
        ------
        CausalityUnknownError
            The family's files do not say, and `causal` is None.
        CheckpointUnreadableError
            The file is damaged, holds code, or is of no known family.
        """
        source = newest(source)
        with tempfile.TemporaryDirectory(dir=self._made_root(), prefix=".adding-") as scratch:
            folder = Path(scratch)
            contents = parse_apart(source, folder)
            info = convert(source, folder, contents, causal=causal, name=name, train_tasks=train_tasks)
            (folder / "contents.json").unlink()
            target = self.root / info.id
            if not target.exists():
                shutil.copytree(folder, self.root / f".{info.id}", dirs_exist_ok=True)
                (self.root / f".{info.id}").rename(target)
        return self.get(info.id)

    def add_shipped(self) -> list[CheckpointInfo]:
        """Register the checkpoints that travel with attnscope."""
        added = []
        for entry in sorted(Path(str(files("attnscope_model") / "shipped")).glob("*/entry.json")):
            info = CheckpointInfo.model_validate_json(entry.read_bytes())
            target = self._made_root() / info.id
            if not target.exists():
                shutil.copytree(entry.parent, self.root / f".{info.id}", dirs_exist_ok=True)
                (self.root / f".{info.id}").rename(target)
            added.append(info)
        return added

    def list(self) -> list[CheckpointInfo]:
        """Return every checkpoint, oldest first."""
        entries = [CheckpointInfo.model_validate_json(path.read_bytes()) for path in self.root.glob("[!.]*/entry.json")]
        return sorted(entries, key=lambda info: (info.added_at, info.id))

    def get(self, name: str) -> CheckpointInfo:
        """Return a checkpoint by id, unique prefix of an id (at least 6 characters) or of a name.

        Raises
        ------
        CheckpointUnknownError, CheckpointAmbiguousError
            None fits, or several do.
        """
        every = self.list()
        exact = [info for info in every if name in {info.id, info.name}]
        fitting = exact or [info for info in every if _fits(info, name)]
        if not fitting:
            known = ", ".join(info.name for info in every) or "none"
            raise CheckpointUnknownError(f"no checkpoint {name!r} is registered; registered are: {known}")
        if len(fitting) > 1:
            several = ", ".join(f"{info.name} ({info.id[:12]})" for info in fitting)
            raise CheckpointAmbiguousError(f"{name!r} fits several checkpoints: {several}")
        return fitting[0]

    def folder(self, name: str) -> Path:
        """Return the folder of a checkpoint."""
        return self.root / self.get(name).id

    def remove(self, name: str, *, in_use: Collection[str] = ()) -> CheckpointInfo:
        """Remove a checkpoint; refused while captures, named in `in_use` by checkpoint id, need it for replay."""
        info = self.get(name)
        if info.id in in_use:
            raise CheckpointError(f"captures made with {info.name} need it for replay: delete them first")
        shutil.rmtree(self.root / info.id)
        return info

    def _made_root(self) -> Path:
        self.root.mkdir(parents=True, exist_ok=True)
        return self.root


def newest(source: Path) -> Path:
    """Return the file itself, or a run folder's checkpoint with the highest step."""
    if not source.is_dir():
        return source
    numbered = [(int(found[1]), path) for path in source.iterdir() if (found := _NUMBERED.fullmatch(path.name))]
    if not numbered:
        raise CheckpointUnreadableError(f"{source} holds no ckpt-<step>.pt")
    return max(numbered)[1]


def inspect(source: Path) -> dict[str, Any]:
    """Return what a file says, and the hint about what it does not; nothing is registered."""
    from attnscope_model.readers import reference  # noqa: PLC0415 - imports torch
    from attnscope_model.reference import FAMILY  # noqa: PLC0415 - imports torch

    source = newest(source)
    with tempfile.TemporaryDirectory() as scratch:
        contents = parse_apart(source, Path(scratch))
        tensors = _tensors(Path(scratch))
    if not reference.recognises(tensors):
        raise CheckpointUnreadableError(f"{source.name} is of no known family: {', '.join(sorted(tensors)[:5])} …")
    config = reference.read_config(tensors, contents["config"], causal=False)
    return {
        "file": source.name,
        "family": FAMILY,
        "causal": "not stored",
        "hint": reference.hint(tensors),
        "step": contents["step"],
        "width": config.width,
        "layers": config.layers,
        "heads": config.heads,
        "context_length": config.context_length,
        "actions": config.actions,
        "name": reference.default_name(contents["config"], contents["step"]),
        "train_tasks": "unknown",
    }


def convert(
    source: Path,
    folder: Path,
    contents: dict[str, Any],
    *,
    causal: bool | None,
    name: str | None,
    train_tasks: Collection[int] | None,
) -> CheckpointInfo:
    """Turn a parsed checkpoint in `folder` into an entry."""
    from attnscope_model.native import CONFIG, WEIGHTS, config_bytes, identity  # noqa: PLC0415 - imports torch
    from attnscope_model.readers import reference  # noqa: PLC0415 - imports torch
    from attnscope_model.reference import ReferencePolicy  # noqa: PLC0415 - imports torch

    tensors = _tensors(folder)
    if not reference.recognises(tensors):
        raise CheckpointUnreadableError(f"{source.name} is of no known family: {', '.join(sorted(tensors)[:5])} …")
    if causal is None:
        raise CausalityUnknownError(f"say whether {source.name} is causal: {reference.hint(tensors)}")
    config = reference.read_config(tensors, contents["config"], causal=causal)
    chosen = name or reference.default_name(contents["config"], contents["step"])
    if not NAME.fullmatch(chosen):
        raise CheckpointUnreadableError(f"a name has letters, digits and ._@+- only, got {chosen!r}")
    stored = config_bytes(config)
    (folder / CONFIG).write_bytes(stored)
    info = CheckpointInfo(
        id=identity((folder / WEIGHTS).read_bytes(), stored),
        name=chosen,
        policy=ReferencePolicy.from_tensors(config, tensors).description,
        preset=reference.PRESET,
        causal_stated_by="user",
        train_tasks=None if train_tasks is None else tuple(sorted(train_tasks)),
        train_step=contents["step"],
        source_sha256=hashlib.sha256(source.read_bytes()).hexdigest(),
        source_name=source.name,
        added_at=datetime.now(UTC),
        notes=(reference.hint(tensors),),
    )
    (folder / ENTRY).write_text(json.dumps(info.model_dump(mode="json"), indent=1) + "\n")
    return info


def _tensors(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file  # noqa: PLC0415 - imports torch

    return load_file(folder / "model.safetensors")


def _fits(info: CheckpointInfo, name: str) -> bool:
    return (len(name) >= 6 and info.id.startswith(name)) or (len(name) >= 2 and info.name.startswith(name))  # noqa: PLR2004
