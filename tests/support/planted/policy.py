"""A policy that acts on the transition k steps back and on nothing else, by construction of its weights.

It is an ordinary `ADPolicy`: it is loaded, captured, compressed and replayed like a trained one. One head, the
*reader*, puts all but ``exp(-margin)`` of its attention on the slot ``back`` before the query's, and its values are
the only ones that reach the logits. While no transition is that old, the reader attends to the query's own slot, and
the logits are 0. Every other head attends at random, and nothing reads its values.

The dependence is one of distance in slots, with learned positions as with rotary ones. After a compression that
renumbers the kept tokens, the policy therefore reads the token that has become the k-th before the query. Where the
tokens keep their slots and the k-th transition is gone, the reader's attention goes to the next best slots.

Tokens hold a vector and its negative, so that every mean is 0, and a large part of constant norm, so that layer norms
only scale. That is why the logits follow `Planted.logits` to 1 % and not to the last bit.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float64
from safetensors.torch import save
from torch import Tensor

from attnscope_model.checkpoints.conversion import write_entry
from attnscope_model.checkpoints.native import CONFIG, WEIGHTS, config_bytes, identity
from attnscope_model.families.ad import ADConfig, ADLayer, ADPolicy, rotary_angles, stored_config
from attnscope_storage.wire import CheckpointInfo

STEADY = 20.0
"""Size of the part of a token that has a constant norm, beside content of size 1."""

FREQUENCIES = 8
"""Frequencies of learned positions, between `FASTEST` and a turn in four contexts."""

FASTEST = 2.0
"""Radians a slot of the highest frequency."""

HEAD_SIZE = 2 * FREQUENCIES + 2
"""Least numbers of a head."""


@dataclass(frozen=True)
class Planted:
    """The dependence that is planted.

    The default sizes fit the preset ``darkroom-reference``: 9 rows, 9 columns, 5 actions.
    """

    back: int
    """Transitions before the query that the policy reads; 1 is the newest. At most ``context_length - 1``."""
    reads: Literal["action", "reward", "both"] = "both"
    """The part of that transition that moves the logits."""
    positions: Literal["learned-absolute", "rotary"] = "learned-absolute"
    context_length: int = 32
    """Tokens of a full context, the query among them."""
    layers: int = 2
    heads: int = 2
    reader: tuple[int, int] = (0, 0)
    """Layer and head that read."""
    strength: float = 4.0
    """Logit of the action that a read action stands for; a reward of 1 counts twice that."""
    margin: float = 40.0
    """Nats by which the reader prefers its slot to the query's own, and that to every other."""
    features: tuple[int, ...] = (9, 9)
    actions: int = 5

    def __post_init__(self) -> None:
        """Refuse what no context holds."""
        if not 1 <= self.back < self.context_length:
            raise ValueError(f"expected back in 1..{self.context_length - 1}, got {self.back}")

    def logits(
        self, action: np.ndarray[tuple[int], np.dtype[np.int64]], reward: Float64[np.ndarray, " env"]
    ) -> Float64[np.ndarray, "env action"]:
        """Return the logits after a transition k back with these actions and rewards, rewards in [-1, 1].

        An action votes for the action after it, cyclically; a reward votes for action 0.
        """
        found = np.zeros((len(action), self.actions))
        if self.reads != "reward":
            found[np.arange(len(action)), (action + 1) % self.actions] += self.strength
        if self.reads != "action":
            found[:, 0] += 2 * self.strength * reward
        return found

    @property
    def channels(self) -> int:
        """Numbers of a token's vector: action, reward, what was read, the query's mark, the constant part."""
        return 2 * self.actions + 2 + 2 * FREQUENCIES

    @property
    def head_size(self) -> int:
        """Numbers of a head."""
        least = max(HEAD_SIZE, self.actions + 1, math.ceil(2 * self.channels / self.heads))
        return least + least % 2


def planted_policy(planted: Planted, seed: int = 0) -> ADPolicy:
    """Return the frozen policy of a plan; `seed` draws what the heads that nothing reads attend to."""
    with torch.inference_mode(mode=False), torch.no_grad():
        return _Construction(planted, seed).policy.eval().requires_grad_(requires_grad=False)


