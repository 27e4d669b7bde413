"""Every quantity that two outputs of one capture name has one value: that of every committed step that counts."""

from __future__ import annotations

import html
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import attnscope
import attnscope.study
from attnscope.capture import Capture
from attnscope.comparison import write_comparison
from attnscope.demo import CHECKPOINT, TASKS
from attnscope.figures.heatmap import heatmap
from attnscope.foreign import import_reference
from attnscope.reading.choosing import Choice, least_length
from attnscope.recommendations import Advice
from attnscope.recommendations.text import BASIS, SHOWN
from attnscope.report import write_report
from attnscope.report.summary import summarise
from attnscope.study.captions import caption_of_study
from attnscope_storage.wire import CaptureSpec, TaskChoice
from planted import write_large_capture


@pytest.fixture(scope="module")
def demo(service):
    """Return a capture as the demo makes it, of fewer rollouts; a fifth of its steps has a full context."""
    with attnscope.connect(service.url, service.key) as client:
        tasks = TaskChoice(split="validation", indices=TASKS[:2])
        spec = CaptureSpec(checkpoint=CHECKPOINT, tasks=tasks, episodes=11, replicas=2)
        yield client.submit(spec).wait().capture()


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Return a capture of which a report reads a sample, with statistics of the service's own code."""
    path = tmp_path_factory.mktemp("truth") / "large.zarr"
    write_large_capture(path, layers=2, heads=4, slots=64, envs=6, steps=400)
    return attnscope.open(path)


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """Return a capture of another program: one rollout, statistics taken of its maps."""
    import pickle  # noqa: PLC0415, TID251 - writes the other program's file

    folder = tmp_path_factory.mktemp("imported")
    random, history = np.random.default_rng(0), []
    for step in range(60):
        n = min(step + 1, 20)
        weights = np.tril(random.exponential(size=(2, 1, 2, n, n)) + 1e-3)
        history.append([one / one.sum(axis=-1, keepdims=True) for one in weights.astype(np.float32)])
    with (folder / "attention_history.pkl").open("wb") as file:
        pickle.dump(history, file)
    import_reference(folder / "attention_history.pkl", folder / "c.zarr")
    return attnscope.open(folder / "c.zarr")


def over_every_step(capture, name, *, normalised=False, window=None) -> float:
    """Return a statistic's mean over all steps that count, rollout by rollout, then over rollouts and heads."""
    length = np.asarray(capture.context.length[:])
    values = np.asarray(capture[f"stats/{name}"][:], np.float64)
    if window is not None:
        values = values[..., list(capture.stats.window[:]).index(window)]
    if normalised:
        values = values / np.log(np.maximum(length, 2))[..., None, None]
    counts = length >= least_length(length)
    return float(np.mean([values[counts[:, env], env].mean() for env in range(length.shape[1])]))


@dataclass(frozen=True)
class Outputs:
    """Every output of one capture."""

    capture: Capture
    advice: Advice
    numbers: dict[str, dict[str, float]]
    """Of the advice, by claim."""
    folder: Path
    """Of the report."""
    text: str
    """Of the report's recommendations and findings, on one line."""
    compared: dict[str, dict[str, float]]
    """Of a comparison of the capture with itself, by measure."""


@pytest.fixture(scope="module", params=["demo", "large", "imported"])
def outputs(request, tmp_path_factory):
    """Return every output of a capture."""
    capture = request.getfixturevalue(request.param)
    folder = tmp_path_factory.mktemp("outputs")
    write_report(capture, folder / "report", Choice(heatmaps=1))
    write_comparison([capture, capture], folder / "comparison")
    advice = attnscope.recommend(capture)
    numbers = {claim.key: claim.numbers for claim in advice.claims}
    text = " ".join((folder / "report" / "compression_recommendations.txt").read_text().split())
    compared = json.loads((folder / "comparison" / "comparison.json").read_text())["captures"][0]["measures"]
    return Outputs(capture, advice, numbers, folder / "report", text, compared)


def test_the_recommendations_stay_short(outputs):
    """The whole file of a service's capture, of a large one and of another program's has at most 80 lines."""
    assert len((outputs.folder / "compression_recommendations.txt").read_text().splitlines()) <= 80


def test_stored_statistics_are_used_for_every_step(outputs):
    """Advice and comparison give the mean over all committed steps with a context of `least`, to a millionth."""
    capture, numbers, compared = outputs.capture, outputs.numbers, outputs.compared
    expected = {
        "self": over_every_step(capture, "self"),
        "recency.20": over_every_step(capture, "recency", window=20),
        "normalised_entropy": over_every_step(capture, "entropy", normalised=True),
    }
    assert {name: numbers[name]["value"] for name in expected} == pytest.approx(expected, abs=1e-6)
    names = {"self": "query's own share", "recency.20": "newest 20 tokens' share"}
    names["normalised_entropy"] = "normalised entropy"
    for name, words in names.items():
        assert compared[words]["value"] == pytest.approx(expected[name], abs=1e-6)
        assert compared[words]["uniform"] == pytest.approx(numbers[name]["baseline"], abs=1e-9)
    assert numbers["anchor.sink"]["mass"] == pytest.approx(over_every_step(capture, "sink"), abs=1e-6)
    assert compared["oldest slot's share"]["value"] == pytest.approx(numbers["anchor.sink"]["mass"])
    for name in ("max", "effective"):
        found = attnscope.study.study(capture).quantity(name)
        assert found.estimate.value == pytest.approx(over_every_step(capture, name), rel=1e-6)


