"""A causal network of plain torch whose head is of any kind, and its reader, as an installed package brings them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from attnscope_model.acting.outputs import output_of
from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.forward.policy import Policy
from attnscope_model.forward.watched import WatchedPolicy
from attnscope_model.readers.base import Answer, CheckpointReader, ParsedFile
from attnscope_storage.wire import OutputDescription, PolicyDescription

LAYERS: Final = 2
HEADS: Final = 2
WIDTH: Final = 8
CONTEXT: Final = 9
"""Tokens of a full context, the query among them."""

KINDS: Final[Mapping[str, dict[str, Any]]] = {
    "branches": {"actions": 5, "branches": "3,2", "features": 2, "observation": "vector", "preset": "line"},
    "gaussian": {"actions": 2, "head": "gaussian", "features": 2, "observation": "vector", "preset": "plane"},
    "squashed": {
        "actions": 2, "head": "gaussian", "squashed": True, "features": 2, "observation": "vector", "preset": "plane",
    },
    "vector": {
        "actions": 2, "head": "vector", "scale": "2,2", "features": 2, "observation": "vector", "preset": "plane",
    },
    "grid": {"actions": 4, "features": 18, "observation": "image", "preset": "tiles"},
}  # fmt: skip
"""Configurations of a small policy of every kind, by name."""


class Network(nn.Module):
    """Somebody's network: linear embeddings, causal attention, one linear head."""

    def __init__(self, features: int, encoded: int, outputs: int) -> None:
        super().__init__()
        self.transition = nn.Linear(2 * features + encoded + 1, WIDTH)
        self.query = nn.Linear(features, WIDTH)
        self.attend = nn.ModuleList(nn.Linear(WIDTH, 3 * WIDTH) for _ in range(LAYERS))
        self.head = nn.Linear(WIDTH, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the numbers of the last token's head."""
        envs, tokens, _ = x.shape
        for layer in self.attend:
            q, k, v = layer(x).view(envs, tokens, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
            x = x + functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        return self.head(x[:, -1])


class HeadPolicy(WatchedPolicy):
    """The network as a policy."""

    def __init__(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        kind = config.get("head", "choice")
        output = OutputDescription(
            kind=kind,
            branches=tuple(map(int, _parts(config, "branches"))),
            squashed=config.get("squashed", False),
            scale=tuple(map(float, _parts(config, "scale"))),
        )
        self.description = PolicyDescription(
            family=HeadReader.family,
            layers=LAYERS,
            heads=HEADS,
            width=WIDTH,
            context_length=CONTEXT,
            actions=config["actions"],
            causal=True,
            positions="none",
            query_slot="last",
            tokens_per_transition=1,
            observation=config["observation"],
            output=output,
            parameters=sum(tensor.numel() for tensor in tensors.values()),
        )
        self._output = output_of(self.description)
        self.network = Network(config["features"], config["actions"], self.description.outputs)
        self.network.load_state_dict(dict(tensors))

    def embed_transition(self, observation: Tensor, action: Tensor, reward: Tensor, next_observation: Tensor) -> Tensor:
        """Return one token."""
        parts = [observation.float(), self._output.encoded(action), reward[:, None], next_observation.float()]
        return self.network.transition(torch.cat(parts, dim=1))[:, None]

    def embed_query(self, observation: Tensor) -> Tensor:
        """Return one token."""
        return self.network.query(observation.float())[:, None]

    def run(self, tokens: Tensor) -> Tensor:
        """Return the head's numbers."""
        return self.network(tokens)


class HeadReader(CheckpointReader):
    """Reads what `save` writes."""

    family = "heads-example"
    presets = ("darkroom-reference",)
    any_preset = True
    facts: ClassVar[Mapping[str, Answer]] = {"causal": True, "heads": HEADS, "context_length": CONTEXT}

    def recognises(self, names: Collection[str]) -> bool:
        """Return whether the names are the network's."""
        return {"transition.weight", "query.weight", "attend.0.weight", "head.weight"} <= set(names)

    def says(self, file: ParsedFile) -> dict[str, Answer]:
        """Return the preset, and how a head without a distribution acts."""
        acts = {"sampling": "greedy"} if file.config.get("head") == "vector" else {}
        return acts | {"preset": file.config["preset"]}

    def recalled(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the file's configuration."""
        return dict(config)

    def native_config(self, file: ParsedFile, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration, after building the network of it."""
        del answers
        known = ("actions", "head", "branches", "squashed", "scale", "features", "observation", "preset")
        values = {name: file.config[name] for name in known if name in file.config}
        try:
            self.build(values, file.tensors)
        except (RuntimeError, ValueError) as error:
            raise CheckpointUnreadableError(f"its tensors do not fit together: {error}") from error
        return {"family": self.family, **values}

    def build(self, config: dict[str, Any], tensors: Mapping[str, Tensor]) -> Policy:
        """Return the policy, ready to act."""
        return HeadPolicy(config, tensors).eval().requires_grad_(requires_grad=False)

    def default_name(self, file: ParsedFile) -> str:
        """Return a name."""
        return str(file.config.get("head", "heads"))

    def hint(self, file: ParsedFile) -> str:
        """Return nothing that helps."""
        del file
        return "ask its author"


def _parts(config: Mapping[str, Any], name: str) -> list[str]:
    """Return the parts of a value that a file holds as text."""
    return str(config[name]).split(",") if name in config else []


def weights(kind: str, seed: int = 0) -> dict[str, Tensor]:
    """Return random weights of a kind's network, with attention that is far from uniform."""
    config = KINDS[kind]
    outputs = 2 * config["actions"] if config.get("head") == "gaussian" else config["actions"]
    with torch.inference_mode(mode=False), torch.random.fork_rng([]):
        torch.manual_seed(seed)
        network = Network(config["features"], config["actions"], outputs)
        for layer in network.attend:
            layer.weight.data.mul_(2.5)
        return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def policy_of(kind: str, seed: int = 0) -> HeadPolicy:
    """Return a small policy of this kind, without a file."""
    made = HeadPolicy(KINDS[kind], weights(kind, seed)).eval()
    return made.requires_grad_(requires_grad=False)


def save(path: Path, kind: str, seed: int = 0) -> Path:
    """Write a checkpoint file of this kind."""
    torch.save({"model": weights(kind, seed), "config": KINDS[kind]}, path)
    return path


def save_left(path: Path) -> Path:
    """Write a policy of two choices that goes left and grips; its history makes it waver."""
    state = weights("branches")
    with torch.inference_mode(mode=False):
        state["transition.weight"] *= 4.0
        state["head.weight"] *= 0.6
        state["head.bias"] = torch.tensor([2.0, 0.0, -2.0, -1.0, 1.0])
    torch.save({"model": state, "config": KINDS["branches"] | {"preset": "left"}}, path)
    return path
