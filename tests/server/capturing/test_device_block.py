"""The way of a commit from a device to the writer, with CUDA's streams and memory stood in for: no GPU is used."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from attnscope_env import preset
from attnscope_model.errors import CaptureInvalidError
from attnscope_server.capturing.device_block import Copies, DeviceBlock, PinnedMemory
from attnscope_server.capturing.device_rollout import Part
from attnscope_server.capturing.resolving import Subject
from attnscope_storage.kinds.capture.contract import capture_schema
from attnscope_storage.kinds.capture.schema import CaptureSchema
from attnscope_storage.wire import CaptureSpec, ResolvedCapture
from attnscope_storage.writing.blocks import StepBlock
from planted.captures import large_checkpoint

CPU, SECOND = torch.device("cpu"), torch.device("cuda:1")


def small_schema() -> CaptureSchema:
    """Return the schema of a small capture."""
    checkpoint, room = large_checkpoint(layers=2, heads=2, slots=6), preset("darkroom-reference")
    tasks = tuple(room.tasks("all")[:1])
    spec = CaptureSpec(checkpoint=checkpoint.name, tasks={"split": "all", "indices": [0]}, steps=4, maps={"steps": [1]})
    known = dict(Subject(checkpoint, room, tasks).resolved(spec))
    kept = {"row_envs": (0,), "row_layers": (0, 1), "row_heads": (0, 1)}
    resolved = ResolvedCapture(**known, envs=1, steps=4, map_steps=(1,), **kept)
    return capture_schema(spec, resolved, checkpoint.policy)


class Stream:
    """A stream that remembers the streams and events of its life."""

    def __init__(self, device=None):
        self.device, self.waited = device, []

    def wait_stream(self, other):
        """Remember another stream."""
        self.waited.append(other.device)

    def record_event(self):
        """Return an event that remembers whether it was waited for."""
        event = SimpleNamespace(waited=0)
        event.synchronize = lambda: setattr(event, "waited", event.waited + 1)
        return event


def test_streams_are_those_of_the_blocks_own_device(monkeypatch):
    """A worker on the second GPU waits on the second GPU's stream, whichever device is the current one."""
    current = {"cuda:1": Stream("cuda:1"), "None": Stream("cuda:0")}
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device=None: current[str(device)])
    monkeypatch.setattr(torch.cuda, "stream", lambda _stream: nullcontext())
    copies = Copies(SECOND)
    with copies.behind():
        copies.mark()
    copies.release()
    copies.wait()
    assert copies._stream.device == SECOND
    assert copies._stream.waited == ["cuda:1"]
    assert current["cuda:1"].waited == [SECOND]
    assert current["None"].waited == []
    assert copies._arrived.waited == 1


def test_a_blocks_memory_is_registered_once_and_given_back(monkeypatch):
    """Each array of each block once; one that CUDA refuses is not given back; on a CPU nothing is registered."""
    known, refused = [], []

    def register(address, size, _flags):
        assert size > 0
        if not known and not refused:
            refused.append(address)
            return 1
        known.append(address)
        return 0

    runtime = SimpleNamespace(cudaHostRegister=register, cudaHostUnregister=known.remove)
    monkeypatch.setattr(torch.cuda, "cudart", lambda: runtime)
    block = StepBlock(small_schema())
    memory = PinnedMemory(SECOND)
    memory.pin(block)
    assert len(known) == len(block.arrays) - 1
    memory.pin(block)  # the refused one is asked for again, the others are not
    assert sorted([*known]) == sorted(array.ctypes.data for array in block.arrays.values())
    memory.release()
    assert known == []
    PinnedMemory(CPU).pin(block)
    assert known == []


def test_what_is_sent_lies_in_the_writers_block():
    """Arrays go straight into the block that the writer takes, and so do whole maps, without a further copy."""
    schema = small_schema()
    block, stored = DeviceBlock(schema, CPU), StepBlock(schema)
    block.clear()
    block.steps = 2
    block.arrays["policy/logits"][:2] = 7
    dims = schema.dims
    half = torch.full((1, dims.layers, dims.heads, dims.slots, dims.slots), torch.nan, dtype=torch.float16)
    half[..., :3, :3] = 1
    block.maps.append((1, half))
    block.send(stored, torch.tensor(1e-7))
    assert block.delivered() is stored
    assert stored.steps == 2
    assert (stored.arrays["policy/logits"][:2] == 7).all()
    assert np.isnan(stored.arrays["policy/logits"][2:]).all()
    [(step, whole)] = stored.maps
    assert step == 1
    assert (whole[..., :3, :3] == 1).all()
    assert np.isnan(whole[..., 3:, :]).all()
    assert np.isnan(whole[..., 3:]).all()
    with pytest.raises(RuntimeError, match="nothing was sent"):
        block.delivered()


@pytest.mark.parametrize("off", [2e-4, float("nan")])
def test_rows_that_do_not_sum_to_one_are_refused_at_their_own_block(off):
    """The distance rides in the block: what the rollout queues afterwards is not looked at."""
    schema = small_schema()
    block = DeviceBlock(schema, CPU)
    block.clear()
    distance = torch.tensor(off)
    block.send(StepBlock(schema), distance)
    distance.zero_()
    with pytest.raises(CaptureInvalidError, match="sum"):
        block.delivered()


def test_kept_parts_are_cut_without_a_copy_where_they_are_neighbours():
    """All, neighbours and scattered indices give the values that indexing gives; the first two are views."""
    values = torch.arange(4.0 * 3 * 4 * 5).reshape(4, 3, 4, 5)
    views = [((0, 1, 2, 3), (0, 1, 2), (0, 1, 2, 3)), ((1, 2), (2,), (0, 1))]
    for kept, copied in ((views[0], False), (views[1], False), (((0, 3), (1,), (0, 2)), True)):
        found = Part(kept, (4, 3, 4), CPU).of(values)
        assert torch.equal(found, values[np.ix_(*kept)])
        assert (found.untyped_storage().data_ptr() != values.untyped_storage().data_ptr()) == copied
