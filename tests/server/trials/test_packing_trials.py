"""Trials of policies that pack their history: their own evaluation against the same weights over a sliding window."""

from __future__ import annotations

import lzma
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from attnscope_env import preset
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.strategies import describe_all
from attnscope_model.strategies.learned import packing_ages
from attnscope_server.errors import ProblemError
from attnscope_server.trials.resolving import resolve_trial
from attnscope_server.trials.rollout import TrialRunner
from attnscope_storage.wire import TrialSpec
from attnscope_storage.wire.flops import forward_flops
from reading_here import reading_here

STEPS = 100
GOLDEN = Path(__file__).resolve().parents[2] / "golden"


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Return a registry with both golden policies, and one that packs nothing."""
    registry, files = CheckpointRegistry(tmp_path_factory.mktemp("registry")), tmp_path_factory.mktemp("files")
    with reading_here():
        for name in ("cad", "rad"):
            (files / f"{name}.pt").write_bytes(lzma.decompress((GOLDEN / name / "ckpt-50000.pt.xz").read_bytes()))
            registry.add(files / f"{name}.pt", name=name)
        registry.add(GOLDEN / "ckpt-causal.pt", causal=True, name="plain")
    return registry


@pytest.fixture(scope="module")
def asked(registry):
    """Return a function that resolves a greedy trial of the arms that pack."""

    def resolve(name, **changes):
        arms = [{"name": "latents"}, {"name": "latents", "parameters": {"newest": 2}}, {"name": "recency"}]
        spec = {"tasks": {"goals": [(1, 2), (7, 3)]}, "seeds": [0], "episodes": STEPS // 20, "strategies": arms}
        spec |= {"budgets": [6], "controls": False, "sampling": {"mode": "greedy"}, "speed": {"enabled": False}}
        spec |= {"divergence_steps": STEPS, "kept_steps": 4, "checkpoint": name}
        made = TrialSpec.model_validate(spec | changes)
        return made, resolve_trial(made, registry)

    return resolve


@pytest.fixture(scope="module", params=["cad", "rad"])
def trial(request, registry, asked):
    """Return the results of a trial of each, with what the original did."""
    name = request.param
    golden = dict(np.load(GOLDEN / name / "golden.npz"))
    spec, resolved = asked(name, tasks={"goals": golden["goal"].tolist()})
    chosen = preset("darkroom-reference")
    policy = policy_of(registry, name)

    def environments(axis):
        return chosen.make_vector([chosen.task(int(index)) for index in axis.task])

    def run(spec, resolved, others):
        runner = TrialRunner(spec, resolved, policy, environments, torch.device("cpu"), others=others)
        found = {}
        for wave in runner.waves():
            found |= dict(zip(wave, runner.run(wave), strict=True))
        return found

    results = run(spec, resolved, {})
    return SimpleNamespace(name=name, results=results, golden=golden, resolved=resolved, policy=policy, run=run)


def policy_of(registry, name):
    """Return a registered policy."""
    return load_policy(registry.folder(registry.get(name).id), torch.device("cpu"))


def test_the_arm_acts_as_the_original_does(trial):
    """Greedy actions are the golden ones, past several compressions; tokens are those that its contexts have."""
    results, golden = trial.results, trial.golden
    assert [one.strategy for one in trial.resolved.conditions] == ["none", "latents", "latents", "recency"]
    assert np.array_equal(results[1].action[0], golden["action"][:STEPS].T)
    assert (golden["compression_step"] < STEPS).sum() >= 3
    tokens = golden["tokens"][:STEPS].reshape(-1, 20) - 1
    assert np.allclose(results[1].kept[0], tokens.mean(axis=1)[None], rtol=1e-6)


def test_arms_without_a_rule_act_as_the_original_does(trial, registry):
    """An arm that names a packing checkpoint alone packs, and is the reference; with ``none`` the same weights slide.

    The golden rollout goes past three compressions; condition 0 is the sliding partner, with the same bits.
    """
    name, golden = trial.name, trial.golden
    other = {"cad": "rad", "rad": "cad"}[name]
    arms = [{"checkpoint": name}, {"checkpoint": name, "strategy": {"name": "none"}}, {"checkpoint": other}]
    spec = TrialSpec.model_validate({
        "tasks": {"goals": golden["goal"].tolist()}, "seeds": [0], "episodes": STEPS // 20, "arms": arms,
        "sampling": {"mode": "greedy"}, "speed": {"enabled": False}, "divergence_steps": 0, "kept_steps": 4,
    })  # fmt: skip
    resolved = resolve_trial(spec, registry)
    said = [(one.checkpoint_name, one.strategy, one.arm, one.against) for one in resolved.conditions]
    assert said == [(name, "none", None, 1), (name, "latents", 0, 1), (name, "none", 1, 1), (other, "latents", 2, 1)]
    found = trial.run(spec, resolved, {registry.get(other).id: policy_of(registry, other)})
    assert np.array_equal(found[1].action[0], golden["action"][:STEPS].T)
    assert np.array_equal(found[2].action, found[0].action)
    assert np.array_equal(found[2].reward, found[0].reward)
    assert (found[2].action != found[1].action).any()


def test_departure_begins_with_the_first_compression(trial):
    """Until then the partner's contexts are the same; at the lone query and later they are not."""
    first = int(trial.golden["compression_step"][0])
    for arm in (1, 2):
        departure = trial.results[arm].departure[:, 0] + trial.results[arm].kl[:, 0]
        assert np.abs(departure[: first + 1]).max() < 1e-5
        assert departure[first + 1 :].max() > 1e-3
    lone = [int(step) + 1 for step in trial.golden["compression_step"] if step + 1 < STEPS]
    assert (trial.results[1].kl[lone, 0] != trial.results[2].kl[lone, 0]).any()


