"""A file's format by its first bytes; formats that are none of weights are refused by name, with what to run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

from attnscope_model.parsing.remedies import COPY_AGAIN, refuse

Format = Literal["archive", "safetensors", "pickle"]

_HEAD_BYTES: Final = 512
_TAR: Final = slice(257, 262)
_PROTOCOL: Final = b"\x80"
"""Begins every pickle from protocol 2 on; it may also be a digit of a safetensors header's length."""

_HIGH_BYTES: Final = slice(4, 8)
_BRACE: Final = slice(8, 9)
"""A safetensors file has the length of its header in 8 bytes, then a brace."""

_REFUSED: Final[tuple[tuple[re.Pattern[bytes], str, str], ...]] = (
    (re.compile(rb"version https://git-lfs"), "a git-lfs pointer, not the file", "run: git lfs pull --include FILE"),
    (
        re.compile(rb"\s*<(?:!doctype|html|\?xml|head)", re.IGNORECASE),
        "a web page, not the file (a login page or an error, say)",
        "download it again, signed in, and look at its first line",
    ),
    (re.compile(rb"\x1f\x8b"), "a gzip file", "run: gunzip -k FILE, or tar xzf FILE"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "a zstd file", "run: unzstd FILE"),
    (re.compile(rb"\xfd7zXZ"), "an xz file", "run: unxz -k FILE, or tar xJf FILE"),
    (re.compile(rb"BZh"), "a bzip2 file", "run: bunzip2 -k FILE"),
    (
        re.compile(rb"\x89HDF\r\n"),
        "an HDF5 file (Keras weights, or learning histories)",
        "read its weights with h5py and save them: torch.save({name: torch.from_numpy(w[()]) …}, 'plain.pt')",
    ),
    (re.compile(rb"\x93NUMPY"), "a single NumPy array", "a policy has several tensors: save its state dict"),
    (re.compile(rb"GGUF"), "a GGUF file of a language model", "export the policy's own state dict"),
)
"""Files that are not read: first bytes, name, remedy."""


def format_of(path: Path) -> Format:
    """Return how to read a file.

    Raises
    ------
    CheckpointUnreadableError
        It is empty, or of a format that holds no checkpoint or that is not read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise refuse("an empty file", COPY_AGAIN)
    for pattern, name, remedy in _REFUSED:
        if pattern.match(head):
            raise refuse(name, remedy)
    if head[_TAR] == b"ustar" or head.startswith(b"storages\0"):
        raise refuse(
            "a tar archive (unpack it), or torch's format from before 2017",
            "run: tar xf FILE; for torch's, where you trust it: "
            "torch.save(torch.load(FILE, weights_only=False), 'plain.pt')",
        )
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return "archive"
    protocol = head.startswith(_PROTOCOL)
    if head[_BRACE] == b"{" and not (protocol and any(head[_HIGH_BYTES])):
        return "safetensors"
    if protocol or head.startswith((b"(", b"c", b"}", b"]")):
        return "pickle"
    raise refuse(
        "not a checkpoint: neither torch's, safetensors nor a pickle by its first bytes",
        "look at it with: file FILE; and head -c 200 FILE",
    )
