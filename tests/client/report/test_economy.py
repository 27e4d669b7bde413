"""The bytes of a picture and of a report."""

from __future__ import annotations

import numpy as np
import pytest

import attnscope
from attnscope.figures.heatmap import heatmap
from attnscope.reading.reduced import mean_profile, mean_retained
from attnscope.report import write_report
from attnscope.report.embedding import embedded
from attnscope.study import Choice, study
from attnscope_storage.shades import as_u8, from_u8

WIDE = {"steps": 400, "envs": 2, "layers": 2, "heads": 4, "slots": 260, "flush": None}
"""Sizes of a capture whose age bins hold several tokens each."""


@pytest.fixture
def remote(planted, serve, monkeypatch):
    """Return a function that serves a planted capture and opens it over HTTP."""
    monkeypatch.setenv("ATTNSCOPE_API_KEY", "right-key")

    def open_remote(**asked):
        server = serve(planted(**asked))
        return server, attnscope.connect(server.url).job("last").capture()

    return open_remote


def test_the_first_picture_needs_less_than_200_kb(remote):
    """A heatmap of the shipped policy's size, 3 layers of 4 heads over 100 tokens, comes as bytes."""
    server, capture = remote(layers=3, heads=4, slots=100, steps=100, envs=1)
    heatmap(capture, 99)
    assert 100_000 < server.sent <= 200_000


def test_a_study_reads_what_its_plan_says(remote, planted):
    """No more bytes come over the slice route than the plan counts, and the numbers are those of the local capture."""
    asked = {"steps": 500, "envs": 16, "layers": 3, "heads": 4, "slots": 60, "flush": None}
    server, capture = remote(**asked)
    read, plain = study(capture), study(attnscope.open(planted(**asked)))
    near, far = (one.tally for one in (plain, read))
    assert read.sampled
    rollout = 500 * 16 * (4 + 4 + 4 + 4 + 8 + 1 + 1)
    assert server.sent <= read.reading.plan.bytes(read.reading.size) + rollout + 40_000  # headers
    assert far.profile.mean == pytest.approx(near.profile.mean, nan_ok=True)
    assert far.shared.mean == pytest.approx(near.shared.mean, nan_ok=True)
    assert far.cost_curves()["own"] == pytest.approx(near.cost_curves()["own"])
    for name in ("normalised_entropy", "entropy", "sink", "recency"):
        assert read.statistics[name] == pytest.approx(plain.statistics[name], abs=1e-12), name


@pytest.mark.parametrize("form", ["u8", "bins", "none"])
def test_a_study_of_a_reduced_form_reads_no_more_than_one_of_rows(remote, form):
    """Its plan counts rows as float16, and no form sends more than that; without rows only the rollout comes."""
    server, capture = remote(**WIDE, form=form, curve=form == "none", maps=False)
    read = study(capture)
    read.tally  # noqa: B018 - the rows are read when they are measured
    plan = read.reading.plan
    assert (plan is None) == (form == "none")
    rows = 0 if plan is None else plan.bytes(read.reading.size)
    rollout, statistics = 400 * 2 * (4 + 4 + 4 + 4 + 8 + 1 + 1), 40_000
    bins = 400 * 2 * 4 if form == "bins" else 0  # lengths, once more
    assert server.sent <= rows + rollout + bins + statistics


@pytest.mark.slow
def test_a_report_of_every_form_receives_no_more_than_one_of_rows(remote, tmp_path):
    """Every body counted, page and advice included: what is stored smaller never costs more to report."""
    answered = {}
    for form in ("f16", "u8", "bins", "none"):
        server, capture = remote(**WIDE, form=form, curve=form == "none", maps=False)
        write_report(capture, tmp_path / form, page_bytes=2**18)
        answered[form] = server.answered
    assert max(answered.values()) <= 1.05 * answered["f16"], answered


def test_reductions_of_heads_are_the_same_near_and_far(remote, planted):
    """If few rows are read, the service reduces more of them by head; a downloaded capture gives the same."""
    asked = {"layers": 3, "heads": 4, "slots": 12, "steps": 40, "envs": 2}
    _, far = remote(**asked)
    entries = np.arange(3, 40, 4)
    parts = [(one, entries, (1, 0), 12, 12) for one in (far, attnscope.open(planted(**asked)))]
    profiles, curves = [mean_profile(*part) for part in parts], [mean_retained(*part, 5) for part in parts]
    assert profiles[0] == pytest.approx(profiles[1], nan_ok=True)
    assert curves[0] == pytest.approx(curves[1])
    assert curves[0].shape == (2, 3, 4, 5)


def test_a_report_receives_what_its_parts_are_planned_to_take(remote, tmp_path):
    """Over HTTP, every body counted, advice and page included; --full reads every row, once."""
    asked = {"steps": 500, "envs": 16, "layers": 3, "heads": 4, "slots": 60, "flush": None}
    server, capture = remote(**asked)
    write_report(capture, tmp_path / "sample", page_bytes=2**18)
    sampled, rows = server.answered, capture.rows
    whole = rows.dtype.itemsize * int(np.prod(rows.shape))
    assert sampled < 0.25 * whole
    server.answered = 0
    write_report(
        attnscope.connect(server.url).job("last").capture(), tmp_path / "full", Choice(full=True), page_bytes=2**18
    )
    assert server.answered > 1.02 * sampled


def test_a_page_reads_every_row_once(remote):
    """One byte a weight, for all environments, where a page may hold them; the transitions come beside them."""
    server, capture = remote(steps=100, envs=4, layers=3, heads=4, slots=60, flush=None)
    read = study(capture)
    server.sent = 0
    content, _ = embedded(read, [])
    rows = 100 * 4 * 12 * 60
    assert len(content["envs"]) == 4
    assert rows <= server.sent < 1.3 * rows


def test_bytes_of_square_roots_move_no_root_by_more_than_half_a_step():
    """Absent values stay absent."""
    weights = np.linspace(0, 1, 1001, dtype=np.float32)
    assert np.abs(np.sqrt(from_u8(as_u8(weights))) - np.sqrt(weights)).max() <= 0.5 / 254 + 1e-6
    assert np.isnan(from_u8(as_u8(np.array([np.nan]))))[0]


def test_views_and_means_are_the_same_near_and_far(remote, planted):
    """The service's reduction and the local one agree; scattered entries are the same."""
    _, far = remote()
    near = attnscope.open(planted())
    key = (slice(0, 20), 1)
    assert far.rows.view(key, over=("layer", "head")) == pytest.approx(
        near.rows.view(key, over=("layer", "head")), nan_ok=True
    )
    assert far.rows.mean(key, ("head",)) == pytest.approx(near.rows.mean(key, ("head",)), nan_ok=True)
    at = np.array([3, 17, 40])
    assert far.rows.at(at, [0, 2]) == pytest.approx(near.rows.at(at, [0, 2]), nan_ok=True)
