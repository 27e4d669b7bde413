"""Policies of several choices, of action vectors, or of grids, through the service: from file to trial."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import attnscope
from attnscope.cli.verbs.screens import show_screen
from attnscope.decisions.checking import check_loop
from attnscope.errors import InvalidRequestError
from attnscope.page.rollouts import Rollout, transitions
from attnscope.reading.influence import influence
from attnscope.report.report import write_report
from attnscope.report.screen import write_screen_report
from attnscope.trials.board import board
from attnscope_model.acting.outputs import output_of
from attnscope_model.checkpoints import conversion
from attnscope_model.checkpoints.foreign import parse_here
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.root.captures import Captures
from attnscope_server.root.paths import capture_path
from attnscope_server.serving import serve_background
from attnscope_server.settings import Settings
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire import JobState
from forwards import layouts
from heads.environments import ENTRIES
from heads.installed import installed
from heads.policies import policy_of, save, save_left

CHAIN = ("branches", "gaussian", "vector", "grid")
"""Kinds of the small policies."""

STEPS = 18
GOLDEN = Path(__file__).parents[2] / "golden" / "hub" / "decision_transformer"
RULES = [{"name": "recency"}, {"name": "dedup"}]
BY_INFLUENCE = {"name": "leave-one-out"}
"""An oracle that asks how far each decision moves; a trial of vectors takes it, whose moves are distances."""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Return a running service that lists the environments and finds the installed policies."""
    given = Settings(
        data_root=tmp_path_factory.mktemp("service"), port=0, announce=False, threads=1, durable=False,
        environments=ENTRIES,
    )  # fmt: skip
    with installed(tmp_path_factory.mktemp("installed") / "site"), serve_background(given) as running:
        yield running


@pytest.fixture(scope="module")
def client(service):
    """Return a client of the service."""
    with attnscope.connect(service.url, service.key) as connected:
        yield connected


@pytest.fixture(scope="module")
def jobs(service, client, tmp_path_factory):
    """Return a finished capture of each policy: the small ones, a Transformer-XL and a Decision Transformer."""
    registry, files, submitted = (
        CheckpointRegistry(service.settings.checkpoints_folder),
        tmp_path_factory.mktemp("f"),
        {},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "parse_apart", lambda source, folder, choice=None: parse_here(source, folder, choice))
        for kind in CHAIN:
            registry.add(save(files / f"{kind}.pt", kind), name=kind)
        registry.add(_transformer_xl(files / "trxl.pt"), name="trxl", preset="line")
        registry.add(_decision_transformer(files / "dt"), name="decision")
    for name in (*CHAIN, "trxl", "decision"):
        maps = {"steps": [5]} if name in CHAIN else {"count": 0}
        submitted[name] = client.submit(checkpoint=name, seeds=[1, 2], steps=STEPS, maps=maps, rows={"every": 1})
    return {name: job.wait() for name, job in submitted.items()}


def _transformer_xl(path: Path) -> Path:
    """Write a Transformer-XL with two branches over two numbers."""
    layout, random = layouts.REMEMBERING["trxl"], torch.Generator().manual_seed(1)
    heads = {
        f"actor_branches.{branch}.weight": torch.randn(size, 32, generator=random) for branch, size in ((0, 3), (1, 2))
    }
    heads |= {name.replace("weight", "bias"): torch.zeros(len(head)) for name, head in heads.items()}
    torch.save({"model_weights": layout.state() | heads, "args": dict(layout.config)}, path)
    return path


def _decision_transformer(folder: Path) -> Path:
    """Return the golden Decision Transformer, cut to two numbers of state and two of action, that acts by vectors."""
    from safetensors.torch import load_file, save_file  # noqa: PLC0415 - one test's file

    shutil.copytree(GOLDEN, folder)
    tensors = load_file(folder / "model.safetensors")
    for name, cut in {"embed_state.weight": np.s_[:, :2], "embed_action.weight": np.s_[:, :2]}.items():
        tensors[name] = tensors[name][cut].contiguous()
    for part in ("action.0", "state"):
        for kind in ("weight", "bias"):
            tensors[f"predict_{part}.{kind}"] = tensors[f"predict_{part}.{kind}"][:2].contiguous()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text()) | {"state_dim": 2, "act_dim": 2}
    (folder / "config.json").write_text(json.dumps(config))
    declared = {"steps": 4, "target_return": 3.0, "continuous": True, "action_scale": [2.0, 2.0], "preset": "plane"}
    (folder / "attnscope.json").write_text(json.dumps(declared))
    return folder


