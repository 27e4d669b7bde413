"""Verification finds what is wrong, and nothing where nothing is."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

from attnscope_storage.errors import VerificationError
from attnscope_storage.kinds.capture.agreement import disagreements
from attnscope_storage.kinds.capture.schema import RECENCY_WINDOWS
from attnscope_storage.kinds.capture.verify import breaks_contract
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import MAX_PROBLEMS, VerificationReport, verify


def edit(path, name, change):
    """Change a stored array in place, as a bug in a writer would have."""
    array = zarr.open_array(path / name, mode="r+")
    values = array[:]
    change(values)
    array[:] = values


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"row_every": 3},
        {"row_layers": (1,), "row_heads": (0,)},
        {"row_envs": None, "map_envs": (0, 1, 2)},
        {"map_steps": ()},
        {"steps": 1, "map_steps": (0,)},
        {"row_form": "u8"},
        {"row_envs": None, "map_steps": (), "bin_envs": (0, 2), "curve": True},
    ],
)
def test_nothing_is_wrong_with_a_good_capture(tmp_path, rollout, changes):
    """Subsets of rows, no rows and no maps verify, and the report counts what was looked at."""
    of = rollout.schema(**changes)
    reader = CaptureReader.open(rollout.write(tmp_path / "c.zarr", of))
    report = verify(reader)
    assert report.problems == []
    assert report.ok
    report.raise_if_wrong()
    assert report.steps == of.dims.steps
    assert report.chunks == len(list(reader.root.chunk_keys()))
    shapes = {name: reader.array(name).shape for name in reader.names()}
    rows = [np.prod(shapes.get(f"attention/{form}", (0,))[:4]) for form in ("rows", "bins")]
    assert report.rows == sum(rows)
    assert report.maps == np.prod(shapes.get("attention/maps", (0,))[:4])


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("attention/bins", lambda bins: bins.__setitem__((5, 1, 0, 0, 0), 0.9), "attention/bins at step 5, env 2"),
        ("attention/curve", lambda curve: curve.__setitem__((7, 1, 1, 0, 3), 0), "attention/curve at step 7, env 1"),
        ("attention/rows", lambda rows: rows.__setitem__((3, 1, 0, 1, 0), 254), "attention/rows at step 3, env 2"),
    ],
)
def test_what_stands_in_the_place_of_rows_is_checked(tmp_path, rollout, name, change, said):
    """A bin, a budget or a byte that is another number than the writer's is named with its step and environment."""
    form = {"row_form": "u8"} if name == "attention/rows" else {"row_envs": None, "map_steps": ()}
    of = rollout.schema(bin_envs=(0, 2), curve=True, **form)
    path = rollout.write(tmp_path / "c.zarr", of)
    edit(path, name, change)
    report = verify(CaptureReader.open(path))
    assert [problem for problem in report.problems if said in problem] == report.problems
    assert report.wrong == 1


def test_a_running_capture_verifies_up_to_its_commit(running):
    """Chunks that are not committed are not missed."""
    report = verify(CaptureReader.open(running))
    assert report.ok
    assert (report.steps, report.rows) == (8, 8 * 2 * 2 * 2)


def test_every_missing_and_damaged_chunk_is_named(finished):
    """All of them, not only the first."""
    (finished / "rollout/action/c.1.0").unlink()
    (finished / "env/task/c.0").unlink()
    (finished / "policy/logits/c.0.0.0").write_bytes(b"nonsense")
    report = verify(CaptureReader.open(finished))
    assert report.wrong == 3
    text = "\n".join(report.problems)
    for key in ("rollout/action/c.1.0", "env/task/c.0", "policy/logits/c.0.0.0"):
        assert f"the committed chunk {key} is" in text


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda rows: rows.__setitem__((9, 1, 0, 1), rows[9, 1, 0, 1] * 1.01), "step 9, env 2"),
        (lambda rows: rows.__setitem__((2, 0, 1, 1, 5), 0), "step 2, env 0"),
        (lambda rows: rows.__setitem__((21, 0, 1, 1, 5), np.nan), "step 21, env 0"),
        (lambda rows: rows.__setitem__((9, 0, 0, 0), np.nan), "step 9, env 0"),
        (lambda rows: rows.__setitem__((9, 0, 0, 0, slice(0, 2)), (-0.5, 1.5)), "step 9, env 0"),
    ],
)
def test_rows_that_are_no_attention_are_named(finished, change, place):
    """A sum off by a percent, a value past the context, a NaN inside it, a weight outside [0, 1]."""
    edit(finished, "attention/rows", change)
    report = verify(CaptureReader.open(finished))
    assert report.problems == [f"attention/rows at {place} is no row of attention"]
    with pytest.raises(VerificationError, match=place):
        report.raise_if_wrong()


