"""Readers of the two families on GPT-2 blocks, whose weights are stored (in, out): RAD_dark's AD and DPT."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final

from torch import Tensor

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.families.gpt2 import DPT_FAMILY, RAD_FAMILY, DptConfig, DptPolicy, RadPolicy
from attnscope_model.families.tokens import CellConfig
from attnscope_model.forward.policy import Policy
from attnscope_model.readers.base import Answer, ParsedFile
from attnscope_model.readers.gpt2_blocks import BLOCK_NAMES, CONV1D, is_mask
from attnscope_model.readers.mapped import MappedReader
from attnscope_model.readers.packing import COMPRESSOR_QUERIES
from attnscope_model.readers.presets import check_preset, preset_of_env
from attnscope_model.readers.shapes import MAX_TOKENS, lineage_sizes, positive, shape, side

_COORDINATES: Final = 2
_DPT_ROWS: Final = 4
"""Rows of DPT's position table for each token that its context may hold."""


def stack_renames(stack: str) -> tuple[tuple[str, str], ...]:
    """Return how GPT-2's names in this submodule are called here."""
    return (
        (f"{stack}.h.", "blocks."),
        *BLOCK_NAMES,
        (f"{stack}.ln_f.", "final_norm."),
        (f"{stack}.wpe.weight", "positions"),
    )


def _unused(stack: str) -> re.Pattern[str]:
    """Return the name of GPT-2's token table, which nothing looks up here."""
    return re.compile(rf"{stack}\.wte\.weight")


def said_by_rad(file: ParsedFile, environments: Mapping[str, str]) -> dict[str, Answer]:
    """Return the answers that a file of RAD_dark says itself; `environments` are those that it may name."""
    preset_of_env(file.config, environments)
    answers: dict[str, Answer] = {"context_length": shape(file.tensors, "transformer_model.wpe.weight", 2)[0]}
    heads = positive(file.config, "tf_n_head")
    return answers if heads is None else answers | {"heads": heads}


class Gpt2Reader(MappedReader):
    """Reader of a family on GPT-2's stack, whose older files hold the masks."""

    transposed = CONV1D

    def kept(self, file: ParsedFile) -> dict[str, Tensor]:
        """Return the tensors that are used, after checking that the masks are causal."""
        return {name: tensor for name, tensor in super().kept(file).items() if not is_mask(name, tensor)}


