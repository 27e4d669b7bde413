"""A job at a worker that a test plays: it claims, reports, and sends whatever the test says."""

from __future__ import annotations

import hashlib
import secrets
from uuid import UUID, uuid4

import httpx
import numpy as np

from attnscope_server.pulling.connection import Connection
from attnscope_server.pulling.messages import TOKEN_HEADER, Offer, SentCommit
from attnscope_server.records.keys import ALL_SCOPES
from attnscope_server.running.messages import Placement, Taken
from attnscope_storage import __version__
from attnscope_storage.layout.chunks import encode_chunk
from attnscope_storage.writing.due import due_chunks

SPEC = {"kind": "capture", "checkpoint": "AD-darkroom", "steps": 5}
PROVENANCE = {"device": "cpu", "threads": 1, "checkpoint": "forged", "attention_implementation": "mine"}


class Attempt:
    """A job of an owner of its own, at a worker that only this test plays."""

    def __init__(self, running) -> None:
        self.running, self.owner = running, f"owner-{uuid4()}"
        key = running.state.keys.create(self.owner, ALL_SCOPES)
        self.people = {"Authorization": f"Bearer {key}"}
        self.job = UUID(httpx.post(f"{running.url}/v1/jobs", json=SPEC, headers=self.people).json()["id"])
        self.key = running.state.keys.create_worker(serves=[self.owner])
        self.connection = Connection(running.url, self.key)
        self.given = self.claim()
        self.schema = running.state.arrivals.schema(running.state.jobs.get(self.job))

    def claim(self):
        """Ask for the job, as a new worker, and say that it is begun."""
        about = {"name": "box", "version": __version__, "device": "cpu", "hardware": "cpu", "stores": "streamed"}
        given = self.connection.claim(Offer(**about, session=secrets.token_hex(16), wait=20.0))
        placed_on = Placement(device="cpu", dtype="float32", threads=1, torch="2")
        self.connection.report(given.token, [Taken(job=self.job, attempt=given.order.attempt, placed_on=placed_on)])
        return given

    @property
    def path(self):
        """Folder of the job's store."""
        return self.running.state.captures.path(self.job)

    def send(self, number, token=None):
        """Send made-up chunks of a commit, and return their hashes by key."""
        token, listed = token or self.given.token, {}
        for due in due_chunks(self.schema, self.connection.committed(token).steps, number):
            encoded = encode_chunk(np.full(due.spec.chunks, 1, due.spec.dtype))
            listed[due.key] = hashlib.sha256(encoded).hexdigest()
            self.connection.send(token, number, due, encoded, listed[due.key])
        return listed

    def commit(self, number, token=None):
        """Make a commit of made-up chunks."""
        token = token or self.given.token
        sent = SentCommit(chunks=self.send(number, token), provenance=PROVENANCE if number == 0 else None)
        return self.connection.commit(token, number, sent)

    def put(self, number="0", content=b"x", token=None, **about):
        """Put anything as a chunk."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/octet-stream"}
        query = {"array": "env/task", "chunk": "0", "sha256": hashlib.sha256(content).hexdigest()}
        return httpx.put(
            f"{self.running.url}/v1/worker/commits/{number}/chunks",
            params=query | about,
            headers=headers | {TOKEN_HEADER: token or self.given.token},
            content=content,
        )
