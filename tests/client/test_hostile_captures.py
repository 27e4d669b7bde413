"""Captures that lead elsewhere, claim the impossible or unpack without end: refused before anything is done."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from numcodecs.zstd import Zstd

import attnscope
import attnscope.capture
import attnscope.fetching.download
import attnscope.fetching.lazy
from attnscope.errors import (
    DownloadRefusedError,
    RequestRefusedError,
    UnexpectedAnswerError,
)
from attnscope.page.subjects import Subject
from attnscope.report.summary import summarise
from attnscope_storage.errors import AttnscopeError, ChunkDamagedError


@pytest.fixture
def capture(fake):
    """Return the fake service's capture."""
    with attnscope.connect(fake.url, "right-key") as service:
        yield service.job("last").capture()


def renamed(name: str):
    """Return a change that gives an array another name."""
    return lambda _document, nodes: nodes.update({name: nodes.pop("env/task")})


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/var/evil",
        "a/../../evil",
        "env/..",
        "a//b",
        "a\\..\\b",
        "env/task\x00",
        "C:evil",
        "~",
        "env/zarr.json",
    ],
)
def test_no_name_leads_out_of_the_folder(fake, tmp_path, name, hostile_root):
    """A root document that names a place elsewhere is refused before a file is written."""
    fake.stored = hostile_root(fake.stored, tmp_path / "hostile", renamed(name))
    target = tmp_path / "deep" / "er" / "c.zarr"
    target.parent.mkdir(parents=True)
    with attnscope.connect(fake.url, "right-key") as service, pytest.raises(ChunkDamagedError):
        service.job("last").capture().download(target)
    assert sorted(path.name for path in tmp_path.rglob("*") if "evil" in path.name) == []
    assert list(target.parent.iterdir()) == []


def test_a_download_follows_no_link(capture, tmp_path):
    """A link planted where an unfinished download lies, at any depth, is refused, and nothing behind it is touched."""
    outside = tmp_path / "outside"
    outside.mkdir()
    identity = hashlib.sha256(str(capture._reader.root.attributes["capture_id"]).encode()).hexdigest()[:16]
    scratch = tmp_path / f".c.zarr.{identity}.partial"
    for place in ("", "attention", "rollout/action/c.0.0"):
        planted = scratch / place
        planted.parent.mkdir(parents=True, exist_ok=True)
        planted.symlink_to(outside)
        with pytest.raises(DownloadRefusedError, match="symbolic link"):
            capture.download(tmp_path / "c.zarr")
        assert list(outside.iterdir()) == []
        planted.unlink()
        shutil.rmtree(scratch, ignore_errors=True)
    (tmp_path / "c.zarr").symlink_to(outside)
    with pytest.raises(DownloadRefusedError, match="exists"):
        capture.download(tmp_path / "c.zarr")


def grown(name: str, steps: int):
    """Return a change that claims more steps of an array."""

    def change(_document, nodes):
        nodes[name]["shape"][0] = steps

    return change


def test_what_is_claimed_is_not_allocated(fake, tmp_path, hostile_root):
    """A shape of exabytes is refused at the selection and at the download, before anything is reserved or fetched."""
    fake.stored = hostile_root(fake.stored, tmp_path / "hostile", grown("rollout/reward", 2**60))
    with attnscope.connect(fake.url, "right-key") as service:
        capture = service.job("last").capture()
        fake.asked.clear()
        with pytest.raises(RequestRefusedError, match="fewer steps"):
            capture.rollout.reward[:]
        with pytest.raises(UnexpectedAnswerError, match="free here"):
            capture.download(tmp_path / "c.zarr")
    assert not [path for path in fake.asked if "c.0" in path]


def test_a_chunk_may_not_be_larger_than_any_schema_writes(fake, tmp_path, hostile_root):
    """A chunk shape of terabytes is refused with the document that names it."""

    def change(_document, nodes):
        nodes["rollout/reward"]["chunk_grid"]["configuration"]["chunk_shape"][0] = 2**40

    fake.stored = hostile_root(fake.stored, tmp_path / "hostile", change)
    with attnscope.connect(fake.url, "right-key") as service, pytest.raises(ChunkDamagedError, match="a chunk of"):
        service.job("last").capture()