def reader_of(service, job):
    """Return a reader of a job's store."""
    return Captures(service.settings.data_root).open(job.id)


@pytest.mark.parametrize("name", [*CHAIN, "trxl", "decision"])
def test_a_capture_stores_actions_and_head_by_their_kind(service, jobs, name):
    """Arrays have the axes of the kind of action; every action follows from the stored numbers of the head."""
    assert jobs[name].state is JobState.SUCCEEDED, jobs[name].info.problem
    reader = reader_of(service, jobs[name])
    assert verify(reader).ok
    output, actions = reader.policy.output, reader.array("rollout/action")
    dims = {"branches": ["branch"], "trxl": ["branch"], "grid": []}.get(name, ["component"])
    assert list(reader.root.arrays["rollout/action"].dims) == ["step", "env", *dims]
    assert ("policy/output" if output.continuous else "policy/logits") == output.array
    assert {"policy/output", "policy/logits"} & set(reader.names()) == {output.array}
    given, taken = reader.array(output.array)[:], actions[:]
    assert np.isfinite(given).all()
    if name in {"branches", "trxl"}:
        assert (taken >= 0).all()
        assert (taken < np.array([3, 2])).all()
        assert len(np.unique(taken.reshape(-1, 2), axis=0)) > 2
    elif name in {"vector", "decision"}:
        assert np.array_equal(taken, np.clip(given, -1, 1))
    elif name == "gaussian":
        assert (np.abs(taken) <= 1).all()
        assert np.abs(taken - np.clip(given[..., :2], -1, 1)).max() > 0.01
    if name == "grid":
        observed = reader.array("rollout/observation")
        assert (observed.shape, observed.dtype) == ((STEPS, 4, 3, 3, 2), np.int8)


@pytest.mark.parametrize("name", CHAIN)
def test_any_step_is_replayed_and_compared_with_what_was_stored(jobs, name):
    """A map of a step that none was stored of, and what leaving each transition out changes, in the head's unit."""
    capture = jobs[name].capture()
    weights = capture.map(9, env=1)
    assert np.allclose(np.asarray(weights).sum(axis=-1), 1, atol=1e-5)
    found = influence(capture, 9, env=1)
    assert (found.influence >= 0).all()
    assert found.influence.any()
    assert found.unit == ("scaled distance" if name == "vector" else "nats")


@pytest.mark.parametrize("name", CHAIN)
def test_the_page_tells_its_actions(jobs, name):
    """Transitions hold every branch or component; a grid is told by its sizes; advice takes the actions."""
    capture = jobs[name].capture()
    told = transitions(capture, Rollout(capture, 0), 0, 3)
    shape = np.shape(told["action"])
    assert shape == ((3,) if name == "grid" else (3, 2))
    assert told["wide"] == ({"observation": [3, 3, 2]} if name == "grid" else {})
    advice = attnscope.recommend(capture)
    said = str(advice)
    assert "dedup" in said
    assert ("relevant" in advice.not_applicable) == (name == "grid")
    assert ("attnscope decide" in said) == (name in {"grid", "branches"})
    assert ("No decision can be made about this policy: it gives an action vector" in said) == (
        name in {"gaussian", "vector"}
    )


def test_advice_deploys_no_rule_on_a_policy_that_takes_none(client, jobs):
    """Its table says so; no rule has a rank or a command, and neither positions nor a decision are proposed."""
    advice = attnscope.recommend(jobs["trxl"].capture(), capabilities=client.capabilities())
    said = str(advice)
    assert advice.verdict == "no rule"
    assert not advice.headline
    assert {(one.rank, one.command) for one in advice.recommendations} == {(None, None)}
    assert "none can be applied to this policy" in said
    assert not [word for word in ("COULD BE DEPLOYED", "Positions to try", "attnscope decide") if word in said]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gaussian", "vector", "trxl", "decision"])
def test_a_report_of_it_is_written(jobs, name, tmp_path):
    """Figures are drawn or say why not."""
    assert write_report(jobs[name].capture(), tmp_path / "report")


@pytest.fixture(scope="module")
def screens(client, jobs):
    """Return a finished screen of each small policy."""
    asked = {"kind": "screen", "budgets": [2, 4], "positions": ["reindex"], "decisions": 32, "ages": True}
    made = {name: client.submit(**asked, capture=str(jobs[name].id), strategies=RULES) for name in CHAIN}
    return {name: job.wait() for name, job in made.items()}


