"""The configuration beside a bare state dict: a small JSON or YAML file of plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.parsing.plain import plain_config
from attnscope_model.readers.gin import SUFFIX as GIN
from attnscope_model.readers.gin import read_gin

MAX_BYTES: Final = 64 * 1024
"""Size of a configuration file, at most."""

MAX_NAME_BITS: Final = 64
"""Bits of a whole number that stands for a name, at most; one of many thousand digits has no text."""

SUFFIXES: Final = (".json", ".yaml", ".yml")
"""Endings of a configuration file's name, behind its checkpoint's whole name."""


WANDB: Final = ("_wandb", "wandb_version")
"""Names in W&B's own configuration files that are no settings of the run."""


def sidecar_of(source: Path) -> Path | None:
    """Return the configuration file beside a checkpoint, named like ``model.pt.yaml``; None where there is none.

    Raises
    ------
    CheckpointUnreadableError
        There are several.
    """
    found = [path for suffix in SUFFIXES if (path := source.with_name(source.name + suffix)).is_file()]
    if len(found) > 1:
        raise CheckpointUnreadableError(f"several configurations stand beside {source.name}: name one with --config")
    return found[0] if found else None


def plain_values(read: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the plain values of a mapping that a configuration file holds."""
    return plain_config(_unwrapped(read))


def read_mapping(path: Path) -> Mapping[Any, Any]:
    """Return the mapping that a JSON or YAML file, or one in gin's form, holds as it stands there.

    Raises
    ------
    CheckpointUnreadableError
        It is missing, too large, not JSON or YAML, or no mapping.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CheckpointUnreadableError(f"{path.name}: {error.strerror or error}") from error
    if len(content) > MAX_BYTES:
        raise CheckpointUnreadableError(f"{path.name} has more than the {MAX_BYTES} bytes of a configuration")
    try:
        if path.suffix == GIN:
            return read_gin(content, path.name)
        read = json.loads(content, object_pairs_hook=_once) if path.suffix == ".json" else _yaml(content)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise CheckpointUnreadableError(f"{path.name}: not a plain configuration: {lines[0][:200]}") from error
    if not isinstance(read, Mapping):
        raise CheckpointUnreadableError(
            f"{path.name}: expected a mapping of names to values, got {type(read).__name__}"
        )
    if any(isinstance(key, int) and key.bit_length() > MAX_NAME_BITS for key in read):
        raise CheckpointUnreadableError(f"{path.name}: a whole number of more than {MAX_NAME_BITS} bits is no name")
    return read


def _unwrapped(read: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return the values of a configuration as W&B writes it, each under ``value`` beside its description."""
    own = {key: value for key, value in read.items() if not (isinstance(key, str) and key.startswith(WANDB))}
    wrapped = own and all(isinstance(value, Mapping) and "value" in value for value in own.values())
    return {key: value["value"] for key, value in own.items()} if wrapped else read


def _once(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Return a mapping whose names occur once each; of two values JSON and YAML would take the last unseen."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({str(name) for name in names if names.count(name) > 1})
        raise ValueError(f"names stand twice: {', '.join(twice)[:100]}")
    return found


def _yaml(content: bytes) -> object:
    """Return what a YAML file holds; tags that make objects are refused, merges, and a name that stands twice."""
    node = yaml.compose(content, Loader=yaml.SafeLoader)
    _refuse_merges(node)
    if isinstance(node, yaml.MappingNode):
        _once([(key.value, None) for key, _ in node.value if isinstance(key, yaml.ScalarNode)])
    try:
        return yaml.safe_load(content)
    except (LookupError, AttributeError) as error:  # what the library raises of a tag whose text is not of its kind
        raise ValueError(f"a tag stands before a text that is none of its kind: {error!r}") from error


def _refuse_merges(top: yaml.Node | None) -> None:
    """Refuse ``<<``: merges of merges make millions of values out of some hundred bytes."""
    left, seen = [top], set()
    while left:
        node = left.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            left += node.value
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.tag == "tag:yaml.org,2002:merge":
                    raise ValueError("its values are merged by <<: write them out")
                left += [key, value]


def joined(stored: Mapping[str, Any], beside: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the configuration of a file together with that of its sidecar.

    Raises
    ------
    CheckpointUnreadableError
        They contradict each other.
    """
    if other := sorted(key for key in stored.keys() & beside.keys() if stored[key] != beside[key]):
        raise CheckpointUnreadableError(f"{name} contradicts the checkpoint's own config in {', '.join(other[:5])}")
    return {**stored, **beside}
