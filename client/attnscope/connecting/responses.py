"""Answers of the service, and their bodies read as models; no body is trusted before it fits its model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from attnscope.connecting.plain import plain_values
from attnscope.errors import UnexpectedAnswerError
from attnscope_storage.wire.wording import sentence

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True)
class Response:
    """A successful answer of the service."""

    status: int
    headers: httpx.Headers
    body: bytes


def read_model(kind: type[ModelT], answer: Response) -> ModelT:
    """Return a JSON answer as `kind`; fields that a newer service added are ignored, in a job's specification too."""
    try:
        return kind.model_validate(plain_values(from_json(answer.body)), extra="ignore")
    except ValidationError as error:
        raise _not_understood(error) from error
    except ValueError as error:
        raise UnexpectedAnswerError(f"the service's answer is no JSON: {error}") from error


def read_models(kind: type[ModelT], answer: Response) -> list[ModelT]:
    """Return a JSON list as `read_model` returns one."""
    try:
        entries = plain_values(from_json(answer.body))
        if not isinstance(entries, list):
            raise UnexpectedAnswerError("the service's answer is not what this version understands: it is no list")
        return [kind.model_validate(entry, extra="ignore") for entry in entries]
    except ValidationError as error:
        raise _not_understood(error) from error
    except ValueError as error:
        raise UnexpectedAnswerError(f"the service's answer is no JSON: {error}") from error


def _not_understood(error: ValidationError) -> UnexpectedAnswerError:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the body"
    return UnexpectedAnswerError(
        f"the service's answer is not what this version understands: {place}: {sentence(first)}"
    )
