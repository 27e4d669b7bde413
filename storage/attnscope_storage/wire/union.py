"""Specifications and resolved jobs of any kind as one type each, made of the contracts that are registered.

The unions are made when the first value is read, and again after a contract was registered. The JSON schema of a
service holds the kinds that were registered when its document is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationError,
)
from pydantic.config import ExtraValues
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from attnscope_storage.wire.base import Specification
from attnscope_storage.wire.contract import contracts, when_changed
from attnscope_storage.wire.resolved import ResolvedJob
from attnscope_storage.wire.tasks import TaskCell


class UnknownSpecification(Specification):
    """The specification of a job whose kind this version does not know; it keeps every field."""

    model_config = ConfigDict(frozen=True, extra="allow")

    checkpoint: str = ""


class UnknownResolved(ResolvedJob):
    """The meaning of a specification of an unknown kind: the fields of a subject as far as they are there."""

    checkpoint_id: str = ""
    checkpoint_name: str = "–"
    environment_id: str = "–"
    preset: str = "–"
    horizon: int = 0
    tasks: tuple[TaskCell, ...] = ()
    held_out: bool | None = None

    @property
    def steps_total(self) -> int:
        """Not known; the job's progress says it."""
        return 0

    @property
    def size(self) -> str:
        """Not known."""
        return "a kind of job that this version does not know"


@cache
def specifications() -> TypeAdapter[Specification]:
    """Return the union of every kind's specification, told apart by ``kind``."""
    union: Any = _united([contract.specification for contract in contracts().values()])
    told_apart: Any = Annotated  # as a value, since type checkers know no union that is made at run time
    return TypeAdapter(told_apart[union, Field(discriminator="kind")])


@cache
def resolutions() -> TypeAdapter[ResolvedJob]:
    """Return the union of every kind's resolved job."""
    return TypeAdapter(_united([contract.resolved for contract in contracts().values()]))


def _united(models: Iterable[type[BaseModel]]) -> Any:  # noqa: ANN401 - a union is no class
    return reduce(or_, models)


when_changed(specifications.cache_clear)
when_changed(resolutions.cache_clear)


def specification_as(kind: str, value: object) -> Specification:
    """Return a specification of a kind from its JSON, also of a kind that is not registered.

    Raises
    ------
    ValidationError
        The value is no specification of that kind.
    """
    known = contracts().get(kind)
    return UnknownSpecification.model_validate(value) if known is None else _read(known.specification, value)


def resolved_as(kind: str, value: object) -> ResolvedJob:
    """Return what a specification of a kind means from its JSON, also of a kind that is not registered.

    Fields that this version does not know are dropped, at every depth.

    Raises
    ------
    ValidationError
        The value is not what a specification of that kind means.
    """
    if isinstance(value, ResolvedJob):
        return value
    known = contracts().get(kind)
    return _unknown(value) if known is None else _read(known.resolved, value, extra="ignore")


def _read(model: type[Any], value: object, *, extra: ExtraValues | None = None) -> Any:  # noqa: ANN401 - the model's own
    return model.model_validate(value, extra=extra)


def _unknown(value: object) -> UnknownResolved:
    """Return the fields that read as those of a subject; a kind that is not known may mean others by their names."""
    try:
        return UnknownResolved.model_validate(value)
    except ValidationError:
        return UnknownResolved()


@dataclass(frozen=True)
class _Of:
    """Reads a value by a function, and has the JSON schema of a union, both made when they are needed."""

    read: Callable[[Any], Any]
    union: Callable[[], TypeAdapter[Any]]

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(self.union().core_schema)


def _specification(value: object) -> Specification:
    return specifications().validate_python(value)


def _shown(value: object) -> Specification:
    """Return a specification that a service shows, also of an unknown kind; fields of a newer service are dropped."""
    kind = value.get("kind") if isinstance(value, dict) else None
    if isinstance(kind, str) and kind not in contracts():
        return UnknownSpecification.model_validate(value)
    return value if isinstance(value, UnknownSpecification) else specifications().validate_python(value, extra="ignore")


def _resolved(value: object) -> ResolvedJob:
    if isinstance(value, ResolvedJob):
        return value
    try:
        return resolutions().validate_python(value)
    except ValidationError:
        if isinstance(value, dict):
            return _unknown(value)
        raise


AnySpec = Specification
"""A specification of any kind, as code reads it."""

JobSpec = Annotated[Specification, _Of(_specification, specifications)]
"""The same as it travels to a service, told apart by ``kind``; an unknown kind is refused."""

ShownSpec = Annotated[Specification, _Of(_shown, specifications)]
"""The same as a service shows it; an unknown kind is read as `UnknownSpecification`."""

if TYPE_CHECKING:
    Resolved = ResolvedJob
else:  # the base is no schema of the document, so a web framework that walks annotations must not meet it
    Resolved = Annotated[Any, _Of(_resolved, resolutions)]
    """The meaning of a specification of any kind; each kind has fields that the others lack."""

JOB_SPEC: Final[TypeAdapter[Specification]] = TypeAdapter(JobSpec)
"""Validates a specification of any registered kind."""

RESOLVED: Final[TypeAdapter[ResolvedJob]] = TypeAdapter(Resolved)
"""Validates what a specification means; `resolved_as` does it where the kind is known."""
