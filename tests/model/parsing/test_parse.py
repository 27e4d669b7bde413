"""Foreign files: what is no checkpoint is refused with the reason, and nothing in it runs."""

from __future__ import annotations

import os
import pickle  # noqa: TID251 - the tests write hostile files
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from attnscope_model.checkpoints import foreign
from attnscope_model.checkpoints.foreign import parse_apart, parse_here
from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.parsing import apart
from attnscope_model.parsing.messages import Parsed

pytestmark = pytest.mark.usefixtures("_outside_inference_mode")


class Touch:
    """Unpickled, it leaves a canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return os.system, (f"touch '{self.canary}'",)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return an empty folder for what a parser leaves."""
    (tmp_path / "parsed").mkdir()
    return tmp_path / "parsed"


def saved(path: Path, content) -> Path:
    """Write a torch file."""
    torch.save(content, path)
    return path


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_not_run(tmp_path, folder, zipped):
    """A file whose unpickling would run a command is read in the child without it, and the command is named."""
    canary, source = tmp_path / "canary", tmp_path / "hostile.pt"
    content = {"model": {"w": torch.zeros(2)}, "config": Touch(canary)}
    torch.save(content, source, _use_new_zipfile_serialization=zipped)
    notes = parse_apart(source, folder).notes
    assert any("system, whose values are not read" in note for note in notes)
    assert any("neither imported nor run: " in note and "system" in note for note in notes)
    assert not canary.exists()


def test_the_canary_can_sing(tmp_path):
    """The file of the test above does run its command where it is unpickled without care."""
    canary = tmp_path / "canary"
    pickle.loads(pickle.dumps(Touch(canary)))  # noqa: S301 - what every other test here must not do
    assert canary.exists()


def test_a_plain_pickle_is_not_run(tmp_path, folder):
    """A pickle without torch's frame is refused too."""
    canary, source = tmp_path / "canary", tmp_path / "plain.pt"
    source.write_bytes(pickle.dumps(Touch(canary)))
    with pytest.raises(CheckpointUnreadableError, match=r"a whole .*system object .* not run"):
        parse_apart(source, folder)
    assert not canary.exists()


