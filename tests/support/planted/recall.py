"""A task that needs a known reach of the past, and the policy that solves it, by construction of its weights.

At every step the environment shows a symbol and asks for the one that it showed so many steps ago. The distance is
drawn anew, from 1 to `reach`, or to the first symbol, each as likely. It pays 1 for the right symbol. Whoever remembers
fewer than `reach` transitions therefore answers a share of the questions by chance, whichever are remembered.

The policy is an ordinary `ADPolicy` with rotary positions and one layer. Its first head turns the query by the distance
that is asked for, so that all but ``exp(-MARGIN)`` of its attention is on that transition, and reads the symbol there.
The other heads attend evenly, and nothing reads them. Tokens hold a vector and its negative and have one norm a kind,
so that layer norms only scale.
"""

from __future__ import annotations

import hashlib
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from safetensors.torch import save

from attnscope_env import GymnasiumEntry
from attnscope_model.checkpoints.conversion import write_entry
from attnscope_model.checkpoints.native import CONFIG, WEIGHTS, config_bytes, identity
from attnscope_model.families.ad import ADConfig, ADPolicy, rotary_angles, stored_config
from attnscope_storage.wire import CheckpointInfo

SYMBOLS = 4
CONTEXT = 32
"""Tokens of a full context, the query among them: 31 transitions."""

HORIZON = 32
"""Steps of an episode."""

HEADS, SIZE = 4, 18
"""Heads, and numbers of each."""

STEADY = 20.0
"""Size of the part of a token that all tokens have."""

MARGIN = 40.0
"""Nats by which the reader prefers its transition to every other."""

STRENGTH = 8.0
"""Logit of the symbol that is read: the policy is right in 99.9 % of its answers."""

ID = "planted/Recall-v0"


class Recall(gymnasium.Env[Any, Any]):
    """Shows a symbol and a distance at every step; what was shown is remembered over episodes.

    Parameters
    ----------
    reach
        The largest distance.
    stream
        Number of the task: other symbols and distances.
    """

    def __init__(self, reach: int = 3, stream: int = 0) -> None:
        self.reach, self._stream = reach, stream
        self.observation_space = spaces.Box(0, max(SYMBOLS, reach) - 1, (2,), np.int32)
        self.action_space = spaces.Discrete(SYMBOLS)
        self._shown: list[int] = []
        self._asked = 1

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Go on with other symbols; the one at which the episode ended was asked nothing and is forgotten."""
        super().reset(seed=None if seed is None else seed + 1_000_003 * self._stream, options=options)
        del self._shown[-1:]
        return self._show(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Pay for the symbol that was shown `asked` steps before the newest; before the first there was symbol 0."""
        place = len(self._shown) - 1 - self._asked
        right = self._shown[place] if place >= 0 else 0
        return self._show(), float(int(action) == right), False, False, {}

    def _show(self) -> np.ndarray:
        self._shown.append(int(self.np_random.integers(SYMBOLS)))
        self._asked = 1 + int(self.np_random.integers(min(self.reach, max(1, len(self._shown) - 1))))
        return np.array([self._shown[-1], self._asked - 1], np.int32)


def listed(reach: int, tasks: int = 12) -> GymnasiumEntry:
    """Return the environment of a reach as an operator lists it; the last four tasks are for screening."""
    if ID not in gymnasium.registry:
        gymnasium.register(ID, entry_point=Recall)
    streams = [
        {
            "label": f"stream {number}",
            "kwargs": {"stream": number},
            "split": "test" if number < tasks - 4 else "train",
            "optimal_return": float(HORIZON),
            "random_return": HORIZON / SYMBOLS,
        }
        for number in range(tasks)
    ]
    entry = {
        "id": ID,
        "preset": f"recall-{reach}",
        "horizon": HORIZON,
        "actions": [f"symbol {number}" for number in range(SYMBOLS)],
        "kwargs": {"reach": reach},
        "tasks": streams,
    }
    return GymnasiumEntry.model_validate(entry)


def recalling(reach: int) -> ADPolicy:
    """Return the frozen policy that answers every question up to this reach."""
    with torch.inference_mode(mode=False), torch.no_grad():
        return _constructed(reach).eval().requires_grad_(requires_grad=False)


def _constructed(reach: int) -> ADPolicy:
    width, half, pairs = HEADS * SIZE, HEADS * SIZE // 2, SIZE // 2
    config = ADConfig((SYMBOLS, reach), SYMBOLS, CONTEXT, "rotary", width=width, layers=1, heads=HEADS, feedforward=8)
    policy = ADPolicy(config)
    for weights in policy.parameters():
        weights.zero_()
    for norm in (policy.norm, policy._stack[0].norm1, policy._stack[0].norm2):
        norm.weight.fill_(1)
    read, turned, steady = SYMBOLS, 2 * SYMBOLS, 2 * SYMBOLS + SIZE
    omega = rotary_angles(2, SIZE)[1].double()

    def token(channels: dict[int, float]) -> torch.Tensor:
        vector = torch.zeros(half)
        for channel, value in channels.items():
            vector[channel] = value
        return torch.cat([vector, -vector])

    def scale(square: float) -> float:
        """Return what a layer norm divides a token by whose vector has this square norm."""
        return math.sqrt(2 * (STEADY**2 + square) / width)

    for symbol in range(SYMBOLS):
        policy.state[0].weight[symbol] = token({symbol: 1.0, steady: STEADY})
    for asked in range(reach):
        angle = omega * (asked + 1)
        parts = torch.cat([angle.cos(), -angle.sin()]).tolist()
        policy.query_state[1].weight[asked] = token({steady: STEADY} | {turned + i: v for i, v in enumerate(parts)})
    layer = policy._stack[0]
    away = torch.arange(1, CONTEXT, dtype=torch.float64)
    nearest = float((away[:, None] * omega).cos().sum(dim=1).max())
    sharp = MARGIN / (pairs - nearest) * math.sqrt(SIZE)  # attention divides by the root of a head's size
    queries, _, values = layer.in_proj.weight.view(3, width, width)[:, :SIZE]
    for number in range(SIZE):
        queries[number, turned + number] = sharp * scale(pairs)
    layer.in_proj.bias[width : width + pairs] = 1
    for symbol in range(SYMBOLS):
        values[symbol, symbol] = scale(1)
        layer.out_proj.weight[read + symbol, symbol] = 1
        layer.out_proj.weight[half + read + symbol, symbol] = -1
        policy.head.weight[symbol, read + symbol] = STRENGTH * scale(pairs + 1) / 2
        policy.head.weight[symbol, half + read + symbol] = -STRENGTH * scale(pairs + 1) / 2
    return policy


def write_recalling(folder: Path, reach: int) -> CheckpointInfo:
    """Write the policy as a native checkpoint for `listed(reach)`, and return its entry."""
    policy = recalling(reach)
    weights = save({key: tensor.contiguous() for key, tensor in policy.state_dict().items()})
    config = config_bytes(stored_config(policy.config))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(weights)
    (folder / CONFIG).write_bytes(config)
    info = CheckpointInfo(
        id=identity(weights, config),
        name=f"recalls-{reach}",
        policy=policy.description,
        preset=f"recall-{reach}",
        causal_stated_by="family",
        train_tasks=(),
        validation_tasks=(),
        held_out_tasks=(),
        train_step=0,
        source_sha256=hashlib.sha256(weights).hexdigest(),
        source_name=f"recalls-{reach}",
        added_at=datetime.now(UTC),
    )
    write_entry(folder, info)
    return info
