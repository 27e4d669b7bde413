"""Arms over a real socket: asked for on a command line, run by a worker, judged against the first of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import attnscope
from attnscope.cli.main import app
from attnscope.trials.board import board
from attnscope_storage.wire import TrialSpec

NAME = "AD-darkroom-seed42"


@pytest.fixture(scope="module")
def asked(service):
    """Return the specification and the estimate that the program prints of arms, and the finished trial."""
    words = ["trial", "--arm", NAME, "--arm", f"{NAME}:none", "--arm", f"{NAME}:recency:8", "--tasks", "2,7"]
    words += ["--seeds", "0-4", "--episodes", "6", "--divergence-steps", "3", "--kept-steps", "0", "--no-speed"]
    found = CliRunner(env={"ATTNSCOPE_URL": service.url, "ATTNSCOPE_API_KEY": service.key}).invoke(
        app, [*words, "--json"], catch_exceptions=False
    )
    job, _ = json.JSONDecoder().raw_decode(found.stdout, found.stdout.index("{\n"))  # the service's log is there too
    with attnscope.connect(service.url, service.key) as client:
        yield client.job(job["id"]).wait()


def test_equal_checkpoints_keep_exactly_all(asked):
    """A checkpoint against itself keeps 1, from 1 to 1, and is non-inferior; with less of its history it does not."""
    results = asked.trial().results()
    rows = board(results).rows
    assert [row.name for row in rows[1:]] == [f"{NAME}@1782 uncompressed", f"{NAME}@1782 recency 8"]
    kept = rows[1].verdict.kept
    assert (kept.low, kept.value, kept.high) == (1.0, 1.0, 1.0)
    assert (rows[0].words, rows[1].verdict.word) == ("reference", "non-inferior")
    assert rows[2].verdict.kept.has_interval
    assert rows[2].tokens == 8
    assert np.array_equal(results.arrays["rollout/action"][0], results.arrays["rollout/action"][1])


def test_a_specification_of_arms_travels(asked):
    """The job shows the arms as they were typed, and the checkpoint that the first one names."""
    spec = asked.info.spec
    assert isinstance(spec, TrialSpec)
    assert spec.checkpoint == NAME
    assert [one.budget for one in spec.arms] == [None, None, 8]
    assert asked.info.resolved.size.startswith("3 conditions")
