"""Reader of Decision Transformers of the Transformers library: actions are one-hot, or vectors of real numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final

from torch import Tensor

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.families.hub_decision import FAMILY, TOKENS, HubDecisionConfig, HubDecisionPolicy
from attnscope_model.forward.policy import Policy
from attnscope_model.readers.base import Answer, ParsedFile
from attnscope_model.readers.gpt2_blocks import BLOCK_NAMES, CONV1D, is_mask
from attnscope_model.readers.hub.adapter import MAX_IDS, needed
from attnscope_model.readers.hub.base import HubReader
from attnscope_model.readers.hub.gpt2 import check_activation, scaled_queries
from attnscope_model.readers.presets import FACTS, check_preset
from attnscope_model.readers.shapes import MAX_TOKENS, MAX_WIDTH, bounded, shape

_UNUSED: Final = re.compile(r"encoder\.wte\.weight|predict_(state|return)\.(weight|bias)")


class HubDecisionReader(HubReader):
    """Reads Decision Transformers."""

    family = FAMILY
    label = "DecisionTransformer"
    model_type = "decision_transformer"
    heads_key = "n_head"
    defaults: ClassVar[Mapping[str, Answer]] = MappingProxyType({"sampling": "greedy"})
    signature = frozenset({"embed_return.weight", "embed_timestep.weight", "encoder.wpe.weight"})
    layer = re.compile(r"encoder\.h\.(\d{1,6})\.attn\.c_attn\.weight")
    renames: ClassVar[tuple[tuple[str, str], ...]] = (
        ("encoder.h.", "blocks."),
        *BLOCK_NAMES,
        ("encoder.ln_f.", "final_norm."),
        ("encoder.wpe.weight", "positions"),
        ("predict_action.0.", "head."),
    )
    transposed = CONV1D
    unused = _UNUSED

    def says(self, file: ParsedFile) -> dict[str, Answer]:
        """Return what the folder says; the context's length is that of its steps, without the present action."""
        needed(self._config(file), "steps")
        return super().says(file) | {"context_length": TOKENS * (file.config["steps"] - 1) + 2}

    def kept(self, file: ParsedFile) -> dict[str, Tensor]:
        """Return the tensors that decide: without masks, the token table, and predictions of state and return."""
        return {name: tensor for name, tensor in super().kept(file).items() if not is_mask(name, tensor)}

    def values(self, file: ParsedFile, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration from shapes, answers and the folder's files."""
        config, tensors = self._config(file), file.tensors
        needed(config, "steps", "target_return")
        width, features = shape(tensors, "embed_state.weight", 2)
        actions, _ = shape(tensors, "predict_action.0.weight", 2)
        positions, _ = shape(tensors, "encoder.wpe.weight", 2)
        _, inner = shape(tensors, "encoder.h.0.mlp.c_fc.weight", 2)
        episode, _ = shape(tensors, "embed_timestep.weight", 2)
        acts = self._acting(config, actions)
        sizes = self.stack_sizes(
            file, answers, width=width, feedforward=inner, actions=actions, state_dim=(features, MAX_WIDTH)
        )
        bounded(steps=(config["steps"], MAX_TOKENS // TOKENS), max_ep_len=(episode, MAX_IDS))
        bounded(n_positions=(positions, MAX_IDS))
        check_activation(config["activation_function"])
        if answers["preset"] in FACTS:
            check_preset(answers["preset"], {}, {"num_actions": actions})
        return {
            **sizes,
            "context_length": TOKENS * (config["steps"] - 1) + 2,
            "features": features,
            "positions": positions,
            "episode_steps": episode,
            "activation": config["activation_function"],
            "epsilon": config["layer_norm_epsilon"],
            "bounded": bool(config["action_tanh"]),
            "target_return": config["target_return"],
            "return_scale": config.get("return_scale", 1.0),
            **self._statistics(config, features),
            **acts,
            "said": self.said(file),
        }

    def config_sizes(self, values: Mapping[str, Any]) -> dict[str, int]:
        """Return what a configuration says where it says the truth."""
        return {
            "hidden_size": values["width"],
            "n_layer": values["layers"],
            "n_inner": values["feedforward"],
            "state_dim": values["features"],
            "act_dim": values["actions"],
            "max_ep_len": values["episode_steps"],
        }

    def empty(self, values: Mapping[str, Any]) -> Policy:
        """Return a policy of this configuration, whatever its weights."""
        fields: dict[str, Any] = {name: value for name, value in values.items() if name != "said"}
        fields |= {name: tuple(values.get(name, ())) for name in ("state_mean", "state_std", "action_scale")}
        return HubDecisionPolicy(HubDecisionConfig(**fields))

    def arranged(self, own_name: str, tensor: Tensor, config: Mapping[str, Any]) -> Tensor:
        """Return a tensor as the policy holds it."""
        return scaled_queries(own_name, super().arranged(own_name, tensor, config), config)

    def _acting(self, config: Mapping[str, Any], actions: int) -> dict[str, Any]:
        """Return what actions are: nothing is said where they are one-hot."""
        scale, continuous = list(config.get("action_scale", ())), config.get("continuous", False)
        if not continuous and config.get("actions") != actions:
            raise CheckpointUnreadableError(
                f"its actions are vectors of {actions} numbers: where they are one-hot, write actions {actions} into "
                "attnscope.json; where they are real numbers, write continuous true"
            )
        if config.get("actions", actions) != actions:
            raise CheckpointUnreadableError(f"actions: expected the {actions} numbers of its vectors, or none")
        if len(scale) not in ({0, actions} if continuous else {0}):
            expected = f"{actions} numbers, or none" if continuous else "none of actions that are one-hot"
            raise CheckpointUnreadableError(f"action_scale: expected {expected}, got {len(scale)}")
        return {"continuous": True, "action_scale": scale} if continuous else {}

    def _statistics(self, config: Mapping[str, Any], features: int) -> dict[str, list[float]]:
        """Return the means and deviations of states, of which both are stated or none."""
        both = {name: list(config.get(name, ())) for name in ("state_mean", "state_std")}
        if {len(numbers) for numbers in both.values()} not in ({0}, {features}):
            raise CheckpointUnreadableError(
                f"state_mean, state_std: expected {features} numbers each, or neither, got "
                f"{len(both['state_mean'])} and {len(both['state_std'])}"
            )
        return both
