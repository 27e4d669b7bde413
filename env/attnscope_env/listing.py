"""The environments that a service offers: a request names one of these, never a module or a class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from attnscope_env.presets import PRESETS, EnvPreset, darkroom_preset
from attnscope_env.registration import DARKROOM_ID
from attnscope_env.room import DEFAULT_HORIZON, DEFAULT_SIZE

Coordinate = Annotated[int, Field(ge=0)]


class DarkroomOptions(BaseModel):
    """What a request may change about a Darkroom."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    size: int = Field(default=DEFAULT_SIZE, ge=2, le=64, description="Rows and columns of the room.")
    horizon: int = Field(default=DEFAULT_HORIZON, ge=1, le=10_000, description="Steps of an episode.")
    actions: Literal["reference", "toymeta"] = Field(default="reference", description="Action numbering.")
    start: Annotated[list[Coordinate], Field(min_length=2, max_length=2, strict=False)] | None = Field(
        default=None, description="Cell where episodes start; null is the centre."
    )

    @model_validator(mode="after")
    def _start_inside(self) -> DarkroomOptions:
        if self.start is not None and max(self.start) >= self.size:
            raise ValueError(f"expected a start inside a room of {self.size}×{self.size} cells, got {self.start}")
        return self


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
    return darkroom_preset(
        "custom",
        "Darkroom as a request describes it; the reference's split rule.",
        size=options.size,
        horizon=options.horizon,
        actions=options.actions,
        start=None if options.start is None else (options.start[0], options.start[1]),
    )


LISTED: Final[Mapping[str, EnvironmentListing]] = MappingProxyType(
    {
        DARKROOM_ID: EnvironmentListing(
            id=DARKROOM_ID,
            description="A dark room with a hidden goal: 1 for every step that ends on it.",
            options=DarkroomOptions,
            build=_darkroom,
            presets=tuple(preset for preset in PRESETS.values() if preset.environment_id == DARKROOM_ID),
        ),
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
