"""Every form of the rows is read: bytes and age bins as rows, a curve as potential, and what is missing is said."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import attnscope
from attnscope.errors import MapNotSampledError, NotCapturedError
from attnscope.figures.decision_rows import decision_rows
from attnscope.figures.trials.cost_curves import cost_curves
from attnscope.report import write_report
from attnscope.study import study
from attnscope.study.captions import caption_of_study
from attnscope_storage.ages import bin_edges, spread
from attnscope_storage.errors import ChunkDamagedError
from attnscope_storage.layout.chunks import encode_chunk

LONG = {"steps": 150, "slots": 130, "envs": 2, "maps": False, "flush": 50}
"""Sizes of captures whose age bins hold several tokens each, and no whole map."""


def measured(capture):
    """Return quantities and pictures' numbers that rest on rows."""
    found = study(capture)
    names = ("flatness", "shared_positions.0.8")
    values = {name: quantity.estimate.value for name in names if (quantity := found.quantity(name)) is not None}
    return {
        **values,
        "profile": found.head_profile[..., :20],
        "own": found.tally.cost_curves()["own"],
        "newest": found.tally.cost_curves()["newest"],
    }


@pytest.mark.parametrize(("form", "off"), [("u8", 6e-3), ("bins", 2e-2)])
def test_measures_of_every_form_are_those_of_the_rows(planted, form, off):
    """Bytes give every measure within their error; bins too, since this attention falls evenly with age."""
    whole, reduced = measured(attnscope.open(planted(**LONG))), measured(attnscope.open(planted(**LONG, form=form)))
    assert whole.keys() == reduced.keys()
    for name, value in whole.items():
        assert np.allclose(value, reduced[name], atol=off), name


@pytest.mark.parametrize(
    ("form", "said"),
    [("u8", "one byte a weight, error up to 0.004"), ("bins", "a weight older than 32 tokens is its")],
)
def test_captions_state_what_was_lost(planted, form, said):
    """A figure's caption names the form of the rows that it rests on."""
    assert said in caption_of_study(study(attnscope.open(planted(**LONG, form=form))))


def test_bins_of_a_short_context_lose_nothing(planted):
    """Each of its tokens has a bin, so the caption does not say that attention looks flatter."""
    said = caption_of_study(study(attnscope.open(planted(form="bins", maps=False))))
    assert "rows (age bins of one token each) of" in said
    assert "flatter" not in said


def test_a_stored_curve_tells_the_potential_over_every_step(planted):
    """Beside rows it replaces the sample; alone it is drawn alone; at the stored shares it is the rows' own."""
    rows, both = attnscope.open(planted(**LONG)), attnscope.open(planted(**LONG, curve=True))
    alone = attnscope.open(planted(**LONG, form="none", curve=True))
    own = study(rows).tally.cost_curves()["own"]
    assert np.allclose(study(both).tally.cost_curves()["own"][..., 4::5], own[..., 4::5], atol=4e-3)
    axes = cost_curves(study(alone)).axes[0]
    lines = {line.get_gid(): line.get_ydata() for line in axes.get_lines()}
    assert lines.keys() == {"own", "blind"}
    assert np.allclose(lines["own"][4::5], 1 - own[0, 0, 4::5], atol=4e-3)


def test_exact_rows_stand_in_the_place_of_their_bins(planted):
    """Of the environments whose rows are stored too, rows, means and maps are the stored ones; of others, the bins'."""
    sizes = {"steps": 150, "slots": 130, "envs": 3, "flush": 50}
    rows, mixed = attnscope.open(planted(**sizes)), attnscope.open(planted(**sizes, form="bins", exact=(1,)))
    bins = attnscope.open(planted(**sizes, form="bins", maps=False))
    assert (mixed.row_envs(), [mixed.exact_place(env) for env in range(3)]) == ([0, 1, 2], [None, 0, None])
    for key, over in (((slice(100, 103), [0, 1]), ("layer", "head")), ((120, 1, 0, 1), ()), ((120, 0), ())):
        found = mixed.rows.view(key, over=over)
        whole, spread_out = rows.rows.view(key, over=over), bins.rows.view(key, over=over)
        exact = found[:, 1] if over else found
        assert np.array_equal(exact, (whole[:, 1] if over else whole) if key[1] != 0 else spread_out, equal_nan=True)
        assert not over or np.array_equal(found[:, 0], spread_out[:, 0], equal_nan=True)
    assert np.array_equal(mixed.map(75, env=1), rows.map(75, env=1), equal_nan=True)
    with pytest.raises(MapNotSampledError):
        mixed.map(75, env=0)
    assert decision_rows(mixed, 149, env=1) is not None
    assert study(mixed).resampling.task.shape == (3,)


def test_bins_do_not_draw_the_row_of_slots(planted):
    """The picture of one row by slot is refused with the form that would have it."""
    with pytest.raises(NotCapturedError, match="age bins, which do not say the weight of each slot"):
        decision_rows(attnscope.open(planted(**LONG, form="bins")), 149)


@pytest.mark.parametrize("form", ["bins", "none"])
def test_a_report_of_every_form_comes(planted, tmp_path, form):
    """Every figure and file is written; a capture without rows says so in the place of what it lacks."""
    small = {"steps": 40, "envs": 2, "curve": True}
    written = [path.name for path in write_report(attnscope.open(planted(**small, form=form)), tmp_path / "report")]
    assert {"report.html", "cost_curves.png", "compression_recommendations.txt"} <= set(written)
    text = (tmp_path / "report" / "compression_recommendations.txt").read_text()
    assert ("decision rows, which this job did not store" in text) == (form == "none")


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("bin_edge", [0, 1, 2, 2, *range(4, 13)], "ages that rise from 0"),
        ("bin_edge", [*range(12), 2**31 - 1], "ages that rise from 0"),
        ("bin_env", [0, 7], "expected 2 of 2 environments, got .0, 7."),
    ],
)
def test_damaged_bins_are_refused_before_they_take_memory(planted, tmp_path, name, values, said):
    """Edges that do not rise, a context of billions of tokens, an environment that is not there: each is said."""
    path = tmp_path / "c.zarr"
    shutil.copytree(planted(steps=20, envs=2, form="bins", maps=False), path)
    (path / f"attention/{name}/c.0").write_bytes(encode_chunk(np.array(values, np.int32)))
    with pytest.raises(ChunkDamagedError, match=said):
        attnscope.open(path).rows[0]


def test_spread_bins_hold_their_mass_and_nothing_else():
    """Each bin's mass is spread over the ages that the context reaches; older ages are absent."""
    edges = bin_edges(300)
    bins = np.zeros(len(edges) - 1)
    last = int(np.searchsorted(edges, 200, side="right")) - 1
    bins[[0, 5, last]] = [0.5, 0.2, 0.3]
    aged = spread(bins, edges, np.array(201))
    assert aged[[0, 5]].tolist() == [0.5, 0.2]
    assert np.nansum(aged) == pytest.approx(1)
    assert np.allclose(aged[edges[last] : 201], 0.3 / (201 - edges[last]))
    assert np.isnan(aged[201:]).all()
