"""The reference's own capture files: read right, and nothing in them executed."""

from __future__ import annotations

import gc
import io
import os
import pickle  # noqa: TID251 - the tests write such files, good ones and hostile ones; nothing is unpickled
import tracemalloc

import numpy as np
import pytest

import attnscope
from attnscope.figures.comprehensive import comprehensive
from attnscope.foreign import import_reference
from attnscope.foreign.importing import look, read_returns
from attnscope.foreign.refusals import ForeignFileError
from attnscope.foreign.stream import inner_lists
from attnscope.study import study

LAYERS, HEADS, SLOTS = 2, 3, 9


def maps_of(steps: int, *, causal: bool = False) -> list[list[np.ndarray]]:
    """Return maps as the reference keeps them: a list over steps of a list over layers of (1, heads, n, n)."""
    rng = np.random.default_rng(5)
    history = []
    for step in range(steps):
        n = min(step + 1, SLOTS)
        weights = np.exp(rng.normal(size=(LAYERS, 1, HEADS, n, n)))
        weights = np.tril(weights) if causal else weights
        history.append(list((weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)))
    return history


def written(tmp_path, content: object, protocol: int = 4):
    """Return a file with a pickle in it."""
    path = tmp_path / "attention_history.pkl"
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("causal", [True, False])
def test_a_reference_capture_becomes_one_of_ours(tmp_path, protocol, causal):
    """Rows, maps, statistics, lengths and returns are the file's, in every protocol."""
    history = maps_of(40, causal=causal)
    path = written(tmp_path, history, protocol)
    np.savez(tmp_path / "attention_data.npz", rewards=np.arange(4.0)[None])
    capture = attnscope.open(import_reference(path, tmp_path / "c.zarr", maps=3))
    assert capture.policy.causal is causal
    assert capture.returns().tolist() == [[0, 1, 2, 3]]
    assert capture.resolved.horizon == 10
    assert capture.map_steps() == [0, 20, 39]
    for step in (0, 5, 39):
        row = np.stack([layer[0, :, -1] for layer in history[step]])
        n = row.shape[-1]
        assert capture.rows[step, 0, ..., :n] == pytest.approx(row, abs=1e-3)
        assert np.isnan(capture.rows[step, 0, ..., n:]).all()
        assert capture.stats.entropy[step, 0] == pytest.approx(-(row * np.log(row)).sum(axis=-1), abs=1e-5)
    assert capture.map(39) == pytest.approx(np.stack([layer[0] for layer in history[39]]), abs=1e-3)
    assert capture.transition_index(39).tolist() == list(range(31, 40))


def test_what_the_file_does_not_say_is_absent(tmp_path):
    """No action, reward, logit or task is made up; figures are drawn all the same, and say what is unknown."""
    capture = attnscope.open(import_reference(written(tmp_path, maps_of(12)), tmp_path / "c.zarr"))
    assert not {"rollout/reward", "rollout/action", "policy/logits", "env/task"} & set(capture.names())
    read = study(capture)
    assert read.returns is None
    figure = comprehensive(read)
    (caption,) = [text for text in figure.texts if text.get_gid() == "provenance"]
    assert "mask stated by the maps" in caption.get_text()
    assert "unknown" in caption.get_text()


class Canary:
    """Runs a command when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def hostile(canary: str) -> dict[str, object]:
    """Return pickles that would do something, each in its own way."""
    touch = Canary(os.system, f"touch {canary}")
    array = np.ones((1, 1, 1, 1), np.float32)
    return {
        "at the top": touch,
        "in a list": [[touch]],
        "as an array": [[array, touch]],
        "eval": [[Canary(eval, f"open({canary!r}, 'w')")]],
        "numpy.load": [[Canary(np.load, canary)]],
        "object array": [[np.array([touch], dtype=object).reshape(1, 1, 1, 1)]],
        "a dictionary": {"a": touch},
        "deeper": [[[array]]],
        "integers": [[np.ones((1, 1, 1, 1), int)]],
        "a scalar": [[1.0]],
        "global by line": b"cos\nsystem\n(S'touch " + canary.encode() + b"'\ntR.",
        "instance": b"(ios\nsystem\n.",
        "persistent": b"\x80\x04]\x94Pid\n.",
        "extension": b"\x80\x04]\x94\x82\x01.",
        "numpy.testing": b"\x80\x04]\x94]\x94cnumpy.testing\nmeasure\n.",
        "dotted name": b"\x80\x04]\x94]\x94\x8c\x05numpy\x8c\x10ndarray.__class__\x93.",
        "build on a list": b"\x80\x04]\x94]\x94)b.",
        "huge claim": b"\x80\x04]\x94]\x94\x8e" + (2**62).to_bytes(8, "little"),
        "long name": b"\x80\x04]\x94X\xff\xff\xff\x7f",
        "cut off": pickle.dumps(maps_of(3))[:-40],
        "stack games": b"\x80\x04]\x940000.",
        "self-reference": b"\x80\x04]\x94h\x00a.",
        "empty": b"",
        "text": b"hello",
    }


@pytest.mark.parametrize("name", hostile("x"))
def test_hostile_files_are_refused_and_nothing_runs(tmp_path, name):
    """Each is refused with a reason, for the first look and for the second, and the canary is never made."""
    canary = tmp_path / "canary"
    path = written(tmp_path, hostile(str(canary))[name])
    for contents in (False, True):
        with pytest.raises(ForeignFileError):
            list(inner_lists(path, contents=contents))
    with pytest.raises(ForeignFileError):
        import_reference(path, tmp_path / "c.zarr")
    assert not canary.exists()
    assert not (tmp_path / "c.zarr").exists()


def test_the_canary_can_sing(tmp_path):
    """The probe works: Python's own unpickler would have run it."""
    canary = tmp_path / "canary"
    content = pickle.dumps(hostile(str(canary))["in a list"])
    pickle.load(io.BytesIO(content))  # noqa: S301 - our own canary
    assert canary.exists()


@pytest.fixture
def _only_ours():
    """Collect what other tests left, and nothing while memory is traced: what is left behind there counts."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_only_ours")
def test_memory_does_not_grow_with_the_file(tmp_path):
    """Twice the steps need no more memory: one step, and names that are said again, are all that is held."""
    peaks = []
    for steps in (1000, 2000):
        path = written(tmp_path, maps_of(steps))
        tracemalloc.start()
        assert look(path).steps == steps
        assert sum(1 for _ in inner_lists(path)) == steps
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_rows_that_are_no_attention_are_refused(tmp_path):
    """Weights that do not sum to 1 are no attention."""
    history = maps_of(3)
    history[1][0] *= 2
    with pytest.raises(ValueError, match="sum to 1"):
        import_reference(written(tmp_path, history), tmp_path / "c.zarr")


def test_returns_with_objects_are_refused(tmp_path):
    """An npz of pickled objects, and one without returns, are refused with the reason."""
    path = tmp_path / "attention_data.npz"
    np.savez(path, rewards=np.array([[Canary(os.system, "true")]], dtype=object))
    with pytest.raises(ForeignFileError, match="rewards"):
        read_returns(path)
    np.savez(path, other=np.ones(3))
    with pytest.raises(ForeignFileError, match="rewards"):
        read_returns(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    """A missing file and a folder are errors with the path, not tracebacks."""
    for history in (tmp_path, tmp_path / "none.pkl"):
        with pytest.raises(ForeignFileError, match="no file at"):
            import_reference(history, tmp_path / "out.zarr")
