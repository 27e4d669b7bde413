"""The checkpoint within a folder and the configuration beside it; a folder of one checkpoint's parts is refused."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.parsing.remedies import refuse
from attnscope_model.readers.sidecar import sidecar_of

SAFETENSORS: Final = "model.safetensors"
CONFIG: Final = "config.json"
SUFFIXES: Final = frozenset({".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".pkl"})
"""Ending of a checkpoint's file name where it is the only one of its folder."""

MAX_LISTED: Final = 5

BESIDE: Final = (
    "config.yaml", "config.yml", "config.json", "hparams.yaml", "args.json", "params.json", "files/config.yaml",
)  # fmt: skip
"""Names that trainers and loggers (W&B, Lightning and others) give to the configuration of a run."""

HYDRA: Final = (".hydra/config.yaml",)
"""Path at which Hydra leaves the configuration of a run."""

_NUMBERED: Final = re.compile(r"ckpt-(\d{1,18})\.pt")


def checkpoint_within(source: Path) -> Path:
    """Return the file itself, or a folder's: the highest ``ckpt-<step>.pt``, its safetensors, or the only checkpoint.

    Raises
    ------
    CheckpointUnreadableError
        The folder holds none, several that are not numbered, or the parts of one.
    """
    if not source.is_dir():
        return source
    files = sorted(path for path in source.iterdir() if path.is_file())
    numbered = [(int(found[1]), path) for path in files if (found := _NUMBERED.fullmatch(path.name))]
    if numbered:
        return max(numbered)[1]
    _refuse_parts(source, files)
    named = [path for path in files if path.suffix in SUFFIXES]
    if (whole := source / SAFETENSORS) in named:
        return whole
    if len(named) == 1:
        return named[0]
    if named:
        listed = ", ".join(path.name for path in named[:MAX_LISTED])
        raise refuse(f"{source.name} holds several checkpoints ({listed})", "name the file to add")
    raise CheckpointUnreadableError(f"{source} holds no ckpt-<step>.pt, no {SAFETENSORS} and no other checkpoint")


def settings_beside(source: Path, *, within: bool) -> Path | None:
    """Return the configuration beside a checkpoint: named after it, or ``config.json`` in the folder that was named."""
    if (beside := sidecar_of(source)) is not None:
        return beside
    of_folder = source.with_name(CONFIG)
    return of_folder if source.suffix == ".safetensors" and within and of_folder.is_file() else None


def unread_beside(source: Path, read: Path | None) -> tuple[str, ...]:
    """Return the trainers' configurations near a checkpoint that nobody named: W&B's, Hydra's, Lightning's and others.

    They are not read by themselves: a folder may be of another run, and a guess would be a wrong number.

    Parameters
    ----------
    source
        The checkpoint's file.
    read
        The configuration that was read.
    """
    folder = source.absolute().parent
    near = (folder, folder.parent)
    places = [place / name for place in near for name in (*HYDRA, *BESIDE)]
    there = [place for place in places if place.is_file() and (read is None or place != read.absolute())]
    return tuple(os.path.relpath(place, folder) for place in there[:MAX_LISTED])


def _refuse_parts(source: Path, files: list[Path]) -> None:
    """Refuse the folders in which training frameworks split one checkpoint."""
    names = {path.name for path in files}
    if ".metadata" in names or any(name.endswith(".distcp") for name in names):
        raise refuse(
            f"{source.name} is a sharded checkpoint of torch.distributed",
            "where you trust it, run: python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER plain.pt",
        )
    if "zero_to_fp32.py" in names:
        raise refuse(
            f"{source.name} is a checkpoint of DeepSpeed",
            "where you trust it, run in it: python zero_to_fp32.py . plain.pt",
        )
    if f"{SAFETENSORS}.index.json" in names:
        raise refuse(
            f"{source.name} holds the parts of a checkpoint",
            "join them by safetensors.torch: save_file({name: tensor for part in parts for name, tensor in "
            f"load_file(part).items()}}, '{SAFETENSORS}'), in a folder of its own with the JSON files",
        )
    if any(name.endswith(".index.json") for name in names):
        raise refuse(
            f"{source.name} holds the parts of a checkpoint",
            "join them: torch.save({name: tensor for part in parts for name, tensor in "
            "torch.load(part, weights_only=True).items()}, 'plain.pt')",
        )
