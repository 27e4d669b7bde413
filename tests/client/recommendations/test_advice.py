"""Advice on planted attention: the right answer is known, and every number of the text can be measured again."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from typer.testing import CliRunner

import attnscope
from attnscope.cli.main import app
from attnscope.errors import NotCapturedError
from attnscope.measures import Estimate
from attnscope.recommendations import Advice, MeasuredTrial
from attnscope_model.strategies import strategy
from attnscope_storage.wire import Capabilities

CAPABILITIES = {
    "version": "0", "job_kinds": ("capture", "trial"), "schema_version": 1, "devices": (), "limits": {},
    "slice_formats": (), "slice_reductions": (),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _few_decisions():
    """Predict 32 decisions of each of eight rollouts, every second of 90, so that the tests stay quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("attnscope.reading.plan.HISTORIES", 256)
        yield


@pytest.fixture(scope="module")
def advice(captures) -> dict[str, Advice]:
    """Return the advice on each planted capture."""
    names = ("uniform", "recent", "lasting", "one")
    return {name: attnscope.recommend(attnscope.open(captures[name]), full=True) for name in names}


def by_key(advice: Advice) -> dict:
    """Return the recommendations by name."""
    return {one.key: one for one in advice.recommendations}


def answers(advice: Advice) -> dict[str, str]:
    """Return the patterns' answers."""
    return {pattern.name: pattern.answer for pattern in advice.patterns}


def test_uniform_attention_is_too_flat_to_choose_by(advice):
    """Nothing beats evenly spaced tokens: the rule says so, with numbers, and nothing sounds like a discovery."""
    flat = advice["uniform"]
    assert flat.verdict == "flat"
    assert flat.recommendations[0].key == "uniform"
    assert "too flat to tell rules apart" in flat.text
    assert set(answers(flat).values()) == {"no"}
    assert by_key(flat)["recency"].lift.value == pytest.approx(1, abs=0.01)
    assert "Try " not in flat.text


def test_recent_attention_is_found_and_the_simplest_rule_is_first(advice):
    """With planted decay recency keeps most, and the rules that only equal it stand behind it."""
    found = advice["recent"]
    assert found.verdict == "selective"
    assert answers(found)["recency bias"] == "yes"
    assert answers(found)["sparse attention"] == "yes"
    first = found.recommendations[0]
    assert first.key == "recency"
    assert first.tier == 1
    assert any(one.tier == 1 and one.key != "recency" for one in found.recommendations)
    assert first.retained.low > first.retained.baseline


def test_lasting_heavy_hitters_need_attention(advice):
    """If a few transitions are attended for life, rules by attention beat recency, and attention says so."""
    found = by_key(advice["lasting"])
    assert advice["lasting"].verdict == "selective"
    assert found["h2o"].skill.low > found["recency"].skill.high


def test_oracles_stand_apart_and_are_never_proposed(advice):
    """Rules judged by looking at the whole context follow all that can be deployed, and no vote names one."""
    for one in advice.values():
        apart = [rule.oracle for rule in one.recommendations if rule.key != "none"]
        assert apart == sorted(apart)
        assert any(apart)
        assert {rule.oracle for rule in one.recommendations} == {not rule.online for rule in one.recommendations}
        named = [arm["name"] for vote in one.proposal.votes.values() for arm in vote]
        assert named
        assert not set(named) & {rule.key for rule in one.recommendations if rule.oracle}
        lines = one.text.splitlines()
        bound = next(place for place, line in enumerate(lines) if line.startswith("-- bounds, never proposed"))
        assert next(place for place, line in enumerate(lines) if line.startswith("nucleus")) > bound


def test_one_rollout_decides_nothing(advice):
    """One rollout has no interval: patterns are unclear, nothing is chosen from it, and the text says why."""
    found = advice["one"]
    assert found.verdict == "undecided"
    assert set(answers(found).values()) == {"unclear"}
    assert "Too few rollouts to rank by" in found.text
    assert "defaults are judged" in next(one.sentence for one in found.basis if one.key == "split")
    assert found.json()