def write_planted(
    folder: Path, planted: Planted, *, name: str = "planted", seed: int = 0, preset: str = "darkroom-reference"
) -> CheckpointInfo:
    """Write a native checkpoint that ``CheckpointRegistry.add`` takes, and return its entry.

    In ``darkroom-toymeta`` action 0 is to stay, so a policy that reads the reward one step back stays on the goal.
    """
    return _write(folder, planted_policy(planted, seed), name, preset)


def write_random(folder: Path, *, name: str = "random-weights", seed: int = 0) -> CheckpointInfo:
    """Write a native checkpoint whose weights nobody trained, for ``darkroom-reference``, and return its entry."""
    with torch.inference_mode(mode=False), torch.random.fork_rng([]):
        torch.manual_seed(seed)
        policy = ADPolicy(ADConfig((9, 9), 5, 60, width=32, layers=2, heads=4, feedforward=64)).eval()
    return _write(folder, policy, name, "darkroom-reference")


def _write(folder: Path, policy: ADPolicy, name: str, preset: str) -> CheckpointInfo:
    weights = save({key: tensor.contiguous() for key, tensor in policy.state_dict().items()})
    config = config_bytes(stored_config(policy.config))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(weights)
    (folder / CONFIG).write_bytes(config)
    info = CheckpointInfo(
        id=identity(weights, config),
        name=name,
        policy=policy.description,
        preset=preset,
        causal_stated_by="family",
        train_tasks=(),
        validation_tasks=(),
        held_out_tasks=(),
        train_step=0,
        source_sha256=hashlib.sha256(weights).hexdigest(),
        source_name=name,
        added_at=datetime.now(UTC),
    )
    write_entry(folder, info)
    return info


