"""Reductions that a capture keeps in the place of its rows: bytes, age bins and retained mass, as the rows say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnscope_env.presets.listing import LISTED
from attnscope_model.acting.replay import check, read_moment, replay
from attnscope_model.checkpoints.native import load_policy
from attnscope_server.acting.errors import RolloutStoppedError
from attnscope_server.capturing import job, keeping
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.kind import KIND, alternatives
from attnscope_server.capturing.resolving import resolve
from attnscope_server.errors import ProblemError
from attnscope_server.limits import Limits
from attnscope_storage.ages import SHARES, bin_edges
from attnscope_storage.reading.decoded import DecodedChunks
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.reductions import age_profile, retained_mass
from attnscope_storage.shades import U8_ERROR
from attnscope_storage.verify import verify
from attnscope_storage.wire import CaptureSpec

CPU = torch.device("cpu")
STEPS = 170


@pytest.fixture(scope="module")
def capture(registry, tmp_path_factory):
    """Return a function that captures two environments past their sliding window, with rows as they are asked for."""
    policy = load_policy(registry.folder(registry.get("causal").id), CPU)

    def run(name: str, stop_at: int | None = None, *, on_device: bool = False, **rows) -> CaptureReader:
        spec = asked(**rows)
        path = tmp_path_factory.getbasetemp() / f"{name}.zarr"
        order = CaptureOrder(name, "tester", spec, resolve(spec, registry), path, durable=False, on_device=on_device)
        steps = iter(range(10_000))
        run_capture(order, policy, registry.get("causal"), CPU, stopped=lambda: stop_at == next(steps))
        return CaptureReader.open(path)

    return run


def asked(**rows) -> CaptureSpec:
    """Return the specification of a small capture."""
    tasks = {"split": "test", "indices": [0, 3]}
    return CaptureSpec.model_validate(
        {"checkpoint": "causal", "tasks": tasks, "steps": STEPS, "maps": {"count": 0}, "rows": rows}
    )


@pytest.fixture(scope="module")
def whole(capture):
    """Return the capture whose rows are float16."""
    return capture("whole")


@pytest.fixture(scope="module")
def binned(capture):
    """Return the capture of the same decisions as age bins and curves, beside the rows of one environment."""
    return capture("binned", form="bins", exact=[1], curve=True)


def test_bytes_are_the_rows_within_their_error(capture, whole):
    """Each weight that is stored as a byte is that of the float16 rows, within the error that the store states."""
    shades = capture("shades", form="u8")
    assert verify(shades).problems == []
    rows, near = whole.array("attention/rows")[:], shades.array("attention/rows")[:]
    assert np.array_equal(np.isnan(rows), np.isnan(near))
    assert np.nanmax(np.abs(rows.astype(np.float64) - near)) <= U8_ERROR + 2.0**-11
    assert np.array_equal(shades.array("stats/entropy")[:], whole.array("stats/entropy")[:])


def test_a_replay_is_compared_with_bytes_within_their_error(capture, registry):
    """The replayed row of a capture that stores bytes is the stored one, as far as a byte tells."""
    reader, chunks = capture("replayed", form="u8"), DecodedChunks()
    policy = load_policy(registry.folder(registry.get("causal").id), CPU)
    check(replay(policy, read_moment(chunks, reader, 165, 1), CPU), chunks, reader)


def test_bins_hold_the_attention_of_their_ages(whole, binned):
    """Every bin is the sum of the row's weights at its ages; exact for the newest, and no mass is dropped."""
    assert verify(binned).problems == []
    rows, length = whole.array("attention/rows")[:], whole.array("context/length")[:]
    edges = bin_edges(rows.shape[-1])
    assert len(edges) - 1 <= 100
    assert edges[:34].tolist() == list(range(34))
    assert binned.array("attention/bin_edge")[:].tolist() == edges.tolist()
    bins = binned.array("attention/bins")[:].astype(np.float64)
    for step in (0, 20, 60, STEPS - 1):
        aged = age_profile(rows[step : step + 1], length[step : step + 1], "last").mean
        reached = edges[:-1] < length[step, 0]
        sums = np.add.reduceat(np.nan_to_num(aged), edges[:-1], axis=-1)
        assert np.allclose(bins[step][..., reached], sums[..., reached], atol=2e-3), step
        assert np.isnan(bins[step][..., ~reached]).all()
    assert binned.array("attention/bins").attributes["dropped_mass"] == 0


