"""The rollout whose environments, choices and rows stay on the device; the host gets one commit at a time.

It stores the same bits as `attnscope_server.capturing.rollout` does on the same device: the same decisions, random
numbers and trajectories. A capture uses it on a GPU if the environment has a twin there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from attnscope_model.acting.deciding import Decider, Decision
from attnscope_model.forward.statistics import compiled_statistics, row_statistics
from attnscope_server.acting.choices import PolicyActor, device_choices
from attnscope_server.acting.loop import act
from attnscope_server.capturing.device_block import DeviceBlock, PinnedMemory
from attnscope_server.capturing.device_rooms import device_rooms
from attnscope_server.capturing.listening import BlockRecorder
from attnscope_server.capturing.reducing import Reductions, as_shades
from attnscope_server.capturing.rollout import DRAWN_STEPS, Rollout


class Part:
    """The environments, layers and heads that a capture keeps, as cuts where they are neighbours.

    Parameters
    ----------
    kept
        Indices along each of the three axes.
    sizes
        Lengths of the axes.
    device
        Where what is cut lies.
    """

    def __init__(self, kept: Sequence[Sequence[int]], sizes: Sequence[int], device: torch.device) -> None:
        self._cuts: list[tuple[int, slice | Tensor]] = []
        for axis, (part, size) in enumerate(zip(kept, sizes, strict=True)):
            first, last = part[0], part[-1] + 1
            if tuple(part) == tuple(range(size)):
                continue
            neighbours = tuple(part) == tuple(range(first, last))
            self._cuts.append((axis, slice(first, last) if neighbours else torch.tensor(part, device=device)))

    def of(self, values: Float[Tensor, "env layer head *rest"]) -> Float[Tensor, "some_env some_layer some_head *rest"]:
        """Return the part that is kept: a view where all cuts are of neighbours."""
        for axis, cut in self._cuts:
            if isinstance(cut, slice):
                values = values.narrow(axis, cut.start, cut.stop - cut.start)
            else:
                values = values.index_select(axis, cut)
        return values


@dataclass
class DeviceRollout(Rollout):
    """A rollout that needs no transfer to the host at each step."""

    def __post_init__(self) -> None:
        super().__post_init__()
        dims = self.schema.dims
        kept = (dims.row_envs or dims.map_envs, dims.row_layers, dims.row_heads)
        self._reductions = Reductions(self.schema, self.policy.description.query_slot)
        self._kept = Part(kept, (dims.envs, dims.layers, dims.heads), self.device)

    def _new_decider(self) -> Decider:
        """Return the contexts, whose rows are checked when a commit is delivered."""
        dims = self.schema.dims
        self._plain = Decider(self.policy, dims.envs, self.device, sums="by caller", map_envs=dims.kept_envs)
        return self._plain

    def _roll(self) -> None:
        """Roll out what is not committed yet; a commit is delivered while the next one is rolled out."""
        rooms = device_rooms(self.environment, self.device, self._rooms.episode)
        if rooms is None:
            raise ValueError("expected an environment with a twin on the device")
        total, flush = self.schema.dims.steps, self.schema.flush_steps
        choices = device_choices(self.axis, self._temperature, max(flush, DRAWN_STEPS), self.device)
        actor = PolicyActor[Tensor](self._decider, choices, rows=True, map_steps=self._attention.map_steps)
        blocks = [DeviceBlock(self.schema, self.device) for _ in range(2)]
        memory, sent = PinnedMemory(self.device), None
        try:
            for first in range(self.writer.steps_committed, total, flush):
                block = blocks[first // flush % 2]
                block.clear()
                block.steps = min(flush, total - first)
                act(range(first, first + block.steps), rooms, actor, self._device_recorder(block, first))
                if sent is not None:
                    self.writer.submit(sent.delivered())
                stored = self.writer.acquire()
                memory.pin(stored)
                block.send(stored, self._plain.off)
                sent = block
            if sent is not None:
                self.writer.submit(sent.delivered())
        finally:
            self._settle(memory)

    def _settle(self, memory: PinnedMemory) -> None:
        """Give the pinned memory back when no copy into it is under way."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        memory.release()

    def _device_recorder(self, block: DeviceBlock, first: int) -> BlockRecorder[Tensor]:
        def attend(step: int, row: int, decision: Decision) -> None:
            self._store(block, step, row, decision)
            block.arrays["policy/logits"][row] = decision.logits

        return BlockRecorder[Tensor](
            block.arrays, first, self._decider.window, attend, self.refuse_stopped, self.report_rolled
        )

    def _store(self, block: DeviceBlock, step: int, row: int, decision: Decision) -> None:
        if decision.rows is None:
            raise ValueError("expected a decision with its rows recorded")
        dims, length = self.schema.dims, decision.rows.shape[-1]
        for name, values in self._statistics(decision.rows).items():
            block.arrays[f"stats/{name}"][row] = values
        if step % dims.row_every == 0:
            index = row // dims.row_every
            if "attention/rows" in block.arrays:
                kept = self._kept.of(decision.rows)
                rounded = as_shades(kept) if dims.row_form == "u8" else kept
                block.arrays["attention/rows"][index, ..., :length].copy_(rounded)  # rounds on the way
            for name, reduced in self._reductions.of(decision.rows).items():
                block.arrays[name][index] = reduced
            if "attention/row_step" in block.arrays:
                block.arrays["attention/row_step"][index] = step
        if decision.maps is not None:
            block.maps.append((step, self._attention.kept_maps(decision.maps)))

    def _statistics(self, rows: Tensor) -> Mapping[str, Tensor]:
        """Return the statistics as tensors, taken the way that the host's rollout takes them."""
        query_slot = self.policy.description.query_slot
        if not self._attention.compiled:
            return row_statistics(rows, query_slot)
        return {name: torch.from_numpy(values) for name, values in compiled_statistics(rows, query_slot)[0].items()}