def test_a_bomb_is_not_unpacked(fake, tmp_path, monkeypatch):
    """A frame that claims another size than the chunk has never reaches zstd; memory stays where it was."""
    folder = tmp_path / "hostile"
    shutil.copytree(fake.stored, folder)
    fake.stored = folder
    chunk = folder / "rollout" / "reward" / "c.0.0"
    bomb = Zstd(level=19, checksum=True).encode(bytes(64 * 2**20))
    huge = b"\x28\xb5\x2f\xfd\xe0" + (2**62).to_bytes(8, "little") + b"\x01\x00\x00"
    monkeypatch.setattr(attnscope.fetching.lazy, "VIEW_BYTES", 0)
    monkeypatch.setattr(attnscope.fetching.lazy, "SPARSE", 2**40)
    decoded = []
    monkeypatch.setattr(Zstd, "decode", lambda *_args, **_options: decoded.append(1))
    for content in (bomb, huge, bomb[:20], b""):
        chunk.write_bytes(content)
        with attnscope.connect(fake.url, "right-key") as service:
            rollout = service.job("last").capture().rollout
            with pytest.raises(ChunkDamagedError, match=r"rollout/reward/c\.0\.0"):
                rollout.reward[0]
    assert decoded == []


def odd_roots(root: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the root document with one attribute left out or of another type, those of the provenance among them."""
    attributes = root["attributes"]
    for part in ("", "provenance"):
        held = attributes[part] if part else attributes
        for name in held:
            for odd in (7, "x", [], {"a": 1}, ...):
                changed = json.loads(json.dumps(root))
                place = changed["attributes"][part] if part else changed["attributes"]
                if odd is ...:
                    del place[name]
                else:
                    place[name] = odd
                yield f"{part}.{name}: {odd!r}", changed


@pytest.mark.parametrize(
    "output",
    [
        {"kind": "beta"},
        {"branches": [2**62, 3]},
        {"branches": [-1, 6]},
        {"branches": "many"},
        {"kind": "vector", "scale": [0.0] * 5},
        {"kind": "gaussian", "branches": [5]},
        [],
    ],
)
def test_a_head_that_contradicts_itself_is_a_sentence(stored, tmp_path, output):
    """A description whose branches, scale or kind do not fit its actions is refused where a capture is opened."""
    folder = tmp_path / "c.zarr"
    shutil.copytree(stored, folder)
    root = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))
    root["attributes"]["policy"]["output"] = output
    (folder / "zarr.json").write_text(json.dumps(root), encoding="utf-8")
    with pytest.raises(AttnscopeError):
        summarise(attnscope.open(folder))
    assert told(lambda path: Subject.of_folder(path).about(), folder) is None


def told(what: Callable[[Path], object], folder: Path) -> str | None:
    """Return how somebody's look at a folder fails, if it is neither a result nor one of our sentences."""
    try:
        what(folder)
    except AttnscopeError:
        return None
    except Exception as error:  # noqa: BLE001 - it is the finding
        return f"{type(error).__name__}: {error}"
    return None


def test_whatever_a_root_document_says_is_a_result_or_a_sentence(stored, tmp_path):
    """A folder of another program, or a damaged one: notebook, page and summary never end in an error of Python."""
    folder = tmp_path / "c.zarr"
    shutil.copytree(stored, folder)
    root = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))
    looks = {
        "notebook": lambda path: (repr(attnscope.open(path)), attnscope.open(path)._repr_html_()),
        "page": lambda path: Subject.of_folder(path).about(),
    }
    wrong = []
    for name, changed in odd_roots(root):
        (folder / "zarr.json").write_text(json.dumps(changed), encoding="utf-8")
        asked = looks | ({"summary": lambda path: summarise(attnscope.open(path))} if name.endswith("Ellipsis") else {})
        wrong += [f"{look} of {name}: {why}" for look, what in asked.items() if (why := told(what, folder)) is not None]
    assert wrong == []
