"""The decision card that is shipped: whole, of the demo's policy, and refused where it was changed."""

from __future__ import annotations

import pytest

from attnscope.decisions import shipped
from attnscope.demo import CHECKPOINT
from attnscope_storage.errors import ChunkDamagedError


def test_the_card_of_the_demos_policy_is_a_real_answer():
    """It names its checkpoint, its judged arms and looks, and the command that made it."""
    card = shipped.shipped_card(CHECKPOINT)
    assert card.checkpoint_name == CHECKPOINT
    assert card.sentence
    assert card.answer
    assert card.rungs
    assert card.chosen is not None
    assert card.rungs[0].arm == card.chosen.name
    assert card.rungs[0].verdict == "non-inferior"
    assert {look.arm for look in card.looks} == {rung.arm for rung in card.rungs}
    assert len(card.looks) > len(card.rungs)  # each rung's earlier looks too, not its last one alone
    assert any("repeated interval" in line for line in card.lines)
    assert card.command.startswith(f"attnscope decide {card.checkpoint_id[:12]}")


def test_a_changed_card_is_refused(monkeypatch, tmp_path):
    """One byte more is another card; a checkpoint without one is named."""
    folder = tmp_path / shipped.FOLDER
    folder.mkdir()
    (folder / shipped.DIGESTS).write_text(f"{'0' * 64}  toy.json\n")
    (folder / "toy.json").write_text("{}")
    monkeypatch.setattr(shipped, "files", lambda _package: tmp_path)
    with pytest.raises(ChunkDamagedError, match="its digest differs"):
        shipped.shipped_card("toy")
    with pytest.raises(LookupError, match="no decision on other is shipped"):
        shipped.shipped_card("other")
