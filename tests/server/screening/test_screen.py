"""The screen against the step by step machinery of trials, on the same histories, for every family."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import attnscope
from attnscope_model.acting.departing import departure
from attnscope_model.compression import Compression, unfit
from attnscope_model.compression.deciding import CompressedDecider, PlainDecider
from attnscope_model.errors import CompressionUnfitError
from attnscope_model.strategies import build, looks_at_attention, strategies, strategy, why_not
from attnscope_server.screening import screen
from attnscope_server.screening.arms import arm_of
from attnscope_server.trials.acting import Recorded
from attnscope_server.trials.divergence import decisions_at
from forwards.layouts import LAYOUTS

CPU = torch.device("cpu")
FAMILIES = [*LAYOUTS, "native-learned-absolute", "native-rotary", "native-alibi"]
WAYS = (
    ("reindex", 1, "stateless"),
    ("reindex", 4, "stateless"),
    ("keep", 1, "stateless"),
    ("keep", 4, "stateless"),
    ("right_align", 4, "stateless"),
    ("mask", 1, "stateless"),
    ("reindex", 4, "stateful"),
    ("right_align", "full", "stateless"),
)
"""Positions, interval and memory: every rule goes the first two, and `SEVERAL` the others in `DIFFERENT` families."""

SEVERAL = {"none", "recency", "random", "h2o", "pooled-window", "anchored", "relevant"}
"""Rules of every kind: blind, drawn, looking, pooling, wrapping, asking the query."""

DIFFERENT = {"reference-causal", "reference", "native-rotary", "rad", "ad-eps", "dpt"}
"""Families of every kind: positions that are learned, rotary, sinusoidal; masked or not; three tokens; query first."""


def arms(policy, rules, ways=WAYS):
    """Return every arm of these rules that fits the policy, at a count and a share."""
    description = policy.description
    return [
        Compression(rule, budget, positions, interval, memory)
        for positions, interval, memory in ways
        for rule in rules
        for budget in (((5, 0.4)[interval == 1],) if rule.bounded else (None,))
        if rule.name in SEVERAL or (positions, memory) == ("reindex", "stateless")
        if unfit(description, positions, memory, "recompute") is None
        and why_not(rule, description, positions, memory, "recompute") is None
    ]


def recorded(histories):
    """Return histories as a trial records them."""
    series = (histories.observation, histories.action, histories.reward, histories.next_observation, histories.ended)
    return Recorded(*([*np.moveaxis(values, 1, 0)] for values in series))


def walked(policy, histories, setups):
    """Return the departures [arm, step, rollout] of decisions that are walked as a trial walks them."""
    steps, lanes = tuple(range(histories.steps)), torch.from_numpy(histories.lanes)
    told = recorded(histories)
    with torch.inference_mode():
        plain = dict(decisions_at(PlainDecider(policy, histories.rollouts, CPU), told, steps, lambda _step: None))
        decider = CompressedDecider(policy, setups, lanes, CPU)
        logits = decisions_at(decider, told, steps, lambda _step: None, times=len(setups))
        found = [
            departure(plain[step].repeat(len(setups), 1), one).view(len(setups), -1).numpy() for step, one in logits
        ]
    return np.stack(found, axis=1)


def screened(policy, histories, setups):
    """Return the arms in the screen's order and departures [arm, step, rollout] of every decision."""
    found = screen(policy, histories, setups, decisions=histories.rollouts * histories.steps)
    assert found.arrays["decision/step"].tolist() == [list(range(histories.steps))] * histories.rollouts
    return [arm.setup for arm in found.plan.arms], np.moveaxis(found.arrays["screen/departure"], 0, 2)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_rule_departs_as_in_a_trial(policies, histories_of, name):
    """Planned straight from the histories, every arm's departures are those of walked decisions to 1e-5."""
    policy = policies[name]
    histories = histories_of(policy, steps=30, rollouts=2)
    rules = [kind() for kind in strategies().values() if "influence" not in kind().uses]
    if policy.description.observation != "cell":
        rules = [rule for rule in rules if rule.name != "relevant"]
    ways = WAYS if name in DIFFERENT else WAYS[:3]
    setups, found = screened(policy, histories, arms(policy, rules, ways))
    apart = np.abs(found - walked(policy, histories, setups)).max(axis=(1, 2))
    assert {str(setup.rule) for setup in setups} == {str(rule) for rule in rules}
    assert {str(setup): worst for setup, worst in zip(setups, apart, strict=True) if worst > 1e-5} == {}
    assert found.max() > 0.01


def test_leaving_out_one_by_one_and_kept_keys_and_values_are_walked(policies, histories_of):
    """Rules that need forwards of their own give what a trial gives."""
    policy = policies["native-rotary"]
    histories = histories_of(policy, steps=30)
    setups = [
        Compression(strategy("leave-one-out"), 5),
        Compression(strategy("recency"), 5, "reindex", 4, "stateful", "cached"),
        Compression(strategy("tova"), 5, "keep", 4, "stateful", "cached"),
    ]
    ordered, found = screened(policy, histories, setups)
    assert np.abs(found - walked(policy, histories, ordered)).max() < 1e-5
    assert (found.max(axis=(1, 2)) > 0.01).all()


