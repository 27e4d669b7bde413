"""The registry: checkpoints are copied, converted, named and found again, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys

import pytest
import torch

from attnscope_env import preset
from attnscope_model import conversion
from attnscope_model.errors import (
    CausalityUnknownError,
    CheckpointAmbiguousError,
    CheckpointChangedError,
    CheckpointInUseError,
    CheckpointNameError,
    CheckpointUnknownError,
    CheckpointUnreadableError,
    TrainTasksError,
)
from attnscope_model.native import load_policy, load_tensors
from attnscope_model.parse import parse_here
from attnscope_model.registry import CheckpointRegistry, inspect, newest, shipped_checkpoints

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _parse_here(monkeypatch, request):
    """Parse in this process, which is quick; one test, and those of the parser, do it apart."""
    if request.node.name.startswith("test_a_file_goes_through"):
        return

    def parse(source, folder):
        with torch.inference_mode(mode=False):
            parse_here(source, folder)
        return json.loads((folder / "contents.json").read_text())

    monkeypatch.setattr(conversion, "parse_apart", parse)


@pytest.fixture
def empty(tmp_path) -> CheckpointRegistry:
    """Return a registry that holds nothing yet."""
    return CheckpointRegistry(tmp_path / "checkpoints")


@pytest.fixture
def causal_file(golden_folder):
    """Return the causal reference file."""
    return golden_folder / "ckpt-causal.pt"


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


def test_a_mask_that_nobody_stated_is_refused(empty, causal_file):
    """Without --causal or --non-causal the file is refused with the hint, and nothing is left."""
    with pytest.raises(CausalityUnknownError, match=r"say whether ckpt-causal\.pt is causal: .*6c83913"):
        empty.add(causal_file, causal=None)
    assert empty.list() == []
    assert list(empty.root.iterdir()) == []


def test_adding_again_changes_nothing(empty, causal_file):
    """The same file with the same mask is the same checkpoint, with the time it was first added."""
    first = empty.add(causal_file, causal=True, name="mine", train_tasks=[1, 0, 1])
    assert first.train_tasks == (0, 1)
    assert empty.add(causal_file, causal=True) == first
    assert empty.list() == [first]


def test_adding_again_takes_what_is_stated_anew(empty, causal_file):
    """Train tasks and a name that are stated later are kept; the id and the rest stay."""
    first = empty.add(causal_file, causal=True)
    told = empty.add(causal_file, causal=True, name="mine", train_tasks=[3, 4])
    assert told == first.model_copy(update={"name": "mine", "train_tasks": (3, 4)})
    assert empty.list() == [told]
    assert load_policy(empty.folder("mine"), CPU).description == first.policy


def test_the_two_readings_of_one_file_are_two_checkpoints(empty, causal_file):
    """Causal and non-causal differ in id and in default name, so that each can be named."""
    one, other = empty.add(causal_file, causal=True), empty.add(causal_file, causal=False)
    assert one.id != other.id
    assert (one.name, other.name) == ("AD-darkroom-seed42@1782", "AD-darkroom-seed42@1782+noncausal")
    assert empty.get(one.name) == one
    assert empty.get(other.name) == other
    assert empty.add(causal_file, causal=False) == other


def test_a_run_folder_gives_its_highest_step(empty, golden_folder, tmp_path):
    """ckpt-60000 is newer than ckpt-9000, whatever the alphabet says, and other files do not count."""
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(golden_folder / "ckpt-noncausal.pt", run / "ckpt-60000.pt")
    for name in ("ckpt-9000.pt", "ckpt-final.pt", "ckpt-70000.pt.tmp", "config.yaml"):
        (run / name).write_bytes(b"")
    assert newest(run) == run / "ckpt-60000.pt"
    assert empty.add(run, causal=False).source_name == "ckpt-60000.pt"
    with pytest.raises(CheckpointUnreadableError, match=r"holds no ckpt-<step>\.pt"):
        newest(empty.root)


def test_wrappers_of_training_do_not_change_the_checkpoint(empty, causal_file, tmp_path):
    """A file saved from DDP or torch.compile has the id of the file without their prefixes."""
    content = torch.load(causal_file, weights_only=True)
    content["model"] = {f"module._orig_mod.{name}": tensor for name, tensor in content["model"].items()}
    torch.save(content, tmp_path / "wrapped.pt")
    assert empty.add(tmp_path / "wrapped.pt", causal=True).id == empty.add(causal_file, causal=True).id


@pytest.mark.parametrize("name", ["", "../x", "a b", "-x", "x" * 101, "x\n"])
def test_odd_names_are_refused(empty, causal_file, name):
    """A name is plain text that fits a command line and a caption."""
    if name:
        with pytest.raises(CheckpointNameError, match="letters, digits"):
            empty.add(causal_file, causal=True, name=name)
        assert empty.list() == []
    else:
        assert empty.add(causal_file, causal=True, name=name).name == "AD-darkroom-seed42@1782"


def test_taken_names_are_refused(empty, golden_folder):
    """A stated name that another checkpoint has is refused, at the first adding and at a later one."""
    empty.add(golden_folder / "ckpt-causal.pt", causal=True, name="mine")
    with pytest.raises(CheckpointNameError, match="another checkpoint is called 'mine'"):
        empty.add(golden_folder / "ckpt-noncausal.pt", causal=False, name="mine")
    other = empty.add(golden_folder / "ckpt-noncausal.pt", causal=False)
    with pytest.raises(CheckpointNameError):
        empty.add(golden_folder / "ckpt-noncausal.pt", causal=False, name="mine")
    assert empty.get(other.id) == other


@pytest.mark.parametrize("tasks", [[81], [-1, 3]])
def test_train_tasks_beyond_the_environment_are_refused(empty, causal_file, tasks):
    """A mistyped task index must not make another task look held out."""
    with pytest.raises(TrainTasksError, match=r"within 0\.\.80"):
        empty.add(causal_file, causal=True, train_tasks=tasks)


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


def test_finding_by_id_name_and_prefix(registry):
    """Ids, names and prefixes that fit one find it; none or several are said to be so, with the names."""
    info = registry.get("causal")
    assert registry.get(info.id) == registry.get(info.id[:6]) == registry.get("ca") == info
    assert registry.folder("causal") == registry.root / info.id
    for unknown in ("c", info.id[:5], "CAUSAL", "", ".."):
        with pytest.raises(CheckpointUnknownError, match="registered are: causal, noncausal"):
            registry.get(unknown)


def test_a_prefix_of_two_names_is_ambiguous(empty, causal_file):
    """The refusal lists what fits; a whole name is never ambiguous with a longer one."""
    one = empty.add(causal_file, causal=True, name="run-1")
    empty.add(causal_file, causal=False, name="run-10")
    with pytest.raises(CheckpointAmbiguousError, match=r"run-1 \(.*run-10 \("):
        empty.get("run")
    assert empty.get("run-1") == one


def test_removing(empty, causal_file):
    """What captures need stays; what nothing needs goes, whole."""
    info = empty.add(causal_file, causal=True)
    with pytest.raises(CheckpointInUseError, match="need it for replay"):
        empty.remove(info.name, in_use={info.id})
    assert empty.get(info.id) == info
    assert empty.remove(info.name, in_use={"another"}) == info
    assert empty.list() == []
    assert list(empty.root.iterdir()) == []
    with pytest.raises(CheckpointUnknownError, match="registered are: none"):
        empty.remove(info.name)


def test_a_failure_while_adding_leaves_nothing(empty, causal_file, monkeypatch):
    """Until its folder is moved in, an entry does not exist."""

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(CheckpointRegistry, "_move_in", fail)
    with pytest.raises(OSError, match="disk full"):
        empty.add(causal_file, causal=True)
    assert list(empty.root.iterdir()) == []


def test_another_process_may_be_first(empty, causal_file, monkeypatch):
    """Two additions at once give one entry and no error."""
    listed, other = empty.list, CheckpointRegistry(empty.root)
    meanwhile = []

    def list_then_lose_the_race():
        if not meanwhile:
            meanwhile.append(None)
            meanwhile.append(other.add(causal_file, causal=True))
            return []
        return listed()

    monkeypatch.setattr(empty, "list", list_then_lose_the_race)
    assert empty.add(causal_file, causal=True) == meanwhile[1]
    assert [path.name for path in empty.root.iterdir()] == [meanwhile[1].id]


def test_damage_is_told_not_passed_over(empty, causal_file):
    """A damaged entry is an error that names its folder; changed weights are told from unreadable ones."""
    info = empty.add(causal_file, causal=True)
    folder = empty.folder(info.id)
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises(CheckpointChangedError, match=info.id[:12]):
        load_policy(folder, CPU)
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointUnreadableError, match=r"model\.safetensors"):
        load_policy(folder, CPU)
    (folder / "entry.json").write_text("{}")
    with pytest.raises(CheckpointUnreadableError, match=f"{info.id} is damaged"):
        empty.list()
    with pytest.raises(CheckpointUnreadableError):
        load_policy(folder, CPU)


def test_a_changed_configuration_is_noticed(empty, causal_file):
    """The id covers the mask too: flipping it on disk is a changed checkpoint."""
    folder = empty.folder(empty.add(causal_file, causal=True).id)
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"causal": true', '"causal": false'))
    with pytest.raises(CheckpointChangedError):
        load_policy(folder, CPU)


def test_inspect_says_what_a_file_holds_and_registers_nothing(causal_file):
    """The mask and the train tasks are said to be unknown, beside the hint."""
    said = inspect(causal_file)
    assert (said["family"], said["layers"], said["context_length"], said["step"]) == ("ad-reference", 3, 100, 1782)
    assert (said["causal"], said["train_tasks"]) == ("not stored", "unknown")
    assert "cannot be detected" in said["hint"]
    assert said["name"] == "AD-darkroom-seed42@1782"
    json.dumps(said)


def test_shipped_checkpoints_are_the_reference_file(empty, causal_file):
    """The shipped entry is what adding the reference's file gives, stated causal and trained on the 73 train goals."""
    (shipped,) = empty.add_shipped()
    assert empty.add_shipped() == [shipped] == empty.list()
    assert empty.add(causal_file, causal=True) == shipped
    train = tuple(sorted(task.index for task in preset("darkroom-reference").tasks("train")))
    assert (shipped.train_tasks, shipped.causal_stated_by, shipped.policy.causal) == (train, "user", True)
    assert shipped.source_sha256 == hashlib.sha256(causal_file.read_bytes()).hexdigest()
    assert load_policy(empty.folder(shipped.id), CPU).description == shipped.policy
    (folder,) = shipped_checkpoints()
    card = (folder / "README.md").read_text()
    assert all(text in card for text in (shipped.name, "162,565", "73 train goals"))
    assert shipped.policy.parameters == 162_565


def test_reading_the_registry_imports_no_torch(registry):
    """The service process lists checkpoints without torch; the probe would see it."""
    code = f"""
import json, sys
from pathlib import Path
from attnscope_model.registry import CheckpointRegistry
names = [info.name for info in CheckpointRegistry(Path({str(registry.root)!r})).list()]
before = "torch" in sys.modules
import torch
print(json.dumps([names, before, "torch" in sys.modules]))
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    names, before, after = json.loads(out)
    assert (sorted(names), before, after) == (["causal", "noncausal"], False, True)