class _Construction:
    """The weights of one planted policy, set part by part."""

    def __init__(self, planted: Planted, seed: int) -> None:
        self._planted = planted
        size = planted.head_size
        self._size, self._width = size, size * planted.heads
        self._random = torch.Generator().manual_seed(seed)
        rotary = planted.positions == "rotary"
        if rotary:
            self._omega = rotary_angles(2, size)[1].double()
        else:
            slowest = 2 * math.pi / (4 * planted.context_length)
            steps = torch.arange(FREQUENCIES, dtype=torch.float64) / (FREQUENCIES - 1)
            self._omega = FASTEST * (slowest / FASTEST) ** steps
        n = planted.actions
        self._reward, self._read, self._query, self._steady = n, n + 1, 2 * n + 1, 2 * n + 2
        # A token is (u, -u): after a layer norm every number of u is divided by this, but for the content's share.
        self._sigma = math.sqrt(2 * STEADY**2 * FREQUENCIES / self._width)
        self.policy = ADPolicy(
            ADConfig(
                planted.features,
                n,
                planted.context_length,
                planted.positions,
                width=self._width,
                layers=planted.layers,
                heads=planted.heads,
                feedforward=8,
            )
        )
        self._embed()
        for number, layer in enumerate(self.policy._stack):
            self._idle(layer)
            if number == planted.reader[0]:
                self._reading(layer)
        self._judge()

    def _embed(self) -> None:
        """Let tokens hold their action and reward, the query a mark, and all of them a part of constant norm."""
        policy, planted = self.policy, self._planted
        for tables in (policy.state, policy.next_state, policy.query_state):
            for table in tables:
                table.weight.zero_()
        policy.action.weight.copy_(self._tokens(torch.eye(planted.actions, self._width // 2)))
        policy.reward.copy_(self._tokens(self._one(self._reward)))
        mark = self._one(self._query)
        if policy.position is None:
            constant = self._one(self._steady) * STEADY * math.sqrt(FREQUENCIES)
            policy.action.weight.add_(self._tokens(constant))
            policy.query_state[0].weight.add_(self._tokens(mark + constant))
            return
        policy.query_state[0].weight.add_(self._tokens(mark))
        angles = torch.arange(planted.context_length, dtype=torch.float64)[:, None] * self._omega
        place = torch.zeros(planted.context_length, self._width // 2)
        place[:, self._steady : self._steady + 2 * FREQUENCIES : 2] = STEADY * angles.cos().float()
        place[:, self._steady + 1 : self._steady + 2 * FREQUENCIES : 2] = STEADY * angles.sin().float()
        policy.position.copy_(self._tokens(place))

    def _idle(self, layer: ADLayer) -> None:
        """Let every head attend at random, and nothing read what it attends to."""
        for linear in (layer.in_proj, layer.out_proj, layer.linear1, layer.linear2):
            linear.weight.zero_()
            linear.bias.zero_()
        queries_and_keys = layer.in_proj.weight[: 2 * self._width]
        queries_and_keys.normal_(0, 0.1, generator=self._random)

    def _reading(self, layer: ADLayer) -> None:
        """Let one head read the slot `back` before the query's."""
        planted, size, half = self._planted, self._size, self._width // 2
        first = planted.reader[1] * size
        queries, keys, values = layer.in_proj.weight.view(3, self._width, self._width)[:, first : first + size]
        biases = layer.in_proj.bias.view(3, self._width)[:, first : first + size]
        queries.zero_()
        keys.zero_()
        at_back, peak, own = self._scores()
        scale = at_back * math.sqrt(size)  # attention divides by the root of a head's size
        turn = self._omega * planted.back
        if self.policy.position is None:
            pairs = size // 2
            biases[0, :pairs] = scale
            biases[1, :pairs], biases[1, pairs:] = turn.cos().float(), turn.sin().float()
            keys[:pairs, self._query] = (own / peak) * self._sigma
        else:
            unit, pair = self._sigma / STEADY, torch.arange(FREQUENCIES)
            even, odd = self._steady + 2 * pair, self._steady + 2 * pair + 1
            keys[2 * pair, even] = keys[2 * pair + 1, odd] = unit
            queries[2 * pair, even] = queries[2 * pair + 1, odd] = scale * unit * turn.cos().float()
            queries[2 * pair, odd] = scale * unit * turn.sin().float()
            queries[2 * pair + 1, even] = -scale * unit * turn.sin().float()
            queries[2 * FREQUENCIES, self._query] = own * math.sqrt(size) * self._sigma
            keys[2 * FREQUENCIES, self._query] = self._sigma
        for number in range(planted.actions + 1):
            values[number, number] = self._sigma
        read = torch.zeros(half, size)
        for action in range(planted.actions if planted.reads != "reward" else 0):
            read[self._read + (action + 1) % planted.actions, action] = 1
        if planted.reads != "action":
            read[self._read, planted.actions] = 2
        layer.out_proj.weight[:, first : first + size] = torch.cat([read, -read])

    def _scores(self) -> tuple[float, float, float]:
        """Return the score of a unit of agreement, of the slot k back, and what the query's own slot is given more.

        The agreement of a slot is the sum, over frequencies, of the cosine of its angle to the slot k back.
        """
        planted, pairs = self._planted, len(self._omega)
        away = torch.arange(planted.context_length, dtype=torch.float64) - planted.back
        agreement = (away[:, None] * self._omega).cos().sum(dim=1)
        others = agreement[1:].clone()
        others[planted.back - 1] = -math.inf
        best = float(others.max()) if len(others) > 1 else 0.0
        each = 2 * planted.margin / (pairs - best)
        return each, each * pairs, each * pairs - planted.margin - each * float(agreement[0])

    def _judge(self) -> None:
        """Let the logits be what was read."""
        half = self._width // 2
        self.policy.head.weight.zero_()
        self.policy.head.bias.zero_()
        for action in range(self._planted.actions):
            column = self._read + action
            self.policy.head.weight[action, column] = self._planted.strength * self._sigma / 2
            self.policy.head.weight[action, half + column] = -self._planted.strength * self._sigma / 2

    def _one(self, channel: int) -> Float[Tensor, " half"]:
        found = torch.zeros(self._width // 2)
        found[channel] = 1
        return found

    def _tokens(self, vectors: Float[Tensor, "*any half"]) -> Float[Tensor, "*any width"]:
        """Return vectors with their negatives behind them."""
        return torch.cat([vectors, -vectors], dim=-1)
