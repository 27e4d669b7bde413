"""Mechanisms by which a file could make its reader run, crash or fill up: each is read around, or refused, unheard.

Every file is written byte by byte. Where the trick stands beside good weights, these are read; the canary stays silent.
"""

from __future__ import annotations

import io
import json
import os
import pickle  # noqa: TID251 - the tests write hostile files
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from attnscope_model.checkpoints.foreign import parse_here
from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.parsing import machine

pytestmark = pytest.mark.usefixtures("_outside_inference_mode", "_bounded")

WEIGHTS = np.array([1.0, 2.0], dtype="<f4").tobytes()


def text(said: str) -> bytes:
    """Return a text."""
    raw = said.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def name(module: str, called: str) -> bytes:
    """Return a global."""
    return b"c" + f"{module}\n{called}\n".encode()


def whole(number: int) -> bytes:
    """Return a whole number."""
    raw = number.to_bytes(16, "little", signed=True)
    return b"\x8a\x10" + raw


def storage(key: str = "0", count: int = 2, kind: str = "FloatStorage") -> bytes:
    """Return a persistent id of a storage."""
    return b"(" + text("storage") + name("torch", kind) + text(key) + text("cpu") + whole(count) + b"tQ"


def tensor(of: bytes | None = None, offset: int = 0, size: int = 2, stride: int = 1) -> bytes:
    """Return a view of a storage."""
    view = whole(offset) + whole(size) + b"\x85" + whole(stride) + b"\x85\x89"
    hooks = name("collections", "OrderedDict") + b")R"
    return name("torch._utils", "_rebuild_tensor_v2") + b"(" + (of or storage()) + view + hooks + b"tR"


def array(shape: bytes, kind: bytes, data: bytes) -> bytes:
    """Return a NumPy array and its state."""
    blank = name("numpy._core.multiarray", "_reconstruct") + b"(" + name("numpy", "ndarray") + b"K\0\x85C\x01btR"
    return blank + b"(K\x01" + shape + kind + b"\x89C" + bytes([len(data)]) + data + b"tb"


def dtype(code: str, state: bytes = b"(K\x03X\x01\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb") -> bytes:
    """Return a NumPy dtype and its state."""
    return name("numpy", "dtype") + b"(" + text(code) + b"\x89\x88tR" + state


def content(beside: bytes = b"N", weight: bytes | None = None) -> bytes:
    """Return a pickle of one weight, and of something beside it."""
    model = text("model") + b"}(" + text("w") + (weight or tensor()) + b"u"
    return b"\x80\x02}(" + model + text("beside") + beside + b"u."


