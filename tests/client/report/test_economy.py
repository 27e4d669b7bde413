"""How many bytes a picture and a report need."""

from __future__ import annotations

import numpy as np
import pytest

import attnscope
from attnscope.figures.heatmap import heatmap
from attnscope.recommendations.reading import plan_blocks
from attnscope.report import write_report
from attnscope.study import Choice, study
from attnscope.study.plan import bytes_read, plan, stratified
from attnscope_storage.shades import as_u8, from_u8


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
    server, capture = remote()
    read = study(capture)
    plain = study(attnscope.open(planted()))
    rows = capture.rows
    counted = bytes_read(read.plan, entry_bytes=rows.dtype.itemsize * int(np.prod(rows.shape[1:])), envs=3, cells=4)
    assert server.sent <= counted + 8 * 60 * 3 * 4 + 20_000  # rollout and context of every step; headers
    assert read.tally.profile.mean == pytest.approx(plain.tally.profile.mean, nan_ok=True)


def test_a_report_receives_the_bytes_that_its_parts_are_planned_to_take(remote, tmp_path):
    """Over HTTP, every body counted, advice and page included; --full reads every row and more than twice as much."""
    asked = {"steps": 500, "envs": 16, "layers": 3, "heads": 4, "slots": 60, "flush": None}
    server, capture = remote(**asked)
    write_report(capture, tmp_path / "sample")
    sampled, server.answered = server.answered, 0
    read, rows = study(capture).plan, capture.rows
    entry, cells, slots = rows.dtype.itemsize * int(np.prod(rows.shape[1:])), 12, 60
    blocks = plan_blocks(500, entry, targets=64)
    advice = sum(end - first for first, end, _ in blocks) * entry
    names = ("length", "start"), ("episode", "reward", "truncated", "terminated", "action", "observation")
    step = [
        capture[f"{group}/{name}"] for group, held in zip(("context", "rollout"), names, strict=True) for name in held
    ]
    rollout = sum(array.dtype.itemsize * int(np.prod(array.shape)) for array in step)
    drawn = 2 * 3 * cells * slots**2 + 160 * cells * slots + slots * (len(read.overview) + 2 * len(read.followed))
    expected = bytes_read(read, entry_bytes=entry, envs=16, cells=cells) + advice + rollout + drawn
    server.answered = 0
    assert expected * 0.85 <= sampled <= expected * 1.05 + 60_000  # documents and headers
    assert sampled < 0.75 * entry * 500, "of a small capture, whose least reading is most of it"
    write_report(attnscope.connect(server.url).job("last").capture(), tmp_path / "full", Choice(full=True))
    assert server.answered > 2 * entry * 500, "the rows once for the figures and once for the advice"


@pytest.mark.parametrize(("layers", "heads", "slots"), [(3, 4, 100), (4, 4, 160), (4, 4, 240)])
def test_a_default_report_of_10000_steps_reads_at_most_a_twentieth(layers, heads, slots):
    """Rows, statistics, rollout, overview, page and maps of 8 environments, against the bytes of all rows."""
    steps, envs, cells = 10_000, 8, layers * heads
    entry = 2 * envs * cells * slots
    reading = plan(entries=steps, entry_bytes=entry, steps=steps, slots=slots)
    rollout = steps * envs * (4 + 4 + 4 + 4 + 1 + 1)
    maps = 5 * cells * slots**2
    page = 160 * cells * slots
    total = bytes_read(reading, entry_bytes=entry, envs=envs, cells=cells) + 2 * rollout + 2 * maps + page
    total += 3 * slots * (len(reading.overview) + len(reading.followed))
    assert total <= 0.05 * steps * entry


def test_stratified_steps_do_not_fall_on_one_place_of_the_episodes():
    """One from each stretch, in order, and at every place of a 20-step episode."""
    steps = stratified(10_000, 500)
    assert (steps // 20 == np.arange(500)).all()
    assert len(np.unique(steps % 20)) == 20
    assert stratified(5, 9).tolist() == [0, 1, 2, 3, 4]


def test_bytes_of_square_roots_move_no_root_by_more_than_half_a_step():
    """What is absent stays absent."""
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
