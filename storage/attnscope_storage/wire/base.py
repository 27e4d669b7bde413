"""The bases of wire types: a client's are strict, a service's may grow, and those of every kind of job."""

from __future__ import annotations

from typing import Any, Final, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema, PydanticCustomError

MAX_LABEL = 120
"""Characters of a job's label."""

MAX_NAMED: Final = 64
"""Arguments that an environment or a strategy can be given by name."""

MAX_UNKNOWN: Final = 5
"""Unknown fields that an error names."""

MAX_NAME: Final = 60
"""Characters of an unknown field's name in an error."""

_SEQUENCES: Final = frozenset({"list", "tuple", "set", "frozenset"})


def _fail_fast(schema: Any) -> None:  # noqa: ANN401 - a schema is dictionaries and lists, however deep
    """Tell every sequence of a core schema to stop at its first wrong entry."""
    if isinstance(schema, dict):
        if schema.get("type") in _SEQUENCES:
            schema["fail_fast"] = True
        for part in schema.values():
            _fail_fast(part)
    elif isinstance(schema, list | tuple):
        for part in schema:
            _fail_fast(part)


class Sent(BaseModel):
    """Sent to the service: unknown fields are refused, so that a misspelt option is never ignored.

    The number of errors that one message can cause is bounded by its type, not by its length: a list is left at its
    first wrong entry, and unknown fields are one error.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401
        """Return the schema with every list and tuple left at its first wrong entry."""
        schema = handler(source)
        _fail_fast(schema)
        return schema

    @model_validator(mode="before")
    @classmethod
    def _bound_unknown_fields(cls, data: Any) -> Any:  # noqa: ANN401 - a message before it is checked
        refused = cls.model_config.get("extra") == "forbid"
        if refused and isinstance(data, dict) and len(data) > len(cls.model_fields):
            known = {*cls.model_fields, *(field.alias for field in cls.model_fields.values())}
            unknown = [key for key in data if key not in known]
            if len(unknown) > MAX_UNKNOWN:
                names = ", ".join(str(key)[:MAX_NAME] for key in unknown[:MAX_UNKNOWN])
                message = "{count} unknown fields, among them {names}"
                raise PydanticCustomError("extra_forbidden", message, {"count": len(unknown), "names": names})
        return data

    @model_validator(mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, given: Any) -> Any:  # noqa: ANN401 - not yet validated
        """Refuse true and false where a number is asked for, where they would count as 1 and 0."""
        if isinstance(given, dict):
            for name, field in cls.model_fields.items():
                if _holds_bool(given.get(name)) and not _takes_bool(field.annotation):
                    raise ValueError(f"{name}: expected a number, got true or false")
        return given


class Received(BaseModel):
    """Sent by the service: unknown fields are dropped, so that an older client reads a newer service."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Specification(Sent):
    """The fields that the specification of every kind of job has; a kind names itself in the default of `kind`."""

    kind: str
    checkpoint: str = Field(min_length=1, max_length=200, description="Id, id prefix or name of a checkpoint.")
    label: str | None = Field(default=None, max_length=MAX_LABEL, description="For people.")

    @property
    def refers_to(self) -> UUID | None:
        """Name of the owner's job whose store a job of this specification reads; None where it reads none."""
        return None

    @property
    def slides(self) -> bool:
        """True where a policy that packs its history is asked to act over a sliding window."""
        return False


def _holds_bool(value: object) -> bool:
    """Return True where a value is true or false, or a list that holds one at some depth."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, bool):
            return True
        if isinstance(one, list | tuple):
            waiting.extend(one)
    return False


def _takes_bool(annotation: object) -> bool:
    """Return True where a field of this type may hold true or false, or something whose own fields are checked."""
    numbers = {int, float, str, type(None), Ellipsis}
    parts = [part for part in get_args(annotation) if not _is_note(part)]
    return any(_takes_bool(part) for part in parts) if parts else annotation not in numbers


def _is_note(part: object) -> bool:
    """Return True where a part of an annotation only restricts it; a named alias, such as a JSON value, is a type."""
    return not isinstance(part, type) and not get_args(part) and part is not Ellipsis and not hasattr(part, "__value__")
