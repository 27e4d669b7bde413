"""The environments that a service offers: a request names one of these, never a module or a class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from attnscope_env.key_to_door import DEFAULT_KEY_HORIZON
from attnscope_env.presets import PRESETS
from attnscope_env.registration import DARKROOM_ID, KEY_TO_DOOR_ID
from attnscope_env.room import DEFAULT_HORIZON, DEFAULT_SIZE
from attnscope_env.room_presets import KEY_TO_DOOR_RULE, darkroom_preset, key_to_door_preset
from attnscope_env.splits import SPLIT_SEED, TRAIN_RATIO, SplitRule
from attnscope_env.tasks import EnvPreset

Coordinate = Annotated[int, Field(ge=0)]


class SplitOptions(BaseModel):
    """How the tasks are split."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    split_shuffle: Literal["python", "numpy"] = Field(default="python", description="Whose shuffle.")
    split_seed: int = Field(default=SPLIT_SEED, ge=0, lt=2**32, description="Seed of the shuffle.")
    train_ratio: float = Field(default=TRAIN_RATIO, ge=0, le=1, description="Share of train tasks.", strict=False)

    def rule(self) -> SplitRule:
        """Return the split rule."""
        return SplitRule(self.split_shuffle, self.split_seed, self.train_ratio)


class RoomOptions(SplitOptions):
    """What a request may change about a room."""

    size: int = Field(default=DEFAULT_SIZE, ge=2, le=64, description="Rows and columns of the room.")
    horizon: int = Field(default=DEFAULT_HORIZON, ge=1, le=10_000, description="Steps of an episode.")
    actions: Literal["reference", "toymeta"] = Field(default="reference", description="Action numbering.")
    start: Annotated[list[Coordinate], Field(min_length=2, max_length=2, strict=False)] | None = Field(
        default=None, description="Cell where episodes start; null is the centre."
    )

    @model_validator(mode="after")
    def _start_inside(self) -> Self:
        if self.start is not None and max(self.start) >= self.size:
            raise ValueError(f"expected a start inside a room of {self.size}×{self.size} cells, got {self.start}")
        return self

    def room(self) -> dict[str, Any]:
        """Return the arguments of a preset."""
        return {
            "size": self.size,
            "horizon": self.horizon,
            "actions": self.actions,
            "start": None if self.start is None else (self.start[0], self.start[1]),
            "rule": self.rule(),
        }


class DarkroomOptions(RoomOptions):
    """What a request may change about a Darkroom."""


class KeyToDoorOptions(RoomOptions):
    """What a request may change about a dark key-to-door room."""

    size: int = Field(default=DEFAULT_SIZE, ge=2, le=13, description="Rows and columns; it has size⁴ tasks.")
    horizon: int = Field(default=DEFAULT_KEY_HORIZON, ge=1, le=1_000, description="Steps of an episode.")
    split_seed: int = Field(default=KEY_TO_DOOR_RULE.seed, ge=0, lt=2**32, description="Seed of the shuffle.")
    train_ratio: float = Field(
        default=KEY_TO_DOOR_RULE.train_ratio, ge=0, le=1, description="Share of train tasks.", strict=False
    )


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
                KEY_TO_DOOR_ID,
                "A dark room with a hidden key and door: 1 for finding the key, 1 for reaching the door after it.",
                KeyToDoorOptions,
                _key_to_door,
            ),
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
