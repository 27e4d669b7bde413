"""A commit's worth of steps on the device, and its way to the writer: packed there, copied beside the next steps.

On a GPU the copy goes on a stream of its own, straight into the writer's memory, while the rollout fills the other
block; the host touches it one commit later. On a CPU the same code copies at once. That rows sum to one is a number
which travels with the block, so that looking at it waits for nothing but this copy.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnscope_model.acting.tape import refuse_off
from attnscope_storage.kinds.capture.schema import CaptureSchema
from attnscope_storage.writing.blocks import StepBlock, block_shape, is_buffered


class Copies:
    """The copies from one device to the host, in the order of the work that fills what is copied.

    Parameters
    ----------
    device
        Whose memory is copied. Streams are asked of this device: another one may be the current one.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda: Any = torch.cuda if device.type == "cuda" else None  # its streams and events have no types
        self._device = device
        self._stream: Any = None if self._cuda is None else self._cuda.Stream(device)
        self._arrived: Any = None
        self.pins = self._cuda is not None
        """True where memory of the host has to be pinned for a copy that nobody waits for."""

    def behind(self) -> AbstractContextManager[None]:
        """Return a block inside which copies follow the work that has been queued so far."""
        if self._cuda is None:
            return nullcontext()
        self._stream.wait_stream(self._cuda.current_stream(self._device))
        found: AbstractContextManager[None] = self._cuda.stream(self._stream)
        return found

    def mark(self) -> None:
        """Remember that everything up to here is what `wait` waits for."""
        if self._cuda is not None:
            self._arrived = self._stream.record_event()

    def wait(self) -> None:
        """Let the host wait for what was marked."""
        if self._arrived is not None:
            self._arrived.synchronize()

    def release(self) -> None:
        """Let work that is queued from now on wait for the copies, since it writes over what they read."""
        if self._cuda is not None:
            self._cuda.current_stream(self._device).wait_stream(self._stream)


class PinnedMemory:
    """The memory of step blocks, registered with CUDA once, so that the device writes straight into it.

    Parameters
    ----------
    device
        Which device writes; nothing is registered for a CPU.
    """

    def __init__(self, device: torch.device) -> None:
        cuda: Any = torch.cuda  # its runtime has no types
        self._runtime: Any = cuda.cudart() if device.type == "cuda" else None
        self._registered: dict[int, np.ndarray[Any, Any]] = {}

    def pin(self, block: StepBlock) -> None:
        """Register a block's arrays where they are not; memory that CUDA refuses is copied to more slowly."""
        if self._runtime is None:
            return
        for array in block.arrays.values():
            address = array.ctypes.data
            if array.nbytes and address not in self._registered:
                failed = int(self._runtime.cudaHostRegister(address, array.nbytes, 0))
                if not failed:
                    self._registered[address] = array  # kept alive as long as it is registered

    def release(self) -> None:
        """Give every array back."""
        for address in self._registered:
            self._runtime.cudaHostUnregister(address)
        self._registered.clear()


class DeviceBlock:
    """The arrays of a step block as tensors.

    Parameters
    ----------
    schema
        Whose growing arrays they are.
    device
        Where they are filled.
    """

    def __init__(self, schema: CaptureSchema, device: torch.device) -> None:
        specs = [spec for spec in schema.arrays.values() if is_buffered(spec)]
        self._fills = {spec.name: spec.fill for spec in specs}
        empty = {spec.name: np.empty(block_shape(schema, spec), spec.dtype) for spec in specs}
        self.arrays: dict[str, Tensor] = {name: torch.from_numpy(array).to(device) for name, array in empty.items()}
        """By name, all growing arrays but the maps; first axis: the commit's steps, or its stored rows."""
        self.steps = 0
        """Steps filled; set it before `send`."""
        self.maps: list[tuple[int, Tensor]] = []
        """Sampled maps as float16 over all slots [row_env, layer, head, query, slot]."""
        self._copies = Copies(device)
        self._sent_maps: list[tuple[int, Tensor]] = []
        self._off = torch.zeros((), pin_memory=self._copies.pins)
        self._stored: StepBlock | None = None

    def clear(self) -> None:
        """Make everything "never written" again, once what was sent has left."""
        self._copies.release()
        for name, values in self.arrays.items():
            values.fill_(self._fills[name])
        self.maps.clear()
        self.steps = 0

    def send(self, stored: StepBlock, off: Tensor) -> None:
        """Begin to copy into a step block of the writer; the rollout goes on meanwhile.

        Parameters
        ----------
        stored
            A lent block, whose memory is pinned where the device needs that.
        off
            How far a row's sum is from 1 at most so far, a scalar of the device.
        """
        with self._copies.behind():
            for name, values in self.arrays.items():
                torch.from_numpy(stored.arrays[name]).copy_(values, non_blocking=True)
            self._off.copy_(off, non_blocking=True)
            self._sent_maps = [(step, self._on_host(whole)) for step, whole in self.maps]
            self._copies.mark()
        stored.steps = self.steps
        self._stored = stored

    def delivered(self) -> StepBlock:
        """Return the step block that was sent, after waiting for it.

        Raises
        ------
        CaptureInvalidError
            A row does not sum to 1.
        """
        if self._stored is None:
            raise RuntimeError("nothing was sent")
        self._copies.wait()
        refuse_off(float(self._off))
        stored, self._stored = self._stored, None
        stored.maps += [(step, whole.numpy()) for step, whole in self._sent_maps]
        self._sent_maps = []
        return stored

    def _on_host(self, values: Tensor) -> Tensor:
        return torch.empty_like(values, device="cpu", pin_memory=self._copies.pins).copy_(values, non_blocking=True)
