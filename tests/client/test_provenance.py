"""The origin of stored results in words: a state is the job's own, never guessed from absence."""

from __future__ import annotations

import json

import pytest

import attnscope
from attnscope.provenance import policy_words, state_words
from attnscope.report import write_report


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("complete", "complete"),
        ("succeeded", "complete"),
        ("running", "still running"),
        ("queued", "still running"),
        ("cancelling", "still running"),
        ("cancelled", "cancelled at step 24"),
        ("failed", "failed at step 24"),
        (None, "unfinished (the state of its job is not known offline)"),
    ],
)
def test_each_state_has_its_words(state, words):
    """Only a job that may commit more is still running; one that ended says where."""
    assert state_words(state, 24) == words


@pytest.mark.parametrize(
    ("window", "cleared", "words"),
    [
        ("recompute", "never", ""),
        ("recompute", "episode", ", context emptied at each episode's end"),
        ("memory", "episode", ", a memory of its layers' inputs, context emptied at each episode's end"),
        ("rolling", "episode", ", keys and values kept as they were computed, context emptied at each episode's end"),
        ("told by a stranger", "never", ""),
        (None, None, ""),
    ],
)
def test_what_a_policy_keeps_stands_beside_its_mask(window, cleared, words):
    """A memory and the end of it are said wherever the mask is; a plain sliding window needs no word."""
    provenance = {"causal": True, "causal_stated_by": "family", "window": window, "cleared": cleared}
    assert policy_words(provenance) == f"causal (mask stated by family){words}"


@pytest.mark.parametrize("state", ["cancelled", "failed"])
def test_the_report_of_an_ended_job_says_where_it_ended(planted, serve, monkeypatch, tmp_path, state):
    """Its store is not complete, and yet nothing of it is still running."""
    monkeypatch.setenv("ATTNSCOPE_API_KEY", "right-key")
    server = serve(planted(until=3))
    server.state = state
    capture = attnscope.connect(server.url).job("last").capture()
    write_report(capture, tmp_path)
    page = (tmp_path / "report.html").read_text()
    text = (tmp_path / "compression_recommendations.txt").read_text()
    assert f"24 of 60 steps, {state} at step 24" in page
    assert f"24 of 60 steps, {state} at step 24" in text
    assert "still running" not in page + text
    server.state = "running"
    assert capture.refresh().origin.condition == "still running"


def test_captions_keep_what_a_foreign_capture_does_not_know(planted):
    """Unknown parts are named so, and provenance stays plain JSON."""
    origin = attnscope.open(planted()).origin
    assert "causal (mask stated by user)" in origin.source
    assert json.loads(json.dumps(origin.provenance))["family"] == "ad-reference"
    assert origin.progress.endswith("60 of 60 steps")
