"""What a reader of foreign checkpoints does: recognise its family, and say what its files say and what they do not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor


@dataclass(frozen=True)
class ParsedFile:
    """A foreign file, reduced to tensors and plain values."""

    tensors: Mapping[str, Tensor]
    """Under the file's own names, without the prefixes of wrappers."""
    config: Mapping[str, Any]
    """Plain values only; not to be trusted to fit the tensors."""
    step: int | None
    """Training step, where the file says."""


class CheckpointReader(ABC):
    """Reader of one family."""

    family: ClassVar[str]

    @abstractmethod
    def recognises(self, names: Collection[str]) -> bool:
        """Return whether a state dict with these names is of this family; never a guess from shapes or values."""

    @abstractmethod
    def causal(self, file: ParsedFile) -> bool | None:
        """Return whether the policy is causal, None where the family's files do not say."""

    @abstractmethod
    def native_config(self, file: ParsedFile, *, causal: bool) -> dict[str, Any]:
        """Return the configuration of the native format, after checking every tensor against it.

        Raises
        ------
        CheckpointUnreadableError
            Tensors are missing, too many, too large, or have shapes that do not fit together.
        """

    @abstractmethod
    def preset(self, file: ParsedFile) -> str:
        """Return the environment preset that the policy acts in.

        Raises
        ------
        CheckpointUnreadableError
            It was trained in an environment that no preset describes.
        """

    @abstractmethod
    def tasks(self, file: ParsedFile) -> int:
        """Return how many tasks the environment has; train tasks are indices below it."""

    @abstractmethod
    def default_name(self, file: ParsedFile) -> str:
        """Return a readable name, e.g. ``AD-darkroom-seed0@60000``."""

    @abstractmethod
    def hint(self, file: ParsedFile) -> str:
        """Return what may help a user to state what the file does not say; printed, never acted on."""
