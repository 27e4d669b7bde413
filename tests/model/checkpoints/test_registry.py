"""The registry: checkpoints are copied, converted, named and found again, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys

import pytest
import torch

from attnscope_env import preset
from attnscope_model.checkpoints.folders import new_folder
from attnscope_model.checkpoints.native import identity, load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry, shipped_checkpoints
from attnscope_model.errors import (
    CheckpointAmbiguousError,
    CheckpointChangedError,
    CheckpointInUseError,
    CheckpointNameError,
    CheckpointUnknownError,
    CheckpointUnreadableError,
    TrainTasksError,
)

CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("parsed_here")


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
    assert told == first.model_copy(update={"name": "mine", "former_names": (first.name,), "train_tasks": (3, 4)})
    assert empty.list() == [told]
    assert load_policy(empty.folder("mine"), CPU).description == first.policy


def test_a_former_name_goes_on_finding_its_checkpoint(empty, golden_folder, causal_file):
    """A renamed entry answers to each of its names, no other checkpoint may take one, and it may go back to one."""
    first = empty.add(causal_file, causal=True, name="run-a")
    renamed = empty.add(causal_file, causal=True, name="run-b")
    assert (renamed.id, renamed.name, renamed.former_names) == (first.id, "run-b", ("run-a",))
    assert empty.get("run-a") == empty.get("run-b") == renamed
    assert empty.folder("run-a") == empty.root / first.id
    with pytest.raises(CheckpointNameError, match="'run-a' is a former name of 'run-b', which jobs may still use"):
        empty.add(golden_folder / "ckpt-noncausal.pt", causal=False, name="run-a")
    assert empty.add(causal_file, causal=True, name="run-a").former_names == ("run-b",)
    assert empty.add(causal_file, causal=True) == empty.get("run-b")
    assert empty.remove("run-b").id == first.id


def test_the_two_readings_of_one_file_are_two_checkpoints(empty, causal_file):
    """Causal and non-causal differ in id and in default name, so that each can be named."""
    one, other = empty.add(causal_file, causal=True), empty.add(causal_file, causal=False)
    assert one.id != other.id
    assert (one.name, other.name) == ("AD-darkroom-seed42@1782", "AD-darkroom-seed42@1782+noncausal")
    assert empty.get(one.name) == one
    assert empty.get(other.name) == other
    assert empty.add(causal_file, causal=False) == other


def test_taken_names_are_refused(empty, golden_folder):
    """A stated name that another checkpoint has is refused, at the first adding and at a later one."""
    empty.add(golden_folder / "ckpt-causal.pt", causal=True, name="mine")
    with pytest.raises(CheckpointNameError, match="another checkpoint is called 'mine'"):
        empty.add(golden_folder / "ckpt-noncausal.pt", causal=False, name="mine")
    other = empty.add(golden_folder / "ckpt-noncausal.pt", causal=False)
    with pytest.raises(CheckpointNameError):
        empty.add(golden_folder / "ckpt-noncausal.pt", causal=False, name="mine")
    assert empty.get(other.id) == other


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
    """A checkpoint that captures need stays; one that nothing needs goes, whole."""
    info = empty.add(causal_file, causal=True)
    with pytest.raises(CheckpointInUseError, match="need it for replay"):
        empty.remove(info.name, in_use={info.id})
    assert empty.get(info.id) == info
    assert empty.remove(info.name, in_use={"another"}) == info
    assert empty.list() == []
    assert list(empty.root.iterdir()) == []
    with pytest.raises(CheckpointUnknownError, match="registered are: none"):
        empty.remove(info.name)


@pytest.mark.parametrize(("name", "hinted"), [("model.pt", True), ("runs/mine", True), ("model", False)])
def test_a_file_in_place_of_a_name_is_told_what_to_run_first(empty, name, hinted):
    """A path is no name: the refusal says how a file is registered; a mistyped name is told nothing of files."""
    with pytest.raises(CheckpointUnknownError) as refused:
        empty.get(name)
    assert ("checkpoint add FILE" in str(refused.value)) is hinted


def test_a_failure_while_adding_leaves_nothing(empty, causal_file, monkeypatch):
    """Until its folder is moved in, an entry does not exist."""

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("attnscope_model.checkpoints.registry.move_in", fail)
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


@pytest.fixture
def edited(tmp_path):
    """Return a function that copies a shipped checkpoint with another configuration, under the id of its bytes."""

    def edit(**changes):
        folder = tmp_path / "edited"
        shutil.copytree(next(f for f in shipped_checkpoints() if f.name.endswith("seed0@250")), folder)
        config = json.loads((folder / "config.json").read_text()) | changes
        (folder / "config.json").write_text(json.dumps(config))
        entry = json.loads((folder / "entry.json").read_text())
        entry["id"] = identity((folder / "model.safetensors").read_bytes(), (folder / "config.json").read_bytes())
        (folder / "entry.json").write_text(json.dumps(entry))
        return folder

    return edit


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"layers": 10**9}, "expected layers between 1 and 64, got 1000000000"),
        ({"width": 10**9, "heads": 1}, "expected width between 1 and 4096"),
        ({"context_length": 10**12}, "expected context_length between 1 and 8192"),
        ({"actions": 10**12}, "expected actions between 1 and"),
        ({"features": [10**12, 9]}, "expected feature 0 between 1 and"),
        ({"features": [9] * 1000}, "expected features between 1 and 64"),
        ({"layers": 1.5}, "expected whole numbers as layers"),
        ({"heads": 0}, "not that of a policy"),
        ({"layers": 5}, r"missing: decoder\.\d"),
        ({"feedforward": 8}, "expected float"),
        ({"surprise": 1}, "not that of a policy"),
        ({"family": "ad-reference"}, "not that of a policy|tensors are missing"),
        ({"family": ["x"]}, "expected a family"),
    ],
)
def test_a_native_configuration_is_held_against_its_tensors_before_anything_is_built(empty, edited, changes, reason):
    """A thousand million layers are refused by their number; sizes that the weights do not have, by the weights."""
    with pytest.raises(CheckpointUnreadableError, match=reason):
        empty.add(edited(**changes))
    assert list(empty.root.iterdir()) == []


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


def test_the_golden_file_is_shipped_as_adding_it_gives(empty, causal_file):
    """The shipped entry is what adding the reference's file gives, stated causal and trained on the 73 train goals."""
    every = empty.add_shipped()
    assert empty.add_shipped() == every
    (shipped,) = (info for info in every if info.name == "AD-darkroom-seed42@1782")
    assert empty.add(causal_file, causal=True) == shipped
    train = tuple(sorted(task.index for task in preset("darkroom-reference").tasks("train")))
    assert (shipped.train_tasks, shipped.causal_stated_by, shipped.policy.causal) == (train, "user", True)
    assert shipped.source_sha256 == hashlib.sha256(causal_file.read_bytes()).hexdigest()
    assert load_policy(empty.folder(shipped.id), CPU).description == shipped.policy
    (folder,) = (path for path in shipped_checkpoints() if path.name == shipped.name)
    card = (folder / "README.md").read_text()
    assert all(text in card for text in (shipped.name, "162,565", "73 train goals"))
    assert shipped.policy.parameters == 162_565


