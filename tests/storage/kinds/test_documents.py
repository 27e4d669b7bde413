"""Documents of a decision that are damaged."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope_storage.errors import ChunkDamagedError
from attnscope_storage.kinds.decision.schema import decoded


@pytest.mark.parametrize("said", [b"", b"{", b"[]", b'{"state": 1}', b'{"state": {}, "card": {"job": 1}}', b"\xff"])
def test_a_damaged_document_is_one_sentence_of_ours(said):
    """No library speaks in it, and no address of one."""
    with pytest.raises(ChunkDamagedError, match="holds no document of a decision") as refused:
        decoded(np.frombuffer(said + bytes(8), np.int8))
    assert "pydantic" not in str(refused.value)
    assert "\n" not in str(refused.value)
