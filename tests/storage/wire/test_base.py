"""True and false are no numbers in what is sent."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field, JsonValue, ValidationError

from attnscope_storage.wire import CaptureSpec, JobChanges
from attnscope_storage.wire.base import Sent


class Every(Sent):
    """Fields of every sort."""

    number: int = 0
    some: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    pairs: tuple[tuple[float, float], ...] = ()
    flag: bool = False
    either: bool | float = False
    free: dict[str, Any] = Field(default_factory=dict)
    anything: tuple[JsonValue, ...] = ()


@pytest.mark.parametrize("wrong", [{"number": True}, {"some": [0, False]}, {"pairs": [[1.0, True]]}])
def test_a_truth_is_no_number(wrong):
    """Neither alone nor inside lists."""
    with pytest.raises(ValidationError, match="expected a number, got true or false"):
        Every.model_validate(wrong)


@pytest.mark.parametrize(
    "right",
    [{"flag": True}, {"either": True}, {"free": {"a": True}}, {"anything": [True, [False]]}, {"number": 1}],
)
def test_where_it_may_stand_it_does(right):
    """A field that takes truths, or anything, takes them."""
    assert Every.model_validate(right)


def test_of_a_specification():
    """The fields of real specifications are held to it."""
    for wrong in ({"replicas": True}, {"seeds": [True]}, {"steps": False}):
        with pytest.raises(ValidationError, match="expected a number"):
            CaptureSpec.model_validate({"checkpoint": "c", "steps": 5} | wrong)
    assert JobChanges.model_validate({"pinned": True}).pinned
