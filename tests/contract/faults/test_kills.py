"""A service over PostgreSQL and a bucket, of which everything is killed: its jobs end with the bits of a disk's."""

from __future__ import annotations

import os
from uuid import uuid4

import pytest

import workload
from killed_jobs import Asked, assert_all_ended_alike, assert_nothing_shows, undisturbed
from kills import EVERYWHERE, PROCESS, Reader, kill_on, site_of

__all__ = ["undisturbed"]

KILLS = int(os.environ.get("ATTNSCOPE_KILLS", "2"))
"""Kills of each sort in the long run; `make kills` asks for ten."""


@pytest.fixture
def site(postgresql, bucket_server, tmp_path, monkeypatch):
    """Return a running service over both servers."""
    root = tmp_path / f"root-{uuid4().hex[:8]}"
    workload.add_checkpoints(root / "checkpoints", tmp_path)
    with site_of(PROCESS, root, postgresql, bucket_server, monkeypatch.setenv) as site:
        yield site


@pytest.mark.slow
def test_one_kill_of_each_sort_leaves_no_trace(site, undisturbed):
    """Database, bucket, worker and service die while a capture runs; its arrays are those of a disk, no read fails."""
    with Reader(site) as reader:
        asked = Asked(site, reader)
        ids, kills = [asked()], [EVERYWHERE["database"], EVERYWHERE["bucket"], PROCESS.kills["worker"]]
        assert kill_on(site, ids, [*kills, EVERYWHERE["service"]], asked, seed=3) == 4
        assert_all_ended_alike(site, asked, undisturbed)
    assert reader.found == []
    assert reader.looks > 0


@pytest.mark.slow
def test_kills_of_everything_leave_no_trace_in_any_job(site, undisturbed):
    """Captures, trials, a screen and a decision end equal to the bit, whatever was killed, and no read fails."""
    assert_nothing_shows(site, undisturbed, [PROCESS.kills["worker"], EVERYWHERE["service"]] * KILLS)