@pytest.mark.parametrize("name", CHAIN)
def test_a_screen_measures_departures_by_the_kind_of_head(service, jobs, screens, name, tmp_path, capsys):
    """Stored departures are those of the formulas over the stored heads; what a head has not is not there."""
    job = screens[name]
    assert job.state is JobState.SUCCEEDED, job.info.problem
    reader, output = reader_of(service, job), policy_of(name).description.output
    assert verify(reader).ok
    departure = reader.array("screen/departure")[:]
    assert departure.max() > 0
    assert departure.max() <= 1 or name == "vector"
    assert not {f"screen/{measure}" for measure in output.lacks} & set(reader.names())
    assert reader.root.arrays["screen/departure"].attributes["long_name"] == output.departure
    results = job.screen().results()
    assert (results.changed is None) == (name == "vector")
    written = write_screen_report(results, tmp_path / "screen")
    said = (tmp_path / "screen" / "screen.txt").read_text()
    wanted = {"branches": "upper bound 1 − Π(1 − TV_b)", "gaussian": "before any tanh", "vector": "is no probability"}
    assert wanted.get(name, "A screen says how far") in said
    assert all(path.stat().st_size for path in written)
    show_screen(job.screen(), as_json=False)
    printed = capsys.readouterr().out
    assert ("actions of an episode that differ" in printed) == (name != "vector")
    assert ("no share" in printed, "at most" in printed) == (name == "vector", name == "branches")
    capture = reader_of(service, jobs[name])
    env, step = int(reader.array("rollout/env")[0]), int(reader.array("decision/step")[0, 0])
    assert np.allclose(reader.array(output.array)[0, 0], capture.array(output.array)[step, env], atol=1e-4)


@pytest.fixture(scope="module")
def trials(client):
    """Return a finished trial of each small policy."""
    asked = {
        "kind": "trial",
        "budgets": [3],
        "episodes": 3,
        "seeds": [1, 2],
        "divergence_steps": 6,
        "speed": {"enabled": False},
    }
    rules = {name: [*RULES, BY_INFLUENCE] if name == "vector" else RULES for name in CHAIN}
    made = {name: client.submit(**asked, checkpoint=name, strategies=rules[name], controls=False) for name in CHAIN}
    return {name: job.wait() for name, job in made.items()}


@pytest.mark.parametrize("name", CHAIN)
def test_a_trial_pairs_rollouts_by_the_kind_of_action(service, jobs, trials, name):
    """Its uncompressed rollouts are the capture's; actions have their axis; departures and the board are there."""
    job = trials[name]
    assert job.state is JobState.SUCCEEDED, job.info.problem
    reader, capture = reader_of(service, job), reader_of(service, jobs[name])
    assert verify(reader).ok
    plain = reader.array("rollout/action")[0]
    stored = capture.array("rollout/action")[:]
    for seed in (0, 1):
        for task in (0, 1):
            assert np.allclose(plain[seed, task], stored[:, 2 * task + seed], atol=1e-4)
    lacks = policy_of(name).description.output.lacks
    assert {"divergence/kl", "divergence/flip"} - {f"divergence/{one}" for one in lacks} <= set(reader.names())
    assert reader.array("divergence/departure")[1:].max() > 0
    made = board(job.trial().results())
    apart = made.rows[1].divergence
    assert apart.departure.value > 0
    assert (apart.kl is None, apart.flips is None) == ("kl" in lacks, "flip" in lacks)
    assert "departure" in made.csv().splitlines()[0]


@pytest.fixture(scope="module")
def decided(service, client, jobs, tmp_path_factory):
    """Return a finished decision on a policy of two choices that gains, and hardly looks at its history."""
    assert jobs
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "parse_apart", lambda source, folder, choice=None: parse_here(source, folder, choice))
        registry = CheckpointRegistry(service.settings.checkpoints_folder)
        registry.add(save_left(tmp_path_factory.mktemp("left") / "left.pt"), name="left")
    asked = {"kind": "decision", "budgets": [4], "positions": ["reindex"], "screened": 32, "episodes": 3, "margin": 0.1}
    tasks = {"tasks": {"split": "all", "indices": [0, 1, 2, 3]}, "screening": {"split": "all", "indices": [4, 5, 6, 7]}}
    return client.submit(checkpoint="left", **asked, **tasks).wait()


