"""The page's text and data, without a browser."""

from __future__ import annotations

import base64
import json
import re
import zlib

import numpy as np
import pytest

import attnscope
from attnscope.report import write_report
from attnscope.report.findings import findings
from attnscope.report.page import page, payload, script_json
from attnscope.study import study
from attnscope_storage.shades import from_u8


def test_json_cannot_leave_its_element():
    """No string can end the script element, and the JSON stays what it was."""
    hostile = {"a": "</script><!--\u2028&"}
    text = script_json(hostile)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == hostile


def test_everything_is_inside_and_small(planted, tmp_path):
    """No address is named, scripts are allowed by their hash only, and the page is small."""
    write_report(attnscope.open(planted()), tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert len(text) < 2_000_000
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    assert "default-src 'none'" in text
    assert "unsafe" not in text


def test_maps_and_rows_on_the_page_are_the_capture_s(planted):
    """Deflated bytes decode to the weights, at drawing precision."""
    capture = attnscope.open(planted())
    content = payload(study(capture), [59], 0)
    data = np.frombuffer(zlib.decompress(base64.b64decode(content["maps"][0]["data"])), np.uint8).reshape(2, 2, 12, 12)
    assert from_u8(data) == pytest.approx(capture.map(59).astype(np.float32), abs=5e-3)
    rows = content["rows"]
    shown = np.frombuffer(zlib.decompress(base64.b64decode(rows["data"])), np.uint8).reshape(-1, 2, 2, 12)
    stored = capture.rows[rows["steps"], 0].astype(np.float32)
    assert np.isnan(from_u8(shown)).tolist() == np.isnan(stored).tolist()
    assert content["returns"] == [0, 1, 2, 3, 4, 5]


def test_sentences_are_true(planted):
    """Each number of the findings is recomputed here from the raw rows."""
    capture = attnscope.open(planted())
    rows = capture.rows[11:].astype(np.float64)
    said = " ".join(findings(study(capture)))
    own, recent = rows[..., -1].mean(), rows[..., :-1].sum(axis=-1).mean()
    numbers = re.search(r"newest 20 tokens hold ([\d.]+).*own slot holds ([\d.]+)", said)
    assert float(numbers[1]) == pytest.approx(recent, abs=6e-4)
    assert float(numbers[2]) == pytest.approx(own, abs=6e-4)
    mean = np.sort(rows.mean(axis=(2, 3)), axis=-1)[..., ::-1].cumsum(axis=-1)
    share = ((mean < 0.8).sum(axis=-1) + 1).mean() / 12
    chosen = re.search(r"80% in ([\d.]+).*? of them chosen at every step", said)
    assert float(chosen[1]) == pytest.approx(share, abs=6e-4)
    entropy = -(rows * np.log(np.where(rows > 0, rows, 1))).sum(axis=-1).mean(axis=(0, 1)) / np.log(12)
    assert re.search(rf"Normalised entropy: {entropy.mean():.3g} \(.*?\) on average", said)
    assert "Return: 0 (0 to 0, unreliable) in the first episode, 5 (5 to 5, unreliable) in episode 6." in said


def test_a_page_of_a_running_job_says_how_far(planted):
    """The state line names the committed steps."""
    text = page(study(attnscope.open(planted(until=3))), [0], {}, "")
    assert "24 of 60 steps, unfinished" in text
    assert "still running" not in text
