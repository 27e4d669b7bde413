"""The listing of a repository's commit: which of the files that are read here it has, their sizes and their hashes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from attnscope_model.parsing.limits import MAX_FILE_BYTES
from attnscope_server.errors import HubRefusedError
from attnscope_server.hub.asking import Hub
from attnscope_server.hub.source import HubSource

WEIGHTS: Final = "model.safetensors"

ALLOWED: Final[Mapping[str, int]] = MappingProxyType(
    {WEIGHTS: MAX_FILE_BYTES, "config.json": 64 * 1024, "attnscope.json": 64 * 1024, "entry.json": 2**20}
)
"""Names of the files that are fetched, and the largest size of each. No other name is ever asked for."""

LISTING_BYTES: Final = 2**20
"""Size of a listing, at most."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SHA1: Final = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class HubFile:
    """A file as the listing announces it."""

    name: str
    size: int
    """Bytes."""
    sha256: str | None
    """Of its bytes; None where the Hub keeps it in git itself, which knows `blob`."""
    blob: str
    """Its name in git: SHA-1 of a header and its bytes, or of the pointer to a large file."""


def listed(hub: Hub, source: HubSource) -> tuple[HubFile, ...]:
    """Return the files of a repository that are read here.

    Raises
    ------
    HubRefusedError
        There are no weights or no configuration, the listing is none, or a file is larger than is read here.
    """
    path = f"/api/models/{source.owner}/{source.name}/tree/{source.revision}"
    with hub.asked(path, LISTING_BYTES) as answer:
        content = b"".join(hub.blocks(answer, LISTING_BYTES))
    try:
        entries = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise HubRefusedError(f"{source}: its listing is no JSON") from error
    found: dict[str, HubFile] = {}
    for entry in entries if isinstance(entries, list) else []:
        name = entry.get("path") if isinstance(entry, dict) else None
        if not isinstance(name, str) or name not in ALLOWED or entry.get("type") != "file":
            continue
        if name in found:
            raise HubRefusedError(f"{source}: its listing has {name} twice")
        found[name] = _file(name, entry)
    if missing := [name for name in (WEIGHTS, "config.json") if name not in found]:
        raise HubRefusedError(
            f"{source} lists no {' and no '.join(missing)}: weights in several parts or of another form are not fetched"
        )
    return tuple(found[name] for name in ALLOWED if name in found)


def _file(name: str, entry: Mapping[str, Any]) -> HubFile:
    size, blob, large = entry.get("size"), entry.get("oid"), entry.get("lfs")
    sha256 = large.get("oid") if isinstance(large, dict) else None
    said = isinstance(blob, str) and _SHA1.fullmatch(blob) and type(size) is int and size >= 0
    if isinstance(large, dict):
        said = said and isinstance(sha256, str) and _SHA256.fullmatch(sha256) and large.get("size") == size
    if not said or not isinstance(size, int) or not isinstance(blob, str):
        raise HubRefusedError(f"the listing says no size and hash of {name} that fit each other")
    if size > ALLOWED[name]:
        raise HubRefusedError(f"{name} has {size} bytes, more than the {ALLOWED[name]} read here")
    return HubFile(name, size, sha256, blob)
