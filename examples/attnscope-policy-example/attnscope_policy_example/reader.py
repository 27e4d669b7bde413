"""The two parts that attnscope asks for: the network as a policy, and a reader of its files."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from torch import Tensor

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.forward.policy import Policy
from attnscope_model.forward.watched import WatchedPolicy
from attnscope_model.readers.base import Answer, CheckpointReader, ParsedFile
from attnscope_policy_example.network import TinyNetwork
from attnscope_storage.wire import PolicyDescription

SIDE = 9
"""Rows and columns of the room."""


class TinyPolicy(WatchedPolicy):
    """The network, told how transitions become tokens; its attention is seen from outside."""

    def __init__(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.network = TinyNetwork(width=config["width"], heads=config["heads"], slots=config["context_length"])
        self.network.load_state_dict(dict(tensors))
        self.description = PolicyDescription(
            family=TinyReader.family,
            layers=len(self.network.attend),
            heads=config["heads"],
            width=config["width"],
            context_length=config["context_length"],
            actions=self.network.decide.out_features,
            causal=True,
            positions="learned-absolute",
            query_slot="last",
            tokens_per_transition=1,
            observation="cell",
            parameters=sum(tensor.numel() for tensor in tensors.values()),
        )

    def embed_transition(self, observation: Tensor, action: Tensor, reward: Tensor, next_observation: Tensor) -> Tensor:  # noqa: ARG002 - the next token says it
        """Return one token: cell, action and reward added up."""
        network = self.network
        token: Tensor = network.cell(_cell(observation)) + network.action(action) + network.reward(reward.long())
        return token[:, None]

    def embed_query(self, observation: Tensor) -> Tensor:
        """Return one token: the cell alone."""
        token: Tensor = self.network.cell(_cell(observation))
        return token[:, None]

    def run(self, tokens: Tensor) -> Tensor:
        """Return the network's logits."""
        logits: Tensor = self.network(tokens)
        return logits


class TinyReader(CheckpointReader):
    """Reads the network's bare state dicts. How many heads it has is not in them: its user states it."""

    family = "example-tiny"
    presets = ("darkroom-reference",)
    facts: ClassVar[Mapping[str, Answer]] = {"causal": True, "preset": "darkroom-reference"}

    def recognises(self, names: Collection[str]) -> bool:
        """Return whether the names are the network's."""
        return {"cell.weight", "slot", "attend.0.to_qkv.weight", "decide.weight"} <= set(names)

    def says(self, file: ParsedFile) -> dict[str, Answer]:
        """Return the context length, which is the length of the slot table."""
        return {"context_length": len(file.tensors["slot"])}

    def native_config(self, file: ParsedFile, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration after building the network of it, which holds every tensor to its shape."""
        values = {
            "width": file.tensors["slot"].shape[-1],
            "heads": answers["heads"],
            "context_length": answers["context_length"],
        }
        try:
            self.build(values, file.tensors)
        except (RuntimeError, ValueError) as error:
            raise CheckpointUnreadableError(f"its tensors do not fit together: {error}") from error
        return {"family": self.family, **values}

    def build(self, config: dict[str, Any], tensors: Mapping[str, Tensor]) -> Policy:
        """Return the policy, ready to act."""
        return TinyPolicy(config, tensors).eval().requires_grad_(requires_grad=False)

    def default_name(self, file: ParsedFile) -> str:  # noqa: ARG002 - a bare state dict says nothing
        """Return a name."""
        return "tiny"

    def hint(self, file: ParsedFile) -> str:  # noqa: ARG002 - as above
        """Return what may help to state the heads."""
        return "the network was trained with 2 heads unless its author says otherwise"


def _cell(observation: Tensor) -> Tensor:
    return observation[:, 0] * SIDE + observation[:, 1]
