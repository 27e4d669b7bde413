"""Problems that a service answers, as RFC 9457 has them."""

from __future__ import annotations

from attnscope_storage.wire import PROBLEM_MEDIA_TYPE


def refused(answer, status: int, code: str) -> dict:
    """Check that an answer is a problem of this status and code; return it."""
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE
    document = answer.json()
    assert document["type"].endswith(code)
    assert 0 < len(document["detail"]) < 2000
    assert "Traceback" not in answer.text
    return document