def packed(pickled: bytes, **entries: bytes) -> bytes:
    """Return torch's archive of a pickle and one storage."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for called, raw in {"m/data.pkl": pickled, "m/data/0": WEIGHTS, **entries}.items():
            archive.writestr(called, raw)
    return buffer.getvalue()


def touch(canary: Path) -> bytes:
    """Return the arguments of a command that leaves the canary."""
    return text(f"touch '{canary}'")


def nested(data: bytes) -> bytes:
    """Return a call that reads a file within the file."""
    return name("torch.storage", "_load_from_bytes") + b"B" + struct.pack("<I", len(data)) + data + b"\x85R"


def popen_with_keywords(canary: Path) -> bytes:
    """Return a new process by the opcode of keywords."""
    return name("subprocess", "Popen") + b"((" + text("touch") + text(str(canary)) + b"lt}\x92"


def laughs() -> bytes:
    """Return sixty lists, each of the one before it twice."""
    made = b"]q\0"
    for level in range(60):
        made += b"](h" + bytes([level]) + b"h" + bytes([level]) + b"eq" + bytes([level + 1])
    return made


def scalar_of_objects(canary: Path) -> bytes:
    """Return a NumPy scalar whose bytes NumPy itself would unpickle."""
    inner = b"cos\nsystem\n(" + touch(canary) + b"tR."
    return name("numpy._core.multiarray", "scalar") + dtype("O8") + b"C" + bytes([len(inner)]) + inner + b"\x86R"


COMMAND = name("os", "system")
OBJECT_STATE = b"(K\x01K\x01\x85" + dtype("O8") + b"\x89](" + COMMAND + b"etb"
BLANK = name("numpy._core.multiarray", "_reconstruct") + b"(" + name("numpy", "ndarray") + b"K\0\x85C\x01btR"

SILENT = {
    "call of a command": lambda canary: COMMAND + touch(canary) + b"\x85R",
    "call by the opcode of old instances": lambda canary: b"(" + touch(canary) + b"ios\nsystem\n",
    "call by the opcode of old objects": lambda canary: b"(" + COMMAND + touch(canary) + b"o",
    "new object of a process": lambda canary: name("subprocess", "Popen") + touch(canary) + b"\x85\x81",
    "new object with keywords": popen_with_keywords,
    "global named from the stack": lambda canary: text("os") + text("system") + b"\x93" + touch(canary) + b"\x85R",
    "call of what a call gave": lambda canary: (
        name("builtins", "getattr") + name("os", "x") + text("system") + b"\x86R" + touch(canary) + b"\x85R"
    ),
    "attributes for a stand-in": lambda canary: (
        COMMAND + b")R}(" + text("__class__") + COMMAND + text("f") + COMMAND + touch(canary) + b"\x85Rub"
    ),
    "items for a stand-in": lambda canary: name("queue", "Queue") + b")R(" + COMMAND + touch(canary) + b"\x85Re",
    "names for a stand-in": lambda canary: (
        name("os", "_Environ") + b")R(" + text("PATH") + COMMAND + touch(canary) + b"\x85Ru"
    ),
    "state that would call": lambda canary: COMMAND + b")R" + COMMAND + touch(canary) + b"\x85Rb",
    "code of a function": lambda canary: name("types", "CodeType") + b"(" + touch(canary) + b"tR",
    "evaluated text": lambda canary: name("builtins", "eval") + text(f"open({str(canary)!r}, 'w')") + b"\x85R",
    "tensor subclass that calls": lambda canary: (
        name("torch._tensor", "_rebuild_from_type_v2") + b"(" + COMMAND + COMMAND + touch(canary) + b"\x85NtR"
    ),
    "reconstructed class that calls": lambda canary: (
        name("copyreg", "_reconstructor") + b"(" + COMMAND + COMMAND + touch(canary) + b"tR"
    ),
    "NumPy scalar of objects": scalar_of_objects,
    "NumPy array of a foreign class": lambda _: (
        name("numpy._core.multiarray", "_reconstruct") + b"(" + COMMAND + b"K\0\x85C\x01btR" + OBJECT_STATE
    ),
    "NumPy array of objects": lambda _: BLANK + OBJECT_STATE,
    "references that double sixty times": lambda _: laughs(),
    "tuples a million deep": lambda _: b"N" + b"\x85" * 10**6,
    "lists that hold themselves": lambda _: b"]q\x01(h\x01h\x01e",
    "key that nests": lambda _: b"}(" + b"N" + b"\x85" * 1000 + b"Nu",
}
"""Beside good weights: by mechanism, the fragment of a pickle."""


@pytest.mark.parametrize("mechanism", SILENT)
def test_a_trick_beside_the_weights_is_read_around(tmp_path, mechanism, monkeypatch):
    """The weights are read, the trick is an inert record, and nothing was run, imported or filled."""
    if mechanism == "tuples a million deep":
        monkeypatch.setattr(machine, "MAX_MADE", 2**21)  # deeper than a file may make, and still no recursion
    canary = tmp_path / "canary"
    (tmp_path / "m.pt").write_bytes(packed(content(SILENT[mechanism](canary))))
    parsed = parse_here(tmp_path / "m.pt", tmp_path)
    assert load_file(tmp_path / "model.safetensors")["w"].tolist() == [1.0, 2.0]
    assert not canary.exists()
    assert (parsed.step, parsed.config) == (None, {})


def test_the_canary_can_sing(tmp_path):
    """The first trick does run where it is unpickled without care."""
    canary = tmp_path / "canary"
    pickle.loads(b"\x80\x02" + SILENT["call of a command"](canary) + b".")  # noqa: S301 - what nothing else here may do
    assert canary.exists()


WEIGHT_STATES = {
    "array of other bytes than its shape": (array(b"K\x03\x85", dtype("f4"), bytes(8)), r"shape \[3\] .* in 8 bytes"),
    "array of an overflowing shape": (array(whole(2**40) + whole(2**40) + b"\x86", dtype("f4"), b""), "in 0 bytes"),
    "array of a negative shape": (array(whole(-1) + b"\x85", dtype("f4"), b""), "shape that is none"),
    "array given its contents twice": (
        array(b"K\x02\x85", dtype("f4"), bytes(8)) + b"(K\x01K\x02\x85" + dtype("f4") + b"\x89C\x08" + bytes(8) + b"tb",
        "contents twice",
    ),
    "array of objects as a weight": (BLANK + OBJECT_STATE, "array of objects"),
    "array that never got contents": (BLANK, "array of objects"),
    "dtype of fields": (array(b"K\x01\x85", dtype("f4,O"), bytes(8)), "array of objects"),
    "dtype with a state of fields": (
        array(b"K\x02\x85", dtype("f4", b"(K\x03X\x01\0\0\0<})})tb"), bytes(8)),
        "array of objects",
    ),
    "dtype of a hundred megabytes": (array(b"K\x01\x85", dtype("V99999999"), bytes(8)), "array of objects"),
    "call among the weights": (COMMAND + text("true") + b"\x85R", r"a os\.system stands among|whole os\.system"),
    "tensor beyond its storage": (tensor(offset=1), "beyond the end of its storage"),
    "tensor of a negative offset": (tensor(offset=-1), "sizes, strides or offset"),
    "tensor of a negative stride": (tensor(stride=-1), "sizes, strides or offset"),
    "tensor that claims terabytes": (tensor(size=2**40, stride=0), "would take"),
    "storage of a huge count": (tensor(storage(count=2**62)), "bytes"),
    "storage of a negative count": (tensor(storage(count=-2)), "storage that is none"),
    "storage that is not there": (tensor(storage(key="9")), "has 0 bytes"),
    "storage key that climbs": (tensor(storage(key="../../data.pkl")), "has 0 bytes"),
    "storage of two types": (
        tensor(storage()).replace(b"\x89", b"\x89", 1) + b"0" + tensor(storage(kind="LongStorage", count=2)),
        "described in two ways",
    ),
    "persistent id of a name": (COMMAND + b"Q", "no storage of tensors"),
    "persistent id of another kind": (b"(" + text("module") + COMMAND + b"tQ", "no storage of tensors"),
    "persistent id in a line": (b"Pos.system\n", "opcode b'P'"),
    "name by a registered number": (b"\x82\x01", "opcode b'.x82'"),
    "buffer outside the pickle": (b"\x97", "opcode b'.x97'"),
    "file within the archive": (tensor(nested(b"\x80\x02N.")), "files within the file nest"),
    "text of an exabyte": (b"\x8d" + struct.pack("<Q", 2**60), "ends in the middle"),
    "bytes of an exabyte": (b"\x8e" + struct.pack("<Q", 2**60), "ends in the middle"),
    "text of negative length": (b"T" + struct.pack("<i", -5), "negative length"),
    "number of two gigabytes": (b"\x8b" + struct.pack("<i", 2**31 - 1), "whole number of"),
    "number of negative length": (b"\x8b" + struct.pack("<i", -1), "whole number of"),
    "number of a hundred thousand digits": (b"I" + b"9" * 100_000 + b"\n", "line without an end"),
    "marks without an end": (b"(" * 300_000, "nest or stand in a row"),
    "a value below the bottom": (b"0" * 50, "nothing to drop|missing"),
    "reference that was never given": (b"h\x63", "never gave"),
    "items without a beginning": (b"e", "missing|items for"),
    "call of a text": (text("os.system") + b")R", "a call of a str"),
    "arguments that are no tuple": (COMMAND + b"]R", "arguments that are no tuple"),
    "protocol of the future": (b"\x80\x63", "protocol 99"),
}
"""Instead of a weight: by mechanism, the fragment of a pickle and the reason of the refusal."""


@pytest.mark.parametrize("mechanism", WEIGHT_STATES)
def test_a_trick_among_the_weights_is_refused(tmp_path, mechanism):
    """The refusal says why and what to do, and leaves nothing for the parent."""
    fragment, reason = WEIGHT_STATES[mechanism]
    (tmp_path / "m.pt").write_bytes(packed(content(weight=fragment)))
    with pytest.raises(CheckpointUnreadableError, match=reason) as caught:
        parse_here(tmp_path / "m.pt", tmp_path)
    assert "; " in caught.value.message
    assert len(caught.value.message) < 1000
    assert [path.name for path in tmp_path.iterdir()] == ["m.pt"]


@pytest.mark.parametrize(
    ("bound", "fragment", "reason"),
    [
        ("MAX_MEMO", b"".join(b"Nr" + struct.pack("<I", i) + b"0" for i in range(2000)) + b"N", "remembers more"),
        ("MAX_MADE", b"}0" * 2000 + b"N", "makes more than"),
        ("MAX_MADE", b"(" + b"]" * 2000 + b"l", "makes more than"),
    ],
)
def test_floods_end_at_their_bound(tmp_path, monkeypatch, bound, fragment, reason):
    """A memo and objects without end are refused where their number is reached; the bound is lowered to see it."""
    monkeypatch.setattr(machine, bound, 1000)
    (tmp_path / "m.pt").write_bytes(packed(content(fragment)))
    with pytest.raises(CheckpointUnreadableError, match=reason):
        parse_here(tmp_path / "m.pt", tmp_path)


def duplicated() -> bytes:
    """Return an archive with two pickles of one name, of which readers take either."""
    buffer = io.BytesIO(packed(content()))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("m/data.pkl", b"\x80\x02}.")
    return buffer.getvalue()


def flagged() -> bytes:
    """Return an archive whose directory says that its entries are encrypted."""
    raw = bytearray(packed(content()))
    raw[raw.index(b"PK\1\2") + 8] |= 1
    return bytes(raw)


def enlarged() -> bytes:
    """Return an archive whose directory claims a storage of a gigabyte."""
    raw = bytearray(packed(content()))
    at = raw.rindex(b"PK\1\2")
    raw[at + 20 : at + 28] = struct.pack("<II", 2**30, 2**30)
    return bytes(raw)


def renamed() -> bytes:
    """Return an archive whose directory and entries disagree about a name."""
    return packed(content()).replace(b"m/data/0", b"m/data/1", 1)


ARCHIVES = {
    "two entries of one name": (duplicated, "two of its entries have one name"),
    "two pickles": (lambda: packed(content(), **{"n/data.pkl": content()}), "torch did not write"),
    "encrypted entries": (flagged, "compressed or encrypted"),
    "entries larger than the file": (enlarged, "larger than the file"),
    "names that disagree": (renamed, "damaged or cut off"),
    "the other byte order": (lambda: packed(content(), **{"m/byteorder": b"big"}), "other byte order"),
    "storage shorter than its tensors": (lambda: packed(content(), **{"m/data/0": b"12"}), "has 2 bytes"),
    "code": (lambda: packed(content(), **{"m/code/x.py": b""}), "TorchScript"),
    "several pickles in a row": (lambda: b"\x80\x02N.\x80\x02N.", "several pickles"),
    "older format without storages": (lambda: old(b""), "list of storages|ends in the middle"),
    "older format with a storage that lies": (lambda: old(keys(b"0") + struct.pack("<q", 9) + WEIGHTS), "cut off, or"),
    "older format with a storage twice": (lambda: old(keys(b"0", b"0")), "list of storages is none"),
    "older format with a storage of nobody": (lambda: old(keys(b"7")), "no tensor has"),
    "file within a file within a file": (
        lambda: content(weight=nested(b"\x80\x02" + nested(b"\x80\x02N.") + b".")),
        "files within the file nest",
    ),
    "file within a file that is a command": (lambda: content(weight=nested(b"cos\nsystem\n.")), "no storage"),
}
"""Whole files: by mechanism, how to write it and the reason of the refusal."""


def keys(*named: bytes) -> bytes:
    """Return the list of storages of torch's older format."""
    return b"\x80\x02](" + b"".join(text(key.decode()) for key in named) + b"e."


