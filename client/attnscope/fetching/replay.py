"""Maps that a service replays: asked for one decision at a time, checked in shape, and kept within a bound."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from attnscope.connecting.copies import renew_in_children
from attnscope.connecting.repeated import refuse_another
from attnscope.connecting.transport import Transport
from attnscope.errors import GoneError, NotFoundError, NotReplayableError
from attnscope.fetching.remote import NPY_HEADER_BYTES, _npy, spell
from attnscope_storage.wire import MAP_DIMS, MapKind, PolicyDescription, Positions
from attnscope_storage.wire.echo import JOB_HEADER, SELECTION_HEADER, echo_of

KEPT_BYTES = 64 * 2**20
"""Replayed answers kept in memory, per capture."""


@dataclass(frozen=True)
class Decision:
    """A question about one decision."""

    step: int
    """Environment step, from 0."""
    env: int
    """Entry of the env axis."""
    kind: MapKind = "weights"
    layers: tuple[int, ...] = ()
    heads: tuple[int, ...] = ()
    transitions: tuple[int, ...] | None = None
    """Of leave-one-out: places in the window; None is all."""
    positions: Positions = "reindex"
    tokens: int | None = None
    """Tokens of the context, where its step does not tell them."""
    latents: int = 0
    """Latents in the context."""

    def shape(self, policy: PolicyDescription) -> tuple[int, ...]:
        """Return the shape of the answer."""
        held = min(self.step, policy.transitions)
        tokens = held * policy.tokens_per_transition + 1 if self.tokens is None else self.tokens
        left_out = held if self.transitions is None else len(self.transitions)
        sizes = {"layer": len(self.layers), "head": len(self.heads), "query": tokens, "slot": tokens}
        return tuple((sizes | {"transition": left_out, "latent": self.latents})[dim] for dim in MAP_DIMS[self.kind])

    def parameters(self) -> list[tuple[str, str]]:
        """Return the question as the maps route reads it."""
        asked = [("step", str(self.step)), ("env", str(self.env)), ("kind", str(self.kind))]
        dims = MAP_DIMS[self.kind]
        for dim, picked in (("layer", self.layers), ("head", self.heads), ("transition", self.transitions)):
            if dim in dims and picked is not None:
                asked.append((f"{dim}s", spell(picked)))
        return [*asked, ("positions", self.positions)] if self.kind == "leave-one-out" else asked


class Replayer:
    """Asks the service for maps of any committed step. A committed step never changes, so each is fetched once."""

    def __init__(self, transport: Transport, job: str, policy: PolicyDescription) -> None:
        self._transport = transport
        self._job = job
        self._policy = policy
        self._kept: OrderedDict[Decision, Float32[np.ndarray, ...]] = OrderedDict()
        self._kept_bytes = 0
        self._lock = threading.Lock()
        renew_in_children(self)

    def renew(self) -> None:
        """Let a forked child have a lock of its own: the parent's may be held by a thread that the child lacks."""
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Replayer], tuple[Transport, str, PolicyDescription]]:
        """Pickle nothing that was fetched, and no lock."""
        return type(self), (self._transport, self._job, self._policy)

    def fetch(self, decision: Decision) -> Float32[np.ndarray, ...]:
        """Return the answer, in the axes of its kind.

        Raises
        ------
        NotReplayableError
            The policy does not allow it, or the service is too old to replay.
        ReplayDiffersError
            What the service replayed is not what the capture stored.
        TooLargeError, BusyError
            More than the service allows, at once or at all.
        NotCommittedError
            The step is not committed yet.
        UnexpectedAnswerError
            The answer is not the array that was asked for; nothing larger is ever allocated.
        """
        with self._lock:
            if decision in self._kept:
                self._kept.move_to_end(decision)
                return self._kept[decision].copy()
        shape, name = decision.shape(self._policy), f"{decision.kind} at step {decision.step}"
        limit, path = 4 * math.prod(shape) + NPY_HEADER_BYTES, f"/v1/captures/{self._job}/maps"
        try:
            answer = self._transport.request("GET", path, parameters=decision.parameters(), limit=limit)
        except GoneError:
            raise
        except NotFoundError as error:
            raise NotReplayableError("this service replays nothing: it is of an older version") from error
        refuse_another(answer, {JOB_HEADER: self._job, SELECTION_HEADER: echo_of(decision.parameters())})
        found = _npy(answer.body, shape, np.dtype(np.float32), name)
        self._keep(decision, found)
        return found.copy()

    def _keep(self, decision: Decision, found: Float32[np.ndarray, ...]) -> None:
        with self._lock:
            if decision in self._kept or found.nbytes > KEPT_BYTES:
                return
            self._kept[decision] = found
            self._kept_bytes += found.nbytes
            while self._kept_bytes > KEPT_BYTES:
                self._kept_bytes -= self._kept.popitem(last=False)[1].nbytes
