"""A further installed Gymnasium environment, as the operator of a service lists it; what requests may say about it.

Only the operator names modules. A request names the entry's id and keyword arguments that its JSON schema allows.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from attnscope_env.presets.tasks import Split

ENVIRONMENT_ID = r"^[A-Za-z0-9_.\-]+(/[A-Za-z0-9_.\-]+)?$"
"""A Gymnasium id without a module in front of it."""

NO_KWARGS: Mapping[str, Any] = {"type": "object", "properties": {}}


class TaskEntry(BaseModel):
    """One task of a listed environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str = Field(min_length=1, max_length=200)
    kwargs: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments that make this task.")
    split: Split | None = Field(default=None, description="None: of no split; it is found under 'all'.")
    optimal_return: float | None = Field(default=None, description="Of an episode, where it is known.")
    random_return: float | None = Field(default=None, description="Of uniform actions, where it is known.")


class GymnasiumEntry(BaseModel):
    """An installed Gymnasium environment that jobs may name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=ENVIRONMENT_ID, max_length=200, description="Gymnasium id, e.g. FrozenLake-v1.")
    module: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*$")] | None = Field(
        default=None, description="Module whose import registers the id; a worker imports it."
    )
    preset: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9_.\-]+$", description="Name that checkpoints bind to; default from the id."
    )
    description: str = "A Gymnasium environment that the operator lists."
    horizon: int = Field(ge=1, le=1_000_000, description="Steps of an episode, at most; then it is truncated.")
    actions: tuple[str, ...] = Field(
        min_length=1,
        description="Names of the actions, by number, branch after branch; or of the numbers of an action vector.",
    )
    branches: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(), description="Sizes of the branches of a MultiDiscrete space; empty for Discrete and Box."
    )
    continuous: bool = Field(default=False, description="Actions are vectors of a Box space.")
    kwargs: dict[str, Any] = Field(default_factory=dict, description="Fixed keyword arguments; no request sees them.")
    kwargs_schema: dict[str, Any] = Field(
        default_factory=lambda: dict(NO_KWARGS),
        description="JSON schema of the keyword arguments that a request may give; others are refused.",
    )
    tasks: tuple[TaskEntry, ...] = Field(default=(TaskEntry(label="the environment"),), min_length=1)
    vectorization: Literal["sync", "async"] = Field(
        default="sync", description="Step the environments in the worker, or each in a process of its own."
    )

    @field_validator("kwargs_schema")
    @classmethod
    def _closed_schema(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Let a schema allow only what it names, whatever it says of additional properties."""
        schema = copy.deepcopy(value) | {"type": "object", "additionalProperties": False}
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            raise ValueError(f"kwargs_schema is no JSON schema: {error.message}") from error
        return schema

    @model_validator(mode="after")
    def _actions_fit(self) -> Self:
        if self.branches and self.continuous:
            raise ValueError("expected branches or continuous actions, got both")
        if self.branches and sum(self.branches) != len(self.actions):
            raise ValueError(
                f"branches: expected sizes that add up to the {len(self.actions)} names of actions, got "
                f"{list(self.branches)}"
            )
        return self

    @model_validator(mode="after")
    def _no_overlap(self) -> Self:
        open_to_requests = self.kwargs_schema.get("properties", {}).keys()
        for what, kwargs in [("kwargs", self.kwargs), *((f"task {t.label!r}", t.kwargs) for t in self.tasks)]:
            if both := sorted(open_to_requests & kwargs.keys()):
                raise ValueError(f"{what} fixes {both}, which kwargs_schema leaves to requests")
        return self

    @property
    def preset_name(self) -> str:
        """Name that checkpoints bind to."""
        return self.preset or self.id.replace("/", ".")

    def checked(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request's keyword arguments with the schema's defaults filled in.

        Raises
        ------
        ValueError
            They do not fit the schema.
        """
        error = best_match(Draft202012Validator(self.kwargs_schema).iter_errors(dict(kwargs)))
        if error is not None:
            where = ".".join(str(part) for part in error.absolute_path)
            raise ValueError(f"{where}: {error.message}" if where else error.message)
        properties = self.kwargs_schema.get("properties", {})
        defaults = {name: schema["default"] for name, schema in properties.items() if "default" in schema}
        return copy.deepcopy(defaults | dict(kwargs))