class RadReader(Gpt2Reader):
    """Reads the AD of RAD_dark and Flow_AD."""

    family = RAD_FAMILY
    label = "RAD-AD"
    presets = ("darkroom-reference",)
    environments: ClassVar[Mapping[str, str]] = MappingProxyType({"darkroom": "darkroom-reference"})
    facts: ClassVar[Mapping[str, Answer]] = MappingProxyType({"causal": True, "preset": "darkroom-reference"})
    signature = frozenset(
        {"transformer_model.wpe.weight", "embed_state.weight", "embed_action.weight", "embed_reward.weight"}
    )
    layer = re.compile(r"transformer_model\.h\.(\d{1,6})\.attn\.c_attn\.weight")
    renames: ClassVar[tuple[tuple[str, str], ...]] = (*stack_renames("transformer_model"), ("pred_action.", "head."))
    unused = _unused("transformer_model")

    def recognises(self, names: Collection[str]) -> bool:
        """Return whether the names are those of the family; beside a compressor they are another's."""
        return super().recognises(names) and COMPRESSOR_QUERIES not in names

    def says(self, file: ParsedFile) -> dict[str, Answer]:
        """Return the context length from the position table, the heads from the configuration."""
        return said_by_rad(file, self.environments)

    def values(self, file: ParsedFile, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration from shapes and answers."""
        context, width = shape(file.tensors, "transformer_model.wpe.weight", 2)
        cells, _ = shape(file.tensors, "embed_state.weight", 2)
        actions, _ = shape(file.tensors, "embed_action.weight", 2)
        _, inner = shape(file.tensors, "transformer_model.h.0.mlp.c_fc.weight", 2)
        tokens = (context - 3, MAX_TOKENS)
        sizes = self.stack_sizes(file, answers, width=width, feedforward=inner, actions=actions, tokens=tokens)
        if context % 3 != 1:
            raise CheckpointUnreadableError(
                f"transformer_model.wpe.weight: expected 3 positions a transition and 1 of the query, got {context}"
            )
        check_preset(answers["preset"], file.config, {"grid_size": side(cells), "num_actions": actions})
        return {**sizes, "context_length": context, "grid_size": side(cells)}

    def config_sizes(self, values: Mapping[str, Any]) -> dict[str, int]:
        """Return what a configuration says where it says the truth; a transit is a transition or the query."""
        sizes = lineage_sizes(values["width"], values["layers"])
        return {"n_transit": (values["context_length"] + 2) // 3, **sizes}

    def empty(self, values: Mapping[str, Any]) -> Policy:
        """Return a policy of this configuration, whatever its weights."""
        return RadPolicy(CellConfig(**values))

    def hint(self, file: ParsedFile) -> str:  # noqa: ARG002 - the same for every file
        """Return where the family keeps what its tensors do not say."""
        return "the repository keeps the heads (tf_n_head) in the checkpoint's config and falls back to 4"


class DptReader(Gpt2Reader):
    """Reads the decision-pretrained transformer's bare state dicts."""

    family = DPT_FAMILY
    label = "DPT"
    presets = ("darkroom-dpt",)
    environments: ClassVar[Mapping[str, str]] = MappingProxyType({"darkroom_heldout": "darkroom-dpt"})
    facts: ClassVar[Mapping[str, Answer]] = MappingProxyType({"causal": True})
    signature = frozenset({"transformer.wpe.weight", "embed_transition.weight", "pred_actions.weight"})
    layer = re.compile(r"transformer\.h\.(\d{1,6})\.attn\.c_attn\.weight")
    renames: ClassVar[tuple[tuple[str, str], ...]] = (
        *stack_renames("transformer"),
        ("embed_transition.", "embed_transition_parts."),
        ("pred_actions.", "head."),
    )
    unused = _unused("transformer")

    def says(self, file: ParsedFile) -> dict[str, Answer]:
        """Return the context length, a quarter of the position table's 4 · (1 + H) rows; the environment if named."""
        rows, _ = shape(file.tensors, "transformer.wpe.weight", 2)
        if rows % _DPT_ROWS:
            raise CheckpointUnreadableError(f"transformer.wpe.weight: expected 4 · (1 + H) positions, got {rows}")
        preset = preset_of_env(file.config, self.environments)
        answers: dict[str, Answer] = {"context_length": rows // _DPT_ROWS}
        return answers if preset is None else answers | {"preset": preset}

    def values(self, file: ParsedFile, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration from shapes and answers."""
        rows, width = shape(file.tensors, "transformer.wpe.weight", 2)
        actions, _ = shape(file.tensors, "pred_actions.weight", 2)
        _, inner = shape(file.tensors, "transformer.h.0.mlp.c_fc.weight", 2)
        _, parts = shape(file.tensors, "embed_transition.weight", 2)
        context = rows // _DPT_ROWS
        tokens = (context - 1, MAX_TOKENS)
        sizes = self.stack_sizes(file, answers, width=width, feedforward=inner, actions=actions, tokens=tokens)
        if parts != 2 * _COORDINATES + actions + 1:
            raise CheckpointUnreadableError(
                f"embed_transition.weight: expected 2 · {_COORDINATES} coordinates, {actions} actions and a reward, "
                f"got {parts} numbers: no preset describes its environment"
            )
        rooms = {"grid_size": file.config["dim"]} if "dim" in file.config else {}
        check_preset(answers["preset"], file.config, {"num_actions": actions, **rooms})
        return {**sizes, "context_length": context, "features": _COORDINATES, "positions": rows}

    def config_sizes(self, values: Mapping[str, Any]) -> dict[str, int]:
        """Return what a configuration says where it says the truth; its heads are not believed, see `hint`."""
        return {
            "n_embd": values["width"],
            "n_layer": values["layers"],
            "horizon": values["context_length"] - 1,
            "state_dim": _COORDINATES,
            "action_dim": values["actions"],
        }

    def empty(self, values: Mapping[str, Any]) -> Policy:
        """Return a policy of this configuration, whatever its weights."""
        return DptPolicy(DptConfig(**values))

    def hint(self, file: ParsedFile) -> str:  # noqa: ARG002 - the same for every file
        """Return what the repository does, which the file does not prove."""
        return (
            "the repository builds its stack with 1 head whatever the file's name says, forks of it do not; Darkroom "
            "(preset darkroom-dpt) and its permuted variant have the same layout. Its own online evaluation adds "
            "whole episodes to the context, here every transition is added as it happens"
        )