@pytest.mark.parametrize("name", FAMILIES)
def test_keeping_everything_departs_by_exactly_nothing(policies, histories_of, name):
    """`none` has the uncompressed logits bit for bit, under every position policy that moves nothing."""
    policy = policies[name]
    setups = [Compression(strategy("none"), None, positions) for positions in ("reindex", "keep")]
    found = screen(policy, histories_of(policy), setups, decisions=60)
    for array in ("departure", "signed", "kl", "flip"):
        assert not found.arrays[f"screen/{array}"].any()
    assert found.arrays["screen/retained"] == pytest.approx(1, abs=1e-5)


def test_pruned_histories_tell_what_is_kept(policies, histories_of):
    """Tokens kept, and the attention that falls on them and on the query, of a rule whose choice is known."""
    policy = policies["native-learned-absolute"]
    histories = histories_of(policy)
    found = screen(policy, histories, [Compression(strategy("recency"), 5)], decisions=3 * histories.steps).arrays
    step = np.arange(histories.steps)
    assert (found["screen/kept"][:, 0] == np.minimum(step, 5)).all()
    held = np.minimum(step, 23)
    kept = [histories.rows[1, t, max(0, held[t] - 5) : held[t] + 1].sum() for t in step]
    assert found["screen/retained"][1, 0] == pytest.approx(kept, abs=1e-6)


def test_float16_rows_choose_the_same_tokens(policies, histories_of):
    """Stored rows are float16: rules that look at them keep the same tokens in 99 of 100 decisions."""
    policy = policies["native-learned-absolute"]
    rules = [kind() for kind in strategies().values() if looks_at_attention(kind()) and "influence" not in kind().uses]
    setups = [Compression(rule, 5, "reindex", 4) for rule in rules]
    exact, rounded = (
        screened(policy, histories_of(policy, dtype=dtype), setups)[1] for dtype in (np.float32, np.float16)
    )
    assert (np.abs(exact - rounded) > 1e-5).mean() <= 0.01


def test_histories_without_rows_screen_blind_rules_and_say_so(policies, histories_of):
    """Rules that look at attention are left out by default, in words, and refused where they are asked for."""
    policy = policies["native-learned-absolute"]
    histories = histories_of(policy, steps=30)
    blind = type(histories)(**(vars(histories) | {"rows": None}))
    found = screen(policy, blind, decisions=24)
    assert not any(looks_at_attention(arm.setup.rule) for arm in found.plan.arms)
    assert "attention" in found.notes[0]
    assert "screen/retained" not in found.arrays
    with pytest.raises(CompressionUnfitError, match="tova"):
        screen(policy, blind, [Compression(strategy("tova"), 5, "reindex", 4)])


def test_arms_that_do_not_fit_are_refused(policies, histories_of):
    """The reason is named."""
    policy = policies["dicp-dpt"]
    with pytest.raises(CompressionUnfitError, match="mask"):
        screen(policy, histories_of(policy, steps=5), [Compression(build("merging", {}), 3, "mask")])


def test_oracles_come_last_and_are_timed_apart(policies, histories_of):
    """Deployable arms first; processor seconds of the uncompressed pass, of them and of oracles, where asked for."""
    policy = policies["native-learned-absolute"]
    found = screen(policy, histories_of(policy), decisions=24, oracles=True)
    deployable = [arm.deployable for arm in found.plan.arms]
    assert deployable == sorted(deployable, reverse=True)
    assert {arm.setup.interval for arm in found.plan.arms if not arm.deployable} == {1}
    assert all(arm_of(arm.setup).oracle_reason == arm.oracle_reason for arm in found.plan.arms)
    assert found.arrays["cost/seconds"].shape == (3, 4)
    few = screen(policy, histories_of(policy, steps=20), decisions=3)
    assert all(arm.deployable for arm in few.plan.arms)


def test_blocks_do_not_depend_on_each_other(policies, histories_of, monkeypatch):
    """Screened one rollout at a time, the numbers are the same to rounding, and the same bits twice."""
    policy = policies["native-rotary"]
    histories = histories_of(policy)
    one = screen(policy, histories, decisions=60)
    again = screen(policy, histories, decisions=60)
    for name, values in one.arrays.items():
        assert name == "cost/seconds" or np.array_equal(values, again.arrays[name], equal_nan=True), name
    monkeypatch.setattr("attnscope_server.screening.resolving.BLOCK_DECISIONS", 1)
    apart = screen(policy, histories, decisions=60)
    assert len(apart.plan.blocks) == 3
    assert np.abs(one.arrays["screen/departure"] - apart.arrays["screen/departure"]).max() < 1e-5


def test_the_client_screens_by_the_same_function(policies, histories_of):
    """`attnscope.screen` gives the same arrays, with their arms and intervals."""
    policy = policies["native-learned-absolute"]
    histories = histories_of(policy)
    ours, theirs = screen(policy, histories, decisions=30), attnscope.screen(policy, histories, decisions=30)
    assert np.array_equal(ours.arrays["screen/departure"], theirs.arrays["screen/departure"])
    assert [arm.strategy for arm in theirs.arms] == [arm.setup.rule.name for arm in ours.plan.arms]
    few = attnscope.screen(policy, histories, [Compression(strategy("recency"), 5)], decisions=30)
    assert [arm.budget for arm in few.arms] == [5]
    mean = ours.arrays["screen/departure"].mean(axis=(0, 2))
    assert theirs.tv_all.value == pytest.approx(mean, abs=1e-6)
