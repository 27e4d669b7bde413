"""The simulated fleet: its fair share is right on small cases, and a small run is fair and loses nothing."""

from __future__ import annotations

from uuid import UUID

import pytest
import structlog
from benchmarks.fleet.demands import Demand
from benchmarks.fleet.fair_share import ends, shares
from benchmarks.suites import fleet


def asked(*jobs):
    """Return demands of owner, moment and seconds, named by their numbers."""
    return [Demand(UUID(int=nth), *job) for nth, job in enumerate(jobs)]


def test_shares_are_equal_and_no_more_than_jobs():
    """The rest of an owner with few jobs goes to the others in equal parts."""
    assert shares({"a": 1, "b": 10, "c": 10}, 5) == {"a": 1.0, "b": 2.0, "c": 2.0}
    assert shares({"a": 3}, 5) == {"a": 3.0}


def test_the_fair_share_of_one_worker_is_half_each():
    """Two jobs of two owners run at half speed; the one left alone then runs whole; an owner's own keep their order."""
    found = ends(asked(("a", 0.0, 10.0), ("b", 0.0, 20.0)), 1)
    assert [found[UUID(int=nth)] for nth in range(2)] == pytest.approx([20.0, 30.0])
    found = ends(asked(("a", 0.0, 10.0), ("a", 0.0, 10.0), ("b", 5.0, 5.0)), 1)
    assert [found[UUID(int=nth)] for nth in range(3)] == pytest.approx([15.0, 25.0, 15.0])


def test_a_small_fleet_is_fair_and_loses_nothing():
    """Every job succeeds, no owner waits three times its fair share, and only jobs of silent workers begin again."""
    configured = structlog.get_config()
    try:
        results = fleet.run(quick=True)["SQLite"]
    finally:
        structlog.configure(**configured)
    (crowd,) = results["crowds"]
    assert crowd["states"] == {"succeeded": crowd["jobs"]}
    assert crowd["wait_over_fair_share"]["worst"] < 3
    assert crowd["cut"]["workers"] == 1
    assert crowd["cut"]["only_theirs_began_again"]
    assert crowd["cut"]["tries"] == 2
    assert crowd["cut"]["began_again_after"]["longest"] > 30
    assert [one["waiting"] for one in results["claims"]] == [60, 240]
    assert all(one["reports"] > 0 and one["share"] > 0 for one in results["load"])
