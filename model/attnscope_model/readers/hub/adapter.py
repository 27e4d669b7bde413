"""``attnscope.json``: the declaration of what a token of a Hugging Face policy is, written by its user.

The library's own configuration says sizes; it does not say that token 81 is the action "up". A declaration names the
kinds of a transition's tokens and the place of each kind in the vocabulary, or how returns and states are scaled.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.readers.shapes import MAX_TOKENS, MAX_WIDTH

FILE: Final = "attnscope.json"
"""Name of the declaration in a folder."""

MAX_IDS: Final = 2**20
"""Entries of a vocabulary, at most."""

MOST: Final = 1e15
"""Size of a number, and of the inverse of one that divides, at most: quotients of two are then finite in float32."""

_COMMON: Final = frozenset({"preset", "sampling"})
_VOCABULARY: Final = _COMMON | {
    "tokens", "observation", "grid_size", "states", "first_state", "actions", "first_action", "rewards",
    "first_reward", "context_length",
}  # fmt: skip
_RETURNS: Final = _COMMON | {
    "actions",
    "steps",
    "target_return",
    "return_scale",
    "state_mean",
    "state_std",
    "continuous",
    "action_scale",
}

KEYS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "gpt2": frozenset(_VOCABULARY),
        "llama": frozenset(_VOCABULARY),
        "bloom": frozenset(_VOCABULARY),
        "decision_transformer": frozenset(_RETURNS),
    }
)
"""Keys of a declaration, by model type."""

ORDERS: Final = (("state", "action", "reward"), ("state", "action"))
"""Kinds of a transition's tokens, in the orders in which the state that follows decides."""


def declared(given: Mapping[str, Any], model_type: str, name: str) -> dict[str, Any]:
    """Return a declaration's values, each checked by itself.

    Parameters
    ----------
    given
        The declaration as it was parsed.
    model_type
        Of the folder's configuration, one of `KEYS`.
    name
        Its file, named in refusals.

    Raises
    ------
    CheckpointUnreadableError
        A key is unknown, or a value is not of its kind.
    """
    if unknown := sorted(given.keys() - KEYS[model_type]):
        listed = ", ".join(str(key)[:80] for key in unknown[:5])
        raise CheckpointUnreadableError(
            f"{name}: unknown keys {listed}; known are {', '.join(sorted(KEYS[model_type]))}"
        )
    return {key: _CHECKS[key](value, f"{name}: {key}") for key, value in given.items()}


def needed(config: Mapping[str, Any], *keys: str) -> None:
    """Refuse a configuration that leaves out what its policy needs.

    Raises
    ------
    CheckpointUnreadableError
        With the keys and the file that they belong into.
    """
    if missing := [key for key in keys if key not in config]:
        raise CheckpointUnreadableError(
            f"what a token is stands in no tensor: write {', '.join(missing)} into {FILE} beside config.json"
        )


def _whole(least: int, most: int) -> Any:  # noqa: ANN401 - a check
    def check(value: object, where: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise CheckpointUnreadableError(
                f"{where}: expected a whole number from {least} to {most}, got {str(value)[:80]!r}"
            )
        return value

    return check


def _number(value: object, where: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not -MOST <= value <= MOST:
        raise CheckpointUnreadableError(
            f"{where}: expected a finite number of {MOST:g} at most, got {str(value)[:80]!r}"
        )
    return float(value)


def _positive(value: object, where: str) -> float:
    if (number := _number(value, where)) < 1 / MOST:
        raise CheckpointUnreadableError(f"{where}: expected a number above 0, from {1 / MOST:g} on, got {number}")
    return number


def _each(check: Any) -> Any:  # noqa: ANN401 - a check
    def checked(value: object, where: str) -> list[float]:
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_WIDTH:
            raise CheckpointUnreadableError(f"{where}: expected a list of numbers, got {str(value)[:80]!r}")
        return [check(number, where) for number in value]

    return checked


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise CheckpointUnreadableError(f"{where}: expected true or false, got {str(value)[:80]!r}")
    return value


def _order(value: object, where: str) -> list[str]:
    if not isinstance(value, list) or tuple(map(str, value)) not in ORDERS:
        expected = " or ".join(str(list(order)) for order in ORDERS)
        raise CheckpointUnreadableError(f"{where}: expected {expected}, got {str(value)[:80]!r}")
    return value


def _one_of(*words: str) -> Any:  # noqa: ANN401 - a check
    def check(value: object, where: str) -> str:
        if value not in words:
            raise CheckpointUnreadableError(f"{where}: expected {' or '.join(words)}, got {str(value)[:80]!r}")
        return str(value)

    return check


def _named(value: object, where: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 200:  # noqa: PLR2004 - characters of a preset's name
        raise CheckpointUnreadableError(f"{where}: expected the name of a preset, got {str(value)[:80]!r}")
    return value


_CHECKS: Final[Mapping[str, Any]] = {
    "tokens": _order,
    "observation": _one_of("cell", "discrete"),
    "grid_size": _whole(1, 1024),
    "states": _whole(1, MAX_IDS),
    "actions": _whole(1, MAX_IDS),
    "rewards": _whole(1, MAX_IDS),
    "first_state": _whole(0, MAX_IDS),
    "first_action": _whole(0, MAX_IDS),
    "first_reward": _whole(0, MAX_IDS),
    "context_length": _whole(2, MAX_TOKENS),
    "steps": _whole(1, MAX_TOKENS),
    "target_return": _number,
    "return_scale": _positive,
    "continuous": _flag,
    "action_scale": _each(_positive),
    "state_mean": _each(_number),
    "state_std": _each(_positive),
    "preset": _named,
    "sampling": _one_of("sample", "greedy"),
}
