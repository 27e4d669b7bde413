"""Reader of CCCAD's AD checkpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final

from attnscope_model.families.cccad import FAMILY, CccadPolicy
from attnscope_model.families.tokens import CellConfig
from attnscope_model.forward.policy import Policy
from attnscope_model.readers.base import Answer, ParsedFile
from attnscope_model.readers.dicp import ENVIRONMENTS as DICP_ENVIRONMENTS
from attnscope_model.readers.mapped import MappedReader
from attnscope_model.readers.presets import check_preset, preset_of_env
from attnscope_model.readers.shapes import MAX_TOKENS, lineage_sizes, positive, shape, side

ENVIRONMENTS: Final[Mapping[str, str]] = MappingProxyType({**DICP_ENVIRONMENTS, "dark_key_to_door": "key-to-door"})
"""Preset by what CCCAD's configurations call an environment: DICP's words, and one of its own."""


def said_by(file: ParsedFile, environments: Mapping[str, str], positions: str) -> dict[str, Answer]:
    """Return the answers that a file of this lineage says itself.

    Parameters
    ----------
    environments
        Preset by the environment's name in the configuration.
    positions
        Name of the position table.
    """
    answers = {
        "heads": positive(file.config, "tf_n_head"),
        "context_length": shape(file.tensors, positions, 3)[1],
        "preset": preset_of_env(file.config, environments),
    }
    return {name: answer for name, answer in answers.items() if answer is not None}


class CccadReader(MappedReader):
    """Reads CCCAD's AD; its compressing sibling is refused by name."""

    family = FAMILY
    label = "CCCAD-AD"
    presets = tuple(DICP_ENVIRONMENTS.values())
    environments = ENVIRONMENTS
    facts: ClassVar[Mapping[str, Answer]] = MappingProxyType({"causal": True})
    signature = frozenset({"transformer.pos_embedding", "embed_query_state.weight", "pred_action.weight"})
    layer = re.compile(r"transformer\.blocks\.(\d{1,6})\.attn\.qkv_proj\.weight")
    renames: ClassVar[tuple[tuple[str, str], ...]] = (
        ("transformer.blocks.", "blocks."),
        (".ln1.", ".norm1."),
        (".ln2.", ".norm2."),
        (".attn.qkv_proj.", ".in_proj."),
        (".attn.out_proj.", ".out_proj."),
        (".mlp.fc1.", ".linear1."),
        (".mlp.fc2.", ".linear2."),
        ("transformer.ln_f.", "final_norm."),
        ("transformer.pos_embedding", "positions"),
        ("pred_action.", "head."),
    )

    def says(self, file: ParsedFile) -> dict[str, Answer]:
        """Return the context length from the position table, heads and environment from the configuration."""
        return said_by(file, self.environments, "transformer.pos_embedding")

    def values(self, file: ParsedFile, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration from shapes and answers."""
        _, context, width = shape(file.tensors, "transformer.pos_embedding", 3)
        cells, _ = shape(file.tensors, "embed_query_state.weight", 2)
        actions, _ = shape(file.tensors, "pred_action.weight", 2)
        inner, _ = shape(file.tensors, "transformer.blocks.0.mlp.fc1.weight", 2)
        transitions = (context - 1, MAX_TOKENS)
        sizes = self.stack_sizes(file, answers, width=width, feedforward=inner, actions=actions, n_transit=transitions)
        grid_size = side(cells)
        check_preset(answers["preset"], file.config, {"grid_size": grid_size, "num_actions": actions})
        return {**sizes, "context_length": context, "grid_size": grid_size}

    def config_sizes(self, values: Mapping[str, Any]) -> dict[str, int]:
        """Return what a configuration says where it says the truth."""
        return {"n_transit": values["context_length"], **lineage_sizes(values["width"], values["layers"])}

    def empty(self, values: Mapping[str, Any]) -> Policy:
        """Return a policy of this configuration, whatever its weights."""
        return CccadPolicy(CellConfig(**values))

    def hint(self, file: ParsedFile) -> str:  # noqa: ARG002 - the same for every file
        """Return where the family keeps what its tensors do not say."""
        return "the repository keeps heads (tf_n_head) and environment (env) in the checkpoint's config"
