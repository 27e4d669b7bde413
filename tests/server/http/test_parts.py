"""Parts of a job whose stores are damaged."""

from __future__ import annotations

from types import SimpleNamespace
from uuid import uuid4

import pytest

from attnscope_server.http.parts import part_of_job
from attnscope_storage.errors import ChunkDamagedError
from attnscope_storage.wire.parts import CAPTURE, PART_OF, child_id


@pytest.mark.parametrize("said", [{}, {"resolved": {}, "spec": {}}, {"resolved": None, "spec": {}}])
def test_a_part_whose_root_says_nothing_is_damaged(said):
    """Its owner gets the words for damage; a stranger still learns nothing of it."""
    store = uuid4()
    told = said | {PART_OF: {"store": str(store), "name": CAPTURE}}
    reader = SimpleNamespace(kind="capture", attributes=told)
    job = SimpleNamespace(owner="me", deleted_at=None)
    state = SimpleNamespace(captures=SimpleNamespace(open=lambda _: reader), jobs=SimpleNamespace(get={store: job}.get))
    assert part_of_job(state, "a stranger", child_id(store, CAPTURE)) is None
    with pytest.raises(ChunkDamagedError, match="the part capture"):
        part_of_job(state, "me", child_id(store, CAPTURE))
