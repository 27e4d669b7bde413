"""Headers that the service has no use for cost it nothing, whatever they hold."""

from __future__ import annotations

import httpx
import starlette.requests


def test_no_cookie_is_parsed(furnished, monkeypatch):
    """The framework's parser takes seconds for 32 kB of backslashes, on the event loop, without any key."""
    parsed = []
    monkeypatch.setattr(starlette.requests, "cookie_parser", lambda text: parsed.append(text) or {})
    cookie = {"Cookie": 'a="' + "\\" * 30_000 + '"'}
    for path, key in (("/healthz", {}), ("/v1/jobs", furnished.key("local"))):
        answer = httpx.get(furnished.url + path, headers=cookie | key, timeout=60)
        assert answer.status_code == 200
    assert parsed == []