def test_the_guides_three_and_the_baselines_are_always_there(advice):
    """Each capture's list has the guide's strategies, random, uniform and the control, each once."""
    for one in advice.values():
        found = by_key(one)
        assert len(found) == len(one.recommendations)
        assert {key for key, rule in found.items() if rule.guide} == {"hierarchical", "pooled-window", "anchored-h2o"}
        assert {"random", "uniform", "none"} <= set(found)
        assert one.recommendations[-1].key == "none"


def test_effective_budgets_are_compared_with_as_many(advice):
    """A strategy never keeps more than its budget, and its baseline keeps what it kept."""
    for one in advice["lasting"].recommendations:
        if one.key != "none":
            assert one.share <= one.budget + 1e-9
    assert by_key(advice["lasting"])["none"].retained.baseline == pytest.approx(1)
    assert by_key(advice["lasting"])["uniform"].lift.value == pytest.approx(1)


NUMBER = re.compile(r"\d+(?:\.\d+)?")


def test_every_number_of_the_text_is_a_claims(advice):
    """A sentence is its template filled with the numbers beside it: none appears that JSON does not hold."""
    for found in advice.values():
        for claim in found.claims:
            printed = NUMBER.findall(claim.sentence) if claim.numbers else []
            for text in printed:
                half = 0.5001 * 10.0 ** -len(text.partition(".")[2])
                assert any(abs(float(text) - abs(value)) <= half for value in claim.numbers.values()), (text, claim)


def test_sentences_about_patterns_are_measured_again(advice, captures):
    """Each pattern's number is recomputed here from the raw rows, by plain arithmetic, and agrees."""
    for name in ("recent", "lasting"):
        capture = attnscope.open(captures[name])
        rows = capture.rows[:].astype(np.float64)[29:]
        rows /= rows.sum(axis=-1, keepdims=True)
        claims = {claim.key: claim.numbers for claim in advice[name].claims}
        for window in (5, 10, 20):
            assert claims[f"recency.{window}"]["value"] == pytest.approx(
                rows[..., 29 - window : 29].sum(-1).mean(), abs=5e-5
            )
            assert claims[f"recency.{window}"]["baseline"] == pytest.approx(window / 30)
        assert claims["self"]["value"] == pytest.approx(rows[..., 29].mean(), abs=5e-5)
        entropy = -(rows * np.log(np.where(rows > 0, rows, 1))).sum(-1) / np.log(30)
        assert claims["normalised_entropy"]["value"] == pytest.approx(entropy.mean(), abs=1e-4)
        running = np.sort(rows, axis=-1)[..., ::-1].cumsum(axis=-1)
        assert claims["positions"]["value"] == pytest.approx(((running < 0.8).sum(-1) + 1).mean() / 30)
        assert claims["flatness"]["value"] == pytest.approx(np.abs(rows - 1 / 30).sum(-1).mean() / 2)
        assert claims["anchor.sink"]["mass"] == pytest.approx(rows[..., 0].mean(), abs=1e-5)
        step = np.arange(29, 90)
        transition = step[:, None] - 29 + np.arange(30)
        rewarded = (transition % 15 == 14) & (np.arange(30) < 29)
        mass = (rows * rewarded[:, None, None, None]).sum(-1).mean()
        assert claims["anchor.rewarded"]["mass"] == pytest.approx(mass, abs=1e-5)
        assert claims["anchor.rewarded"]["value"] == pytest.approx(mass / (rewarded.sum(-1) / 30).mean(), rel=1e-4)
        read = {"steps": 90, "heads": 90, "rows": 90, "stored": 90, "of": 8}
        assert claims["sample"] == {**read, "envs": 8, "tasks": 4, "least": 30, "most": 30}


