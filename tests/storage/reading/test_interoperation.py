"""Stock zarr and xarray open captures with nothing of ours; warnings are errors here."""

from __future__ import annotations

import numpy as np
import pytest
import xarray
import zarr

from attnscope_storage.reading.reader import CaptureReader


@pytest.fixture(params=["finished", "running", "empty"])
def capture(request, tmp_path, rollout):
    """Return a capture's folder: finished, under way, or with nothing but its static arrays."""
    until = {"finished": None, "running": 8, "empty": 0}[request.param]
    return rollout.write(tmp_path / f"{request.param}.zarr", until=until)


def test_zarr_reads_the_folder(capture, decoded):
    """Every array of the group has the committed shape and values."""
    group = zarr.open_group(capture, mode="r")
    ours = decoded(capture)
    assert dict(group.attrs)["steps_committed"] == CaptureReader.open(capture).steps_committed
    for name, values in ours.items():
        array = group[name]
        assert array.metadata.dimension_names is not None
        assert array[:].tobytes() == values.tobytes(), name


@pytest.mark.parametrize("group", ["attention", "stats", "rollout"])
def test_zarr_reads_a_group_or_an_array_by_its_path(capture, decoded, group):
    """Nodes below the root open by themselves, without the consolidated metadata too."""
    ours = decoded(capture)
    below = zarr.open_group(capture, path=group, mode="r")
    assert {f"{group}/{name}" for name in below} == {name for name in ours if name.startswith(f"{group}/")}
    for name in below:
        whole = f"{group}/{name}"
        assert zarr.open_array(capture, path=whole, mode="r")[:].tobytes() == ours[whole].tobytes()
    assert set(zarr.open_group(capture, mode="r", use_consolidated=False)[group]) == set(below)


def test_xarray_reads_the_tree(capture, decoded):
    """`open_datatree` names every axis and keeps -1 and NaN as they are."""
    ours = decoded(capture)
    with xarray.open_datatree(capture, engine="zarr", consolidated=True) as tree:
        for name, values in ours.items():
            group, _, leaf = name.partition("/")
            variable = tree[group][leaf]
            assert variable.dims == CaptureReader.open(capture).array(name).dims
            assert variable.dtype == values.dtype
            assert variable.values.tobytes() == values.tobytes(), name


@pytest.mark.parametrize("group", ["attention", "context", "env", "policy", "rollout", "stats"])
def test_xarray_reads_one_group(capture, decoded, group):
    """`open_zarr(group=…)` and `open_dataset` give the group's arrays."""
    ours = decoded(capture)
    with (
        xarray.open_zarr(capture, group=group, chunks=None) as lazily,
        xarray.open_dataset(capture, engine="zarr", group=group) as other,
    ):
        assert set(lazily.variables) == {name.partition("/")[2] for name in ours if name.startswith(f"{group}/")}
        assert lazily.identical(other)
        for name in lazily.variables:
            assert lazily[name].values.tobytes() == ours[f"{group}/{name}"].tobytes(), name


def test_coordinates_come_from_index_arrays(pristine):
    """Row environments and windows label their axes, so selections by label work."""
    with xarray.open_datatree(pristine, engine="zarr") as tree:
        assert tree["attention"].coords["row_env"].values.tolist() == [0, 2]
        mass = tree["stats/recency"].sel(window=20)
        assert np.allclose(mass + tree["stats/self"], 1, atol=1e-5)


def test_xarray_reads_the_committed_store(running, decoded):
    """Our own store, which refuses lost chunks, opens in xarray too."""
    with xarray.open_datatree(CaptureReader.open(running).store, engine="zarr") as tree:
        assert tree["rollout/action"].values.tobytes() == decoded(running)["rollout/action"].tobytes()
