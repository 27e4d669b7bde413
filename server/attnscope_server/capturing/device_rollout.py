"""The rollout whose environments, choices and rows stay on the device; the host hears of it a commit at a time.

It stores the same bits as `attnscope_server.capturing.rollout` does on the same device: the same decisions, random
numbers and trajectories. It is taken on a GPU where the environment has a twin there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from attnscope_model.acting.deciding import Decider, Decision
from attnscope_model.acting.sampling import ACTION_STREAM, choose_on_device, uniforms
from attnscope_model.forward.statistics import compiled_statistics, row_statistics
from attnscope_server.capturing.device_block import DeviceBlock
from attnscope_server.capturing.device_rooms import DeviceRooms, device_rooms
from attnscope_server.capturing.rollout import Rollout, RolloutStoppedError
from attnscope_storage.reader import CaptureReader


@dataclass
class DeviceRollout(Rollout):
    """A rollout without a host round trip a step."""

    def __post_init__(self) -> None:
        super().__post_init__()
        dims = self.schema.dims
        self._decider = Decider(self.policy, dims.envs, self.device, sums="by check")
        self._blocks = [DeviceBlock(self.schema, self.device) for _ in range(2)]
        self._sent: DeviceBlock | None = None
        kept = (dims.row_envs or dims.map_envs, dims.row_layers, dims.row_heads)
        places = [torch.tensor(part, device=self.device) for part in kept]
        self._kept = (places[0][:, None, None], places[1][:, None], places[2])
        self._episodes = torch.zeros(dims.envs, dtype=torch.int32, device=self.device)
        self._twin: DeviceRooms | None = None

    def run(self, reader: CaptureReader | None = None) -> None:
        """Roll out as `Rollout.run` does."""
        super().run(reader)
        if self._sent is not None:
            self._hand_over(self._sent)

    def _rooms(self) -> DeviceRooms:
        """Return the twin, which begins where the host's environment stands once it is resumed."""
        if self._twin is None:
            self._twin = device_rooms(self.environment, self.device)
            self._episodes = torch.as_tensor(self._episode).to(self.device)
        if self._twin is None:
            raise ValueError("expected an environment with a twin on the device")
        return self._twin

    def _roll_block(self, first: int, last: int) -> None:
        rooms, block = self._rooms(), self._blocks[first // self.schema.flush_steps % 2]
        block.clear()
        numbers = None
        if self.spec.sampling.mode == "sample":
            axis = self.axis
            drawn = uniforms(axis.seed, axis.task, axis.replica, first, last - first, ACTION_STREAM)
            numbers = torch.from_numpy(drawn).to(self.device)
        for step in range(first, last):
            if self.stopped():
                raise RolloutStoppedError(f"stopped at step {step}")
            self._step_on_device(rooms, block, step, None if numbers is None else numbers[step - first])
            self._report("rolling", step + 1)
        block.steps = last - first
        block.send()
        sent, self._sent = self._sent, block
        if sent is not None:
            self._hand_over(sent)

    def _hand_over(self, block: DeviceBlock) -> None:
        self._decider.check()
        stored = self.writer.acquire()
        block.deliver(stored)
        self.writer.submit(stored)

    def _step_on_device(self, rooms: DeviceRooms, block: DeviceBlock, step: int, numbers: Tensor | None) -> None:
        window, stored, row = self._decider.window, block.arrays, step % self.schema.flush_steps
        before = rooms.cells
        decision = self._decider.decide(before, rows=True, maps=step in self._recorder.map_steps)
        actions = choose_on_device(decision.logits, numbers, self.spec.sampling.temperature)
        self._store(block, step, row, decision)
        stored["context/length"][row] = window.length
        stored["context/start"][row] = window.start
        stored["policy/logits"][row] = decision.logits
        stored["rollout/episode"][row] = self._episodes
        moved = rooms.step(actions)
        for name, value in (
            ("observation", before),
            ("next_observation", moved.reached),
            ("action", actions),
            ("reward", moved.reward),
            ("truncated", moved.ended),
        ):
            stored[f"rollout/{name}"][row] = value.to(stored[f"rollout/{name}"].dtype)
        stored["rollout/terminated"][row] = 0
        self._episodes = self._episodes + moved.ended.to(torch.int32)
        self._decider.append(before, actions, moved.reward, moved.reached)

    def _store(self, block: DeviceBlock, step: int, row: int, decision: Decision) -> None:
        if decision.rows is None:
            raise ValueError("expected a decision with its rows recorded")
        dims, length = self.schema.dims, decision.rows.shape[-1]
        for name, values in self._statistics(decision.rows).items():
            block.arrays[f"stats/{name}"][row] = values
        if "attention/rows" in block.arrays and step % dims.row_every == 0:
            place = row // dims.row_every
            block.arrays["attention/rows"][place, ..., :length] = decision.rows[self._kept].to(torch.float16)
            if dims.row_every > 1:
                block.arrays["attention/row_step"][place] = step
        if decision.maps is not None:
            half = decision.maps[self._kept].to(torch.float16)
            whole = torch.full((*half.shape[:3], dims.slots, dims.slots), np.nan, dtype=torch.float16)
            whole[..., :length, :length] = half.cpu()
            block.maps.append((step, whole))

    def _statistics(self, rows: Tensor) -> Mapping[str, Tensor]:
        """Return the statistics as tensors, taken the way that the host's rollout takes them."""
        query_slot = self.policy.description.query_slot
        if not self._recorder.compiled:
            return row_statistics(rows, query_slot)
        return {name: torch.from_numpy(values) for name, values in compiled_statistics(rows, query_slot)[0].items()}