def test_retained_attention_is_measured_again(advice, captures):
    """The mass that recency keeps is summed by hand over every decision of the rollouts that judged it (--full)."""
    found = by_key(advice["recent"])["recency"]
    capture = attnscope.open(captures["recent"])
    rows = np.nan_to_num(capture.rows[:].astype(np.float64))
    rows /= rows.sum(axis=-1, keepdims=True)
    kept = []
    for step in range(90):
        length = min(step + 1, 30)
        many = max(1, math.floor((length - 1) * found.budget + 1e-9))
        first = max(0, length - 1 - many)
        kept.append(rows[step, 4:, :, :, first:length].sum(-1).mean())
    assert found.retained.value == pytest.approx(np.mean(kept), abs=1e-5)
    assert found.tokens_saved == pytest.approx(1 - found.share)
    parameters = [strategy(**one.strategy) for one in advice["recent"].recommendations]
    assert len(set(map(str, parameters))) == len(parameters)


def test_a_capture_without_rows_says_what_is_missing(captures):
    """No rows, no recommendation: the error says how to get them."""
    with pytest.raises(NotCapturedError, match="--rows"):
        attnscope.recommend(attnscope.open(captures["no rows"]))


def test_commands_come_only_where_trials_are_offered(advice, captures):
    """A service that lists trials gets a command line a strategy; without it there is none."""
    assert all(one.command is None for one in advice["recent"].recommendations)
    offers = Capabilities.model_validate(CAPABILITIES)
    found = attnscope.recommend(attnscope.open(captures["recent"]), capabilities=offers, budget=0.3)
    command = found.recommendations[0].command
    assert command.startswith("attnscope trial --checkpoint 'AD-<b>toy</b>@1' --env attnscope/Darkroom-v0 --strategy ")
    assert command.endswith("--budget 0.3 --positions keep")
    assert next(one.command for one in found.recommendations if one.key == "tova").endswith("--interval 10")
    assert command not in found.text  # one command leads, none is repeated per rule


def test_safe_is_a_word_for_measured_trials(advice, captures):
    """Attention is never called safe, nor is a verdict by itself; one that holds jointly is."""
    assert not any("safe" in one.text for one in advice.values())
    retained = Estimate(1.0, 0.97, 1.02, None, 40, reliable=True)
    trial = MeasuredTrial({"name": "recency"}, 0.3, retained, "non-inferior", "abc", kept=retained, jointly=True)
    alone = MeasuredTrial({"name": "random", "seed": 0}, 0.3, retained, "non-inferior", kept=retained)
    worse = MeasuredTrial({"name": "uniform"}, 0.3, retained, "inconclusive")
    found = attnscope.recommend(attnscope.open(captures["recent"]), trials=[trial, alone, worse], budget=0.3)
    assert by_key(found)["recency"].safe
    assert not by_key(found)["random"].safe
    assert not by_key(found)["uniform"].safe
    lines = {line.split()[0]: line for line in reversed(found.text.splitlines()) if line.strip()}
    assert lines["random"].endswith("1.00 (0.97 to 1.02) non-inferior, by itself")
    assert lines["uniform"].endswith("not judged")


def test_dropping_an_input_is_told_from_dropping_a_cache_entry(advice):
    """Every text says which intervention is meant."""
    assert "Dropping a token's key and value from a cache is another intervention" in " ".join(
        advice["recent"].text.split()
    )


def test_notebooks_get_text_not_markup(advice):
    """Names come from a service and may hold anything."""
    shown = advice["recent"]._repr_html_()
    assert "<b>" not in shown
    assert "&lt;b&gt;toy" in shown


def test_the_verb_writes_the_guides_file(captures, tmp_path):
    """The command writes text and JSON into a folder under the guide's name, and prints JSON on demand."""
    options = ["recommend", "--capture", str(captures["recent"]), "--out", str(tmp_path / "r"), "--json"]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "r" / "compression_recommendations.json").read_text())
    assert written == json.loads(result.output)
    assert written["verdict"] == "selective"
    assert written["lead"]["kind"] == "none"
    assert "ATTENTION, A DESCRIPTION" in (tmp_path / "r" / "compression_recommendations.txt").read_text()
