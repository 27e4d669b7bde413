"""The driver of the Ray cluster: a process of its own, because Ray ends the process that loses its cluster.

Commands of the runner come by standard input, news go to standard output. It ends with the service; the actors that
run a job go on, and the next driver finds them by their names.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, Final
from uuid import uuid4

import ray
import structlog
from ray._private.state import available_resources_per_node
from ray.util import list_named_actors

from attnscope_server.running.child import become_child
from attnscope_server.running.messages import Alive, AnyJobReport, Died, GivenBack, Run
from attnscope_server.running.on_ray.node import joined
from attnscope_server.running.on_ray.seated import Seated
from attnscope_server.running.on_ray.slots import Seat, offers, seats_of
from attnscope_server.running.on_ray.wire import (
    COMMAND,
    Begin,
    Command,
    End,
    Heard,
    Leave,
    News,
    Offers,
    Place,
    Tell,
    Trouble,
)

log = structlog.get_logger("attnscope.ray")

OFFER_SECONDS: Final = 1.0
"""From one look at the cluster's nodes to the next."""

HEAD_SECONDS: Final = 5.0
"""The cluster's head must answer within so many seconds; else there are no slots."""

LOST_SECONDS: Final = 3.0
"""A seat rests so long after the loss of its actor: until then the cluster knows whether the node is there."""

REST_SECONDS: Final = 60.0
"""A seat rests so long where an attempt could not be begun on it, or its machine was not heard of."""


