"""One actor on its seat, as the driver sees it: how an attempt gets there, and how its reports come back.

Its reports end in `hear`; the loss of the actor is told as the end of its attempt.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

import ray
import structlog
from ray.exceptions import ActorUnavailableError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from attnscope_model.errors import CheckpointError
from attnscope_server.failures import problem_of
from attnscope_server.running.messages import (
    ENDINGS,
    REPORT,
    Alive,
    AnyJobReport,
    Cancel,
    Died,
    Failed,
    GivenBack,
    JobReport,
    Ready,
    Renewed,
    Run,
)
from attnscope_server.running.on_ray.actor import CALL_SECONDS, WorkerActor
from attnscope_server.running.on_ray.bringing import UnseenError, prepared
from attnscope_server.running.on_ray.slots import Seat
from attnscope_server.running.on_ray.wire import Begin

log = structlog.get_logger("attnscope.ray")

Hear = Callable[[AnyJobReport | Alive], None]
"""Takes what is heard of the actor; never raises."""

CALLS_AT_ONCE: Final = 8
"""Calls that an actor serves at once; one of them waits for reports, and a lost driver's may still do so."""

SILENT_SECONDS: Final = 3 * CALL_SECONDS
"""An actor whose calls have not returned for so long may be on a machine that has stopped, or is cut off."""

AGAIN_SECONDS: Final = 1.0
"""From one try to reach an actor to the next, while its node does not answer."""


class Seated:
    """An actor that was asked for, or found again.

    Parameters
    ----------
    actor
        Ray's handle.
    begin
        What the driver was told of the service.
    hear
        Takes each report about the attempt that the actor has, and its signs of life.
    attempt
        The attempt that it should have; None for a new actor.
    """

    def __init__(self, actor: Any, begin: Begin, hear: Hear, attempt: tuple[UUID, int] | None = None) -> None:  # noqa: ANN401 - Ray types no handles
        self._actor, self._begin, self._hear = actor, begin, hear
        self.attempt = attempt
        self.gone = False
        """True where the actor ended, or was ended; it takes no more orders."""
        self.refused = False
        """True where an attempt could not be begun here: the seat should rest."""
        self._delivered = attempt is not None
        self._tasks: set[asyncio.Task[None]] = set()
        self._heard_at = time.monotonic()
        self._spawn(self._listen())
        if attempt is not None:
            self._spawn(self._find(attempt))

    @classmethod
    def make(cls, seat: Seat, name: str, begin: Begin, hear: Hear) -> Seated:
        """Ask the cluster for an actor on a seat; it begins when its resources are there."""
        kind: Any = ray.remote(WorkerActor)
        actor = kind.options(
            name=name,
            namespace=begin.namespace,
            lifetime="detached",  # a job goes on where the service restarts
            num_cpus=seat.cpus,
            num_gpus=seat.gpus,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=CALLS_AT_ONCE,
            scheduling_strategy=NodeAffinitySchedulingStrategy(seat.node, soft=False),
        ).remote(begin.line)
        return cls(actor, begin, hear)

    @property
    def silent(self) -> bool:
        """True where nothing came back from the actor for long."""
        return time.monotonic() - self._heard_at > SILENT_SECONDS

    def run(self, order: Run) -> None:
        """Bring an attempt to the actor, which has none."""
        self.attempt, self._delivered = (order.job, order.attempt), False
        self._spawn(self._begin_attempt(order))

    def tell(self, order: Cancel | Renewed) -> None:
        """Pass an order on; one about another attempt, or one that is not there yet, is dropped."""
        if self.attempt != (order.job, order.attempt):
            return
        if self._delivered:
            self._spawn(self._pass_on(order))
        elif isinstance(order, Cancel):
            self.end()  # the job is given back, and then cancelled

    def end(self, detail: str | None = None) -> None:
        """End the actor's process at once, and with it what it holds; its attempt is told as over."""
        self.gone = True
        with contextlib.suppress(RayError, ValueError):
            ray.kill(self._actor, no_restart=True)
        self._lost(detail)

    def leave(self) -> None:
        """Stop listening, and leave the actor as it is."""
        for task in self._tasks:
            task.cancel()

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("an actor could not be served; it is ended", exc_info=error)
            self.end(_first_line(error))

    async def _begin_attempt(self, order: Run) -> None:
        about = {"job": order.job, "attempt": order.attempt}
        self._report(sign := Alive(**about, said_at=0.0))
        alive = asyncio.ensure_future(self._wait_with_signs(order, sign))
        try:
            async with asyncio.timeout(self._begin.start_seconds):
                meant = await prepared(self._actor, self._begin, order)
                self._delivered = True
                await self._actor.take.remote(meant.line)
        except TimeoutError:
            self._refuse(GivenBack(**about, detail="its worker did not start in time on this slot"))
        except UnseenError as error:
            self._refuse(GivenBack(**about, detail=str(error)))
        except (OSError, CheckpointError) as error:  # of the actor's machine too: Ray mixes their class into its own
            cause = error.cause if isinstance(error, RayTaskError) else error
            self._refuse(Failed(**about, problem=problem_of(cause, where="on its way to the cluster", reduce="")))
        except RayError as error:
            self.end(_first_line(error))
        finally:
            alive.cancel()

    def _refuse(self, ending: GivenBack | Failed) -> None:
        self.gone = self.refused = True
        self._report(ending)
        self.end()

    async def _wait_with_signs(self, order: Run, sign: Alive) -> None:
        """Keep the lease of an attempt alive that nobody can have begun."""
        while True:
            await asyncio.sleep(order.alive_seconds)
            self._report(sign)

    async def _pass_on(self, order: Cancel | Renewed) -> None:
        with contextlib.suppress(RayError):  # the loss is told by the thread that listens
            await self._actor.take.remote(order.line)

    async def _find(self, attempt: tuple[UUID, int]) -> None:
        with contextlib.suppress(RayError):
            if not await self._actor.has.remote(str(attempt[0]), attempt[1]):
                self._lost("its worker does not know of it any more")

    async def _listen(self) -> None:
        number = 0
        while not self.gone:
            try:
                number, lines = await self._actor.reports.remote(number)
            except ActorUnavailableError:  # it may come back; else the lease ends the attempt
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            except RayError as error:
                self.gone = True
                self._lost(_first_line(error))
                return
            self._heard_at = time.monotonic()
            for line in lines:
                report = REPORT.validate_json(line)
                if not isinstance(report, Ready):
                    self._report(report)

    def _report(self, report: AnyJobReport | Alive) -> None:
        if (
            isinstance(report, JobReport)
            and isinstance(report, ENDINGS)
            and self.attempt == (report.job, report.attempt)
        ):
            self.attempt = None
        self._hear(report)

    def _lost(self, detail: str | None) -> None:
        """Report the end of the attempt; one that the actor never had has not failed, its place has."""
        if self.attempt is None:
            return
        about = {"job": self.attempt[0], "attempt": self.attempt[1], "detail": detail}
        if self._delivered:
            self._report(Died(**about))
        else:
            self.refused = True
            self._report(GivenBack(**about))


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
