"""The base of readers of foreign checkpoints: each recognises its family and tells the facts that its files hold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Final

from torch import Tensor

from attnscope_model.forward.policy import Policy

Answer = bool | int | str
"""An answer to one of the `QUESTIONS`."""

QUESTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "causal": "--causal or --non-causal",
        "heads": "--heads N",
        "context_length": "--context-length N",
        "norm": "--norm pre or --norm post",
        "preset": "--preset NAME",
        "sampling": "--sampling sample or --sampling greedy",
    }
)
"""A fact that shapes cannot tell, and the user's way to state it."""


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
    """Reader of one family.

    Every question of `questions` has an answer before a policy is built: from the file (`says`), from what all files
    of the family have in common (`facts`), from the user, or, for how the family's own evaluation acts, `defaults`.
    A user may not contradict a file or a fact.
    """

    family: ClassVar[str]
    presets: ClassVar[tuple[str, ...]]
    """Environment presets that a policy of the family may act in."""
    any_preset: ClassVar[bool] = False
    """A user may state any preset, those of further listed environments too: the family is bound to none."""
    environments: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Preset by what the family's configurations call an environment; empty where they are not read."""
    questions: ClassVar[tuple[str, ...]] = ("causal", "heads", "context_length", "preset", "sampling")
    facts: ClassVar[Mapping[str, Answer]] = MappingProxyType({})
    """The facts that hold for every policy of the family."""
    defaults: ClassVar[Mapping[str, Answer]] = MappingProxyType({"sampling": "sample"})
    """The choice of the family's own evaluation; a user may state another."""

    @abstractmethod
    def recognises(self, names: Collection[str]) -> bool:
        """Return whether a state dict with these names is of this family; never a guess from shapes or values.

        Parameters
        ----------
        names
            Names of the tensors in the state dict.
        """

    @abstractmethod
    def says(self, file: ParsedFile) -> dict[str, Answer]:
        """Return the answers that shapes and configuration give; a question is left out where they give none.

        Parameters
        ----------
        file
            What was read of the checkpoint: tensors and configuration.

        Raises
        ------
        CheckpointUnreadableError
            A configuration that contradicts itself, or an environment that no preset describes.
        """

    @abstractmethod
    def native_config(self, file: ParsedFile, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration of the native format, after checking every tensor against it.

        Parameters
        ----------
        file
            What was read of the checkpoint: tensors and configuration.
        answers
            Answer to each question, by file, family or user.

        Raises
        ------
        CheckpointUnreadableError
            Tensors are missing, too many, too large, or have shapes that do not fit together.
        """

    @abstractmethod
    def build(self, config: dict[str, Any], tensors: Mapping[str, Tensor]) -> Policy:
        """Return the policy of a native configuration (without its family) with these weights.

        Parameters
        ----------
        config
            Configuration that `native_config` returned.
        tensors
            Tensors by name, as `kept` returned them.
        """

    @abstractmethod
    def default_name(self, file: ParsedFile) -> str:
        """Return a readable name, e.g. ``AD-darkroom-seed0@60000``.

        Parameters
        ----------
        file
            What was read of the checkpoint: tensors and configuration.
        """

    @abstractmethod
    def hint(self, file: ParsedFile) -> str:
        """Return what may help a user to state what the file does not say; printed, never acted on.

        Parameters
        ----------
        file
            What was read of the checkpoint: tensors and configuration.
        """

    def recalled(self, config: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - for families whose files say more
        """Return the facts of a native configuration that stand in no tensor, as the family's files say them.

        Parameters
        ----------
        config
            Configuration that `native_config` returned.
        """
        return {}

    def kept(self, file: ParsedFile) -> dict[str, Tensor]:
        """Return the tensors that the policy needs; what its own model never uses is dropped.

        Parameters
        ----------
        file
            What was read of the checkpoint: tensors and configuration.

        Raises
        ------
        CheckpointUnreadableError
            A tensor to be dropped is not what it should be.
        """
        return dict(file.tensors)