class Driver:
    """The cluster as the service uses it.

    Parameters
    ----------
    begin
        The first command.
    news
        Where news go.
    """

    def __init__(self, begin: Begin, news: BinaryIO) -> None:
        self._begin, self._news = begin, news
        self._lock = threading.Lock()
        self._seats: dict[str, Seat] = {}
        self._seated: dict[str, Seated] = {}
        self._resting: dict[str, float] = {}
        self._left_over: Mapping[str, Mapping[str, Any]] = {}

    async def serve(self, commands: asyncio.Queue[Command]) -> None:
        """Take up the actors of an earlier driver, then act on commands until told to leave."""
        if self._begin.join:
            joined(self._begin.address)
        self._connect()
        await self._take_up()
        offering = asyncio.ensure_future(self._offer())
        while not isinstance(command := await commands.get(), Leave):
            self._act(command)
        offering.cancel()
        for seated in self._seated.values():
            if seated.attempt is None:
                seated.end()
            seated.leave()
        await asyncio.to_thread(ray.shutdown)

    def tell(self, news: News) -> None:
        """Send news."""
        with self._lock:
            self._news.write(news.line)
            self._news.flush()

    def _connect(self) -> None:
        ray.init(
            address=self._begin.address,
            namespace=self._begin.namespace,
            log_to_driver=False,
            configure_logging=False,
            runtime_env=None,  # nothing of this process's environment goes to the cluster
        )

    async def _take_up(self) -> None:
        """Find the actors of the attempts that go on; the others of an earlier driver are ended."""
        kept = {one.slot: one for one in self._begin.kept}
        for name in await asyncio.to_thread(list_named_actors):
            slot = name.partition(":")[0]
            try:
                actor: Any = await asyncio.to_thread(ray.get_actor, name)
            except ValueError:  # it ended meanwhile
                continue
            if slot in kept:
                one = kept.pop(slot)
                self._seated[slot] = Seated(actor, self._begin, partial(self._hear, slot), (one.job, one.attempt))
            else:
                ray.kill(actor)
        for one in kept.values():
            died = Died(job=one.job, attempt=one.attempt, detail="its worker was not found again")
            self._hear(one.slot, died)

    def _hear(self, slot: str, report: AnyJobReport | Alive) -> None:
        """Pass a report on; a seat whose actor is gone rests, and that is told first: its node may be gone too."""
        seated = self._seated.get(slot)
        if seated is not None and seated.gone:
            del self._seated[slot]
            doubtful = seated.refused or seated.silent
            self._resting[slot] = time.monotonic() + (REST_SECONDS if doubtful else LOST_SECONDS)
            self._tell_slots()
        self.tell(Heard(slot=slot, report=report))

    def _act(self, command: Command) -> None:
        match command:
            case Place(slot=slot, order=order):
                self._place(slot, order)
            case Tell(slot=slot, order=order):
                if slot in self._seated:
                    self._seated[slot].tell(order)
            case End(slot=slot):
                if (seated := self._seated.get(slot)) is not None:
                    seated.end()
                    self._seated.pop(slot, None)

    def _place(self, slot: str, order: Run) -> None:
        seated = self._seated.pop(slot, None)
        if seated is not None and (seated.gone or seated.attempt is not None):
            seated.end()  # an older attempt, which nobody waits for any more
            seated = None
        if seated is None and slot not in self._seats:
            gone = GivenBack(
                job=order.job, attempt=order.attempt, detail="the machine of its slot has left the cluster"
            )
            self._hear(slot, gone)
            return
        if seated is None:
            name = f"{slot}:{uuid4().hex[:12]}"
            seated = Seated.make(self._seats[slot], name, self._begin, partial(self._hear, slot))
        self._seated[slot] = seated
        seated.run(order)

    async def _offer(self) -> None:
        """Tell the slots from time to time; none while the cluster's head does not answer."""
        troubled = False
        while True:
            looking = asyncio.ensure_future(asyncio.to_thread(_look))
            while not looking.done():
                await asyncio.wait([looking], timeout=HEAD_SECONDS)
                if not looking.done() or looking.exception() is not None:
                    if not troubled:
                        self.tell(Trouble(detail="the cluster's head does not answer; jobs wait for it"))
                    troubled = True
                    self.tell(Offers(offers=()))
            if looking.exception() is None:
                troubled = False
                self._take_in(*looking.result())
                self._tell_slots()
            await asyncio.sleep(OFFER_SECONDS)

    def _take_in(self, nodes: Sequence[Node], left: Mapping[str, Mapping[str, Any]]) -> None:
        """Take in the nodes that are there, forget actors that are gone, and end rests that are over."""
        seats = [seat for node in nodes for seat in seats_of(node.id, node.resources, self._begin.cpus)]
        self._seats, self._left_over = {seat.name: seat for seat in seats}, left
        self._seated = {slot: seated for slot, seated in self._seated.items() if not seated.gone}
        now = time.monotonic()
        self._resting = {slot: until for slot, until in self._resting.items() if until > now}

    def _tell_slots(self) -> None:
        found = offers(self._seats.values(), self._left_over, self._seated.keys(), self._resting.keys())
        self.tell(Offers(offers=found))


@dataclass(frozen=True)
class Node:
    """A machine of the cluster that is there."""

    id: str
    resources: dict[str, float]


def _look() -> tuple[list[Node], dict[str, dict[str, float]]]:
    """Return the machines of the cluster, and what each of them has to give."""
    nodes = [Node(node["NodeID"], node["Resources"]) for node in ray.nodes() if node["Alive"]]
    return nodes, available_resources_per_node()


def _read(commands: asyncio.Queue[Command], loop: asyncio.AbstractEventLoop) -> None:
    """Read commands until the service is gone, then end at once."""
    try:
        for line in sys.stdin.buffer:
            loop.call_soon_threadsafe(commands.put_nowait, COMMAND.validate_json(line))
    except Exception:
        log.exception("a command was not understood; this driver ends")
    os._exit(0)  # a command that is lost would leave its job running for ever


async def _main(news: BinaryIO) -> None:
    begin = COMMAND.validate_json(sys.stdin.buffer.readline())
    if not isinstance(begin, Begin):
        raise TypeError(f"the first command begins, got {begin.type}")
    commands: asyncio.Queue[Command] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    threading.Thread(target=_read, args=(commands, loop), name="commands", daemon=True).start()
    await Driver(begin, news).serve(commands)


def main() -> None:
    """Serve the service that started this process."""
    asyncio.run(_main(become_child()))
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