def test_modules_of_the_current_folder_are_not_run(tmp_path, folder, monkeypatch):
    """Adding from inside a downloaded folder imports nothing that lies there."""
    canary = tmp_path / "canary"
    for module in ("torch", "json", "resource", "attnscope_model"):
        (tmp_path / f"{module}.py").write_text(f"open({str(canary)!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    parsed = parse_apart(saved(tmp_path / "good.pt", {"model": {"w": torch.zeros(2)}}), folder)
    assert parsed == Parsed(step=None, config={}, notes=())
    assert not canary.exists()


def test_a_file_that_expands_without_end_is_stopped(tmp_path, folder):
    """A file of a few hundred kB that unpacks to a gigabyte is refused before anything is unpacked."""
    big, bomb = tmp_path / "big.pt", tmp_path / "bomb.pt"
    saved(big, {"model": {"w": torch.zeros(10)}})
    with zipfile.ZipFile(big) as read, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as written:
        for entry in read.infolist():
            if entry.filename.endswith("data/0"):
                with written.open(entry.filename, "w", force_zip64=True) as file:
                    for _ in range(1024):
                        file.write(bytes(2**20))
            else:
                written.writestr(entry.filename, read.read(entry.filename))
    assert bomb.stat().st_size < 2 * 2**20
    with pytest.raises(CheckpointUnreadableError, match=r"bomb\.pt: its entries are compressed"):
        parse_apart(bomb, folder)


def test_a_parser_that_dies_or_hangs_is_reported(tmp_path, folder, monkeypatch):
    """A child that runs out of time is killed and said to have been; nothing is left to wait for."""
    monkeypatch.setattr(apart, "WALL_SECONDS", 0.01)
    with pytest.raises(CheckpointUnreadableError, match=r"took more than 0\.01 s"):
        parse_apart(saved(tmp_path / "slow.pt", {"model": {"w": torch.zeros(2)}}), folder)


def test_keys_stay_out_of_the_child(tmp_path, folder, monkeypatch):
    """The service's own settings are not in the parser's environment."""
    monkeypatch.setenv("ATTNSCOPE_SERVER_API_KEY", "secret")
    seen = {}

    def run(*_, env, **__):
        seen.update(env)
        raise apart.subprocess.TimeoutExpired("parser", 1)

    monkeypatch.setattr(apart.subprocess, "run", run)
    with pytest.raises(CheckpointUnreadableError):
        parse_apart(saved(tmp_path / "any.pt", {}), folder)
    assert "PATH" in seen
    assert not [name for name in seen if name.startswith("ATTNSCOPE_")]


def test_too_large_and_missing_files_are_refused_unopened(tmp_path, folder, monkeypatch):
    """Size is checked before a child starts, and a folder or nothing at all is no file."""
    monkeypatch.setattr(foreign, "MAX_FILE_BYTES", 10)
    with pytest.raises(CheckpointUnreadableError, match="more than the 10"):
        parse_apart(saved(tmp_path / "large.pt", {}), folder)
    for missing in (tmp_path, tmp_path / "none.pt"):
        with pytest.raises(CheckpointUnreadableError, match="there is no file"):
            parse_apart(missing, folder)


WIDE = torch.zeros(1).expand(10**10)
HALF = {"a": torch.ones(3, dtype=torch.bfloat16), "n": torch.tensor([1, 2])}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([1, 2], "expected a state dict of tensors"),
        ({"model": {"w": 3}}, "expected a state dict of tensors"),
        ({"model": {"w": torch.tensor([1.0, float("nan")])}}, "w: a weight is not finite"),
        ({"model": {"w": torch.zeros(2, dtype=torch.complex64)}}, "dense real tensor"),
        ({"model": {"w": torch.zeros(2, 2).to_sparse()}}, "w: a torch._utils._rebuild_sparse_tensor stands among"),
        ({"model": {"w": WIDE}}, "would take 40000000000 bytes"),
        ({"model": {"w": torch.zeros(2), "module.w": torch.zeros(2)}}, "stored twice"),
        ({"model": {"w": torch.zeros(2)}, "config": {str(i): i for i in range(1001)}}, "1001 entries"),
        ({"model": {"w": torch.zeros(2)}, "config": {str(i): np.float64(i) for i in range(1001)}}, "1001 entries"),
    ],
)
def test_contents_that_are_no_checkpoint_are_refused(tmp_path, folder, content, reason):
    """Each with its reason; nothing is left for the parent."""
    with pytest.raises(CheckpointUnreadableError, match=reason) as caught:
        parse_here(saved(tmp_path / "odd.pt", content), folder)
    assert "; " in caught.value.message or "entries" in caught.value.message
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("cut", [0, 1, 1000, 100_000, -1])
def test_truncated_files_are_refused(golden_folder, tmp_path, folder, cut):
    """A file that a copy cut short, anywhere, is refused as unreadable."""
    source = tmp_path / "cut.pt"
    source.write_bytes((golden_folder / "ckpt-noncausal.pt").read_bytes()[:cut])
    with pytest.raises(CheckpointUnreadableError, match=r"copy it again|first bytes"):
        parse_here(source, folder)


def test_text_is_refused(tmp_path, folder):
    """A file that is something else altogether is refused as unreadable."""
    source = tmp_path / "notes.pt"
    source.write_text("hello")
    with pytest.raises(CheckpointUnreadableError, match="not a checkpoint"):
        parse_here(source, folder)


def test_tensors_come_out_whole_and_plain(tmp_path, folder):
    """Halves become float32, integers stay, views become whole, prefixes of wrappers go in any order."""
    base = torch.arange(6.0)
    state = HALF | {"module._orig_mod.x": base[::2], "_orig_mod.module.y": base.reshape(2, 3).t()}
    parse_here(saved(tmp_path / "mixed.pt", {"model": state}), folder)
    tensors = load_file(folder / "model.safetensors")
    assert {name: tensor.dtype for name, tensor in tensors.items()} == {
        "a": torch.float32,
        "n": torch.int64,
        "x": torch.float32,
        "y": torch.float32,
    }
    assert tensors["x"].tolist() == [0.0, 2.0, 4.0]
    assert tensors["y"].tolist() == [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]


def test_configurations_come_out_plain(tmp_path, folder):
    """Device and nested or unbounded values are left out, whatever they are; a step is a plain number or nothing."""
    config = {
        "device": "cuda",
        "tf_n_head": 4,
        "lr": 0.1,
        "flash_attn": True,
        "env": "darkroom",
        "nested": {"x": 1},
        "list": [1],
        "huge": 10**30,
        "nan": float("nan"),
        "long": "x" * 5000,
        "half": "\ud800",
        "\udfff": "half a name",
        "where": torch.device("cpu"),
        3: "three",
    }
    for step, read in ((60_000, 60_000), (-1, None), (True, None), (10**30, None), ("1", None)):
        content = {"model": {"w": torch.zeros(1)}, "config": config, "step": step}
        parsed = parse_here(saved(tmp_path / "c.pt", content), folder)
        assert parsed.step == read
    assert parsed.config == {"tf_n_head": 4, "lr": 0.1, "flash_attn": True, "env": "darkroom", "3": "three"}
