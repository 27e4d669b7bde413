"""Decisions of the answered arm on a captured history: what somebody's own loop is compared with."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch

from attnscope_model.acting.outputs import output_of
from attnscope_model.compression.deciding import CompressedDecider, PlainDecider
from attnscope_model.forward.policy import Policy
from attnscope_server.deciding.phases.captured import CapturedRollouts
from attnscope_server.deciding.phases.record import setup_of
from attnscope_server.trials.acting import Deciding, Recorded
from attnscope_server.trials.axes import LANE
from attnscope_server.trials.divergence import decisions_at
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire.specifications.cards import CardArm
from attnscope_storage.wire.specifications.decisions import LoopSample

COMPARED: Final = 100
"""Decisions that a loop is compared at, the last ones of the history."""


def loop_sample(
    policy: Policy,
    device: torch.device,
    arm: CardArm,
    capture: CaptureReader,
    steps: int,
    temperature: float | None,
) -> LoopSample:
    """Return the arm's action distributions at the last decisions of the captured rollout that returned most.

    Several choices are told by their combinations, the last choice fastest.
    A rollout without any reward would not tell many loops apart.
    """
    rolled = CapturedRollouts.of(capture, steps)
    env = int(rolled.reward.sum(axis=1).argmax())
    recorded = _recorded(capture, rolled, env)
    compared = tuple(range(max(0, steps - COMPARED), steps))
    task, seed = int(rolled.task[env]), int(rolled.seed[env])
    lane = torch.tensor([(seed * LANE + task) % 2**31])
    ways: dict[str, Deciding] = {
        "probabilities": CompressedDecider(policy, [setup_of(arm)], lane, device),
        "uncompressed": PlainDecider(policy, 1, device),
    }
    found, output = {}, output_of(policy.description)
    with torch.inference_mode():
        for name, way in ways.items():
            logits = [of for _, of in decisions_at(way, recorded, compared, lambda _step: None)]
            found[name] = tuple(tuple(map(float, output.chances(one, temperature)[0])) for one in logits)
    return LoopSample(arm=arm.name, capture=capture_store(capture), env=env, steps=compared, **found)


def capture_store(capture: CaptureReader) -> str:
    """Return the id under which a capture is read."""
    return str(capture.attributes["job"])


def _recorded(capture: CaptureReader, rolled: CapturedRollouts, env: int) -> Recorded:
    """Return one captured rollout as a batch of one."""
    steps, mine = rolled.action.shape[1], slice(env, env + 1)

    def one(name: str) -> list[np.ndarray]:
        return list(np.asarray(capture.array(f"rollout/{name}")[:steps, mine]))

    return Recorded(
        observation=one("observation"),
        action=list(np.swapaxes(rolled.action[mine], 0, 1).astype(np.int64)),
        reward=list(rolled.reward[mine].T.astype(np.float32)),
        reached=one("next_observation"),
        ended=list(rolled.ended[mine].T),
    )
