"""The base of readers of Hugging Face folders: questions, environments, and the place of tokens in a vocabulary."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, ClassVar, Final

from torch import Tensor

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.families.vocabulary import Vocabulary
from attnscope_model.readers.base import Answer, ParsedFile
from attnscope_model.readers.hub.adapter import needed
from attnscope_model.readers.hub.configuration import MODEL_TYPES
from attnscope_model.readers.mapped import MappedReader
from attnscope_model.readers.presets import FACTS, check_preset
from attnscope_model.readers.shapes import MAX_TOKENS, bounded

_DECLARED: Final = ("context_length", "preset", "sampling")
"""Questions that a declaration may answer."""


class HubReader(MappedReader):
    """Reader of one model type, whose policy acts in whatever environment its user states."""

    model_type: ClassVar[str]
    """The configuration's word for it."""
    presets = tuple(FACTS)
    any_preset = True
    facts: ClassVar[Mapping[str, Answer]] = MappingProxyType({"causal": True})
    heads_key: ClassVar[str]
    """The configuration's key for its heads."""
    other: ClassVar[re.Pattern[str]] = re.compile(r"embed_transition\.")
    """Beginnings of names that another family on the same stack has."""

    def recognises(self, names: Collection[str]) -> bool:
        """Return whether the names are those of the model type, and none is another family's on the same stack."""
        return super().recognises(names) and not any(map(self.other.match, names))

    def says(self, file: ParsedFile) -> dict[str, Answer]:
        """Return what the folder's configuration and its declaration answer."""
        config = self._config(file)
        said = {"heads": config[self.heads_key]} if self.heads_key in config else {}
        return said | {name: config[name] for name in _DECLARED if name in config}

    def recalled(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the facts of a native configuration that stand in no tensor, as the folder's files say them."""
        return dict(config["said"])

    def said(self, file: ParsedFile) -> dict[str, Any]:
        """Return what a native configuration keeps of the folder's two files."""
        return {key: value for key, value in self._config(file).items() if key not in _DECLARED}

    def hint(self, file: ParsedFile) -> str:  # noqa: ARG002 - the same for every file
        """Return where a folder keeps what its tensors do not say."""
        return (
            "a declaration attnscope.json beside config.json says what a token is, how long a context is "
            "(context_length) and in which environment the policy acts (preset)"
        )

    def default_name(self, file: ParsedFile) -> str:
        """Return a name from the model type and the environment."""
        room = str(file.config.get("preset", "hub"))
        return f"{self.label}-{room}"

    def _config(self, file: ParsedFile) -> Mapping[str, Any]:
        if file.config.get("model_type") != self.model_type:
            raise CheckpointUnreadableError(
                f"its tensors are those of {self.model_type}, its configuration is of "
                f"{str(file.config.get('model_type', 'none'))[:80]}: name the folder that holds model.safetensors and "
                f"the config.json of {MODEL_TYPES[self.model_type].architecture}"
            )
        return file.config


def vocabulary_of(config: Mapping[str, Any], entries: int, preset: str | None) -> Vocabulary:
    """Return the place of tokens in a vocabulary of so many entries, as a declaration says it.

    Raises
    ------
    CheckpointUnreadableError
        Something is not declared, lies beyond the vocabulary, or is not what the preset has.
    """
    needed(config, "tokens", "observation", "first_state", "actions", "first_action")
    tokens, cells = tuple(config["tokens"]), config["observation"] == "cell"
    needed(config, "grid_size" if cells else "states", *(("rewards", "first_reward") if "reward" in tokens else ()))
    grid_size = config["grid_size"] if cells else 0
    words = Vocabulary(
        tokens=tokens,
        grid_size=grid_size,
        states=grid_size**2 if cells else config["states"],
        first_state=config["first_state"],
        actions=config["actions"],
        first_action=config["first_action"],
        rewards=config["rewards"] if "reward" in tokens else 0,
        first_reward=config["first_reward"] if "reward" in tokens else 0,
    )
    if preset in FACTS:
        check_preset(preset, {}, {"num_actions": words.actions} | ({"grid_size": grid_size} if cells else {}))
    for kind in tokens:
        end = getattr(words, f"first_{kind}") + getattr(words, f"{kind}s")
        if end > entries:
            raise CheckpointUnreadableError(
                f"first_{kind}: the declaration's {kind}s end at entry {end}, the vocabulary has {entries}"
            )
    return words


def checked_context(context: int, words: Vocabulary, most: int = MAX_TOKENS) -> int:
    """Return the tokens of a full context after checking that they are at most so many, and hold one transition.

    Raises
    ------
    CheckpointUnreadableError
        They are too many, or too few.
    """
    bounded(context_length=(context, most))
    if context <= (per := len(words.tokens)):
        raise CheckpointUnreadableError(
            f"context_length: expected room for a transition of {per} tokens and the query, got {context}"
        )
    return context


def stored_words(words: Vocabulary) -> dict[str, Any]:
    """Return a vocabulary as a native configuration has it."""
    return asdict(words) | {"tokens": list(words.tokens)}


def built_words(stored: Mapping[str, Any]) -> Vocabulary:
    """Return the vocabulary of a native configuration."""
    return Vocabulary(**{**stored, "tokens": tuple(stored["tokens"])})


def tied_head(file: ParsedFile, table: str) -> dict[str, Tensor]:
    """Return the tensors without a head that is the vocabulary's own table, stored a second time.

    Raises
    ------
    CheckpointUnreadableError
        The configuration says that they are one, and the file has two.
    """
    head = file.tensors.get("lm_head.weight")
    if head is None or not file.config.get("tie_word_embeddings"):
        return dict(file.tensors)
    if not head.equal(file.tensors[table]):
        raise CheckpointUnreadableError(f"lm_head.weight: expected {table}, since its configuration ties them")
    return {name: tensor for name, tensor in file.tensors.items() if name != "lm_head.weight"}
