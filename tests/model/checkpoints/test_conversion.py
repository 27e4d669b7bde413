"""From a foreign file to an entry: copied, parsed, recognised, and refused with the reason where it is not."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest
import torch

from attnscope_model.checkpoints.native import load_policy, load_tensors
from attnscope_model.checkpoints.registry import inspect
from attnscope_model.checkpoints.sources import checkpoint_within as newest
from attnscope_model.errors import (
    CausalityUnknownError,
    CheckpointNameError,
    CheckpointUnreadableError,
    TrainTasksError,
)

CPU = torch.device("cpu")


def test_a_file_goes_through_a_child_into_an_entry(empty, causal_file, tmp_path):
    """The entry names source, mask and who stated it; the source may go away; the weights are the file's."""
    source = tmp_path / "ckpt-1782.pt"
    shutil.copy(causal_file, source)
    info = empty.add(source, causal=True)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    source.unlink()
    assert (info.name, info.train_step, info.source_name) == ("AD-darkroom-seed42@1782", 1782, "ckpt-1782.pt")
    assert (info.source_sha256, info.causal_stated_by, info.preset) == (digest, "user", "darkroom-reference")
    assert info.train_tasks is None
    assert "cannot be detected" in info.notes[0]
    stored = load_tensors(empty.folder(info.id))
    original = torch.load(causal_file, weights_only=True, map_location="cpu")["model"]
    assert stored.keys() == original.keys()
    assert all(torch.equal(stored[name], original[name]) for name in original)
    assert load_policy(empty.folder(info.id), CPU).description == info.policy
    assert sorted(path.name for path in empty.root.iterdir()) == [info.id]
    assert sorted(path.name for path in empty.folder(info.id).iterdir()) == [
        "config.json",
        "entry.json",
        "model.safetensors",
    ]


@pytest.mark.usefixtures("parsed_here")
def test_a_mask_that_nobody_stated_is_refused(empty, causal_file):
    """Without --causal or --non-causal the file is refused with the hint, and nothing is left."""
    with pytest.raises(CausalityUnknownError, match=r"state --causal or --non-causal for ckpt-causal\.pt, .*6c83913"):
        empty.add(causal_file, causal=None)
    assert empty.list() == []
    assert list(empty.root.iterdir()) == []


@pytest.mark.usefixtures("parsed_here")
def test_a_run_folder_gives_its_highest_step(empty, golden_folder, tmp_path):
    """ckpt-60000 is newer than ckpt-9000, whatever the alphabet says, and other files do not count."""
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(golden_folder / "ckpt-noncausal.pt", run / "ckpt-60000.pt")
    for name in ("ckpt-9000.pt", "ckpt-final.pt", "ckpt-70000.pt.tmp", "config.yaml"):
        (run / name).write_bytes(b"")
    (run / "ckpt-90000.pt").mkdir()
    assert newest(run) == run / "ckpt-60000.pt"
    assert empty.add(run, causal=False).source_name == "ckpt-60000.pt"
    with pytest.raises(CheckpointUnreadableError, match=r"holds no ckpt-<step>\.pt"):
        newest(empty.root)


@pytest.mark.usefixtures("parsed_here")
def test_wrappers_of_training_do_not_change_the_checkpoint(empty, causal_file, tmp_path):
    """A file saved from DDP or torch.compile has the id of the file without their prefixes."""
    content = torch.load(causal_file, weights_only=True)
    content["model"] = {f"module._orig_mod.{name}": tensor for name, tensor in content["model"].items()}
    torch.save(content, tmp_path / "wrapped.pt")
    assert empty.add(tmp_path / "wrapped.pt", causal=True).id == empty.add(causal_file, causal=True).id


@pytest.mark.usefixtures("parsed_here")
@pytest.mark.parametrize("name", ["", "../x", "a b", "-x", "x" * 101, "x\n"])
def test_odd_names_are_refused(empty, causal_file, name):
    """A name is plain text that fits a command line and a caption."""
    if name:
        with pytest.raises(CheckpointNameError, match="letters, digits"):
            empty.add(causal_file, causal=True, name=name)
        assert empty.list() == []
    else:
        assert empty.add(causal_file, causal=True, name=name).name == "AD-darkroom-seed42@1782"


@pytest.mark.usefixtures("parsed_here")
@pytest.mark.parametrize("tasks", [[81], [-1, 3]])
def test_train_tasks_beyond_the_environment_are_refused(empty, causal_file, tasks):
    """A mistyped task index must not make another task look held out."""
    with pytest.raises(TrainTasksError, match=r"within 0\.\.80"):
        empty.add(causal_file, causal=True, train_tasks=tasks)


@pytest.mark.usefixtures("parsed_here")
def test_unknown_families_and_environments_are_refused_by_name(empty, causal_file, tmp_path):
    """The refusal names the user's file, not a temporary copy, and leaves nothing."""
    content = torch.load(causal_file, weights_only=True)
    torch.save({"model": {"emb2hid.weight": torch.zeros(2)}}, tmp_path / "other.pt")
    torch.save(content | {"config": content["config"] | {"env": "darkkeytodoor"}}, tmp_path / "door.pt")
    (tmp_path / "broken.pt").write_bytes(causal_file.read_bytes()[:1000])
    with pytest.raises(CheckpointUnreadableError, match=r"^other\.pt: of no known family .*emb2hid"):
        empty.add(tmp_path / "other.pt", causal=True)
    with pytest.raises(CheckpointUnreadableError, match="darkkeytodoor"):
        empty.add(tmp_path / "door.pt", causal=True)
    with pytest.raises(CheckpointUnreadableError, match="there is no file"):
        empty.add(tmp_path / "none.pt", causal=True)
    with pytest.raises(CheckpointUnreadableError):
        empty.add(tmp_path / "broken.pt", causal=True)
    assert list(empty.root.iterdir()) == []


@pytest.mark.usefixtures("parsed_here")
def test_inspect_says_what_a_file_holds_and_registers_nothing(causal_file):
    """The mask and the train tasks are said to be unknown, beside the hint."""
    said = inspect(causal_file)
    assert (said["family"], said["layers"], said["context_length"], said["step"]) == ("ad-reference", 3, 100, 1782)
    assert (said["causal"], said["train_tasks"]) == ("not stored", "unknown")
    assert "cannot be detected" in said["hint"]
    assert said["name"] == "AD-darkroom-seed42@1782"
    json.dumps(said)
