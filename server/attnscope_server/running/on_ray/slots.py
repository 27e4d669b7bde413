"""The placement slots of a Ray cluster: one a GPU, and on machines without a GPU one for so many cores."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from attnscope_server.running.on_ray.wire import Offer
from attnscope_server.running.runner import Slot

NAME: Final = re.compile(r"(?P<node>[0-9a-f]{8,64})-(?P<device>gpu|cpu)(?P<number>\d{1,4})")
"""Name of a slot: the node's id, kind of device, number on the node."""

SHOWN: Final = 12
"""Digits of a node's id in the names of its slots; `ray list nodes` shows the whole id."""

GPU_CPUS: Final = 1
"""Cores that a slot with a GPU takes."""

ENOUGH: Final = 1 - 1e-6
"""Share of a wanted resource that must be left: Ray counts in fractions."""


@dataclass(frozen=True)
class Seat:
    """A slot as the cluster is asked for it."""

    name: str
    node: str
    device: Literal["cpu", "cuda"]
    cpus: int
    gpus: int


def seats_of(node: str, resources: Mapping[str, Any], cpus: int) -> Iterator[Seat]:
    """Yield the slots of a node.

    Parameters
    ----------
    node
        Its id, in hexadecimal digits.
    resources
        What the node has in all, as Ray counts it.
    cpus
        Cores that a slot without a GPU takes; a machine that has fewer gives one slot with all of them.
    """
    cores, gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
    if gpus:
        each = GPU_CPUS if cores >= gpus * GPU_CPUS else 0
        for number in range(gpus):
            yield Seat(f"{node[:SHOWN]}-gpu{number}", node, "cuda", each, 1)
    elif cores:
        each = min(cpus, cores)
        for number in range(cores // each):
            yield Seat(f"{node[:SHOWN]}-cpu{number}", node, "cpu", each, 0)


def offers(
    seats: Collection[Seat],
    left: Mapping[str, Mapping[str, Any]],
    taken: Collection[str],
    resting: Collection[str],
) -> tuple[Offer, ...]:
    """Return the slots as they are offered: first those that have a worker, which is warm.

    Parameters
    ----------
    left
        What of its resources each node has to give, by its id: others may use the cluster too.
    taken
        Names of the slots whose resources this service has already.
    resting
        Names of the slots that are left alone for a while.
    """
    found = []
    spare = {node: dict(resources) for node, resources in left.items()}
    for seat in sorted(seats, key=lambda seat: (seat.name not in taken, seat.name)):
        free = seat.name in taken
        if not free:
            has = spare.setdefault(seat.node, {})
            wanted = {"CPU": seat.cpus, "GPU": seat.gpus}
            free = all(has.get(what, 0) >= number * ENOUGH for what, number in wanted.items())
            if free:
                for what, number in wanted.items():
                    has[what] = has.get(what, 0) - number
        found.append(Offer(name=seat.name, device=seat.device, cpus=seat.cpus, free=free and seat.name not in resting))
    return tuple(found)


def slot_named(name: str) -> Slot | None:
    """Return the slot of a name; None where no cluster has such a slot."""
    found = NAME.fullmatch(name)
    if found is None:
        return None
    return slot_of(name, "cuda" if found["device"] == "gpu" else "cpu", free=False)


def slot_of(name: str, device: Literal["cpu", "cuda"], *, free: bool) -> Slot:
    """Return a slot as the supervisor sees it; which GPU it is, the first job there tells."""
    return Slot(name, device, free=free, hardware="cpu" if device == "cpu" else None)