def test_reading_the_registry_imports_no_torch(registry):
    """The service process lists checkpoints without torch; the probe would see it."""
    code = f"""
import json, sys
from pathlib import Path
from attnscope_model.checkpoints.registry import CheckpointRegistry
names = [info.name for info in CheckpointRegistry(Path({str(registry.root)!r})).list()]
before = "torch" in sys.modules
import torch
print(json.dumps([names, before, "torch" in sys.modules]))
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    names, before, after = json.loads(out)
    assert (sorted(names), before, after) == (["causal", "noncausal"], False, True)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"preset": "darkroom-13"}, r"of 13 rows and 5 actions; its weights are for \[9\] rows and 5 actions"),
        ({"train_tasks": [3, 81]}, r"train tasks within 0\.\.80, got \[81\]"),
        ({"train_tasks": [3, 4], "held_out_tasks": [4, 5]}, r"has \[4\] among its train and held-out tasks"),
        ({"validation_tasks": [5], "held_out_tasks": [5]}, r"has \[5\] among its validation and held-out tasks"),
    ],
)
def test_a_native_entry_that_contradicts_its_weights_or_itself_is_refused(empty, tmp_path, changed, reason):
    """The entry of a folder is text that anybody can edit: what can be held against the weights, or itself, is."""
    shipped = next(
        folder for folder in shipped_checkpoints() if folder.name == "AD-absolute-darkroom-reference-seed0@250"
    )
    folder = tmp_path / "edited"
    shutil.copytree(shipped, folder)
    entry = folder / "entry.json"
    entry.write_text(json.dumps(json.loads(entry.read_text()) | changed))
    with pytest.raises((CheckpointUnreadableError, TrainTasksError), match=reason):
        empty.add(folder)
    assert empty.list() == []


def test_what_a_killed_addition_left_is_swept(tmp_path):
    """An old folder that nobody holds goes; one that is being filled, a fresh one and an entry stay."""
    registry = CheckpointRegistry(tmp_path)
    entry, left, fresh = (tmp_path / name for name in ("a" * 64, ".adding-left", ".adding-fresh"))
    for folder in (entry, left / "entry", fresh):
        folder.mkdir(parents=True)
    os.utime(left, (0, 0))
    with new_folder(registry.root) as filling:
        os.utime(filling.parent, (0, 0))
        assert registry.sweep() == 1
        assert filling.is_dir()
    assert sorted(tmp_path.iterdir()) == [fresh, entry]
    assert registry.sweep() == 0
