"""Readers of AD-eps and cinemere: bare state dicts with sinusoids and masks as buffers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final

import torch
from torch import Tensor

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.families.steps import AD_EPS_FAMILY, CINEMERE_FAMILY, TOKENS, StepsConfig, StepsPolicy
from attnscope_model.forward.policy import Policy
from attnscope_model.readers.base import Answer, ParsedFile
from attnscope_model.readers.mapped import MappedReader
from attnscope_model.readers.presets import check_preset, preset_of_env
from attnscope_model.readers.shapes import MAX_TOKENS, MAX_WIDTH, positive, shape, side

AD_EPS_PRESET: Final = "darkroom-ad-eps"
CINEMERE_PRESET: Final = "darkroom-cinemere"
"""Environment presets bound to the families: the same room, split otherwise."""

_CINEMERE_WORDS: Final = {
    "norm": ("ln_placem", {"prenorm": "pre", "postnorm": "post"}),
    "sampling": ("mode", {"mode": "greedy", "sample": "sample"}),
}
"""By question: cinemere's key for it, and what its words mean."""

_MASK: Final = re.compile(r"blocks\.\d{1,6}\.causal_mask")
_BLOCKS: Final = (
    (".attention.in_proj_", ".in_proj."),
    (".attention.out_proj.", ".out_proj."),
    (".mlp.0.", ".linear1."),
    (".mlp.2.", ".linear2."),
    ("state_emb.", "embed_state."),
    ("action_emb.", "embed_action."),
    ("reward_emb.", "embed_reward."),
    ("emb2hid.", "widen."),
    ("action_head.", "head."),
)


class AdEpsReader(MappedReader):
    """Reads AD-eps."""

    family = AD_EPS_FAMILY
    label = "AD-eps"
    presets = (AD_EPS_PRESET,)
    environments: ClassVar[Mapping[str, str]] = MappingProxyType({"DarkRoom-v0": AD_EPS_PRESET})
    table: ClassVar[str] = "pos_emb.pos_emb"
    """Name of the sinusoids."""
    facts: ClassVar[Mapping[str, Answer]] = MappingProxyType({"causal": True, "norm": "pre"})
    defaults: ClassVar[Mapping[str, Answer]] = MappingProxyType({"sampling": "greedy"})
    questions = ("causal", "heads", "context_length", "norm", "preset", "sampling")
    signature = frozenset({"pos_emb.pos_emb", "emb2hid.weight", "state_emb.weight", "reward_emb.weight"})
    layer = re.compile(r"blocks\.(\d{1,6})\.attention\.in_proj_weight")
    renames: ClassVar[tuple[tuple[str, str], ...]] = (("pos_emb.pos_emb", "positions"), *_BLOCKS)

    def kept(self, file: ParsedFile) -> dict[str, Tensor]:
        """Return the tensors without the masks, after checking that they are causal."""
        for name, tensor in file.tensors.items():
            if _MASK.fullmatch(name):
                causal = tensor.ndim == 2 and torch.equal(tensor.bool(), torch.ones(tensor.shape).triu(1).bool())  # noqa: PLR2004 - query and slot
                if not causal:
                    raise CheckpointUnreadableError(f"{name}: expected a causal mask, true where a slot is hidden")
        return {name: tensor for name, tensor in file.tensors.items() if not _MASK.fullmatch(name)}

    def says(self, file: ParsedFile) -> dict[str, Answer]:
        """Return the context length from the sinusoids; heads and environment from the configuration."""
        answers = {
            "heads": positive(file.config, "num_heads"),
            "context_length": shape(file.tensors, self.table, 3)[1] - TOKENS + 1,
            "preset": preset_of_env(file.config, self.environments),
        }
        return {name: answer for name, answer in answers.items() if answer is not None}

    def values(self, file: ParsedFile, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration from shapes and answers."""
        _, positions, embedding = shape(file.tensors, self.table, 3)
        cells, _ = shape(file.tensors, "state_emb.weight", 2)
        actions, _ = shape(file.tensors, "action_emb.weight", 2)
        (width,) = shape(file.tensors, "emb2hid.bias", 1)
        (inner,) = shape(file.tensors, "blocks.0.mlp.0.bias", 1)
        others = {"embedding": (embedding, MAX_WIDTH), "tokens": (positions - TOKENS, MAX_TOKENS)}
        sizes = self.stack_sizes(file, answers, width=width, feedforward=inner, actions=actions, **others)
        if positions % TOKENS:
            raise CheckpointUnreadableError(f"{self.table}: expected three positions a step, got {positions}")
        check_preset(answers["preset"], file.config, {"grid_size": side(cells), "num_actions": actions})
        own = {"embedding": embedding, "norm": answers["norm"], "grid_size": side(cells), "positions": positions}
        return {**sizes, **own}

    def config_sizes(self, values: Mapping[str, Any]) -> dict[str, int]:
        """Return what a configuration says where it says the truth."""
        return {
            "embedding_dim": values["embedding"],
            "hidden_dim": values["width"],
            "num_layers": values["layers"],
            "seq_len": values["positions"] // TOKENS,
        }

    def empty(self, values: Mapping[str, Any]) -> Policy:
        """Return a policy of this configuration, whatever its weights."""
        return StepsPolicy(StepsConfig(family=self.family, **values))  # type: ignore[arg-type]  # one of two literals

    def hint(self, file: ParsedFile) -> str:  # noqa: ARG002 - the same for every file
        """Return where the family keeps what its tensors do not say."""
        return (
            "the repository keeps heads (num_heads, 4 where nothing is said) and environment (env_name) in the "
            "config.yaml beside the weights: name it with --config"
        )


class CinemereReader(AdEpsReader):
    """Reads cinemere's AD; its reward head, where it has one, decides nothing."""

    family = CINEMERE_FAMILY
    label = "cinemere-AD"
    presets = (CINEMERE_PRESET,)
    table = "pos_enc.pos_embedding"
    facts: ClassVar[Mapping[str, Answer]] = MappingProxyType({"causal": True, "preset": CINEMERE_PRESET})
    signature = frozenset({"pos_enc.pos_embedding", "emb2hid.weight", "state_emb.weight", "reward_emb.weight"})
    renames: ClassVar[tuple[tuple[str, str], ...]] = (("pos_enc.pos_embedding", "positions"), *_BLOCKS)

    def kept(self, file: ParsedFile) -> dict[str, Tensor]:
        """Return the tensors without masks and reward head."""
        return {name: tensor for name, tensor in super().kept(file).items() if not name.startswith("reward_head.")}

    def says(self, file: ParsedFile) -> dict[str, Answer]:
        """Return what AD-eps's files say, the place of the norms, and how its evaluation acted."""
        answers = super().says(file)
        for question, (key, meanings) in _CINEMERE_WORDS.items():
            if key in file.config:
                if (word := file.config[key]) not in meanings:
                    raise CheckpointUnreadableError(f"config {key}: expected {' or '.join(meanings)}, got {word!r}")
                answers[question] = meanings[word]
        return answers

    def hint(self, file: ParsedFile) -> str:  # noqa: ARG002 - the same for every file
        """Return where the family keeps what its tensors do not say."""
        return (
            "the repository keeps heads (num_heads, 4 where nothing is said) and the place of the norms (ln_placem, "
            "postnorm where nothing is said) in the config.yaml beside the weights: name it with --config"
        )
