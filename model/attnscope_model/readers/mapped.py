"""A reader whose policy has the file's tensors under names of its own: recognition, checks and loading from a table."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from attnscope_model.forward.policy import Policy
from attnscope_model.readers.base import CheckpointReader, ParsedFile
from attnscope_model.readers.shapes import (
    MAX_ACTIONS,
    MAX_LAYERS,
    MAX_WIDTH,
    bounded,
    check_shapes,
    check_sizes,
    divisor,
)


class MappedReader(CheckpointReader):
    """Reader of a family that is told by class variables."""

    label: ClassVar[str]
    """The beginning of default names."""
    signature: ClassVar[frozenset[str]]
    """Names that every file has and that, with `layer`, no other family has together."""
    layer: ClassVar[re.Pattern[str]]
    """Name of one tensor of each layer, the layer's number as its group."""
    renames: ClassVar[tuple[tuple[str, str], ...]]
    """Parts of the file's names and what they are called in the policy, replaced in this order."""
    transposed: ClassVar[tuple[str, ...]] = ()
    """Ends of the policy's names whose tensors the file holds as (in, out)."""
    unused: ClassVar[re.Pattern[str] | None] = None
    """Names that the family's own model never uses."""

    def recognises(self, names: Collection[str]) -> bool:
        """Return whether the names are those of the family."""
        return self.signature <= set(names) and any(map(self.layer.fullmatch, names))

    def kept(self, file: ParsedFile) -> dict[str, Tensor]:
        """Return the tensors without those that the family's own model never uses."""
        unused = self.unused
        return {name: tensor for name, tensor in file.tensors.items() if not (unused and unused.fullmatch(name))}

    @abstractmethod
    def values(self, file: ParsedFile, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the native configuration without its family, from shapes and answers; sizes within bounds."""

    def stack_sizes(
        self,
        file: ParsedFile,
        answers: Mapping[str, Any],
        *,
        width: int,
        feedforward: int,
        actions: int,
        **others: tuple[int, int],
    ) -> dict[str, int]:
        """Return what every family's configuration has, within bounds; `others` are further sizes and their bounds."""
        bounded(d=(width, MAX_WIDTH), actions=(actions, MAX_ACTIONS), **others)
        bounded(feed_forward=(feedforward, 4 * MAX_WIDTH))
        return {
            "width": width,
            "layers": self.layers(file),
            "heads": divisor(answers["heads"], width),
            "feedforward": feedforward,
            "actions": actions,
        }

    @abstractmethod
    def config_sizes(self, values: Mapping[str, Any]) -> dict[str, int]:
        """Return what a configuration of the family says where it says the truth, by its own names."""

    @abstractmethod
    def empty(self, values: Mapping[str, Any]) -> Policy:
        """Return a policy of this configuration, whatever its weights."""

    def native_config(self, file: ParsedFile, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration of the native format, after checking every tensor against it."""
        values = self.values(file, answers)
        with torch.device("meta"):
            policy = self.empty(values)
        own = {name: tuple(tensor.shape) for name, tensor in policy.state_dict().items()}
        expected = {self._file_name(name): shape[::-1] if self._turned(name) else shape for name, shape in own.items()}
        check_shapes(file.tensors, expected, self.family)
        check_sizes(file.config, self.config_sizes(values))
        return {"family": self.family, **values}

    def build(self, config: dict[str, Any], tensors: Mapping[str, Tensor]) -> Policy:
        """Return the policy of a native configuration with these weights."""
        with torch.device("meta"):
            policy = self.empty(config)
        own = {self._own_name(name): tensor for name, tensor in tensors.items()}
        policy.load_state_dict({name: self.arranged(name, own[name], config) for name in own}, assign=True)
        return policy.eval().requires_grad_(requires_grad=False)

    def arranged(self, own_name: str, tensor: Tensor, config: Mapping[str, Any]) -> Tensor:  # noqa: ARG002 - for families whose order of weights depends on it
        """Return a tensor of the file as the policy holds it under its own name."""
        return tensor.t().contiguous() if self._turned(own_name) else tensor

    def layers(self, file: ParsedFile) -> int:
        """Return the number of layers, within bounds."""
        layers = 1 + max(int(found[1]) for found in map(self.layer.fullmatch, file.tensors) if found)
        bounded(layers=(layers, MAX_LAYERS))
        return layers

    def default_name(self, file: ParsedFile) -> str:
        """Return a name from family, environment, seed and step."""
        return readable_name(self.label, file)

    def _own_name(self, name: str) -> str:
        for theirs, ours in self.renames:
            name = name.replace(theirs, ours)
        return name

    def _file_name(self, name: str) -> str:
        for theirs, ours in reversed(self.renames):
            name = name.replace(ours, theirs)
        return name

    def _turned(self, own_name: str) -> bool:
        return own_name.endswith(self.transposed)


def readable_name(label: str, file: ParsedFile) -> str:
    """Return a name from environment, seed of the source algorithm or of training, and step."""
    named = next((file.config[key] for key in ("env", "env_name") if key in file.config), "darkroom")
    environment = re.sub(r"[^a-z0-9_]+", "-", str(named).lower())[:40]
    seeds = (file.config.get(key) for key in ("alg_seed", "seed", "train_seed"))
    seed = next((seed for seed in seeds if isinstance(seed, int) and not isinstance(seed, bool)), "unknown")
    return f"{label}-{environment}-seed{seed}@{'unknown' if file.step is None else file.step}"
