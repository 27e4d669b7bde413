"""Invalid bodies up to a megabyte: each causes few errors, so none holds the event loop."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from attnscope_storage.wire import JOB_SPEC

MEGABYTE = 2**20 - 100
"""Just under the cap of a body."""

MOST_ERRORS = 40
"""Errors that any message may cause: some for each field of the specification, none for each entry of a list."""


@cache
def filled(make: Callable[[int], object]) -> str:
    """Return a body of a kind that fills most of a megabyte, as JSON."""
    each = (len(json.dumps(make(2000))) - len(json.dumps(make(1000)))) / 1000
    return json.dumps(make(max(1, int(0.9 * MEGABYTE / max(each, 1)))))


def errors(body: object) -> int:
    """Return the number of errors that a specification has."""
    try:
        JOB_SPEC.validate_python(body)
    except ValidationError as error:
        return error.error_count()
    return 0


CAPTURE = {"kind": "capture", "checkpoint": "x"}
TRIAL = {"kind": "trial", "checkpoint": "x", "strategies": [{"name": "recency"}], "budgets": [10]}

BODIES: dict[str, Callable[[int], object]] = {
    "indices below zero": lambda n: CAPTURE | {"tasks": {"indices": [-1] * n}},
    "indices of text": lambda n: CAPTURE | {"tasks": {"indices": ["a"] * n}},
    "goals of text": lambda n: CAPTURE | {"tasks": {"goals": [["a", "b"]] * n}},
    "one long goal": lambda n: CAPTURE | {"tasks": {"goals": [[1.5] * n]}},
    "the same goal": lambda n: CAPTURE | {"tasks": {"goals": [[1, 2]] * min(n, 10_000)}},
    "seeds of lists": lambda n: CAPTURE | {"seeds": [[]] * n},
    "the same seed": lambda n: CAPTURE | {"seeds": [7] * min(n, 10_000)},
    "rows": lambda n: CAPTURE | {"rows": {"envs": [-1] * n, "layers": [None] * 9, "heads": ["x"] * 9}},
    "maps": lambda n: CAPTURE | {"maps": {"steps": [-1] * n}},
    "unknown fields": lambda n: CAPTURE | {f"f{i}": 0 for i in range(n)},
    "unknown fields deeper": lambda n: CAPTURE | {"tasks": {f"f{i}": 0 for i in range(n)}},
    "strategies": lambda n: TRIAL | {"strategies": [{"name": "-", "a": 1, "b": 2}] * n},
    "budgets": lambda n: TRIAL | {"budgets": [-1] * n},
    "positions": lambda n: TRIAL | {"positions": ["nowhere"] * n},
    "speeds": lambda n: TRIAL | {"speed": {"envs": [-1] * n}},
    "parameters": lambda n: TRIAL | {"strategies": [{"name": "recency", "parameters": {f"p{i}": i for i in range(n)}}]},
    "kwargs": lambda n: CAPTURE | {"environment": {"kwargs": {f"k{i}": [i] for i in range(n)}}},
    "a long label": lambda n: CAPTURE | {"label": "x" * n},
    "a long kind": lambda n: {"kind": "x" * n, "checkpoint": "x"},
    "a list": lambda n: [0] * n,
    "text": lambda n: "x" * n,
    "deep lists": lambda n: CAPTURE | {"tasks": {"goals": json.loads("[" * min(n, 150) + "]" * min(n, 150))}},
}


@pytest.mark.parametrize("make", BODIES.values(), ids=BODIES)
def test_a_megabyte_makes_few_errors(make):
    """The number of errors does not grow with the body."""
    assert errors(json.loads(filled(make))) <= MOST_ERRORS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=50) | st.dictionaries(st.text(max_size=12), inner, max_size=20),
    max_leaves=200,
)


@settings(max_examples=150, deadline=None)
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
    headers = furnished.key("local") | {"Content-Type": "application/json"}

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
