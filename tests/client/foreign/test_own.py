"""Own attention as arrays, in memory and in files: right numbers, unknown in words, refusals that say the shape."""

from __future__ import annotations

import io
import os
import pickle  # noqa: TID251 - the tests write hostile files; nothing is unpickled
import zipfile

import numpy as np
import pytest

import attnscope
from attnscope.errors import AbsentArrayError, NotCapturedError
from attnscope.foreign import ForeignFileError, import_file, import_reference
from attnscope.foreign.files import kind_of, read_arrays

STEPS, ENVS, LAYERS, HEADS, SLOTS = 40, 2, 2, 3, 8


def attention(steps: int = STEPS, envs: int = ENVS) -> tuple[np.ndarray, np.ndarray]:
    """Return rows [step, env, layer, head, slot], NaN past the context, and lengths [step, env]."""
    lengths = np.minimum(np.arange(steps) + 1, SLOTS)[:, None].repeat(envs, axis=1)
    weights = np.exp(np.random.default_rng(3).normal(size=(steps, envs, LAYERS, HEADS, SLOTS)))
    weights[np.broadcast_to(np.arange(SLOTS) >= lengths[:, :, None, None, None], weights.shape)] = np.nan
    return weights / np.nansum(weights, axis=-1, keepdims=True), lengths