def test_a_decision_tells_choices_apart_by_their_combinations(service, decided):
    """Any branch that differs counts as a difference; the compared loop's numbers are those of all combinations."""
    assert decided.state is JobState.SUCCEEDED, decided.info.problem
    reader, card = reader_of(service, decided), decided.decision().card
    assert verify(reader).ok
    assert card.chosen is not None, card.sentence
    numbers = reader.array("decision/action")[:]
    assert set(np.unique(numbers[numbers >= 0])) == set(range(6))
    looked = CaptureReader.open(capture_path(service.settings.data_root, card.children["rung-1/look-1"]))
    acted, differing = looked.array("rollout/action")[:], reader.array("decision/differing")[:]
    apart = (acted[0] != acted[1]).any(axis=-1)
    assert apart.any()
    assert sorted(differing[differing >= 0][: apart[..., 0].size]) == sorted(apart.sum(axis=-1).ravel())
    sample = decided.decision().loop
    wanted = np.array(sample.probabilities)
    assert wanted.shape == (len(sample.steps), 6)
    assert np.allclose(wanted.sum(axis=1), 1)
    assert check_loop(wanted, sample).other == 0


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"checkpoint": "gaussian", "kind": "decision"}, "takes no decision: it gives an action vector, and a decis"),
        ({"checkpoint": "vector", "kind": "decision"}, "takes no decision: it gives an action vector, and a decision"),
        (
            {"checkpoint": "vector", "steps": 4, "sampling": {"mode": "sample"}},
            "vector gives one action vector without a distribution to draw from; ask for greedy",
        ),
        (
            {"checkpoint": "branches", "steps": 4, "environment": {"id": "heads/Plane-v0"}},
            "branches acts in heads/Line-v0, not in heads/Plane-v0",
        ),
        (
            {"checkpoint": "trxl", "kind": "trial", "strategies": RULES, "budgets": [2]},
            "the policy keeps inputs of layers",
        ),
        (
            {"checkpoint": "decision", "kind": "trial", "strategies": RULES, "budgets": [2]},
            "emptied at the end of each",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(client, jobs, asked, reason):
    """Before anything is queued, with the reason and what to ask for instead."""
    assert jobs
    with pytest.raises(InvalidRequestError, match=reason):
        client.submit(**asked)


def test_a_policy_does_not_act_where_actions_are_of_another_kind(service, client, jobs, tmp_path):
    """Bound to a preset with other actions, a policy is refused when a capture is asked for, with both in words."""
    assert jobs
    from heads import policies  # noqa: PLC0415 - its table is changed for one test

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "parse_apart", lambda source, folder, choice=None: parse_here(source, folder, choice))
        patch.setitem(policies.KINDS, "branches", policies.KINDS["branches"] | {"preset": "plane"})
        CheckpointRegistry(service.settings.checkpoints_folder).add(save(tmp_path / "odd.pt", "branches"), name="odd")
    reason = "odd gives 2 choices at once, among 3, 2 actions, plane takes vectors of 2 numbers"
    with pytest.raises(InvalidRequestError, match=reason):
        client.submit(checkpoint="odd", steps=4)


def test_the_bound_is_that_of_the_stored_logits(service, jobs, screens):
    """For one arm and decision the stored departure is recomputed by a compressed context of the policy itself."""
    policy, capture, reader = (
        policy_of("branches"),
        reader_of(service, jobs["branches"]),
        reader_of(service, screens["branches"]),
    )
    env, step = int(reader.array("rollout/env")[0]), int(reader.array("decision/step")[0, -1])
    arms = screens["branches"].screen().arms
    arm = next(arm for arm in arms if arm.strategy == "recency" and arm.budget == 2)

    def logits(first: int) -> torch.Tensor:
        kept = {
            part: torch.from_numpy(capture.array(f"rollout/{part}")[first:step, env])
            for part in ("observation", "action", "reward", "next_observation")
        }
        kept["action"] = kept["action"].long()
        tokens = policy.embed_transition(*kept.values())[:, 0]
        query = policy.embed_query(torch.from_numpy(capture.array("rollout/observation")[step : step + 1, env]))[0]
        return policy(torch.cat([tokens, query])[None])

    with torch.inference_mode():
        full, less = logits(int(capture.array("context/start")[step, env])), logits(step - 2)
    parts = [
        torch.softmax(one.double(), -1) - torch.softmax(two.double(), -1)
        for one, two in zip(full.split([3, 2], 1), less.split([3, 2], 1), strict=True)
    ]
    bound = 1 - math.prod(1 - float(part.abs().sum()) / 2 for part in parts)
    assert bound > 0
    assert float(reader.array("screen/departure")[0, arm.index, -1]) == pytest.approx(bound, abs=1e-5)
    assert float(output_of(policy.description).departure(full, less)[0]) == pytest.approx(bound, abs=1e-9)
