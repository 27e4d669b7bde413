"""Files of attention, known by their first bytes and read without executing anything in them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import numpy as np
from jaxtyping import Shaped

from attnscope.foreign.importing import import_reference
from attnscope.foreign.own import LABELS, Described, write_arrays
from attnscope.foreign.refusals import WANTED_FILES, ForeignFileError
from attnscope.foreign.tensors import MAX_BYTES, read_tensors

NAMES: Final = ("rows", "lengths", "returns", "tasks", *LABELS)
"""Names of arrays that mean something in a file of arrays."""

MAX_FILE_BYTES: Final = 64 * 2**30
"""Bytes of all arrays of one file, at most."""

Kind = Literal["pickle", "npz", "npy", "torch"]

OTHERS: Final = {
    b"\x89HDF": "an HDF5 file: save its arrays with numpy.savez",
    b"\x80\x02\x8a\n": "a torch file of the old layout: save it again with torch.save of torch 1.6 or later",
    b"{": "JSON",
    b"version https://git-lfs": "a pointer of Git LFS: fetch the file itself with git lfs pull",
    b"<": "a page of HTML or XML",
}
"""Kinds of files that are known and not read, by their first bytes."""


def kind_of(path: Path) -> Kind:
    """Return the kind of a file.

    Raises
    ------
    ForeignFileError
        It is none that is read; the message says the kinds that are.
    """
    if path.is_dir():
        raise ForeignFileError(f"there is no file at {path}, but a folder; {WANTED_FILES}")
    if not path.is_file():
        raise ForeignFileError(f"there is no file at {path}")
    with path.open("rb") as file:
        first = file.read(32)
    if first.startswith(b"\x93NUMPY"):
        return "npy"
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if any(name.endswith("/data.pkl") for name in names):
            return "torch"
        if any(name.endswith(".npy") for name in names):
            return "npz"
    named = next((words for start, words in OTHERS.items() if first.startswith(start)), None)
    if named is None and (path.suffix in {".pkl", ".pickle"} or first[:1] == b"\x80"):
        return "pickle"
    raise ForeignFileError(f"{path.name} is {named or 'no file of arrays'}; {WANTED_FILES}")


def import_file(
    path: Path,
    out: Path,
    *,
    rewards: Path | None = None,
    lengths: Path | None = None,
    maps: int = 5,
    name: str | None = None,
    causal: bool | None = None,
    query_slot: Literal["first", "last"] = "last",
    tokens_per_transition: int = 1,
    tell: Callable[[int, int], None] = lambda _done, _all: None,
) -> Path:
    """Write a capture from a file of another program.

    Parameters
    ----------
    path
        The file; its first bytes say its kind.
    out
        New folder.
    rewards
        Of the reference's history: its `attention_data.npz`.
    lengths
        Of a file that holds rows alone: an .npy file of the context lengths.
    maps
        Of the reference's history: whole maps to keep, evenly spaced.
    name
        Name of the policy; None takes the file's, or that of the folder of the reference's history.
    causal
        Of arrays: mask of the policy; None is unknown.
    query_slot
        Of arrays: where in the context the query is.
    tokens_per_transition
        Of arrays: tokens that one transition takes.
    tell
        Of the reference's history: called with steps done and in all.

    Returns
    -------
    Path
        The new folder.

    Raises
    ------
    ForeignFileError
        The file is not what it should be; nothing of it was executed.
    """
    kind = kind_of(path)
    if kind == "pickle":
        return import_reference(path, out, rewards, maps=maps, name=name, tell=tell)
    arrays = read_arrays(path, kind)
    if lengths is not None:
        arrays["lengths"] = next(iter(read_arrays(lengths, kind_of(lengths)).values()))
    described = Described(causal, query_slot, tokens_per_transition, name=name or path.stem)
    return write_arrays(out, arrays, described, source=path.name)


def read_arrays(path: Path, kind: Kind) -> dict[str, Shaped[np.ndarray, ...]]:
    """Return the arrays of a file by name; an array alone is called ``rows``.

    Raises
    ------
    ForeignFileError
        It holds objects, is damaged, or too large.
    """
    try:
        if kind == "npy":
            return {"rows": np.load(path, mmap_mode="r", allow_pickle=False)}
        with zipfile.ZipFile(path) as archive:
            sizes = [entry.file_size for entry in archive.infolist()]
            if max(sizes) > MAX_BYTES or sum(sizes) > MAX_FILE_BYTES:
                raise ForeignFileError(f"{path.name}: {sum(sizes):.3g} bytes of arrays, {MAX_BYTES:.3g} each at most")
            if kind == "torch":
                return read_tensors(archive, path.name)
        with np.load(path, allow_pickle=False) as data:
            known = [name for name in data.files if name in NAMES]
            return {name: data[name] for name in known} or dict.fromkeys(data.files[:8], np.zeros(0))
    # A file of a stranger: np.load raises the first three; zipfile the fourth for damage, NotImplementedError for
    # compressions that it does not know, RuntimeError for encrypted entries. Each becomes one refusal, its cause kept.
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        if isinstance(error, ForeignFileError):
            raise
        raise ForeignFileError(f"{path.name} cannot be read as plain arrays ({error}); {WANTED_FILES}") from error
