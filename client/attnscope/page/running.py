"""Page servers that run already: each proves the secret of its state file before it is used again.

A port says nothing about its owner: a program that took the port of an ended page knows no secret, and learns none.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import platformdirs
from pydantic import TypeAdapter

SECONDS: Final = 5.0
"""Seconds that a running page server has for an answer."""

JSON: Final = {"Content-Type": "application/json"}
"""Header of a request whose body is a message."""

MOST_CHALLENGES: Final = 64
"""Challenges that wait for their answer, at most."""


@dataclass(frozen=True)
class Running:
    """A page server as its state file describes it."""

    port: int
    pid: int
    secret: str


@dataclass(frozen=True)
class Link:
    """A way into the page that works once."""

    address: str
    """With its code; for a reader to follow, never for a command line."""
    file: Path
    """A private file that leads a browser there."""


@dataclass(frozen=True)
class Proven:
    """The server's answer to a nonce: its proof of the secret, and a challenge for the client."""

    challenge: str
    proof: str


@dataclass(frozen=True)
class Again:
    """The request of a second ``open``: a subject, and the client's proof of the secret for a challenge."""

    challenge: str = ""
    subject: str = ""
    proof: str = ""


RUNNING: Final = TypeAdapter(Running)
LINK: Final = TypeAdapter(Link)
PROVEN: Final = TypeAdapter(Proven)
AGAIN: Final = TypeAdapter(Again)
"""Readers and writers of the messages between a page server and a second ``open``, each as JSON."""


def state_file(service: str | None, folder: Path | None = None) -> Path:
    """Return the state file of the page server of a service, or of downloaded folders where None."""
    name = "folders" if service is None else hashlib.sha256(service.encode()).hexdigest()[:16]
    return (folder or Path(platformdirs.user_state_dir("attnscope"))) / f"page-{name}.json"


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone can read; it appears whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)


def note(path: Path, running: Running) -> None:
    """Write the state file of a page server."""
    write_private(path, RUNNING.dump_json(running).decode())


def noted(path: Path) -> Running | None:
    """Return the page server that a state file describes; None where there is none, or others can write there."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())  # of the file that is read, whatever the path leads to by now
            if os.name == "posix" and (found.st_mode & 0o077 or found.st_uid != os.getuid()):
                return None
            return RUNNING.validate_json(file.read())
    except (OSError, ValueError):  # also where it does not describe a page server
        return None


def forget(path: Path, running: Running) -> None:
    """Delete a state file, unless it describes another server by now."""
    if noted(path) == running:
        path.unlink(missing_ok=True)


def proof(secret: str, who: str, *words: str) -> str:
    """Return what only somebody with the secret can say about these words, as server or as client."""
    said = json.dumps([who, *words]).encode()
    return hmac.new(secret.encode(), said, hashlib.sha256).hexdigest()


class Prover:
    """The server's half: it proves the secret, and believes only proofs about its own fresh challenges."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._challenges: dict[str, None] = {}
        self._lock = threading.Lock()

    def answer(self, nonce: str) -> Proven:
        """Return the proof of the secret for a nonce, and a challenge for the client."""
        challenge = secrets.token_hex(16)
        with self._lock:
            self._challenges[challenge] = None
            while len(self._challenges) > MOST_CHALLENGES:
                self._challenges.pop(next(iter(self._challenges)))
        return Proven(challenge, proof(self._secret, "server", nonce, challenge))

    def believes(self, asked: Again) -> bool:
        """Return whether a client proved the secret for a challenge of ours; each challenge counts once."""
        with self._lock:
            known = asked.challenge in self._challenges
            self._challenges.pop(asked.challenge, None)
        expected = proof(self._secret, "client", asked.challenge, asked.subject)
        return known and hmac.compare_digest(expected.encode(), asked.proof.encode(errors="replace"))


def ask_again(running: Running, subject: str) -> Link | None:
    """Return a link to a subject on a page server that runs; None where nobody there proves the secret.

    Parameters
    ----------
    running
        From its state file.
    subject
        Id of a job, or the resolved path of a folder.
    """
    nonce = secrets.token_hex(16)
    base = f"http://127.0.0.1:{running.port}"
    try:
        with httpx.Client(base_url=base, timeout=SECONDS, trust_env=False, follow_redirects=False) as client:
            proven = PROVEN.validate_json(client.get("/proof", params={"nonce": nonce}).content)
            expected = proof(running.secret, "server", nonce, proven.challenge)
            if not hmac.compare_digest(expected.encode(), proven.proof.encode()):
                return None
            asked = Again(proven.challenge, subject, proof(running.secret, "client", proven.challenge, subject))
            answer = client.post("/again", content=AGAIN.dump_json(asked), headers=JSON, timeout=60.0)
            return LINK.validate_json(answer.content) if answer.status_code == httpx.codes.OK else None
    except (httpx.HTTPError, ValueError):  # also where an answer is none of ours
        return None
