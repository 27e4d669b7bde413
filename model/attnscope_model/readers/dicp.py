"""Readers of DICP's AD and DPT checkpoints (its small LLaMA): the same stack, told apart by their heads' names.

Rotary positions have no table, so the context length comes from the configuration.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final

from torch import Tensor

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.families.dicp import AD_FAMILY, DPT_FAMILY, DicpConfig, DicpPolicy
from attnscope_model.forward.policy import Policy
from attnscope_model.readers.base import Answer, ParsedFile
from attnscope_model.readers.mapped import MappedReader
from attnscope_model.readers.presets import check_preset, preset_of_env
from attnscope_model.readers.shapes import MAX_TOKENS, lineage_sizes, positive, shape, side

ENVIRONMENTS: Final[Mapping[str, str]] = MappingProxyType(
    {"darkroom": "darkroom-reference", "darkroompermuted": "darkroom-permuted", "darkkeytodoor": "key-to-door"}
)
"""Preset by what the lineage's configurations call an environment."""

_BLOCK: Final = r"transformer\.blocks\.(\d{1,6})\."
_FIRST: Final = "transformer.blocks.0."


class DicpAdReader(MappedReader):
    """Reads DICP's AD."""

    family = AD_FAMILY
    label = "DICP-AD"
    presets = tuple(ENVIRONMENTS.values())
    environments = ENVIRONMENTS
    facts: ClassVar[Mapping[str, Answer]] = MappingProxyType({"causal": True})
    signature = frozenset({"embed_context.weight", "embed_query_state.weight", "pred_action.weight"})
    layer = re.compile(_BLOCK + r"attn\.attn\.weight")
    renames: ClassVar[tuple[tuple[str, str], ...]] = (
        ("transformer.blocks.", "blocks."),
        (".norm_1.", ".norm1."),
        (".norm_2.", ".norm2."),
        (".attn.attn.", ".in_proj."),
        (".attn.proj.", ".out_proj."),
        (".mlp.swiglu.w1.", ".gate."),
        (".mlp.swiglu.w2.", ".up."),
        (".mlp.swiglu.w3.", ".down."),
        ("pred_action.", "head."),
    )
    unused = re.compile(r"(embed_query_action|pred_reward|pred_next_state)\.(weight|bias)")

    def says(self, file: ParsedFile) -> dict[str, Answer]:
        """Return heads, context length and environment from the configuration."""
        answers = {
            "heads": positive(file.config, "tf_n_head"),
            "context_length": positive(file.config, "n_transit"),
            "preset": preset_of_env(file.config, self.environments),
        }
        return {name: answer for name, answer in answers.items() if answer is not None}

    def values(self, file: ParsedFile, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration from shapes and answers."""
        width, _ = shape(file.tensors, "embed_context.weight", 2)
        (actions,) = shape(file.tensors, self._head_bias, 1)
        inner, _ = shape(file.tensors, f"{_FIRST}mlp.swiglu.w1.weight", 2)
        grid_size, context = self._grid_size(file), answers["context_length"]
        tokens = (context, MAX_TOKENS)
        sizes = self.stack_sizes(file, answers, width=width, feedforward=inner, actions=actions, n_transit=tokens)
        heads = sizes["heads"]
        if context == 1 or (width // heads) % 2:
            raise CheckpointUnreadableError(
                f"expected at least 2 tokens and heads of even size, got {context} tokens and {width} / {heads}"
            )
        check_preset(
            answers["preset"], file.config, {"num_actions": actions} | ({"grid_size": grid_size} if grid_size else {})
        )
        return {**sizes, "context_length": context, "grid_size": grid_size}

    @property
    def _head_bias(self) -> str:
        return "pred_action.bias"

    def _grid_size(self, file: ParsedFile) -> int:
        return side(shape(file.tensors, "embed_query_state.weight", 2)[0])

    def config_sizes(self, values: Mapping[str, Any]) -> dict[str, int]:
        """Return what a configuration says where it says the truth."""
        return {"n_transit": values["context_length"], **lineage_sizes(values["width"], values["layers"])}

    def arranged(self, own_name: str, tensor: Tensor, config: Mapping[str, Any]) -> Tensor:
        """Return a tensor as the policy holds it: the file stacks queries, keys and values head by head."""
        if ".in_proj." not in own_name:
            return tensor
        by_head = tensor.view(config["heads"], 3, -1, *tensor.shape[1:])
        return by_head.transpose(0, 1).flatten(0, 2)

    def empty(self, values: Mapping[str, Any]) -> Policy:
        """Return a policy of this configuration, whatever its weights."""
        return DicpPolicy(DicpConfig(family=self.family, **values))  # type: ignore[arg-type]  # one of two literals

    def hint(self, file: ParsedFile) -> str:  # noqa: ARG002 - the same for every file
        """Return where the family keeps what its tensors do not say."""
        return (
            "the repository keeps heads (tf_n_head), context length (n_transit) and environment (env) in the "
            "checkpoint's config; rotary positions leave no trace of the length in the weights"
        )


class DicpDptReader(DicpAdReader):
    """Reads DICP's DPT."""

    family = DPT_FAMILY
    label = "DICP-DPT"
    signature = frozenset({"embed_context.weight", "embed_query_action.weight", "pred_actions.weight"})
    renames: ClassVar[tuple[tuple[str, str], ...]] = (*DicpAdReader.renames[:-1], ("pred_actions.", "head."))
    unused = re.compile(r"(embed_query_action|embed_query_state|pred_rewards|pred_next_states)\.(weight|bias)")

    @property
    def _head_bias(self) -> str:
        return "pred_actions.bias"

    def _grid_size(self, file: ParsedFile) -> int:  # noqa: ARG002 - it embeds coordinates, of whatever room
        return 0
