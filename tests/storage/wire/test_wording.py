"""Refusals of a specification in this project's words: what was expected, and what came, bounded in length."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from attnscope_storage.wire import JOB_SPEC
from attnscope_storage.wire.wording import MAX_MESSAGE, sentence, wrong_fields

CAPTURE = {"kind": "capture", "checkpoint": "x"}


def refused(body: object) -> list[str]:
    """Return the lines of a refusal."""
    with pytest.raises(ValidationError) as error:
        JOB_SPEC.validate_python(body)
    return wrong_fields(error.value.errors())


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (CAPTURE | {"steps": 0}, "steps: expected at least 1, got 0"),
        (CAPTURE | {"seeds": ["a"]}, "seeds.0: expected a whole number, got 'a'"),
        (CAPTURE | {"seeds": []}, "seeds: expected 1 or more entries, got 0"),
        (CAPTURE | {"label": "x" * 300}, "label: expected 120 or fewer characters, got 300"),
        (CAPTURE | {"odd": 1}, "odd: there is no such field"),
        (CAPTURE | {"tasks": [1]}, "tasks: expected names with values, got a list of 1"),
        (CAPTURE | {"checkpoint": None}, "checkpoint: expected text, got nothing"),
        (CAPTURE | {"maps": {"steps": 10**200}}, "maps.steps: expected a list, got a number of many digits"),
        ({"kind": "capture"}, "checkpoint: a value is needed"),
        ({"kind": "odd"}, "body: expected one of 'capture', 'decision', 'screen', 'trial', got 'odd'"),
        ({"checkpoint": "x"}, "body: name 'kind'"),
        (
            {"kind": "trial", "checkpoint": "x", "strategies": [{"name": "recency"}], "budgets": ["x"]},
            "budgets.0: expected a whole number or a number, got 'x'",
        ),
    ],
)
def test_a_refusal_says_what_was_expected_and_what_came(body, line):
    """None of another library's words are left."""
    assert line in refused(body)


@pytest.mark.parametrize("value", ["x" * 10**6, ["x"] * 10**5, 10**4000, {"a" * 10**5: 1}])
def test_a_refusal_is_short_whatever_came(value):
    """A long value is named by its kind and length."""
    for field in ("checkpoint", "steps", "tasks", "label", "kind"):
        assert all(len(line) < MAX_MESSAGE + 150 for line in refused(CAPTURE | {field: value}))


def test_a_hidden_value_is_not_said_to_be_nothing():
    """An error that tells no value has none in its sentence."""
    assert sentence({"type": "int_type", "msg": "", "loc": ()}) == "expected a whole number"
    assert sentence({"type": "new_one", "msg": "another library's words", "loc": ()}) == "another library's words"
