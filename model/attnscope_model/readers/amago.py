"""Reader of AMAGO's policy files, with the trainer's ``config.txt``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final

from torch import Tensor

from attnscope_model.errors import CheckpointUnreadableError, StatementMissingError
from attnscope_model.families.amago import ACTIVATIONS, FAMILY, AmagoConfig, AmagoPolicy
from attnscope_model.forward.policy import Policy
from attnscope_model.readers.base import Answer, ParsedFile
from attnscope_model.readers.mapped import MappedReader
from attnscope_model.readers.presets import FACTS, check_preset
from attnscope_model.readers.shapes import MAX_TOKENS, MAX_WIDTH, bounded, shape

_STACK: Final = "traj_encoder.tformer."
_FIRST: Final = f"{_STACK}layers.0."

_READ: Final[Mapping[str, tuple[Any, ...]]] = MappingProxyType(
    {
        "TformerTrajEncoder.pos_emb": ("fixed", "learnable", "rope"),
        "TformerTrajEncoder.activation": tuple(ACTIVATIONS),
        "FFTstepEncoder.activation": tuple(ACTIVATIONS),
        "Actor.activation": tuple(ACTIVATIONS),
        "FFTstepEncoder.normalize_inputs": (True, False),
    }
)
"""Keys of the trainer's configuration that stand in no tensor, and what may stand there."""

_FIXED: Final[Mapping[str, tuple[Any, ...]]] = MappingProxyType(
    {
        "TformerTrajEncoder.norm": ("layer",),
        "FFTstepEncoder.norm": (None,),
        "FFTstepEncoder.out_norm": ("layer",),
        "FFTstepEncoder.hide_rl2s": (False,),
        "FFTstepEncoder.specify_obs_keys": (None,),
        "FFTstepEncoder.auto_scale": (False,),
        "Agent.pass_obs_keys_to_actor": (None,),
        "Agent.use_target_actor": (True, False),
    }
)
"""Keys that may only say this, because another value is another forward."""

_BOUNDS: Final = {"Discrete.clip_prob_low": 0.001, "Discrete.clip_prob_high": 0.99}
"""Bounds of probabilities, with the library's own where nothing is said."""


