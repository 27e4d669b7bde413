"""A stand-in of the Hub: one repository with its listing, its files, and what a test says otherwise."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "hub" / "gpt2"
REVISION = "0123456789abcdef0123456789abcdef01234567"
SOURCE = f"hf://someone/policy@{REVISION}"
HOSTS = ("huggingface.co", "store.example")
"""Hosts that the stand-in plays; every other one is resolved and judged as in earnest."""

DECLARATION = {
    "tokens": ["state", "action"],
    "observation": "discrete",
    "states": 37,
    "first_state": 0,
    "actions": 37,
    "first_action": 0,
    "context_length": 48,
    "preset": "some.listed.environment",
}


class StandIn:
    """One repository, and whatever a test says otherwise."""

    def __init__(self) -> None:
        self.files = {name: (GOLDEN / name).read_bytes() for name in ("config.json", "model.safetensors")}
        self.files["attnscope.json"] = json.dumps(DECLARATION).encode()
        self.large = {"model.safetensors"}
        self.commit: str | None = REVISION
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        """Answers by path, which go before the repository's own."""
        self.entries: dict[str, dict[str, Any]] = {}
        """Changes of the listing's entries, by name."""
        self.more: list[object] = []
        """Entries of the listing besides."""
        self.silent: set[str] = set()
        """Paths whose answers never end: the connection stays open until the other end gives up."""
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        """Host, path and header of every request."""

    def listing(self) -> list[object]:
        """Return the entries as the Hub writes them."""
        found: list[object] = []
        for name, content in self.files.items():
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
            entry = {"type": "file", "oid": blob, "size": len(content), "path": name}
            if name in self.large:
                sha256 = hashlib.sha256(content).hexdigest()
                entry |= {"oid": "1" * 40, "lfs": {"oid": sha256, "size": len(content), "pointerSize": 134}}
            found.append(entry | self.entries.get(name, {}))
        return found + self.more

    def answer(self, host: str, path: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, header and body."""
        if path in self.answers:
            return self.answers[path]
        plain, _, name = path.rpartition("/")
        if host == "store.example":
            return 200, {}, self.files[name.partition("?")[0]]
        if path == f"/api/models/someone/policy/tree/{REVISION}":
            return 200, {}, json.dumps(self.listing()).encode()
        if plain == f"/someone/policy/resolve/{REVISION}" and name in self.files:
            said = {} if self.commit is None else {"X-Repo-Commit": self.commit}
            if name in self.large:
                return 302, said | {"Location": f"https://store.example/{name}?signature=secret"}, b""
            return 200, said, self.files[name]
        return 404, {}, b""

    def way(self, name: str) -> str:
        """Return the path at which a file is asked for."""
        return f"/someone/policy/resolve/{REVISION}/{name}"
