"""Every family through the service: its file added, captured, replayed, and its stored rows held against NumPy."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import attnscope
from attnscope.measures import by_transition_age
from attnscope.measures.layout import ContextLayout, weights
from attnscope.report.report import write_report
from attnscope.report.summary import summarise
from attnscope_model.checkpoints import conversion
from attnscope_model.checkpoints.foreign import parse_here
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.root.captures import Captures
from attnscope_server.serving import serve_background
from attnscope_server.settings import Settings
from attnscope_storage.kinds.capture.schema import TOKEN_KINDS
from attnscope_storage.verify import verify
from attnscope_storage.wire import JobState
from forwards import layouts
from forwards import numpy_forwards as forwards

STEPS = 40
"""Past the end of every context, so that each window slides."""


ELSEWHERE = {
    "darkroom-permuted": {"env": "darkroompermuted", "horizon": 50},
    "key-to-door": {"env": "darkkeytodoor", "horizon": 50},
}
"""Presets that DICP's configurations name besides Darkroom, and what they say of them."""


MOVES = {
    "reference": ((1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)),
    "toymeta": ((0, 0), (-1, 0), (0, 1), (1, 0), (0, -1)),
}
"""(rows, columns) of each action, in the two numberings that are in use."""

PUBLISHED = {
    "ad-eps": ("toymeta", 9, (4, 4), 20),
    "cinemere-ad": ("toymeta", 9, (4, 4), 20),
    "dpt": ("reference", 10, (0, 0), 100),
    "darkroom-permuted": ("reference", 9, (0, 0), 50),
    "key-to-door": ("reference", 9, (4, 4), 50),
}
"""Numbering, size, start and horizon, where they are not those of the AD reference."""


def parse(source, folder, choice=None):
    """Parse here: one child a file is what other tests are for."""
    return parse_here(source, folder, choice)


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """Return a folder that the example policy package is installed into, with nothing fetched from anywhere."""
    source, target = tmp_path_factory.mktemp("source") / "example", tmp_path_factory.mktemp("installed")
    shutil.copytree(Path(__file__).parents[3] / "examples" / "attnscope-policy-example", source)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(target), str(source)], check=True, capture_output=True)
    return target


