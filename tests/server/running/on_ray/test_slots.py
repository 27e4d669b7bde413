"""Placement slots of a cluster: from what its nodes have, less what others hold."""

from __future__ import annotations

import pytest

from attnscope_server.running.on_ray.slots import offers, seats_of, slot_named
from attnscope_server.running.runner import Slot

NODE = "3f" * 28


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"CPU": 16, "GPU": 2}, [("gpu0", 1, 1), ("gpu1", 1, 1)]),
        ({"CPU": 1, "GPU": 2}, [("gpu0", 0, 1), ("gpu1", 0, 1)]),
        ({"CPU": 9}, [("cpu0", 4, 0), ("cpu1", 4, 0)]),
        ({"CPU": 2}, [("cpu0", 2, 0)]),
        ({"memory": 1e9}, []),
    ],
)
def test_a_node_gives_a_slot_a_gpu_or_for_some_cores(resources, expected):
    """A machine with fewer cores than a slot takes gives one slot; one without cores and GPUs, as a head, none."""
    seats = list(seats_of(NODE, resources, cpus=4))
    assert [(seat.name.split("-")[1], seat.cpus, seat.gpus) for seat in seats] == expected
    assert all(seat.node == NODE for seat in seats)


def test_a_slot_is_free_where_its_node_has_the_rest():
    """A slot with this service's actor is free and comes first; what others hold is nobody's slot; some rest."""
    seats = list(seats_of(NODE, {"CPU": 8, "GPU": 4}, cpus=4))
    names = [seat.name for seat in seats]
    found = offers(seats, {NODE: {"CPU": 6, "GPU": 2}}, taken={names[3]}, resting={names[1]})
    assert [(offer.name, offer.free) for offer in found] == [
        (names[3], True),
        (names[0], True),
        (names[1], False),
        (names[2], False),
    ]
    assert not any(offer.free for offer in offers(seats, {}, (), ()))


def test_a_slot_is_known_by_its_name():
    """A restarted service knows the device of a slot before the cluster has answered; other names are no slots."""
    gpu, cpu = f"{NODE[:12]}-gpu7", f"{NODE[:12]}-cpu0"
    assert slot_named(gpu) == Slot(gpu, "cuda", free=False)
    assert slot_named(cpu) == Slot(cpu, "cpu", free=False, hardware="cpu")
    assert slot_named("side") is None
