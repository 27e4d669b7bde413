"""JSON documents of results: null stands for a number that is not known, at any depth."""

from __future__ import annotations

import json

import pytest

from attnscope.documents import document


@pytest.mark.parametrize("unknown", [float("nan"), float("inf"), float("-inf")])
def test_an_unknown_number_is_null(unknown):
    """A strict reader accepts the text; known numbers, texts and flags are as they were."""
    text = document({"rows": [{"low": unknown, "kept": 0.5}, (unknown, 1)], "name": "NaN", "whole": True})

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    found = json.loads(text, parse_constant=refuse)
    assert found == {"rows": [{"low": None, "kept": 0.5}, [None, 1]], "name": "NaN", "whole": True}
