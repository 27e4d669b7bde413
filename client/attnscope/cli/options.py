"""Options of a verb made of a specification's fields: name, range, default and meaning are written at the field alone.

`attnscope.cli.asking` says how this program spells fields; nothing here knows captures or trials.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import typer
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from attnscope.errors import RequestRefusedError
from attnscope_storage.wire.wording import wrong_fields

Asked = dict[str, Any]
"""Fields of a specification, as far as somebody has said them."""

NUMBERS = (int, float)

Specification = TypeVar("Specification", bound=BaseModel)


@dataclass(frozen=True)
class Spelling:
    """The spelling of a field on a command line, where its type and name do not determine it."""

    flags: str = ""
    """Option names, such as ``--greedy/--sample``; where empty they follow from the field's path."""
    kind: Any = None
    """The type that typer parses; None takes the field's own number, text or truth value."""
    read: Callable[[Any, str], Any] = field(default=lambda value, _option: value)
    """Turns what typer parsed into the field's value; takes the option's name for its refusals."""
    hint: str = ""
    """The spelling, shown behind the field's meaning."""
    complete: Callable[[str], list[str]] | None = None
    """Values that a shell may complete, given what is typed so far."""


@dataclass(frozen=True)
class Option:
    """An option of a verb and the field that it fills."""

    path: tuple[str, ...]
    info: FieldInfo
    spelling: Spelling
    nothing: Any
    """Default of the field."""

    @property
    def name(self) -> str:
        """Name of the parameter that typer sees."""
        return "_".join(self.path)

    @property
    def flags(self) -> str:
        """Option names as typed."""
        spelled = "-".join(self.path).replace("_", "-")
        return self.spelling.flags or (f"--{spelled}/--no-{spelled}" if self.kind is bool else f"--{spelled}")

    @property
    def kind(self) -> Any:  # noqa: ANN401 - whatever typer parses
        """The type that typer parses."""
        return self.spelling.kind or plain_kind(self.info.annotation)

    @property
    def help(self) -> str:
        """The field's meaning, then how it is typed."""
        return " ".join(text for text in (self.info.description, self.spelling.hint) if text)

    def parameter(self, *, required: bool) -> inspect.Parameter:
        """Return the parameter that typer reads: its default shows the field's, and None means that nobody said it."""
        shown = None if self.nothing is None or self.nothing is PydanticUndefined else _as_typed(self.nothing)
        if self.kind is bool and isinstance(self.nothing, bool):
            shown = self.flags.partition("/")[0 if self.nothing else 2].removeprefix("--")
        low, high = bounds(self.info) if self.kind in NUMBERS else (None, None)
        option = typer.Option(
            self.flags,
            help=self.help,
            show_default=shown or False,
            min=low,
            max=high,
            autocompletion=self.spelling.complete,
        )
        kind = self.kind if required else self.kind | None
        default = inspect.Parameter.empty if required else None
        return inspect.Parameter(
            self.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option]
        )


def asks(
    spec: type[BaseModel],
    spellings: Mapping[str, Spelling],
    optional: Collection[str] = (),
    without: Collection[str] = (),
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a verb an option a field of a specification.

    The verb's first parameter, ``asked``, takes the fields that were said, nested as in the specification. Its other
    parameters are options of its own.

    Parameters
    ----------
    spec
        The specification; fields that are specifications themselves are opened, `kind` is left out.
    spellings
        How fields are spelled, by path, such as ``rows.every``.
    optional
        Fields that the specification needs and that the verb may find elsewhere.
    without
        Fields that the verb fills by itself.
    """
    options = {option.name: option for option in options_of(spec, spellings) if option.path[0] not in without}

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(verb, eval_str=True).parameters.values())[1:]
        made = [
            option.parameter(required=option.info.is_required() and option.path[0] not in optional)
            for option in options.values()
        ]

        def run(**given: Any) -> None:  # noqa: ANN401 - values as typer parsed them
            asked: Asked = {}
            for name, option in options.items():
                value = given.pop(name)
                if value is not None:
                    _put(asked, option.path, option.spelling.read(value, option.flags.partition("/")[0]))
            verb(asked, **given)

        keyword = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        run.__name__, run.__doc__, run.__module__ = verb.__name__, verb.__doc__, verb.__module__
        run.__signature__ = inspect.Signature([*made, *keyword])  # type: ignore[attr-defined] # typer reads it
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*made, *keyword)}
        return run

    return decorate


def specified(spec: type[Specification], asked: Asked) -> Specification:
    """Return the specification of what was said; a field that nobody named has its own default.

    Raises
    ------
    RequestRefusedError
        A field is wrong.
    """
    try:
        return spec.model_validate(asked)
    except ValidationError as error:
        raise RequestRefusedError("; ".join(wrong_fields(error.errors()))) from error


def options_of(
    spec: type[BaseModel], spellings: Mapping[str, Spelling], above: tuple[str, ...] = ()
) -> Iterator[Option]:
    """Yield an option a field of a specification, in the order of the fields, those of nested ones in their place."""
    for name, info in spec.model_fields.items():
        path = (*above, name)
        if not above and name == "kind":
            continue
        inner = without_none(info.annotation)
        if inspect.isclass(inner) and issubclass(inner, BaseModel):
            yield from options_of(inner, spellings, path)
        else:
            default = None if info.default_factory is not None else info.default
            yield Option(path, info, spellings.get(".".join(path), Spelling()), default)


def bounds(info: FieldInfo) -> tuple[float | None, float | None]:
    """Return the smallest and the largest value of a field; None where it has none, or where it is itself refused."""
    limits = {name: getattr(one, name) for one in info.metadata for name in ("ge", "le") if hasattr(one, name)}
    return limits.get("ge"), limits.get("le")


def plain_kind(annotation: Any) -> type[Any]:  # noqa: ANN401 - any annotation
    """Return the number, text or truth value that a field holds.

    Raises
    ------
    TypeError
        It holds something else: only a spelling can say how that is typed.
    """
    inner = without_none(annotation)
    if get_origin(inner) is Literal and all(isinstance(one, str) for one in get_args(inner)):
        return str
    if inner in (bool, int, float, str):
        kind: type[Any] = inner
        return kind
    raise TypeError(f"expected a spelling of a field that is {inner}")


def without_none(annotation: Any) -> Any:  # noqa: ANN401 - any annotation
    """Return an annotation without None and without what is annotated beside it."""
    if get_origin(annotation) is Annotated:
        return without_none(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        left = [one for one in get_args(annotation) if one is not NoneType]
        return without_none(left[0]) if len(left) == 1 else annotation
    return annotation


def _as_typed(value: object) -> str:
    """Return a default as somebody would type it."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _put(asked: Asked, path: tuple[str, ...], value: object) -> None:
    """Put a value in its place among nested fields."""
    for name in path[:-1]:
        asked = asked.setdefault(name, {})
    asked[path[-1]] = value
