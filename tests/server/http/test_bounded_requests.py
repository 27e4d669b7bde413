"""Every list and every mapping that a request can send has a largest length, by the service's own document."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from attnscope_server.app import create_app
from attnscope_server.settings import Settings


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Return the OpenAPI document of the service."""
    return create_app(Settings(data_root=Path("nowhere"))).openapi()


def unbounded(document: dict[str, Any], schema: Any, place: str, inside: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the places of a schema where a value may be as long as its sender likes."""
    if isinstance(schema, list):
        for number, part in enumerate(schema):
            yield from unbounded(document, part, f"{place}/{number}", inside)
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        if name not in inside:
            yield from unbounded(document, document["components"]["schemas"][name], f"{place}/{name}", (*inside, name))
        return
    if schema.get("type") == "array" and "maxItems" not in schema:
        yield place
    if schema.get("additionalProperties") not in (None, False) and "maxProperties" not in schema:
        yield place
    for name, part in schema.items():
        if name != "discriminator":
            yield from unbounded(document, part, f"{place}/{name}", inside)


def asked(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield every schema of a parameter or body, and its place."""
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            for parameter in operation.get("parameters", ()):
                yield f"{verb} {path} {parameter['name']}", parameter["schema"]
            if "requestBody" in operation:
                yield f"{verb} {path}", operation["requestBody"]


def test_nothing_that_is_sent_is_unbounded(document):
    """A field that is added later is found here before anybody finds it."""
    found = [place for where, schema in asked(document) for place in unbounded(document, schema, where)]
    assert found == []


def test_the_look_finds_what_it_looks_for(document):
    """A list without a largest length is a finding, also behind a reference."""
    document["components"]["schemas"]["Made"] = {"properties": {"x": {"type": "array", "items": {}}}}
    assert list(unbounded(document, {"$ref": "#/components/schemas/Made"}, "y")) == ["y/Made/properties/x"]
