"""The environment that a policy was trained in: the preset's size, horizon, actions and tasks, held against its file.

The environments themselves are another package; a test holds these numbers against its presets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from attnscope_model.errors import CheckpointUnreadableError


@dataclass(frozen=True)
class PresetFacts:
    """A preset in the words of the families' configurations."""

    grid_size: int
    horizon: int
    num_actions: int
    tasks: int
    split: tuple[int, float] | None = None
    """``env_split_seed`` and ``train_env_ratio`` of its split, where it is the lineage's of the AD reference."""


FACTS: Final[Mapping[str, PresetFacts]] = MappingProxyType(
    {
        "darkroom-reference": PresetFacts(grid_size=9, horizon=20, num_actions=5, tasks=81, split=(0, 0.9)),
        "darkroom-toymeta": PresetFacts(grid_size=9, horizon=20, num_actions=5, tasks=81),
        "darkroom-cinemere": PresetFacts(grid_size=9, horizon=20, num_actions=5, tasks=81),
        "darkroom-ad-eps": PresetFacts(grid_size=9, horizon=20, num_actions=5, tasks=81),
        "darkroom-dpt": PresetFacts(grid_size=10, horizon=100, num_actions=5, tasks=100),
        "darkroom-13": PresetFacts(grid_size=13, horizon=40, num_actions=5, tasks=169),
        "darkroom-17": PresetFacts(grid_size=17, horizon=50, num_actions=5, tasks=289),
        "darkroom-permuted": PresetFacts(grid_size=9, horizon=50, num_actions=5, tasks=120, split=(4, 0.9)),
        "key-to-door": PresetFacts(grid_size=9, horizon=50, num_actions=5, tasks=6561, split=(4, 0.95)),
    }
)
"""By preset."""


ENV_KEYS: Final = ("env", "env_name")
"""Names of the environment in the families' configurations."""

TOLD_APART: Final = frozenset(
    {
        "darkroom", "darkroompermuted", "darkkeytodoor", "dark_key_to_door", "darkroom_heldout", "darkroom_permuted",
        "DarkRoom-v0", "dark_room", "key2door", "bandit", "miniworld",
    }
)  # fmt: skip
"""Names whose environment is known: they contradict a family that does not act in it, whatever a user states."""


def preset_of_env(config: Mapping[str, Any], presets: Mapping[str, str]) -> str | None:
    """Return the preset of the environment that a configuration names; None where it names none, or one unheard of.

    Raises
    ------
    CheckpointUnreadableError
        It names two, or one of another family.
    """
    found = set()
    for key in ENV_KEYS:
        name = config.get(key)
        if isinstance(name, str) and name in presets:
            found.add(presets[name])
        elif isinstance(name, str) and name in TOLD_APART:
            raise CheckpointUnreadableError(undescribed(key, name, presets))
    if len(found) > 1:
        raise CheckpointUnreadableError(f"its configuration names two environments: {', '.join(sorted(found))}")
    return found.pop() if found else None


def undescribed(key: str, name: object, presets: Mapping[str, str]) -> str:
    """Return the sentence on an environment that a configuration names and no preset of the family describes."""
    return (
        f"trained with {key} {str(name)[:80]!r}: no preset describes its environment "
        f"(known are {', '.join(sorted(presets))})"
    )


def unheard_of(config: Mapping[str, Any], presets: Mapping[str, str]) -> str | None:
    """Say which environment a configuration names that nobody here has heard of; None where it names none such."""
    if not presets:
        return None
    named = ((key, config[key]) for key in ENV_KEYS if key in config)
    unknown = [(key, name) for key, name in named if name not in presets]
    return undescribed(*unknown[0], presets) if unknown else None


def check_preset(preset: str | None, config: Mapping[str, Any], shapes: Mapping[str, int]) -> None:
    """Refuse a preset that configuration or shapes contradict; `shapes` has what the tensors say, in the same words.

    None is a preset that nobody has stated yet, and fits.

    Raises
    ------
    CheckpointUnreadableError
        With what was found and what the preset has.
    """
    if preset is None:
        return
    facts = FACTS[preset]
    stated = dict(shapes) | {name: config[name] for name in ("grid_size", "horizon", "num_actions") if name in config}
    for name, value in stated.items():
        if value != getattr(facts, name):
            raise CheckpointUnreadableError(
                f"trained with {name} {value!r}, but the preset {preset} has {getattr(facts, name)!r}: "
                "no preset describes its environment"
            )


def split_note(preset: str, config: Mapping[str, Any]) -> str | None:
    """Return what to know where a configuration splits tasks otherwise than its preset; None where it does not say so.

    The policy acts in the same room, so this is no reason to refuse it; but the preset's test tasks are not its own.
    """
    facts = FACTS.get(preset)
    if facts is None or facts.split is None:
        return None
    names = ("env_split_seed", "train_env_ratio")
    stated = tuple(config.get(name, ours) for name, ours in zip(names, facts.split, strict=True))
    if stated == facts.split:
        return None
    (seed, share), (our_seed, our_share) = stated, facts.split
    return (
        f"its training split tasks by seed {seed!r} and ratio {share!r}, the preset {preset} by {our_seed} and "
        f"{our_share}: the preset's train and test tasks are not those of its training"
    )
