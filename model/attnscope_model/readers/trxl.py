"""Reader of cleanrl's Transformer-XL checkpoints."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final

from torch import Tensor

from attnscope_model.errors import CheckpointUnreadableError, StatementMissingError
from attnscope_model.families.trxl import FAMILY, TrxlConfig, TrxlPolicy
from attnscope_model.forward.policy import Policy
from attnscope_model.readers.base import Answer, ParsedFile
from attnscope_model.readers.mapped import MappedReader
from attnscope_model.readers.presets import FACTS, check_preset
from attnscope_model.readers.shapes import MAX_TOKENS, MAX_WIDTH, bounded, positive, shape

MAX_EPISODE: Final = 2**20
"""Steps of an episode, at most."""

MAX_BRANCHES: Final = 64
"""Independent choices that make one action, at most."""

_BRANCH: Final = re.compile(r"actor_branches\.(\d{1,6})\.weight")

_ENCODING: Final = "trxl_positional_encoding"
_LENGTH: Final = "max_episode_steps"


class TrxlReader(MappedReader):
    """Reads the policies of cleanrl's ``ppo_trxl`` over vectors, with one discrete action or several branches."""

    family = FAMILY
    label = "TrXL"
    presets = tuple(FACTS)
    any_preset = True
    facts: ClassVar[Mapping[str, Answer]] = MappingProxyType({"causal": True})
    signature = frozenset({"hidden_post_trxl.0.weight", "actor_branches.0.weight"})
    layer = re.compile(r"transformer\.transformer_layers\.(\d{1,6})\.attention\.queries\.weight")
    renames: ClassVar[tuple[tuple[str, str], ...]] = (
        ("transformer.transformer_layers.", "blocks."),
        (".attention.fc_out.", ".joined."),
        (".attention.values.", ".values."),
        (".attention.keys.", ".keys."),
        (".attention.queries.", ".queries."),
        (".layer_norm_q.", ".norm_query."),
        (".norm_kv.", ".norm_memory."),
        (".layer_norm_attn.", ".norm_after."),
        (".fc_projection.0.", ".forth."),
        ("hidden_post_trxl.0.", "hidden."),
        ("actor_branches.0.", "head."),
        ("actor_branches.", "branch_heads."),
        ("transformer.pos_embedding", "positions"),
    )
    unused = re.compile(r"critic\..*|transformer\.pos_embedding\.inv_freqs|transposed_cnn\..*")

    def recognises(self, names: Collection[str]) -> bool:
        """Return whether the names are those of the family, over a vector or over pictures."""
        return super().recognises(names) and any(name.startswith("encoder.") for name in names)

    def says(self, file: ParsedFile) -> dict[str, Answer]:
        """Return the heads and the memory's length by the training's arguments."""
        said = {
            "heads": positive(file.config, "trxl_num_heads"),
            "context_length": positive(file.config, "trxl_memory_length"),
        }
        return {name: answer for name, answer in said.items() if answer is not None}

    def recalled(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the positions and the longest episode, which stand in no tensor."""
        return {_ENCODING: config["encoding"], _LENGTH: config["episode_steps"]}

    def values(self, file: ParsedFile, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration from shapes, answers and arguments."""
        tensors = file.tensors
        self._refuse_other(tensors)
        width, features = shape(tensors, "encoder.weight", 2)
        branches = self._branches(tensors)
        actions = sum(branches)
        sizes = self.stack_sizes(
            file, answers, width=width, feedforward=width, actions=actions, features=(features, MAX_WIDTH)
        )
        bounded(memory_length=(answers["context_length"], MAX_TOKENS))
        if answers["preset"] in FACTS and len(branches) > 1:
            raise CheckpointUnreadableError(
                f"it makes {len(branches)} independent choices a step (actor_branches), and the preset "
                f"{answers['preset']} takes one"
            )
        if answers["preset"] in FACTS:
            check_preset(answers["preset"], file.config, {"num_actions": actions})
        encoding, steps = self._positions(file)
        del sizes["feedforward"]
        return {
            **sizes,
            "context_length": answers["context_length"],
            "features": features,
            "encoding": encoding,
            "episode_steps": steps,
            **({"branches": list(branches)} if len(branches) > 1 else {}),
        }

    def config_sizes(self, values: Mapping[str, Any]) -> dict[str, int]:
        """Return what the training's arguments say where they say the truth."""
        return {"trxl_num_layers": values["layers"], "trxl_dim": values["width"]}

    def empty(self, values: Mapping[str, Any]) -> Policy:
        """Return a policy of this configuration, whatever its weights."""
        return TrxlPolicy(TrxlConfig(**{**values, "branches": tuple(values.get("branches", ()))}))

    def hint(self, file: ParsedFile) -> str:  # noqa: ARG002 - the same for every file
        """Return where the family keeps what its tensors do not say."""
        return (
            "the trainer's args say heads and memory; name the environment with --preset, and in FILE.json beside the "
            "checkpoint its longest episode as max_episode_steps, from which positions count down (1024 where none is)"
        )

    def _refuse_other(self, tensors: Mapping[str, Tensor]) -> None:
        if "encoder.0.weight" in tensors:
            raise CheckpointUnreadableError(
                "its observations are pictures for a convolution, of tens of thousands of numbers; captures carry "
                "vectors and small grids"
            )

    def _branches(self, tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
        """Return the actions of each branch, in their order."""
        count = 1 + max(int(found[1]) for found in map(_BRANCH.fullmatch, tensors) if found)
        bounded(branches=(count, MAX_BRANCHES))
        return tuple(shape(tensors, f"actor_branches.{number}.weight", 2)[0] for number in range(count))

    def _positions(self, file: ParsedFile) -> tuple[str, int]:
        """Return the kind of positions, and the steps of the longest episode."""
        encoding = file.config.get(_ENCODING, "learned" if "transformer.pos_embedding" in file.tensors else None)
        if encoding is None:
            raise StatementMissingError(
                f"state {_ENCODING} (absolute, or an empty text for none) in a FILE.json beside the checkpoint or by "
                f"--config: {self.hint(file)}"
            )
        if encoding not in ("absolute", "learned", ""):
            raise CheckpointUnreadableError(f"{_ENCODING}: expected absolute, learned or none, got {encoding!r}")
        if encoding == "learned":
            steps, _ = shape(file.tensors, "transformer.pos_embedding", 2)
            bounded(episode_steps=(steps, MAX_EPISODE))
            return encoding, steps
        said = positive(file.config, _LENGTH)
        if said is None and encoding == "absolute":
            raise StatementMissingError(
                f"state {_LENGTH}, from which its positions count down, in a FILE.json beside the checkpoint or by "
                f"--config: {self.hint(file)}"
            )
        bounded(max_episode_steps=(said or MAX_EPISODE, MAX_EPISODE))
        return str(encoding), said or MAX_EPISODE