class AmagoReader(MappedReader):
    """Reads AMAGO's policies over vectors with one discrete action."""

    family = FAMILY
    label = "AMAGO"
    presets = tuple(FACTS)
    any_preset = True
    facts: ClassVar[Mapping[str, Answer]] = MappingProxyType({"causal": True})
    signature = frozenset({f"{_STACK}inp.weight", "tstep_encoder.base.in_layer.weight", "actor.base.out_layer.weight"})
    layer = re.compile(r"traj_encoder\.tformer\.layers\.(\d{1,6})\.attention_layer\.qkv_projection\.weight")
    renames: ClassVar[tuple[tuple[str, str], ...]] = (
        (f"{_STACK}layers.", "blocks."),
        (".attention_layer.qkv_projection.", ".in_proj."),
        (".attention_layer.out_projection.", ".out_proj."),
        (".attention_layer.head_scaler", ".head_scaler"),
        (f"{_STACK}inp.", "widen."),
        (f"{_STACK}position_embedding.embeddings.weight", "positions"),
        (f"{_STACK}norm.norm.", "final_norm."),
        ("tstep_encoder.in_norm.mu", "input_mean"),
        ("tstep_encoder.in_norm.nu", "input_square"),
        ("popart.mu", "discounts"),
        ("tstep_encoder.base.", "observing."),
        ("tstep_encoder.out_norm.norm.", "observed_norm."),
        ("actor.base.", "actor."),
        (".norm1.norm.", ".norm1."),
        (".norm2.norm.", ".norm2."),
        (".norm3.norm.", ".norm3."),
        (".norm4.norm.", ".norm4."),
    )
    unused = re.compile(r"(target_|maximized_)?critics\..*|target_actor\..*|popart\.(nu|w|b|_t)|.*\.in_norm\._t")

    def says(self, file: ParsedFile) -> dict[str, Answer]:
        """Return the heads by the tensor that scales them, else by the trainer's configuration."""
        scaler = file.tensors.get(f"{_FIRST}attention_layer.head_scaler")
        heads = file.config.get("TformerTrajEncoder.n_heads") if scaler is None else scaler.numel()
        return {"heads": heads} if isinstance(heads, int) and not isinstance(heads, bool) else {}

    def recalled(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return what stands in the trainer's configuration alone."""
        return dict(config["said"])

    def kept(self, file: ParsedFile) -> dict[str, Tensor]:
        """Return the tensors of the policy; inputs' norms are left out where inputs are not normalised."""
        kept = super().kept(file)
        if file.config.get("FFTstepEncoder.normalize_inputs") is False:
            return {name: tensor for name, tensor in kept.items() if ".in_norm." not in name}
        return kept

    def values(self, file: ParsedFile, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration from shapes, answers and the trainer's configuration."""
        said, tensors = self._said(file), file.tensors
        width, encoded = shape(tensors, f"{_STACK}inp.weight", 2)
        gammas = self._gammas(tensors)
        outputs, _ = shape(tensors, "actor.base.out_layer.weight", 2)
        hidden, inputs = shape(tensors, "tstep_encoder.base.in_layer.weight", 2)
        acting, _ = shape(tensors, "actor.base.in_layer.weight", 2)
        inner, _ = shape(tensors, f"{_FIRST}ff1.weight", 2)
        actions, rest = divmod(outputs, gammas)
        features = inputs - 1 - actions
        if rest or features < 1:
            raise CheckpointUnreadableError(
                f"expected {gammas} discounts × actions outputs, and inputs of an observation, a reward and a one-hot "
                f"action, got {outputs} outputs and {inputs} inputs"
            )
        sizes = self.stack_sizes(
            file, answers, width=width, feedforward=inner, actions=actions, features=(features, MAX_WIDTH)
        )
        bounded(context_length=(answers["context_length"], MAX_TOKENS))
        if answers["preset"] in FACTS:
            check_preset(answers["preset"], file.config, {"num_actions": actions})
        learnt = said["TformerTrajEncoder.pos_emb"] == "learnable"
        return {
            **sizes,
            "context_length": answers["context_length"],
            "features": features,
            "gammas": gammas,
            "encoder": [*[hidden] * (1 + self._depth(tensors, "tstep_encoder.base")), encoded],
            "actor": [acting] * (1 + self._depth(tensors, "actor.base")),
            "positions": said["TformerTrajEncoder.pos_emb"],
            "reach": shape(tensors, f"{_STACK}position_embedding.embeddings.weight", 2)[0] if learnt else 0,
            "normalised": said["FFTstepEncoder.normalize_inputs"],
            "reparametrised": f"{_FIRST}ff1.gamma" in tensors,
            "normformer": f"{_FIRST}norm2.norm.weight" in tensors,
            "head_scaled": f"{_FIRST}attention_layer.head_scaler" in tensors,
            "activations": [said[f"{part}.activation"] for part in ("FFTstepEncoder", "TformerTrajEncoder", "Actor")],
            "probabilities": [said[key] for key in _BOUNDS],
            "said": said,
        }

    def config_sizes(self, values: Mapping[str, Any]) -> dict[str, int]:
        """Return what the trainer's configuration says where it says the truth."""
        return {
            "TformerTrajEncoder.d_model": values["width"],
            "TformerTrajEncoder.n_heads": values["heads"],
            "TformerTrajEncoder.n_layers": values["layers"],
            "TformerTrajEncoder.d_ff": values["feedforward"],
        }

    def empty(self, values: Mapping[str, Any]) -> Policy:
        """Return a policy of this configuration, whatever its weights."""
        fields: dict[str, Any] = {name: value for name, value in values.items() if name != "said"}
        fields |= {name: tuple(values[name]) for name in ("encoder", "actor", "activations", "probabilities")}
        return AmagoPolicy(AmagoConfig(**fields))

    def hint(self, file: ParsedFile) -> str:  # noqa: ARG002 - the same for every file
        """Return where the family keeps what its tensors do not say."""
        return (
            "name the run's ckpts/config.txt with --config; the library's max_seq_len is --context-length, and the "
            "environment is --preset, whose episode is the policy's meta-episode: its memory is emptied at the end"
        )

    def _said(self, file: ParsedFile) -> dict[str, Any]:
        """Return the values that stand in the trainer's configuration alone, each one that is computed here."""
        config = file.config
        for key, allowed in _FIXED.items():
            if key in config and config[key] not in allowed:
                raise CheckpointUnreadableError(
                    f"config {key}: expected {' or '.join(map(str, allowed))}, got {str(config[key])[:80]!r}"
                )
        if missing := [key for key in _READ if key not in config]:
            raise StatementMissingError(f"state {', '.join(missing)} by --config: {self.hint(file)}")
        for key, allowed in _READ.items():
            if config[key] not in allowed:
                raise CheckpointUnreadableError(
                    f"config {key}: expected {' or '.join(map(str, allowed))}, got {str(config[key])[:80]!r}"
                )
        bounds = {key: config.get(key, usual) for key, usual in _BOUNDS.items()}
        low, high = bounds.values()
        if not all(isinstance(bound, int | float) for bound in (low, high)) or not 0 <= low < high <= 1:
            raise CheckpointUnreadableError(f"config Discrete: expected bounds of probabilities, got {low} and {high}")
        return {key: config[key] for key in _READ} | bounds

    def _gammas(self, tensors: Mapping[str, Tensor]) -> int:
        """Return how many discounts the policy learnt at once."""
        if "popart.mu" in tensors:
            return int(tensors["popart.mu"].shape[0]) if tensors["popart.mu"].ndim else 1
        raise CheckpointUnreadableError("tensors are missing: popart.mu, whose rows count the policy's discounts")

    def _depth(self, tensors: Mapping[str, Tensor], stem: str) -> int:
        """Return how many layers of one width follow the first."""
        return sum(bool(re.fullmatch(rf"{re.escape(stem)}\.layers\.\d{{1,3}}\.weight", name)) for name in tensors)