def test_curves_hold_what_the_best_tokens_hold(whole, binned):
    """At each stored share of the history, the curve is the retained mass of the rows; at none, the query's own."""
    rows, length = whole.array("attention/rows")[:], whole.array("context/length")[:]
    curve = binned.array("attention/curve")[:].astype(np.float64)
    for step in (0, 1, 30, STEPS - 1):
        kept = retained_mass(rows[step : step + 1], length[step : step + 1], "last", len(SHARES) - 1).mean
        assert np.allclose(curve[step][..., 1:], kept, atol=2e-3), step
    assert np.allclose(curve[..., 0], whole.array("stats/self")[:], atol=1e-3)


def test_some_rows_stand_beside_the_bins(whole, binned):
    """The rows of the environments that were named are bit-equal to those of a capture of all."""
    assert binned.array("attention/row_env")[:].tolist() == [1]
    assert binned.array("attention/bin_env")[:].tolist() == [0, 1]
    rows = whole.array("attention/rows")[:, 1]
    assert np.array_equal(binned.array("attention/rows")[:, 0], rows, equal_nan=True)


def test_a_resumed_capture_has_the_same_bins(capture, binned):
    """Stopped after a commit, it ends with every array bit-equal; so does the rollout of a device."""
    with pytest.raises(RolloutStoppedError):
        capture("stopped", 150, form="bins", exact=[1], curve=True)
    others = (
        capture("stopped", form="bins", exact=[1], curve=True),
        capture("device", on_device=True, form="bins", exact=[1], curve=True),
    )
    for other in others:
        for name in binned.names():
            values = binned.array(name)[:]
            assert np.array_equal(values, other.array(name)[:], equal_nan=values.dtype.kind == "f"), name


def test_a_capture_that_an_older_version_began_goes_on_in_it(capture, monkeypatch, whole):
    """Stopped in the first layout, it is continued in the first layout, to the values of a new capture."""
    monkeypatch.setattr(job, "SCHEMA_VERSION", 1)
    with pytest.raises(RolloutStoppedError):
        capture("older", 150)
    monkeypatch.undo()
    resumed = capture("older")
    assert (resumed.schema_version, resumed.complete, whole.schema_version) == (1, True, 2)
    for name in resumed.names():
        values = resumed.array(name)[:]
        assert np.array_equal(values, whole.array(name)[:], equal_nan=values.dtype.kind == "f"), name


def test_the_weight_of_a_row_chooses_the_form(registry, monkeypatch):
    """Small rows are kept whole; large ones as bins and a curve, beside the rows of a few; what is asked for wins."""
    small = resolve(asked(), registry)
    assert (small.row_form, small.row_envs, small.bin_envs, small.curve) == ("f16", (0, 1), (), False)
    monkeypatch.setattr(keeping, "LARGE_ROW_BYTES", 1024)
    monkeypatch.setattr(keeping, "FEW", 1)
    large = resolve(asked(), registry)
    assert (large.row_form, large.row_envs, large.bin_envs, large.curve) == ("f16", (0,), (0, 1), True)
    bins = resolve(asked(form="bins"), registry)
    assert (bins.row_form, bins.row_envs, bins.bin_envs, bins.curve) == ("none", (0, 1), (0, 1), False)
    whole = resolve(asked(form="f16"), registry)
    assert (whole.row_form, whole.bin_envs, whole.curve) == ("f16", (), False)
    none = resolve(asked(form="none", curve=True), registry)
    assert (none.row_form, none.bin_envs, none.curve) == ("none", (), True)


def test_an_estimate_tells_the_bytes_of_every_other_form(registry):
    """The same capture in each other form, from the largest to the smallest; its own form is left out."""
    planned = KIND.plan(asked(), registry, LISTED, Limits())
    sizes = {other.form: other.bytes_raw for other in alternatives(planned)}
    assert list(sizes) == ["u8", "bins", "none"]
    assert planned.bytes_raw > sizes["u8"] > sizes["none"]
    assert sizes["bins"] > sizes["none"]


def test_exact_rows_are_of_environments_whose_bins_are_stored(registry):
    """An environment that has rows but no bins would be missing where bins are read; it is refused by its number."""
    with pytest.raises(ProblemError, match=r"rows.exact: .0. are not among rows.envs"):
        resolve(asked(form="bins", envs=[1], exact=[0]), registry)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"enabled": False, "form": "u8"}, "rows are not enabled, yet form is u8"),
        ({"form": "u8", "exact": [0]}, "exact names rows beside bins"),
        ({"form": "bits"}, "Input should be 'f16', 'u8', 'bins' or 'none'"),
    ],
)
def test_a_choice_that_contradicts_itself_is_refused(rows, said):
    """Each contradiction names its field."""
    with pytest.raises(ValueError, match=said):
        asked(**rows)