def old(behind: bytes) -> bytes:
    """Return a file of torch's older format whose storages are `behind`."""
    magic = b"\x80\x02\x8a\x0a" + 0x1950A86A20F9469CFC6C.to_bytes(10, "little") + b"."
    system = b"\x80\x02}" + text("little_endian") + b"\x88s."
    view = storage()[:-2] + b"NtQ"
    return magic + b"\x80\x02M\xe9\x03." + system + content(weight=tensor(view)) + behind


@pytest.mark.parametrize("mechanism", ARCHIVES)
def test_a_made_up_archive_is_refused(tmp_path, mechanism):
    """Archives and older files that say one thing in two ways, or more than they hold, are none."""
    make, reason = ARCHIVES[mechanism]
    (tmp_path / "m.pt").write_bytes(make())
    with pytest.raises(CheckpointUnreadableError, match=reason) as caught:
        parse_here(tmp_path / "m.pt", tmp_path)
    assert "; " in caught.value.message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.pt"]


def test_the_older_format_is_read_where_it_does_not_lie(tmp_path):
    """The files of the corpus are good before they are spoiled."""
    (tmp_path / "m.pt").write_bytes(old(keys(b"0") + struct.pack("<q", 2) + WEIGHTS))
    parse_here(tmp_path / "m.pt", tmp_path)
    assert load_file(tmp_path / "model.safetensors")["w"].tolist() == [1.0, 2.0]


