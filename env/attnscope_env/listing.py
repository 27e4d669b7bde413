"""The environments that a service offers: a request names one of these, never a module or a class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel

from attnscope_env.options import BanditOptions, DarkroomOptions, KeyToDoorOptions, PermutedOptions
from attnscope_env.other_presets import bandit_preset, permuted_preset
from attnscope_env.presets import PRESETS
from attnscope_env.registration import BANDIT_ID, DARKROOM_ID, KEY_TO_DOOR_ID, PERMUTED_ID
from attnscope_env.room_presets import darkroom_preset, key_to_door_preset
from attnscope_env.tasks import EnvPreset


@dataclass(frozen=True)
class EnvironmentListing:
    """An environment that requests may name."""

    id: str
    description: str
    options: type[BaseModel]
    """Checks the keyword arguments of a request."""
    build: Callable[[Any], EnvPreset]
    presets: tuple[EnvPreset, ...]

    @property
    def kwargs_schema(self) -> dict[str, Any]:
        """JSON schema of the keyword arguments."""
        return self.options.model_json_schema()

    def preset(self, kwargs: Mapping[str, Any]) -> EnvPreset:
        """Return the preset that these keyword arguments ask for; a listed one where they mean the same.

        Raises
        ------
        pydantic.ValidationError
            A ValueError: an unknown argument, or a value outside its range.
        """
        built = self.build(self.options.model_validate(dict(kwargs)))
        for listed in self.presets:
            if dict(listed.kwargs) == dict(built.kwargs):
                return listed
        return built

    def info(self) -> dict[str, Any]:
        """Return what the wire's ``EnvironmentInfo`` holds, as plain values."""
        return {
            "id": self.id,
            "description": self.description,
            "kwargs_schema": self.kwargs_schema,
            "presets": tuple(preset.info() for preset in self.presets),
        }


def _darkroom(options: DarkroomOptions) -> EnvPreset:
    return darkroom_preset("custom", "Darkroom as a request describes it.", **options.room())


def _key_to_door(options: KeyToDoorOptions) -> EnvPreset:
    return key_to_door_preset("custom", "Dark key-to-door as a request describes it.", **options.room())


def _permuted(options: PermutedOptions) -> EnvPreset:
    return permuted_preset(
        "custom",
        "Permuted actions as a request describes them.",
        size=options.size,
        horizon=options.horizon,
        actions=options.actions,
        rule=options.rule(),
    )


def _bandit(options: BanditOptions) -> EnvPreset:
    return bandit_preset(
        "custom",
        "Bandits as a request describes them.",
        arms=options.arms,
        reward=options.reward,
        variance=options.variance,
        horizon=options.horizon,
        tasks=options.tasks,
        means_seed=options.means_seed,
        rule=options.rule(),
    )


def _listing(
    environment_id: str, description: str, options: type[BaseModel], build: Callable[[Any], EnvPreset]
) -> EnvironmentListing:
    presets = tuple(preset for preset in PRESETS.values() if preset.environment_id == environment_id)
    return EnvironmentListing(environment_id, description, options, build, presets)


LISTED: Final[Mapping[str, EnvironmentListing]] = MappingProxyType(
    {
        entry.id: entry
        for entry in (
            _listing(
                DARKROOM_ID,
                "A dark room with a hidden goal: 1 for every step that ends on it.",
                DarkroomOptions,
                _darkroom,
            ),
            _listing(
                PERMUTED_ID,
                "A dark room from corner to corner whose actions are permuted: 1 for every step that ends on the goal.",
                PermutedOptions,
                _permuted,
            ),
            _listing(
                KEY_TO_DOOR_ID,
                "A dark room with a hidden key and door: 1 for finding the key, 1 for reaching the door after it.",
                KeyToDoorOptions,
                _key_to_door,
            ),
            _listing(BANDIT_ID, "Arms with hidden means, Bernoulli or Gaussian rewards.", BanditOptions, _bandit),
        )
    }
)
"""By Gymnasium id."""


def listing(environment_id: str) -> EnvironmentListing:
    """Return the listing of this id; LookupError where it is not listed."""
    try:
        return LISTED[environment_id]
    except KeyError:
        raise LookupError(f"expected a listed environment of {sorted(LISTED)}, got {environment_id!r}") from None


def validate_kwargs(environment_id: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments with their defaults filled in, after checking them."""
    return listing(environment_id).options.model_validate(dict(kwargs)).model_dump()