def test_arrays_become_a_capture(tmp_path):
    """Rows, lengths, statistics and the rollout are those of the arrays; what was left out is unknown in words."""
    rows, lengths = attention()
    rewards, episodes = np.tile(np.arange(STEPS)[:, None] % 3.0, ENVS), np.tile(np.arange(STEPS)[:, None] // 10, ENVS)
    made = attnscope.import_arrays(
        rows, lengths, out=tmp_path / "c.zarr", rewards=rewards, episodes=episodes, width=16, name="mine"
    )
    assert made.complete
    assert made.rows[:] == pytest.approx(rows, abs=1e-3, nan_ok=True)
    assert made.context.length[:].tolist() == lengths.tolist()
    assert made.stats.entropy[:] == pytest.approx(-np.nansum(rows * np.log(rows), axis=-1), abs=1e-5)
    assert made.stats.self[:] == pytest.approx(
        np.take_along_axis(rows, lengths[:, :, None, None, None] - 1, axis=-1)[..., 0], abs=1e-6
    )
    assert made.returns().tolist() == [[rewards[first : first + 10, 0].sum() for first in (0, 10, 20)]] * ENVS
    assert made.transition_index(STEPS - 1).tolist() == list(range(STEPS - SLOTS, STEPS))
    assert made.episode_boundaries(STEPS - 6).tolist() == [3]
    assert (made.policy.width, made.policy.causal, made.policy.actions) == (16, None, None)
    with pytest.raises(AbsentArrayError, match="the imported file arrays does not say the action of each step"):
        _ = made.rollout.action
    assert not hasattr(made.rollout, "action")


def test_one_environment_needs_no_axis_and_zeros_may_pad(tmp_path):
    """Rows [step, layer, head, slot] of one environment, padded with zeros, say the same as with NaN."""
    rows, lengths = attention(envs=1)
    whole = attnscope.import_arrays(rows, out=tmp_path / "nan.zarr")
    padded = attnscope.import_arrays(np.nan_to_num(rows[:, 0]), lengths[:, 0], out=tmp_path / "zeros.zarr")
    assert np.array_equal(whole.rows[:], padded.rows[:], equal_nan=True)
    with pytest.raises(NotCapturedError, match="does not say the returns"):
        padded.returns()


@pytest.mark.parametrize(
    ("weight", "why"),
    [(np.nan, "nan of slot 4 is NaN inside the context"), (np.inf, "slot 4 is infinite"), (-0.5, "slot 4 is negative")],
)
def test_a_weight_that_is_none_is_named(tmp_path, weight, why):
    """A NaN, infinite or negative weight inside a context is refused with its place, and nothing is left behind."""
    rows, lengths = attention()
    rows[20, 1, 1, 2, 4] = weight
    with pytest.raises(ForeignFileError, match=f"step 20, environment 1, layer 1, head 2: the weight .*{why}"):
        attnscope.import_arrays(rows, lengths, out=tmp_path / "c.zarr")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("query", [3, 8])
def test_a_nan_in_a_reference_map_is_named(tmp_path, query):
    """NaN attention of the reference is refused with step, layer and head, in the decision row and above it."""
    history = [[np.full((1, HEADS, n, n), 1 / n, np.float32) for _ in range(LAYERS)] for n in range(1, 10)]
    history[8][1][0, 2, query, 0] = np.nan
    path = tmp_path / "attention_history.pkl"
    path.write_bytes(pickle.dumps(history, protocol=4))
    with pytest.raises(ForeignFileError, match=f"step 8, layer 1, head 2: the attention of query {query} to key 0"):
        import_reference(path, tmp_path / "c.zarr")
    assert not (tmp_path / "c.zarr").exists()


WRONG = {
    "no rows": ({"rows": None}, "no array 'rows'"),
    "three axes": ({"rows": np.ones((4, 3, 2))}, r"shape \[4, 3, 2\]"),
    "objects": ({"rows": np.array([[None]])}, "expected numbers"),
    "lengths of fractions": ({"lengths": np.ones((STEPS, ENVS))}, "expected integers"),
    "lengths too short": ({"lengths": np.ones(5, int)}, r"expected \[step, env\] = \[40, 2\]"),
    "lengths too long": ({"lengths": np.full((STEPS, ENVS), 9)}, "expected 1 to 8"),
    "lengths of others": ({"lengths": np.full((STEPS, ENVS), 1)}, "past"),
    "late": ({"rows": attention()[0][20:], "lengths": attention()[1][20:]}, "first step"),
    "rewards NaN": ({"rewards": np.full((STEPS, ENVS), np.nan)}, "step 0, environment 0 is NaN"),
    "episodes that jump": ({"episodes": np.arange(STEPS * ENVS).reshape(STEPS, ENVS)}, "grows by 1"),
    "returns of one": ({"returns": np.ones(3)}, r"expected numbers \[env, episode\]"),
    "tasks of three": ({"tasks": np.arange(3)}, r"expected \[env\] = \[2\]"),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_refusal_says_the_shape(tmp_path, name):
    """Wrong arrays are refused with the shape that came and the shape that is wanted."""
    rows, lengths = attention()
    wrong, said = WRONG[name]
    with pytest.raises(ForeignFileError, match=said):
        attnscope.import_arrays(**({"rows": rows, "lengths": lengths} | wrong), out=tmp_path / "c.zarr")
    assert not (tmp_path / "c.zarr").exists()


@pytest.fixture
def expected(tmp_path):
    """Return the capture that every file of the same arrays must become."""
    rows, lengths = attention(envs=1)
    return attnscope.import_arrays(rows.astype(np.float32), lengths, out=tmp_path / "expected.zarr").rows[:]


@pytest.mark.service
@pytest.mark.parametrize("kind", ["npz", "npz without lengths", "npy", "torch", "torch alone", "bfloat16", "view"])
def test_files_become_the_same_capture(tmp_path, expected, kind):
    """Named arrays in .npz, rows in .npy, and tensors of a torch file, which are read without torch."""
    import torch  # noqa: PLC0415 - writes the files

    rows, lengths = attention(envs=1)
    rows = rows.astype(np.float32)
    path = tmp_path / f"file.{kind[:3]}"
    match kind:
        case "npz":
            np.savez_compressed(path, rows=rows, lengths=lengths, unrelated=np.arange(3))
        case "npz without lengths":
            np.savez(path, rows=rows)
        case "npy":
            np.save(path, rows)
        case "torch":
            torch.save({"rows": torch.tensor(rows), "lengths": torch.tensor(lengths), "note": 1}, path)
        case "torch alone":
            torch.save(torch.tensor(rows, requires_grad=True), path)
        case "bfloat16":
            torch.save({"rows": torch.tensor(rows).bfloat16(), "lengths": torch.tensor(lengths)}, path)
        case "view":
            torch.save(
                torch.tensor(np.concatenate([rows, rows])).transpose(3, 4).contiguous().transpose(3, 4)[40:], path
            )
    made = attnscope.open(import_file(path, tmp_path / "c.zarr"))
    near = 2e-3 if kind == "bfloat16" else 0
    assert made.rows[:] == pytest.approx(expected, abs=near, nan_ok=True)
    assert made.provenance["imported_from"] == path.name


def test_lengths_may_lie_in_a_file_of_their_own(tmp_path, expected):
    """An .npy of rows padded with zeros takes its lengths from another .npy."""
    rows, lengths = attention(envs=1)
    np.save(tmp_path / "rows.npy", np.nan_to_num(rows.astype(np.float32)))
    np.save(tmp_path / "lengths.npy", lengths)
    made = import_file(tmp_path / "rows.npy", tmp_path / "c.zarr", lengths=tmp_path / "lengths.npy")
    assert np.array_equal(attnscope.open(made).rows[:], expected, equal_nan=True)


class Canary:
    """Runs a command when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def zipped(pickled: bytes, **storages: bytes) -> bytes:
    """Return a torch file made by hand."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a/data.pkl", pickled)
        for name, bytes_ in storages.items():
            archive.writestr(f"a/data/{name.removeprefix('_')}", bytes_)
    return content.getvalue()


def tensor_pickle(shape: bytes, offset: bytes = b"K\x00", kind: bytes = b"FloatStorage") -> bytes:
    """Return the opcodes of one tensor in storage 0 with unit strides."""
    storage = b"(X\x07\0\0\0storagectorch\n" + kind + b"\nX\x01\0\0\x000X\x03\0\0\0cpuK\x06tQ"
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + storage + offset + shape + b"K\x01\x85\x89NtR."


def hostile(canary: str) -> dict[str, bytes]:
    """Return files that would do something, or that are none of attention."""
    touch = pickle.dumps(Canary(os.system, f"touch {canary}"), protocol=2)
    objects = io.BytesIO()
    np.save(objects, np.array([Canary(os.system, f"touch {canary}")], dtype=object), allow_pickle=True)
    archive = io.BytesIO()
    np.savez(archive, rows=np.array([Canary(os.system, f"touch {canary}")], dtype=object))
    return {
        "torch that calls": zipped(touch),
        "torch that names": zipped(b"\x80\x02cos\nsystem\n."),
        "torch that builds": zipped(b"\x80\x02}}b."),
        "torch of a wrong name": zipped(b"\x80\x02ctorch\nload\n."),
        "torch without its storage": zipped(tensor_pickle(b"K\x06\x85")),
        "torch past its storage": zipped(tensor_pickle(b"K\x07\x85"), _0=bytes(24)),
        "torch with a far offset": zipped(tensor_pickle(b"K\x06\x85", b"J\xff\xff\xff\x7f"), _0=bytes(24)),
        "torch of a negative offset": zipped(tensor_pickle(b"K\x06\x85", b"J\xff\xff\xff\xff"), _0=bytes(24)),
        "torch of a huge shape": zipped(tensor_pickle(b"J\xff\xff\xff\x7f\x85"), _0=bytes(24)),
        "torch of truth for a size": zipped(tensor_pickle(b"\x88\x85"), _0=bytes(24)),
        "torch of an unknown kind": zipped(tensor_pickle(b"K\x06\x85", kind=b"QInt8Storage"), _0=bytes(24)),
        "torch cut off": zipped(b"\x80\x02}(X"),
        "torch of stack games": zipped(b"\x80\x02t."),
        "torch that is its own list": zipped(b"\x80\x02]q\x00h\x00a."),
        "torch of nothing": zipped(b"\x80\x02}."),
        "torch of the old layout": b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.",
        "npy of objects": objects.getvalue(),
        "npz of objects": archive.getvalue(),
        "npy cut off": b"\x93NUMPY\x01\x00",
        "npy of a huge claim": b"\x93NUMPY\x01\x00v\x00"
        + b"{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999,9,9,9), }".ljust(117)
        + b"\n",
        "a zip of nothing": b"PK\x05\x06" + bytes(18),
        "HDF5": b"\x89HDF\r\n\x1a\n",
        "a login page": b"<!DOCTYPE html>",
        "a pointer": b"version https://git-lfs.github.com/spec/v1",
        "empty": b"",
        "text": b"hello",
    }


@pytest.mark.parametrize("name", hostile("x"))
def test_hostile_files_are_refused_with_the_files_wanted(tmp_path, name):
    """Each is refused, says the files and shapes that are read, and the canary is never made."""
    canary, path = tmp_path / "canary", tmp_path / "file"
    path.write_bytes(hostile(str(canary))[name])
    with pytest.raises(ForeignFileError, match=r"wanted: rows \[step, env, layer, head, slot\]"):
        import_file(path, tmp_path / "c.zarr")
    assert not canary.exists()
    assert not (tmp_path / "c.zarr").exists()


def test_the_canary_can_sing(tmp_path):
    """The probe works: Python's own unpickler would have run it."""
    content = hostile(str(tmp_path / "canary"))["torch that calls"]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        pickle.loads(archive.read("a/data.pkl"))  # noqa: S301 - our own canary
    assert (tmp_path / "canary").exists()


def test_a_hand_made_tensor_is_read(tmp_path):
    """The hostile tensors differ from one that is read in the one thing that is hostile."""
    path = tmp_path / "file"
    path.write_bytes(zipped(tensor_pickle(b"K\x06\x85"), _0=np.arange(6, dtype="<f4").tobytes()))
    assert read_arrays(path, kind_of(path))["rows"].tolist() == [0, 1, 2, 3, 4, 5]