def safe(header: object, data: bytes = WEIGHTS) -> bytes:
    """Return a safetensors file with this header."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def entry(shape: object = (2,), begin: object = 0, end: object = 8, kind: str = "F32") -> dict[str, object]:
    """Return a header's entry."""
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


TWICE = b'{"w":' + json.dumps(entry()).encode() + b',"w":' + json.dumps(entry()).encode() + b"}"
HEADERS = {
    "header of an exabyte": (struct.pack("<Q", 2**60) + b'{"w": 1}', "header claims"),
    "header that is no JSON": (safe(b"{w}"), "no JSON"),
    "header that nests": (safe(b'{"w":' + b"[" * 100_000), "no JSON"),
    "header with a number of many digits": (safe(b'{"w":' + b"9" * 10_000 + b"}"), "no JSON"),
    "name twice in the header": (safe(TWICE), "stands twice"),
    "tensors over each other": (safe({"w": entry(), "v": entry()}), "overlap"),
    "gap between tensors": (safe({"w": entry((1,), 4, 8)}), "leave a gap"),
    "tensor beyond the file": (safe({"w": entry((4,), 0, 16)}), "end at byte"),
    "bytes behind the last tensor": (safe({"w": entry((1,), 0, 4)}), "end at byte"),
    "offsets that go back": (safe({"w": entry((2,), 8, 0)}), "bytes for shape"),
    "negative offset": (safe({"w": entry((2,), -8, 0)}), "bytes for shape"),
    "other bytes than the shape": (safe({"w": entry((3,), 0, 8)}), "bytes for shape"),
    "overflowing shape": (safe({"w": entry((2**40, 2**40), 0, 8)}), "bytes for shape"),
    "negative length": (safe({"w": entry((-2, -1), 0, 8)}), "shape is none"),
    "length that is a truth value": (safe({"w": entry((True, 2), 0, 8)}), "shape is none"),
    "unknown dtype": (safe({"w": entry(kind="__import__")}), "expected a dense real tensor"),
    "entry without a shape": (safe({"w": {"dtype": "F32"}}), "no dtype, shape and offsets"),
    "entry that is a list": (safe({"w": [1]}), "no dtype, shape and offsets"),
}
"""Safetensors files: by mechanism, the file and the reason of the refusal."""


