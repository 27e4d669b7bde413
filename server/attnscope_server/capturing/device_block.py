"""A commit's worth of steps on the device, and its way to the writer: packed there, copied beside the next steps.

On a GPU the copy goes through pinned memory on a stream of its own while the rollout fills the other block; the host
touches it one commit later. On a CPU the same code copies at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnscope_storage.kinds.capture.schema import CaptureSchema
from attnscope_storage.writing.blocks import StepBlock, block_shape, is_buffered


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
        host = {spec.name: np.empty(block_shape(schema, spec), spec.dtype) for spec in specs}
        self.arrays: dict[str, Tensor] = {name: torch.from_numpy(empty).to(device) for name, empty in host.items()}
        """By name, all growing arrays but the maps; first axis: the commit's steps, or its stored rows."""
        self.steps = 0
        """Steps filled; set it before `send`."""
        self.maps: list[tuple[int, Tensor]] = []
        cuda: Any = torch.cuda  # its streams and events have no types
        self._stream: Any = cuda.Stream(device) if device.type == "cuda" else None
        self._host = {
            name: torch.empty_like(values, device="cpu", pin_memory=self._stream is not None)
            for name, values in self.arrays.items()
        }
        self._arrived: Any = None

    def clear(self) -> None:
        """Make everything "never written" again, once what was sent has left."""
        if self._stream is not None:
            torch.cuda.current_stream().wait_stream(self._stream)
        for name, values in self.arrays.items():
            values.fill_(self._fills[name])
        self.maps.clear()
        self.steps = 0

    def send(self) -> None:
        """Begin to copy to the host; the rollout goes on meanwhile."""
        if self._stream is None:
            self._copy()
            return
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            self._copy()
            self._arrived = self._stream.record_event()

    def deliver(self, block: StepBlock) -> None:
        """Fill a step block with what was sent, after waiting for it."""
        if self._arrived is not None:
            self._arrived.synchronize()
        for name, values in self._host.items():
            block.arrays[name][:] = values.numpy()
        block.maps.extend((step, whole.cpu().numpy()) for step, whole in self.maps)
        block.steps = self.steps

    def _copy(self) -> None:
        for name, values in self.arrays.items():
            self._host[name].copy_(values, non_blocking=True)