@pytest.fixture(scope="module")
def service(example, tmp_path_factory):
    """Return a running service whose processes find the example package, as after an installation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(example)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(example), os.environ.get("PYTHONPATH", "")]))
        root = tmp_path_factory.mktemp("service")
        with serve_background(Settings(data_root=root, port=0, announce=False, threads=1, durable=False)) as running:
            yield running


@pytest.fixture(scope="module")
def jobs(service, tmp_path_factory):
    """Return a finished job of every layout, all checkpoints in one data root."""
    registry, files = CheckpointRegistry(service.settings.checkpoints_folder), tmp_path_factory.mktemp("files")
    with pytest.MonkeyPatch.context() as patch, attnscope.connect(service.url, service.key) as client:
        patch.setattr(conversion, "parse_apart", parse)
        submitted = {}
        for name, layout in layouts.LAYOUTS.items():
            path = files / f"{name}.pt"
            torch.save(layout.content(), path)
            if layout.bare and layout.config:
                path.with_name(path.name + ".yaml").write_text(yaml.safe_dump(dict(layout.config)))
            registry.add(path, name=name, **layout.stated)
            tasks = {"split": "all", "indices": [3, 50]}
            submitted[name] = client.submit(checkpoint=name, tasks=tasks, steps=STEPS, maps={"steps": [9]})
        for name, env in ELSEWHERE.items():
            dpt = layouts.LAYOUTS["dicp-dpt"]
            bias = torch.full((5,), len(name) / 100)  # other weights, so another checkpoint
            state = dpt.state() | {"pred_actions.bias": bias}
            elsewhere = replace(dpt, config={**dpt.config, **env}, state=state.copy)
            torch.save(elsewhere.content(), files / f"{name}.pt")
            registry.add(files / f"{name}.pt", name=name)
            submitted[name] = client.submit(checkpoint=name, tasks={"split": "test", "indices": [0, 5]}, steps=STEPS)
        torch.manual_seed(0)
        network = importlib.import_module("attnscope_policy_example.network").TinyNetwork()
        torch.save(network.state_dict(), files / "tiny.pt")
        registry.add(files / "tiny.pt", name="tiny", heads=2)
        submitted["tiny"] = client.submit(checkpoint="tiny", tasks={"split": "test"}, steps=STEPS, maps={"steps": [9]})
        yield {name: job.wait() for name, job in submitted.items()}


@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_a_capture_of_every_family_is_what_numpy_computes(service, jobs, name):
    """The stored logits and decision rows are those of the independent forward over the stored rollout."""
    layout, job = layouts.LAYOUTS[name], jobs[name]
    assert job.state is JobState.SUCCEEDED
    reader = Captures(service.settings.data_root).open(job.id)
    assert verify(reader).ok
    stored = {
        part: reader.array(f"rollout/{part}")[:, 1] for part in ("observation", "action", "reward", "next_observation")
    }
    tensors = {key: tensor.double().numpy() for key, tensor in layout.state().items()}
    forward = getattr(forwards, layout.forward)
    for step in (0, 1, 5, STEPS - 1):
        window = slice(int(reader.array("context/start")[step, 1]), step)
        moment = forwards.History(
            *(stored[part][window] for part in ("observation", "action", "reward", "next_observation")),
            stored["observation"][step],
        )
        logits, maps = forward(tensors, {**layout.config, **layout.facts}, moment)
        assert np.abs(reader.array("policy/logits")[step, 1] - logits).max() < 1e-4
        length = int(reader.array("context/length")[step, 1])
        assert length == maps.shape[-1]
        row = reader.array("attention/rows")[step, 1, ..., :length]
        assert np.abs(row - maps[:, :, -1]).max() < 1e-3


@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_tokens_and_provenance_say_what_the_family_is(service, jobs, name):
    """Kinds of slots, who stated what, and how it acted where nobody chose are stored with the capture."""
    layout, reader = layouts.LAYOUTS[name], Captures(service.settings.data_root).open(jobs[name].id)
    kinds = [TOKEN_KINDS[kind] for kind in reader.array("context/token_kind")[:]]
    per = 3 if "reward" in kinds else 1
    one = ["state", "action", "reward"] if per == 3 else ["transition"]
    history = one * ((len(kinds) - 1) // per)
    assert kinds == (["query", *history] if "dpt" in name else [*history, "query"])
    provenance = reader.attributes["provenance"]
    assert provenance["family"] == layout.family
    assert provenance["stated_by_user"] == layout.stated
    assert provenance["causal_stated_by"] == ("user" if layout.family == "ad-reference" else "family")
    assert provenance["sampling"] == ("greedy" if layout.family in {"ad-eps", "cinemere-ad"} else "sample")
    if provenance["sampling"] == "greedy":
        logits, action = reader.array("policy/logits")[:], reader.array("rollout/action")[:]
        assert np.array_equal(logits.argmax(-1), action)


@pytest.mark.parametrize("name", [*layouts.LAYOUTS, "tiny"])
def test_every_strategy_runs_on_every_family_it_claims(service, jobs, name):
    """A trial of whatever the service says fits a checkpoint, kept short, verifies; `none` is the baseline bit for bit,
    and no strategy keeps more than its budget.
    """
    assert jobs[name].state is JobState.SUCCEEDED
    with attnscope.connect(service.url, service.key) as client:
        fitting = [one for one in client.strategies(checkpoint=name) if any(kind.fits for kind in one.observations)]
        asked = {
            "strategies": [{"name": one.name} for one in fitting],
            "tasks": {"split": "all", "indices": [3]} if name != "tiny" else {"split": "test", "indices": [0]},
            "speed": {"enabled": False},
        }
        job = client.submit(
            kind="trial", checkpoint=name, seeds=[1], episodes=1, budgets=[4], divergence_steps=2, kept_steps=2, **asked
        ).wait()
        results = job.trial().results()
        actions, kept, kl = (results.arrays[one] for one in ("rollout/action", "trial/kept", "divergence/kl"))
    assert verify(Captures(service.settings.data_root).open(job.id)).ok
    assert {one.strategy for one in results.conditions[1:]} == {one.name for one in fitting}
    none = next(one.index for one in results.conditions[1:] if one.strategy == "none")
    assert np.array_equal(actions[0], actions[none])
    assert np.array_equal(kl[0], kl[none])
    bounded = [one.index for one in results.conditions[1:] if one.budget is not None]
    assert kept[bounded].max() <= 4 * results.policy.tokens_per_transition


@pytest.mark.parametrize("name", ["hub-gpt2", "hub-llama", "hub-bloom"])
def test_a_declared_hub_policy_goes_the_whole_way(service, jobs, name, tmp_path):
    """Its capture becomes a report, a screen judges rules on it, and the arm that departs least is tried."""
    capture = jobs[name].capture()
    assert write_report(capture, tmp_path / "report")
    rules = {"strategies": [{"name": "recency"}, {"name": "tova"}], "budgets": [2, 4]}
    with attnscope.connect(service.url, service.key) as client:
        screened = client.submit(kind="screen", capture=str(jobs[name].id), decisions=16, **rules).wait()
        screen = screened.screen()
        live = screen.results().tv_live.value
        assert {arm.positions for arm in screen.arms} == {"reindex", "keep"}
        assert np.isfinite(live).all()
        assert np.ptp(live) > 0
        best = screen.arms[int(live.argmin())]
        chosen = {"strategies": [{"name": best.strategy}], "budgets": [best.budget], "positions": [best.positions]}
        tried = client.submit(
            kind="trial", checkpoint=name, seeds=[1], episodes=1, tasks={"split": "all", "indices": [3]},
            speed={"enabled": False}, controls=False, interval=best.interval, **chosen,
        ).wait()  # fmt: skip
        results = tried.trial().results()
    assert [one.strategy for one in results.conditions[1:]] == [best.strategy]
    for job in (screened, tried):
        assert verify(Captures(service.settings.data_root).open(job.id)).ok


REPLAYED = ["rad", "ad-eps", "dicp-dpt", "dpt", "dicp-ad", "cccad", "cinemere-post", "hub-llama", "hub-bloom", "tiny"]


@pytest.mark.parametrize("name", REPLAYED)
def test_any_step_of_any_family_is_replayed(jobs, name):
    """A step that no map was sampled of gives its maps later; the service holds them against what is stored."""
    capture = jobs[name].capture()
    maps = np.asarray(capture.map(STEPS - 2, env=1))
    length = maps.shape[-1]
    assert maps.shape[-2] == length
    row = capture["attention/rows"][STEPS - 2, 1, ..., :length]
    assert np.abs(maps[..., -1, :] - row).max() < 2e-3


def test_an_installed_package_is_captured_like_any_other(service, jobs):
    """The example's network knows nothing of attnscope; its capture is whole, and its rows are its own attention's."""
    assert jobs["tiny"].state is JobState.SUCCEEDED
    reader = Captures(service.settings.data_root).open(jobs["tiny"].id)
    assert verify(reader).ok
    assert reader.attributes["provenance"]["family"] == "example-tiny"
    assert reader.attributes["provenance"]["stated_by_user"] == {"heads": 2}
    rows = reader.array("attention/rows")[STEPS - 1]
    assert rows.shape[1:] == (2, 2, 12)
    assert np.ptp(rows, axis=-1).max() > 0.01


def test_captions_say_what_the_user_stands_for(jobs):
    """Heads that a user stated stand in the summary beside the mask, as they do in every figure's caption."""
    assert "causal (mask stated by family), heads 2 and preset darkroom-dpt stated by user" in summarise(
        jobs["dpt"].capture()
    )
    assert "non-causal (mask stated by user)\n" in summarise(jobs["reference"].capture())


