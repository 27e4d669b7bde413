"""Stores that are deleted while a decision reads them."""

from __future__ import annotations

import shutil
from types import SimpleNamespace
from uuid import uuid4

import pytest

from attnscope_model.errors import CaptureInvalidError
from attnscope_server.deciding.phases import earlier
from attnscope_server.deciding.phases.children import Children
from attnscope_storage.wire.specifications.cards import CardEarlier


def test_an_earlier_decision_that_is_deleted_meanwhile_is_left_out(tmp_path, monkeypatch):
    """It was read, and its folder is gone before its age was asked for; the others are listed."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.zarr").mkdir()
        (tmp_path / f"{name}.zarr" / "zarr.json").touch()

    def told(path, *_) -> CardEarlier:
        if path.stem == "a":
            shutil.rmtree(path)
        return CardEarlier(job=path.stem, sentence=None, margin=0.05, first_seed=0, same_tasks=True)

    monkeypatch.setattr(earlier, "CaptureReader", SimpleNamespace(open=lambda path: path))
    monkeypatch.setattr(earlier, "_earlier", told)
    order = SimpleNamespace(path=tmp_path / "mine.zarr", owner="me", resolved=None, earlier=None)
    assert [one.job for one in earlier.earlier_decisions(order)] == ["b"]


def test_a_linked_capture_that_was_deleted_is_a_sentence(tmp_path):
    """The job fails by it, and no path of the service's is told."""
    order = SimpleNamespace(
        path=tmp_path / f"{uuid4()}.zarr", resolved=SimpleNamespace(capture_store=str(uuid4()), children=())
    )
    children = Children(order, None, None, None, lambda: False, lambda _: None)
    with pytest.raises(CaptureInvalidError, match=r"^the capture that this decision reads was deleted$"):
        children.capture()
