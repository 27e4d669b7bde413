"""Requests to the furnished service, by the key of its owner."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def ask(furnished):
    """Return a function that asks with the owner's key."""
    headers = furnished.key("local")

    def send(method: str, path: str, **options):
        return furnished.http.request(
            method, furnished.url + path, **{**options, "headers": headers | options.get("headers", {})}
        )

    return send