def test_ages_are_those_of_the_originals_compressions(trial):
    """Each step's age counts the transitions since the newest compression; kept transitions shorten a cycle."""
    description, compressed = trial.policy.description, trial.golden["compression_step"]
    newest = [compressed[compressed < step] for step in range(240)]
    expected = [int(step - 1 - before[-1]) if len(before) else None for step, before in enumerate(newest)]
    assert packing_ages(description, 240) == expected
    lone = [step for step in range(STEPS) if expected[step] == 0]
    assert np.array_equal(trial.golden["tokens"][lone], np.ones(len(lone)))
    assert packing_ages(description, 240, newest=2).count(0) > expected.count(0)


def test_operations_of_the_compressor_are_counted(trial):
    """An episode costs its forwards and its compressions."""
    golden, description = trial.golden, trial.policy.description
    forwards = np.array([forward_flops(description, int(tokens)) for tokens in golden["tokens"][:STEPS]])
    beside = np.zeros(STEPS + 1)
    for step, sources in zip(golden["compression_step"], golden["compression_input_tokens"], strict=True):
        if step < STEPS:
            beside[step + 1] = trial.policy.compressor.flops(int(sources))
    assert beside.sum() > 0
    expected = (forwards + beside[:STEPS]).reshape(-1, 20).mean(axis=1)
    assert np.allclose(trial.results[1].flops[0], expected[None], rtol=1e-6)


def test_kept_entries_say_what_latents_stand_for(trial):
    """The latents are one entry over all that was packed; the entries after it are transitions of their own."""
    for moment, step in enumerate(trial.resolved.kept_steps):
        first, last = (values[moment, 0] for values in (trial.results[1].kept_first, trial.results[1].kept_last))
        packed = [int(one) for one in trial.golden["compression_step"] if one < step]
        entries = np.flatnonzero(first >= 0)
        if not packed:
            assert first[entries].tolist() == list(range(step))
        elif packed[-1] == step - 1:
            assert not len(entries)
        else:
            assert (first[0], last[0]) == (0, packed[-1])
            assert first[1 : len(entries)].tolist() == list(range(packed[-1] + 1, step))


@pytest.mark.parametrize(
    ("name", "parameters", "reason"),
    [
        ("plain", {}, "latents does not fit: the policy was trained with no network that packs transitions"),
        ("cad", {"newest": 22}, "beside 7 latents a context has room for 21 transitions and one more, .* leave 22"),
        ("rad", {"once": True}, "it was trained to pack latents again with further transitions"),
        ("cad", {"once": True, "newest": 2}, "the newest transitions that stay are as many as have room"),
        ("rad", {"newest": 11}, "a context has room for 10 transitions and one more"),
    ],
)
def test_an_arm_that_does_not_fit_is_refused(asked, name, parameters, reason):
    """Latents of a policy without such a network, and more newest transitions than its contexts hold beside latents."""
    with pytest.raises(ProblemError, match=reason):
        asked(name, strategies=[{"name": "latents", "parameters": parameters}])


def test_the_list_of_rules_names_it_for_such_policies_alone(registry):
    """Rules of a list fit the partner too, and latents are listed where a checkpoint has them."""
    listed = {name: [one.name for one in describe_all(registry.get(name).policy)] for name in ("cad", "plain")}
    assert set(listed["cad"]) - set(listed["plain"]) == {"latents"}
    assert all(fit.fits for one in describe_all(registry.get("cad").policy) for fit in one.observations)