@pytest.mark.parametrize("mechanism", HEADERS)
def test_a_made_up_safetensors_header_is_refused(tmp_path, mechanism):
    """A header is held against the file, entry by entry, before a byte is cut out."""
    raw, reason = HEADERS[mechanism]
    (tmp_path / "m.safetensors").write_bytes(raw)
    with pytest.raises(CheckpointUnreadableError, match=reason):
        parse_here(tmp_path / "m.safetensors", tmp_path)
    (tmp_path / "m.safetensors").write_bytes(safe({"w": entry()}))
    parse_here(tmp_path / "m.safetensors", tmp_path)
    assert load_file(tmp_path / "model.safetensors")["w"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("odd", ["\x1b[2J" * 5000, "\u202egnp.exe", "a\nb; rm -rf ~", "n" * 5000])
def test_foreign_names_are_cut_to_plain_characters(tmp_path, odd):
    """The part of a message or note that holds a file's names fits a terminal and cannot steer it."""
    beside = name("m" + odd[:60].replace("\n", " "), "f") + b")R"
    (tmp_path / "m.pt").write_bytes(packed(content(beside)))
    notes = parse_here(tmp_path / "m.pt", tmp_path).notes
    torch.save({odd: torch.tensor([float("nan")])}, tmp_path / "n.pt")
    with pytest.raises(CheckpointUnreadableError) as caught:
        parse_here(tmp_path / "n.pt", tmp_path)
    for shown in (*notes, caught.value.message):
        assert shown.isprintable()
        assert shown.isascii()
        assert len(shown) < 400


def test_commands_are_named_by_the_modules_of_this_machine():
    """The corpus names the module that a pickle of `os.system` does; both are unknown to the reader alike."""
    assert pickle.dumps(os.system, 2).startswith(b"\x80\x02c" + os.system.__module__.encode())