@pytest.mark.parametrize("name", ["rad", "dpt", "dicp-dpt"])
def test_slots_become_transitions_on_the_laptop(jobs, name):
    """Every slot names its transition, wherever the query stands, and tokens of a row add up by transition."""
    capture = jobs[name].capture()
    step, policy = 30, capture.policy
    per, length = policy.tokens_per_transition, capture.length(step)
    history = [step - (length - 1) // per + slot // per for slot in range(length - 1)]
    expected = [step, *history] if policy.query_slot == "first" else [*history, step]
    assert capture.transition_index(step).tolist() == expected
    begins = capture.episode_boundaries(step).tolist()
    within = [slot for slot in range(2, length) if expected[slot] % 20 == 0 and expected[slot] != expected[slot - 1]]
    assert begins == ([] if name == "dpt" else within)  # an episode of its room has 100 steps
    row = capture["attention/rows"][step, 0]
    share = weights(row[None], np.array([length]))
    layout = ContextLayout(policy.query_slot, per)
    summed = by_transition_age(share, np.array([length]), layout)[0]
    slots = np.array(expected)
    for age in range(1, (length - 1) // per + 1):
        held = (slots == step - age) & (np.arange(length) != (0 if policy.query_slot == "first" else length - 1))
        assert np.allclose(summed[..., age], share[0, ..., :length][..., held].sum(-1))


@pytest.mark.parametrize("name", [*layouts.LAYOUTS, *ELSEWHERE])
def test_every_rollout_obeys_its_familys_room(service, jobs, name):
    """Numbering, start, walls and the end of episodes are the published ones of the family, written out here again."""
    reader = Captures(service.settings.data_root).open(jobs[name].id)
    family = layouts.LAYOUTS[name].family if name in layouts.LAYOUTS else "dicp-dpt"
    room = PUBLISHED.get(name) or PUBLISHED.get(family, ("reference", 9, (4, 4), 20))
    numbering, size, start, horizon = room
    seen, action, following = (
        reader.array(f"rollout/{part}")[:] for part in ("observation", "action", "next_observation")
    )
    ended = np.arange(STEPS) % horizon == horizon - 1
    for env in range(seen.shape[1]):
        moves = np.array(MOVES[numbering])
        if name == "darkroom-permuted":
            moves = moves[list(list(itertools.permutations(range(5)))[int(reader.array("env/task")[env])])]
        assert seen[0, env].tolist() == list(start)
        assert np.array_equal(following[:, env], np.clip(seen[:, env] + moves[action[:, env]], 0, size - 1))
        expected = np.where(ended[:-1, None], np.array(start), following[:-1, env])
        assert np.array_equal(seen[1:, env], expected)
    assert np.array_equal(reader.array("rollout/truncated")[:, 0] > 0, ended)
    assert not reader.array("rollout/terminated")[:].any()
    assert reader.array("rollout/episode")[-1, 0] == STEPS // horizon - (STEPS % horizon == 0)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_configurations_environment_is_the_captures(service, jobs, name):
    """A policy acts in the room that its file says it was trained in, and its capture is whole."""
    assert jobs[name].state is JobState.SUCCEEDED
    reader = Captures(service.settings.data_root).open(jobs[name].id)
    assert verify(reader).ok
    assert reader.attributes["provenance"]["preset"] == name
    assert jobs[name].info.resolved.held_out is None
