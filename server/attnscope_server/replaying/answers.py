"""Replayed maps as the service answers them: what a question costs and may cost, who may ask how much, what is kept."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections import Counter, OrderedDict
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from attnscope_server.errors import refusal
from attnscope_server.limits import Limits
from attnscope_server.replaying.messages import Ask
from attnscope_server.replaying.process import ReplayProcess
from attnscope_server.settings import Settings
from attnscope_storage import __version__
from attnscope_storage.wire import MAP_DIMS, PolicyDescription, ProblemCode
from attnscope_storage.wire.flops import forward_flops

MapArray = Float32[np.ndarray, "..."]


@dataclass(frozen=True)
class Question:
    """A question about one decision, every name resolved to numbers that exist."""

    capture: str
    """Id of the capture, which no other capture ever has."""
    job: str
    step: int
    env: int
    kind: str
    layers: tuple[int, ...] = ()
    heads: tuple[int, ...] = ()
    transitions: tuple[int, ...] = ()
    """Places in the window; of leave-one-out only."""
    positions: str = "reindex"
    tokens: int = 1
    """Tokens of the context at that step."""
    latents: int = 0
    """Latents in the context at that step."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The answer's shape."""
        sizes = {
            "layer": len(self.layers),
            "head": len(self.heads),
            "query": self.tokens,
            "slot": self.tokens,
            "transition": len(self.transitions),
            "latent": self.latents,
        }
        return tuple(sizes[dim] for dim in MAP_DIMS[self.kind])

    @property
    def nbytes(self) -> int:
        """Bytes of the answer, float32."""
        return 4 * math.prod(self.shape)

    def tag(self, form: str) -> str:
        """Return a strong ETag: a committed step never changes, so neither does what this version says of it."""
        text = json.dumps([__version__, form, *vars(self).values()])
        return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'

    def order(self) -> Ask:
        """Return the question as the replay process reads it; the process numbers it."""
        fields = {name: value for name, value in vars(self).items() if name in Ask.model_fields}
        return Ask(id=0, **fields)


def refuse_too_large(question: Question, policy: PolicyDescription, limits: Limits) -> None:
    """Refuse a question over a cap, and say how to ask for less.

    Raises
    ------
    ProblemError
        too-large, with the cap and what was asked.
    """
    work = 4 * policy.layers * policy.heads * question.tokens**2
    left_out = len(question.transitions) + (question.latents if "latent" in MAP_DIMS[question.kind] else 0)
    flops = (1 + left_out) * forward_flops(policy, question.tokens)
    for requested, limit, what, remedy in (
        (question.nbytes, limits.replay_result_bytes, "bytes of answer", "name fewer layers or heads"),
        (work, limits.replay_work_bytes, "bytes of maps in memory", "the operator may allow more"),
        (flops, limits.replay_flops, "floating-point operations", "name fewer transitions, e.g. transitions=0:40"),
    ):
        if requested > limit:
            detail = f"this replay needs {requested:.3g} {what}, {limit:.3g} are allowed: {remedy}"
            raise refusal(ProblemCode.TOO_LARGE, detail, limit=limit, requested=requested)


class Replays:
    """Answers questions from memory or by the replay process. Used from the service's event loop only."""

    def __init__(self, settings: Settings) -> None:
        self._limits = settings.limits
        self.process = ReplayProcess(settings)
        self._asking: Counter[str] = Counter()
        self._kept: OrderedDict[Question, MapArray] = OrderedDict()
        self._kept_bytes = 0

    @property
    def asking(self) -> int:
        """Questions that run or wait."""
        return self._asking.total()

    async def answer(self, owner: str, question: Question) -> MapArray:
        """Return the answer.

        Raises
        ------
        ProblemError
            too-many-requests where the owner, or all together, ask too much at once; unavailable where the process
            ended; too-large where it took too long; and whatever the replay itself found wrong.
        """
        if question in self._kept:
            self._kept.move_to_end(question)
            return self._kept[question]
        self._refuse_too_many(owner)
        self._asking[owner] += 1
        try:
            found: MapArray = await asyncio.wrap_future(self.process.submit(question.order(), question.shape))
        finally:
            self._asking[owner] -= 1
        self._keep(question, found)
        return found

    def _refuse_too_many(self, owner: str) -> None:
        for asking, limit, whose in (
            (self._asking[owner], self._limits.replays_per_owner, "of yours"),
            (self.asking, self._limits.replays_waiting, "in all"),
        ):
            if asking >= limit:
                detail = f"{asking} replays {whose} run or wait already: try again when they are answered"
                raise refusal(ProblemCode.TOO_MANY_REQUESTS, detail, limit=limit, requested=asking + 1)

    def _keep(self, question: Question, found: MapArray) -> None:
        if question in self._kept or found.nbytes > self._limits.replay_cache_bytes:
            return
        self._kept[question] = found
        self._kept_bytes += found.nbytes
        while self._kept_bytes > self._limits.replay_cache_bytes:
            self._kept_bytes -= self._kept.popitem(last=False)[1].nbytes
