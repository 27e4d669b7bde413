"""A native folder, examined apart: its configuration against its tensors first, then its policy built.

``python -m attnscope_model.checkpoints.examined FOLDER`` leaves a report in FOLDER, in a process with the limits
of every reading of foreign bytes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from attnscope_model.checkpoints.native import CONFIG, WEIGHTS, load_policy
from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.families import ad
from attnscope_model.parsing.apart import run_apart
from attnscope_model.parsing.limits import EXPANSION, limit
from attnscope_model.parsing.messages import Examined, Refused, leave
from attnscope_model.parsing.remedies import refuse
from attnscope_model.parsing.safe import read_safetensors
from attnscope_model.parsing.tensors import plain_tensors
from attnscope_model.readers import ParsedFile, readers
from attnscope_model.readers.base import QUESTIONS
from attnscope_model.readers.shapes import (
    MAX_ACTIONS,
    MAX_LAYERS,
    MAX_TOKENS,
    MAX_WIDTH,
    bounded,
    check_shapes,
)
from attnscope_storage.errors import AttnscopeError
from attnscope_storage.wire import PolicyDescription

MAX_CONFIG_BYTES: Final = 64 * 1024
"""Size of a native configuration, at most."""

MAX_FEATURES: Final = 64
"""Features of an observation."""

MAX_VALUES: Final = 2**20
"""Values that one feature can take."""

_AGAIN: Final = "write the folder again with attnscope-server train, or copy it again"
_SLACK_BYTES: Final = 2**16


def examine_apart(folder: Path, name: str) -> PolicyDescription:
    """Return the description of the policy that a native folder holds, after building it in a child process.

    Raises
    ------
    CheckpointUnreadableError
        Its configuration is not that of its tensors, or building it took too much memory or time.
    """
    return run_apart("attnscope_model.checkpoints.examined", [str(folder)], folder, name, Examined).policy


def examine_here(folder: Path) -> PolicyDescription:
    """Return the description of a native folder's policy, in this process and within whatever limits it has.

    Raises
    ------
    CheckpointUnreadableError
        Its configuration is not that of its tensors.
    """
    path = folder / CONFIG
    if (size := path.stat().st_size) > MAX_CONFIG_BYTES:
        raise refuse(f"{CONFIG} has {size} bytes, more than the {MAX_CONFIG_BYTES} of a configuration", _AGAIN)
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise refuse(f"{CONFIG} is no JSON", _AGAIN) from error
    if not isinstance(config, dict):
        raise refuse(f"{CONFIG} is no mapping of names to values", _AGAIN)
    weights = folder / WEIGHTS
    tensors = plain_tensors(read_safetensors(weights), EXPANSION * weights.stat().st_size + _SLACK_BYTES)
    try:
        check_config(config, tensors)
    except (TypeError, KeyError, ValueError, AttributeError, ArithmeticError) as error:
        if isinstance(error, AttnscopeError):
            raise
        raise refuse(f"{CONFIG} is not that of a policy: {type(error).__name__} {str(error)[:200]}", _AGAIN) from error
    return load_policy(folder, torch.device("cpu")).description


def check_config(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Refuse a native configuration that is not what its tensors' shapes give; nothing is built of its numbers.

    Raises
    ------
    CheckpointUnreadableError
        A size is out of bounds, or shapes give another configuration.
    """
    family = config.get("family")
    if family == ad.FAMILY:
        _check_own(config, tensors)
        return
    reader = next((reader for reader in readers() if reader.family == family), None)
    if reader is None:
        raise CheckpointUnreadableError(f"expected a family that is read here, got {str(family)[:80]!r}")
    answers = {"preset": None, "sampling": "sample"} | {name: config[name] for name in QUESTIONS if name in config}
    given = reader.native_config(ParsedFile(tensors, reader.recalled(config), None), answers)
    if given != dict(config):
        differing = sorted(name for name in given.keys() | config.keys() if given.get(name) != config.get(name))
        raise CheckpointUnreadableError(f"{CONFIG} contradicts the shapes of the weights in {', '.join(differing[:5])}")


def _check_own(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Refuse a configuration of the native family whose bounded sizes are not those of the tensors."""
    values = {name: value for name, value in config.items() if name != "family"}
    own = ad.ADConfig(**values)
    sizes = {
        "layers": (own.layers, MAX_LAYERS),
        "width": (own.width, MAX_WIDTH),
        "heads": (own.heads, MAX_WIDTH),
        "feedforward": (own.feedforward, 4 * MAX_WIDTH),
        "context_length": (own.context_length, MAX_TOKENS),
        "actions": (own.actions, MAX_ACTIONS),
        "features": (len(own.features), MAX_FEATURES),
        **{f"feature {index}": (size, MAX_VALUES) for index, size in enumerate(own.features[:MAX_FEATURES])},
    }
    if odd := [name for name, (size, _) in sizes.items() if type(size) is not int]:
        raise CheckpointUnreadableError(f"{CONFIG}: expected whole numbers as {', '.join(odd[:5])}")
    bounded(**sizes)
    with torch.device("meta"):
        expected = {name: tuple(tensor.shape) for name, tensor in ad.ADPolicy(own).state_dict().items()}
    check_shapes(tensors, expected, ad.FAMILY)


def main() -> None:
    """Examine the folder that the parent names."""
    folder = Path(sys.argv[1])
    limit(sum((folder / name).stat().st_size for name in (WEIGHTS, CONFIG)))
    try:
        leave(folder, Examined(policy=examine_here(folder)))
    except MemoryError:
        leave(folder, Refused.because("it takes more memory than files of their size should"))
    except AttnscopeError as error:
        leave(folder, Refused.because(error.message))


if __name__ == "__main__":
    main()
