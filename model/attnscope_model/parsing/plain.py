"""Plain values out of a file: its configuration and its training step. Anything else of them is left out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.parsing.numbers import to_numpy
from attnscope_model.parsing.values import Array, StandIn, StoredTensor, shown

MAX_CONFIG_ENTRIES: Final = 1000
"""Entries of a configuration, at most; a reference file has 50."""

MAX_KEY: Final = 100
"""Characters of a configuration's name; a longer one is cut."""

MAX_TEXT: Final = 1000
"""Characters of a configuration's text."""

CONFIG_KEYS: Final = (
    "config",
    "cfg",
    "args",
    "hparams",
    "hyper_parameters",
    "hyperparameters",
    "model_args",
    "model_config",
    "config_dict",
    "params",
)
"""Names that trainers give to the configuration that they save."""

STEP_KEYS: Final = ("step", "global_step", "iteration", "train_step")
"""Names that trainers give to the training step that they save."""

Plain = bool | int | float | str


def plain_config(config: Mapping[Any, Any]) -> dict[str, Plain]:
    """Return a configuration's plain values; where it was trained, and whatever is not plain, is left out."""
    if len(config) > MAX_CONFIG_ENTRIES:
        raise CheckpointUnreadableError(f"its configuration has {len(config)} entries, more than {MAX_CONFIG_ENTRIES}")
    return {
        str(key)[:MAX_KEY]: value
        for key, value in config.items()
        if isinstance(key, str | int) and key != "device" and _is_text(str(key)) and _is_plain(value)
    }


def configuration(content: Mapping[Any, Any]) -> tuple[dict[str, Plain], list[str]]:
    """Return the plain configuration that a file's top level holds, and notes on what of it was not read.

    Two configurations that contradict each other in a value give none for it: nobody knows which of them holds.
    """
    found: dict[str, Plain] = {}
    differing: set[str] = set()
    notes = []
    for key in CONFIG_KEYS:
        value = _named(content.get(key))
        if isinstance(value, Mapping):
            plain = plain_config(value)
            differing |= {name for name in plain.keys() & found.keys() if plain[name] != found[name]}
            found = {**plain, **found}
        elif isinstance(value, StandIn | list):
            kind = value.name if isinstance(value, StandIn) else "list"
            notes.append(
                f"its {key} is a {kind}, whose values are not read: state them, or save {key} as a plain dict "
                "and name it with --config"
            )
    if differing:
        names = ", ".join(shown(name) for name in sorted(differing)[:5])
        notes.append(f"its configurations contradict each other in {names}: left out, to be stated")
    return {name: value for name, value in found.items() if name not in differing}, notes


def _named(value: object) -> object:
    """Return a list of pairs of name and value as the mapping that it is, anything else as it is."""
    if isinstance(value, list) and value and all(_is_pair(entry) for entry in value):
        return dict(value)
    return value


def _is_pair(entry: object) -> bool:
    return isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str)  # noqa: PLR2004 - name and value


def training_step(content: Mapping[Any, Any]) -> int | None:
    """Return the training step that a file's top level holds; None where it holds none, or none that is a number."""
    for key in STEP_KEYS:
        if (step := _whole(content.get(key))) is not None:
            return step
    return None


def _whole(value: object) -> int | None:
    """Return a whole number from 0 on, out of a number or a tensor or array of one."""
    if isinstance(value, Array) and value.numel == 1 and value.data is not None:
        value = to_numpy(value).item()
    if isinstance(value, StoredTensor):
        value = _one_number(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


def _one_number(value: StoredTensor) -> float | None:
    """Return the number of a whole tensor of one whole number, None for any other."""
    load = value.storage.load
    if value.numel != 1 or value.storage.count != 1 or value.dtype not in ("int64", "int32") or load is None:
        return None
    return int.from_bytes(load(), "little", signed=True)


def _is_plain(value: object) -> bool:
    match value:
        case bool():
            return True
        case int():
            return abs(value) < 2**63
        case float():
            return math.isfinite(value)
        case str():
            return len(value) <= MAX_TEXT and _is_text(value)
        case _:
            return False


def _is_text(value: str) -> bool:
    """Return whether a text is whole: a pickle may hold one half of a pair of surrogates, which is no character."""
    return not any("\ud800" <= character <= "\udfff" for character in value)
