"""A native folder is examined in a child with limits, and its entry is not believed before."""

from __future__ import annotations

import json
import shutil

import pytest

from attnscope_model.checkpoints import adoption, examined
from attnscope_model.checkpoints.native import identity
from attnscope_model.checkpoints.registry import shipped_checkpoints
from attnscope_model.errors import CheckpointUnreadableError
from attnscope_storage.wire import PolicyDescription


@pytest.fixture
def folder(tmp_path):
    """Return a copy of a shipped checkpoint."""
    copy = tmp_path / "copy"
    shutil.copytree(next(found for found in shipped_checkpoints() if found.name.endswith("seed0@250")), copy)
    return copy


def test_a_native_folder_is_built_in_a_child(empty, folder, monkeypatch):
    """The entry is taken by what the child says, and nothing of the child's is left in it."""

    def build(*_):
        raise AssertionError("built in this process")

    monkeypatch.setattr(examined, "load_policy", build)
    info = empty.add(folder)
    assert info.policy.family == "ad-native"
    assert sorted(path.name for path in empty.folder(info.id).iterdir()) == [
        "config.json",
        "entry.json",
        "model.safetensors",
    ]


def test_a_thousand_million_layers_are_refused_in_the_child(empty, folder):
    """The configuration is held against bounds and weights before one layer is made."""
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"layers": 10**9}))
    entry = json.loads((folder / "entry.json").read_text())
    entry["id"] = identity((folder / "model.safetensors").read_bytes(), config.read_bytes())
    (folder / "entry.json").write_text(json.dumps(entry))
    with pytest.raises(CheckpointUnreadableError, match=r"^copy: expected layers between 1 and 64, got 1000000000"):
        empty.add(folder)


@pytest.mark.parametrize(("name", "size"), [("entry.json", 2**20 + 1), ("config.json", 2**16 + 1)])
def test_large_texts_are_refused_unread(empty, folder, name, size):
    """An entry or a configuration that is larger than any is not parsed."""
    (folder / name).write_text(" " * size)
    with pytest.raises(CheckpointUnreadableError, match=rf"{name} has {size} bytes, more than"):
        empty.add(folder)


def test_a_deep_entry_is_damaged(empty, folder):
    """JSON that nests a hundred thousand times is an answer, not a crash."""
    (folder / "entry.json").write_text("[" * 100_000)
    with pytest.raises(CheckpointUnreadableError, match="the entry of copy is damaged"):
        empty.add(folder)


@pytest.mark.usefixtures("parsed_here")
def test_an_entry_that_describes_another_policy_is_refused(empty, folder, monkeypatch):
    """The policy that the child builds is held against the entry's description."""
    entry = PolicyDescription.model_validate(json.loads((folder / "entry.json").read_text())["policy"])
    monkeypatch.setattr(adoption, "examine_apart", lambda *_: entry.model_copy(update={"actions": 7}))
    with pytest.raises(CheckpointUnreadableError, match=r"describes .* its weights give"):
        empty.add(folder)
