"""The page's text and data, without a browser."""

from __future__ import annotations

import base64
import html
import json
import re
import struct
import zlib

import numpy as np
import pytest

import attnscope
from attnscope.connecting.connection import Connection
from attnscope.connecting.transport import Transport
from attnscope.report import embedding, write_report
from attnscope.report.embedding import embedded
from attnscope.report.findings import findings
from attnscope.report.page import page, script_json
from attnscope.service import Service
from attnscope.study import study
from attnscope_storage.shades import as_u8, from_u8


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


def unpacked(text: str) -> tuple[dict, np.ndarray]:
    """Return what is held of an environment: its description, and its bytes."""
    content = zlib.decompress(base64.b64decode(text))
    (length,) = struct.unpack("<I", content[:4])
    return json.loads(content[4 : 4 + length]), np.frombuffer(content[4 + length :], np.uint8)


def test_every_environment_has_its_rows_and_maps(planted):
    """Packed bytes are the weights at drawing precision, of all steps; each row says its context."""
    capture = attnscope.open(planted())
    content, words = embedded(study(capture), [0, 59])
    assert list(content["envs"]) == ["0", "1", "2"]
    assert words.startswith("In this file: every captured step of all 3 environments")
    for env in range(3):
        head, data = unpacked(content["envs"][str(env)])
        sizes = [int(np.prod(one["shape"])) for one in (head["band"], head["rows"], *head["maps"])]
        assert data.size == sum(sizes)
        rows = data[sizes[0] : sizes[0] + sizes[1]].reshape(head["rows"]["shape"])
        assert np.array_equal(rows, as_u8(capture.rows[:, env]))
        last = data[-sizes[-1] :].reshape(head["maps"][-1]["shape"])
        assert np.nan_to_num(from_u8(last)) == pytest.approx(np.nan_to_num(capture.map(59, env=env)), abs=5e-3)
        assert [one["length"] for one in head["rows"]["contexts"]] == [min(step + 1, 12) for step in range(60)]
        assert [value for _, value in head["band"]["returns"]] == [0, 1, 2, 3, 4, 5]
        assert head["rollout"]["reward"] == capture["rollout/reward"][:, env].tolist()


def test_influence_at_one_step_is_held_where_a_service_computes_it(planted, serve, monkeypatch):
    """It is the service's, of the last step with a map; where there is none, the page says why."""
    folder = planted(steps=90, slots=30)
    server = serve(folder)
    with Service(Transport(Connection(server.url, "right-key", "a test"))) as service:
        read = study(service.job("last").capture())
        content, _ = embedded(read, [0, 89])
        assert content["answers"]["about"]["influence"] == [{"env": 0, "step": 89}]
        (held,) = unpacked(content["envs"]["0"])[0]["influence"]
        assert held["lost"] == read.capture.leave_one_out(89).tolist()
        assert unpacked(content["envs"]["1"])[0]["influence"] == []
        server.replays = False
        refused, _ = embedded(study(service.job("last").capture()), [0, 89])
        assert refused["answers"]["about"]["noInfluence"].startswith("The service gave no influence: ")
        monkeypatch.setattr(embedding, "INFLUENCE_TOKENS", 29)
        long, _ = embedded(study(service.job("last").capture()), [0, 89])
        assert "contexts of up to 29 tokens; this has 30" in long["answers"]["about"]["noInfluence"]
    alone, _ = embedded(study(attnscope.open(folder)), [0, 89])
    assert (alone["answers"]["about"]["influence"], alone["answers"]["about"]["noInfluence"]) == ([], "")


@pytest.mark.parametrize(("budget", "every"), [(3 * 60 * 48, 1), (3 * 60 * 24, 2)])
def test_a_byte_budget_thins_the_steps(planted, budget, every):
    """The last step is always there; the rows of all environments are at most the budget, and the page says so."""
    content, words = embedded(study(attnscope.open(planted())), [], budget)
    shapes = [unpacked(one)[0]["rows"] for one in content["envs"].values()]
    assert sum(int(np.prod(one["shape"])) for one in shapes) <= budget
    assert all(one["steps"] == list(range(59 % every, 60, every)) for one in shapes)
    assert ("every captured step" if every == 1 else f"one captured step in {every}") in words


def test_a_small_budget_leaves_environments_out(planted):
    """Each one that is held has a number of steps that can be looked at; the page names how many are held."""
    content, words = embedded(study(attnscope.open(planted())), [], 24 * 48 * 2)
    assert len(content["envs"]) == len(content["answers"]["about"]["held"]) == 2
    assert "2 of 3 environments" in words


def test_the_rules_are_a_table(planted, tmp_path):
    """One row a rule, escaped; the wall of text stays in its own file."""
    write_report(attnscope.open(planted()), tmp_path)
    text = (tmp_path / "report.html").read_text()
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>', text.split('class="rules"')[1].split("</section>")[0])
    assert len(rows) >= 3
    assert "<pre" not in text
    words = (tmp_path / "compression_recommendations.txt").read_text()
    assert all(html.unescape(row).split()[0] in words for row in rows)


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


def test_one_whole_episode_is_told_once(planted):
    """After 16 steps there is one return a rollout, which is not told again as that of episode 1."""
    said = " ".join(findings(study(attnscope.open(planted(until=2)))))
    assert re.search(r"Return: [^,]*, unreliable\) in the first episode\. ", said)
    assert "in episode 1." not in said


def test_a_page_of_a_running_job_says_how_far(planted):
    """The state line names the committed steps."""
    text = page(study(attnscope.open(planted(until=3))), [0], {}, "nothing is known")
    assert "24 of 60 steps, unfinished" in text
    assert "still running" not in text
