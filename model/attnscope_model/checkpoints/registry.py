"""The checkpoint registry: a folder with one entry a checkpoint, named by the hash of what it holds.

Adding copies and converts, so that the source may go away; a running service sees the entry at its next look. Reading
the registry imports no torch.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from attnscope_model.checkpoints.folders import (
    move_in,
    native_folder,
    new_folder,
    read_entry,
    shipped_checkpoints,
    sweep,
)
from attnscope_model.checkpoints.naming import free_name, named
from attnscope_model.checkpoints.recipes import recipe_beside
from attnscope_model.errors import CheckpointInUseError, CheckpointUnreadableError, StatementMissingError
from attnscope_storage.wire import CheckpointInfo

if TYPE_CHECKING:
    from attnscope_model.parsing.choosing import Choice

__all__ = ["MAX_FORMER_NAMES", "CheckpointRegistry", "inspect", "native_folder", "shipped_checkpoints"]

MAX_FORMER_NAMES: Final = 100
"""Former names of an entry that go on finding it; the oldest beyond are forgotten."""


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
        causal: bool | None = None,
        heads: int | None = None,
        context_length: int | None = None,
        norm: Literal["pre", "post"] | None = None,
        preset: str | None = None,
        sampling: Literal["sample", "greedy"] | None = None,
        config: Path | None = None,
        name: str | None = None,
        train_tasks: Collection[int] | None = None,
        choice: Choice | None = None,
        source_name: str | None = None,
    ) -> CheckpointInfo:
        """Copy and convert a checkpoint file, or the newest of a run folder.

        Adding the same checkpoint again changes nothing but what is stated anew: `name` and `train_tasks`. A former
        name goes on finding it.

        Parameters
        ----------
        source
            A file, a folder with ``ckpt-<step>.pt`` files or native ``step-<step>`` folders, of which the highest
            number is taken, or a folder in the native format, which says everything itself.
        causal, heads, context_length, norm, preset
            What files do not always say; None is refused where the file does not. Kept in the entry as stated.
        sampling
            How the policy acts where a capture does not choose; the family's own way where None.
        config
            A JSON or YAML file with what training was told, for a bare state dict; one beside it is found.
        name
            What to call it; from environment, seed and step where None.
        train_tasks
            Task indices that it was trained on; None is unknown, and nothing then says "held-out".
        choice
            Which of a file's state dicts it is, and which of its tensors no decision uses.
        source_name
            Where it came from, kept in the entry; the file's name where None.

        Raises
        ------
        StatementMissingError
            The file does not say something that is None here; `CausalityUnknownError` where it is the mask.
        CheckpointUnreadableError
            The file is damaged, holds code, or is of no known family.
        CheckpointNameError
            The name is malformed, or another checkpoint's.
        TrainTasksError
            The environment has no such tasks.
        """
        from attnscope_model.checkpoints.conversion import convert, read_checkpoint  # noqa: PLC0415 - imports torch

        if (native := native_folder(source)) is not None:
            return self._adopt(
                native, name, (causal, heads, context_length, norm, preset, sampling, config, train_tasks, choice)
            )
        with new_folder(self.root) as folder:
            contents = read_checkpoint(source, folder, config, choice)
            contents = contents if source_name is None else replace(contents, source_name=source_name)
            answers = {
                "causal": causal,
                "heads": heads,
                "context_length": context_length,
                "norm": norm,
                "preset": preset,
                "sampling": sampling,
            }
            info = convert(contents, folder, stated=answers, name=name, train_tasks=train_tasks)
            stated: dict[str, Any] = {"name": name or None, "train_tasks": info.train_tasks}
            stated |= recipe_beside(source)
            stated |= {"sampling": sampling, "preset": preset, "stated": info.stated or None}
            self._enter(folder, info, {key: value for key, value in stated.items() if value is not None})
        return self.get(info.id)

    def _adopt(self, source: Path, name: str | None, stated: tuple[object, ...]) -> CheckpointInfo:
        """Register a folder in the native format, whose entry says everything but what one wants to call it.

        An entry of before recipes were said has its run's plan beside it.
        """
        from attnscope_model.checkpoints.adoption import adopt  # noqa: PLC0415 - imports torch
        from attnscope_model.checkpoints.conversion import checked_name  # noqa: PLC0415 - as above

        if any(answer is not None for answer in stated):
            raise CheckpointUnreadableError(f"{source.name} says all about itself: state nothing but a name")
        with new_folder(self.root) as folder:
            info = adopt(source, folder)
            self._enter(folder, info, recipe_beside(source) | ({} if name is None else {"name": checked_name(name)}))
        return self.get(info.id)

    def _enter(self, folder: Path, info: CheckpointInfo, stated: dict[str, Any]) -> None:
        """Make a converted checkpoint an entry, or bring the entry that it has up to what is stated."""
        from attnscope_model.checkpoints.conversion import write_entry  # noqa: PLC0415 - imports torch

        known = next((entry for entry in self.list() if entry.id == info.id), None)
        if known is not None and known.preset != info.preset and "preset" not in stated:
            raise StatementMissingError(
                f"{known.name} has the same weights and acts in {known.preset}, but this file says {info.preset}: "
                "state --preset to say which"
            )
        entry = (known or info).model_copy(update=stated)
        entry = entry.model_copy(
            update={"name": free_name(entry, self.list(), stated=known is not None or "name" in stated)}
        )
        if known is not None and entry.name != known.name:
            former = {name: None for name in (*known.former_names, known.name) if name != entry.name}
            entry = entry.model_copy(update={"former_names": tuple(former)[-MAX_FORMER_NAMES:]})
        if known is None:
            write_entry(folder, entry)
            move_in(self.root, folder, entry.id)
        elif entry != known:
            write_entry(self.root / entry.id, entry)

    def add_shipped(self) -> list[CheckpointInfo]:
        """Register the checkpoints that travel with attnscope."""
        added = []
        for shipped in shipped_checkpoints():
            info = read_entry(shipped)
            if not (self.root / info.id).exists():
                with new_folder(self.root) as folder:
                    shutil.copytree(shipped, folder, dirs_exist_ok=True)
                    move_in(self.root, folder, info.id)
            added.append(self.get(info.id))
        return added

    def list(self) -> list[CheckpointInfo]:
        """Return every checkpoint, oldest first.

        Raises
        ------
        CheckpointUnreadableError
            An entry is damaged; it is never passed over silently.
        """
        entries = []
        for folder in self.root.glob("[!.]*"):
            try:
                entries.append(read_entry(folder))
            except (FileNotFoundError, NotADirectoryError):
                continue  # no entry, or removed since it was listed
        return sorted(entries, key=lambda info: (info.added_at, info.id))

    def get(self, name: str) -> CheckpointInfo:
        """Return a checkpoint by id or name, by a former name, or by a prefix that fits one only.

        Raises
        ------
        CheckpointUnknownError, CheckpointAmbiguousError
            None fits, or several do.
        """
        return named(self.list(), name)

    def folder(self, name: str) -> Path:
        """Return the folder of a checkpoint."""
        return self.root / self.get(name).id

    def remove(self, name: str, *, in_use: Collection[str] = ()) -> CheckpointInfo:
        """Remove a checkpoint.

        Parameters
        ----------
        in_use
            Ids of checkpoints that captures need for replay.

        Raises
        ------
        CheckpointInUseError
            It is one of those.
        """
        info = self.get(name)
        if info.id in in_use:
            raise CheckpointInUseError(f"captures made with {info.name} need it for replay: delete them first")
        with new_folder(self.root) as folder:
            (self.root / info.id).rename(folder / info.id)
        return info

    def sweep(self) -> int:
        """Remove the scratch folders of processes that died while adding or removing; return how many."""
        return sweep(self.root)


def inspect(source: Path, config: Path | None = None, choice: Choice | None = None) -> dict[str, Any]:
    """Return what a file says, and the hint about what it does not; nothing is registered.

    A native checkpoint says everything in its entry, which is held against its weights; its tasks are only counted.
    """
    if (native := native_folder(source)) is not None:
        from attnscope_model.checkpoints.adoption import adopt  # noqa: PLC0415 - imports torch

        with tempfile.TemporaryDirectory() as scratch:
            answers = adopt(native, Path(scratch)).model_dump(mode="json", exclude_none=True)
        return answers | {key: len(tasks) for key, tasks in answers.items() if key.endswith("_tasks")}
    from attnscope_model.checkpoints import conversion  # noqa: PLC0415 - imports torch

    return conversion.inspect(source, config, choice)
