"""Invalid bodies up to a megabyte: each causes few errors, so none holds the event loop."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from attnscope_storage.wire import JOB_SPEC
from bodies import BODIES, CAPTURE, TRIAL, filled

MOST_ERRORS = 40
"""Errors that any message may cause: some for each field of the specification, none for each entry of a list."""


JSON_TYPE = {"Content-Type": "application/json"}
NAMED = {"strategies": [{"name": "recency"}], "budgets": [40], "episodes": 1}


def errors(body: object) -> int:
    """Return the number of errors that a specification has."""
    try:
        JOB_SPEC.validate_python(body)
    except ValidationError as error:
        return error.error_count()
    return 0


@pytest.mark.parametrize("make", BODIES.values(), ids=BODIES)
def test_a_megabyte_makes_few_errors(make):
    """The number of errors does not grow with the body."""
    assert errors(json.loads(filled(make))) <= MOST_ERRORS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=50) | st.dictionaries(st.text(max_size=12), inner, max_size=20),
    max_leaves=200,
)


@settings(max_examples=150)
@given(
    base=st.sampled_from((CAPTURE, TRIAL)),
    field=st.sampled_from(("tasks", "seeds", "rows", "maps", "environment", "strategies", "budgets", "speed", "other")),
    value=JSON,
    times=st.integers(1, 2000),
)
def test_any_value_anywhere_makes_few_errors(base, field, value, times):
    """Whatever stands in a field, and however often it is repeated there."""
    assert errors({**base, field: value if times == 1 else [value] * times}) <= MOST_ERRORS


@pytest.fixture(scope="module")
def post(furnished) -> Callable[[bytes], tuple[int, int]]:
    """Return a function that posts a body and returns status and length of the answer."""
    headers = furnished.key("local") | JSON_TYPE

    def send(body: bytes) -> tuple[int, int]:
        answer = furnished.http.post(furnished.url + "/v1/jobs:estimate", content=body, headers=headers)
        return answer.status_code, len(answer.content)

    return send


@pytest.mark.parametrize("make", BODIES.values(), ids=BODIES)
def test_a_megabyte_is_refused_in_few_words(post, make):
    """The answer is a problem of bounded length, never a fault of the service."""
    status, length = post(filled(make).encode())
    assert status in {400, 413}
    assert length < 8_000


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"label": "a\0b"}, 400),
        ({"label": "a\\u0000b"}, 200),
    ],
    ids=["nul", "backslash"],
)
def test_a_text_that_postgresql_does_not_keep_is_refused(furnished, more, status):
    """NUL in a label is refused in words, on every database alike; a backslash before the same digits is a text."""
    body = json.dumps({"kind": "trial", "checkpoint": "AD-darkroom", **NAMED, **more})
    answer = furnished.http.post(
        furnished.url + "/v1/jobs:estimate", content=body, headers=furnished.key("local") | JSON_TYPE
    )
    assert answer.status_code == status, answer.text
    assert ("character NUL" in answer.text) == (status != 200)
