"""Every quantity that two outputs of one capture name has one value: that of every committed step that counts."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import attnscope
import attnscope.study
from attnscope.comparison import write_comparison
from attnscope.foreign import import_reference
from attnscope.reading.choosing import least_length
from attnscope.report import write_report
from attnscope.report.summary import summarise
from planted import write_large_capture


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Return a capture of which a report reads a sample, with statistics of the service's own code."""
    path = tmp_path_factory.mktemp("truth") / "demo.zarr"
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


@pytest.fixture(scope="module", params=["demo", "imported"])
def outputs(request, tmp_path_factory):
    """Return a capture, its advice, its report's text, its comparison with itself, and its summary."""
    capture = request.getfixturevalue(request.param)
    folder = tmp_path_factory.mktemp("outputs")
    write_report(capture, folder / "report")
    write_comparison([capture, capture], folder / "comparison")
    advice = attnscope.recommend(capture)
    numbers = {claim.key: claim.numbers for claim in advice.claims}
    text = " ".join((folder / "report" / "compression_recommendations.txt").read_text().split())
    compared = json.loads((folder / "comparison" / "comparison.json").read_text())["captures"][0]["measures"]
    return capture, numbers, text, compared


def test_stored_statistics_are_used_for_every_step(outputs):
    """Advice and comparison give the mean over all committed steps with a context of `least`, to a millionth."""
    capture, numbers, _, compared = outputs
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
    capture, numbers, text, compared = outputs
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


def test_what_is_sampled_holds_the_value_of_every_step(demo):
    """The interval of a sampled quantity, which knows the error of sampling, holds that of the full reading."""
    sample, whole = (attnscope.recommend(demo, full=full) for full in (False, True))
    some, every = ({claim.key: claim.numbers for claim in advice.claims} for advice in (sample, whole))
    assert some["sample"]["rows"] < every["sample"]["rows"] == 400
    assert every["split"]["decisions"] == 400
    for name in ("positions", "shared_positions", "flatness"):
        assert some[name]["low"] <= every[name]["value"] <= some[name]["high"], name
        assert some[name]["high"] - some[name]["low"] > 0