@pytest.mark.parametrize("name", ["entropy", "max", "effective", "sink", "self", "recency"])
def test_statistics_of_other_rows_are_named(finished, name):
    """A statistic moved by three thousandths at one step is told from float16 rounding."""
    edit(finished, f"stats/{name}", lambda values: values.__setitem__((10, 2), values[10, 2] + np.float32(0.003)))
    report = verify(CaptureReader.open(finished))
    assert report.problems == [f"stats/{name} at step 10, env 2 is not that of the stored row"]


def test_a_context_length_of_another_row_is_found(finished):
    """Rows are NaN exactly past the stored length, so a wrong length shows."""
    edit(finished, "context/length", lambda values: values.__setitem__((3, 0), 3))
    assert "attention/rows at step 3, env 0 is no row of attention" in verify(CaptureReader.open(finished)).problems


@pytest.mark.parametrize("place", [(0, 0, 0, 0, 0, 1), (2, 1, 1, 0, 3)])
def test_maps_that_are_no_attention_are_named(finished, place):
    """A value past the context, and a query whose weights do not sum to 1."""
    edit(finished, "attention/maps", lambda values: values.__setitem__(place, 0.7))
    report = verify(CaptureReader.open(finished))
    assert len(report.problems) == 1
    assert "is no map of attention" in report.problems[0]


def test_only_the_first_problems_are_spelled_out():
    """A report of a ruined capture stays readable, and still counts."""
    report = VerificationReport()
    for place in range(MAX_PROBLEMS + 5):
        report.note(f"{place}")
    assert (report.wrong, len(report.problems)) == (MAX_PROBLEMS + 5, MAX_PROBLEMS)


@pytest.mark.parametrize("slots", [1, 2, 160, 2000])
@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0])
def test_float16_rounding_alone_is_never_a_problem(rollout, slots, scale):
    """Uniform, soft and one-hot rows of any length pass: sums and statistics within what rounding can do."""
    rng = np.random.default_rng(slots)
    weights = rollout.softmax(rng.normal(size=(4, 2, 2, 2, slots), scale=scale).astype(np.float32))
    weights = np.maximum(weights, np.finfo(np.float32).tiny)
    rows, lengths = weights.astype(np.float16), np.full((4, 2), slots)
    assert not breaks_contract(rows, lengths[:, :, None, None]).any()
    statistics = {name.removeprefix("stats/"): value for name, value in rollout.statistics(weights).items()}
    for name, wrong in disagreements(rows, lengths, statistics, np.array(RECENCY_WINDOWS), "last").items():
        assert not wrong.any(), name


def test_a_query_in_front_has_its_own_slot_first():
    """If the query is first, `self` is slot 0 and recency counts from the end without it."""
    rows = np.array([0.5, 0.125, 0.125, 0.25, np.nan], np.float16)[None, None, None, None]
    statistics = {
        "entropy": -np.sum(np.log([0.5, 0.125, 0.125, 0.25]) * [0.5, 0.125, 0.125, 0.25]),
        "max": 0.5,
        "effective": 1 / (0.25 + 2 / 64 + 1 / 16),
        "sink": 0.5,
        "self": 0.5,
        "recency": np.array([0.25, 0.5, 0.5, 0.5]),
    }
    shaped = {
        name: np.asarray(value, float).reshape(1, 1, 1, 1, *np.shape(value)) for name, value in statistics.items()
    }
    lengths, windows = np.array([[4]]), np.array(RECENCY_WINDOWS)
    assert not any(wrong.any() for wrong in disagreements(rows, lengths, shaped, windows, "first").values())
    last = disagreements(rows, lengths, shaped, windows, "last")
    assert last["self"].all()
    assert last["recency"].all()