def test_two_outputs_never_give_two_numbers(outputs):
    """The report's sentences, the advice beside them, the comparison and the summary name the same values."""
    capture, numbers, text, compared = outputs.capture, outputs.numbers, outputs.text, outputs.compared
    told = re.search(r"newest 20 tokens hold ([\d.]+) .*?own slot holds ([\d.]+) ", text)
    assert float(told[1]) == pytest.approx(numbers["recency.20"]["value"], rel=6e-3)
    assert float(told[2]) == pytest.approx(numbers["self"]["value"], rel=6e-3)
    entropy = re.search(r"Normalised entropy: ([\d.]+) \(", text)
    assert float(entropy[1]) == pytest.approx(numbers["normalised_entropy"]["value"], rel=6e-3)
    chosen = re.search(r"80% in ([\d.]+) ", text)
    assert float(chosen[1]) == pytest.approx(numbers["shared_positions"]["value"], rel=6e-3)
    assert compared["context for 80 % of attention"]["value"] == pytest.approx(numbers["shared_positions"]["value"])
    assert compared["distance from uniform"]["value"] == pytest.approx(numbers["flatness"]["value"])
    line = next(line.split() for line in summarise(capture).splitlines() if line.split()[:1] == ["20"])
    assert float(line[1]) == pytest.approx(numbers["recency.20"]["value"], abs=6e-4)
    assert float(line[2]) == pytest.approx(numbers["recency.20"]["baseline"], abs=6e-4)


def test_text_json_and_page_of_a_report_say_what_the_advice_says(outputs):
    """The JSON holds each claim's numbers, text and page the sentences that they show."""
    written = json.loads((outputs.folder / "compression_recommendations.json").read_text())
    lead = [*written["lead"]["gate"], *written["lead"]["claims"], *written["headline"], *written["measured"]]
    shown = {"source", *BASIS, *SHOWN, *(claim["key"] for claim in lead)}
    claims = [*lead, *written["basis"]]
    claims += [claim for name in ("patterns", "recommendations") for one in written[name] for claim in one["claims"]]
    for claim in claims:
        known = {name: math.nan if value is None else value for name, value in claim["numbers"].items()}
        assert known == pytest.approx(outputs.numbers[claim["key"]], rel=1e-12, nan_ok=True), claim["key"]
        if claim["key"] in shown:
            assert " ".join(claim["sentence"].split()) in outputs.text
    assert len(claims) == len(outputs.advice.claims)
    for one, said in zip(outputs.advice.recommendations, written["recommendations"], strict=True):
        assert said["retained"]["value"] == pytest.approx(one.retained.value)
        assert said["curve"] == pytest.approx(np.array(one.curve))
    page = " ".join(html.unescape((outputs.folder / "report.html").read_text()).split())
    for claim in claims:
        if claim["key"] in shown:
            assert " ".join(claim["sentence"].split()) in page


def test_every_output_counts_the_same_steps(outputs):
    """The shortest context that counts, and the committed steps, are one number in texts and captions."""
    capture, least = outputs.capture, int(outputs.numbers["sample"]["least"])
    assert least == least_length(np.asarray(capture.context.length[:]))
    summary = summarise(capture)
    figures = [heatmap(capture, step) for step in capture.map_steps()[:1]]
    heatmaps = [" ".join(" ".join(text.get_text() for text in figure.texts).split()) for figure in figures]
    caption = caption_of_study(attnscope.study.study(capture))
    for text in (summary, caption, outputs.text):
        assert {int(one) for one in re.findall(r"at contexts of (\d+)\+ tokens", text)} == {least}
    steps = capture.steps_committed
    assert outputs.numbers["sample"]["steps"] == steps
    for text in (summary, caption, *heatmaps):
        assert {int(one) for one in re.findall(r"(\d+) of \d+ steps", text)} >= {steps}, text


def test_what_is_sampled_holds_the_value_of_every_step(large):
    """The interval of a sampled quantity, which knows the error of sampling, holds that of the full reading."""
    sample, whole = (attnscope.recommend(large, budget=0.4, full=full) for full in (False, True))
    some, every = ({claim.key: claim.numbers for claim in advice.claims} for advice in (sample, whole))
    assert some["sample"]["rows"] < every["sample"]["rows"] == 400
    assert every["split"]["decisions"] == 400
    for name in ("positions", "shared_positions", "flatness"):
        assert some[name]["low"] <= every[name]["value"] <= some[name]["high"], name
        assert some[name]["high"] - some[name]["low"] > 0
    of = {one.key: one.retained.value for one in whole.recommendations}
    for one in (one for one in sample.recommendations if one.key in {"recency", "uniform", "random"}):
        assert one.retained.low <= of[one.key] <= one.retained.high, one.key
