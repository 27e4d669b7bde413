"""Policies that remember or pack their history, through the service: captured, reported, replayed where exact."""

from __future__ import annotations

import lzma
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import attnscope
from attnscope.errors import InvalidRequestError
from attnscope.fetching.replay import Decision
from attnscope.report.findings import findings
from attnscope.report.report import write_report
from attnscope.report.screen import write_screen_report
from attnscope.report.summary import summarise
from attnscope.screens.packing import packed_arms
from attnscope.screens.sentences import screen_sentences
from attnscope.study.latents import LatentStudy
from attnscope.trials.costs import context_bytes
from attnscope.trials.packing import departures_by_age, packing_costs
from attnscope_env.presets.gymnasium_entry import GymnasiumEntry
from attnscope_model.checkpoints import conversion
from attnscope_model.checkpoints.foreign import parse_here
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.root.captures import Captures
from attnscope_server.serving import serve_background
from attnscope_server.settings import Settings
from attnscope_storage.kinds.capture.schema import TOKEN_KINDS
from attnscope_storage.verify import verify
from attnscope_storage.wire import JobState
from attnscope_storage.wire.flops import forward_flops, packing_bytes
from forwards import layouts

STEPS = 50
SUPPORT = Path(layouts.__file__).parents[1]
"""Folder of the module that a worker imports to know the environment."""

WINDOWS = {"trxl": (11, 1, 1), "amago": (15, 1, 1), "uneven": (11, 1, 1), "decision": (5, 3, 2)}
"""Past steps that a context shows, tokens of each, and tokens of the present one."""

UNEVEN = GymnasiumEntry(
    id="field/Uneven-v0", module="field_environments", horizon=5, actions=("a", "b", "c", "d", "e"), preset="uneven"
)
"""Episodes of one to five steps, so that contexts of a batch differ in length."""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Return a running service that lists the environment."""
    root = tmp_path_factory.mktemp("service")
    given = Settings(data_root=root, port=0, announce=False, threads=1, durable=False, environments=(UNEVEN,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")]))
        with serve_background(given) as running:
            yield running


@pytest.fixture(scope="module")
def client(service):
    """Return a client of the service."""
    with attnscope.connect(service.url, service.key) as connected:
        yield connected


@pytest.fixture(scope="module")
def jobs(service, client, tmp_path_factory):
    """Return a finished capture of each policy in Darkroom, and of one where episodes end at different steps."""
    registry, files = CheckpointRegistry(service.settings.checkpoints_folder), tmp_path_factory.mktemp("files")
    submitted = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "parse_apart", lambda source, folder, choice=None: parse_here(source, folder, choice))
        uneven = replace(layouts.REMEMBERING["trxl"], stated={"preset": "uneven"})
        uneven = replace(uneven, config={**uneven.config, "trxl_positional_encoding": ""})
        for name, layout in (layouts.REMEMBERING | {"uneven": uneven}).items():
            path = files / f"{name}.pt"
            torch.save(layout.content(), path)
            if layout.bare:
                path.with_name(path.name + ".yaml").write_text(yaml.safe_dump(dict(layout.config)))
            registry.add(path, name=name, **layout.stated)
            submitted[name] = client.submit(
                checkpoint=name, tasks={"split": "all", "indices": [0]}, replicas=3, steps=STEPS
            )
    return {name: job.wait() for name, job in submitted.items()}


@pytest.mark.parametrize("name", WINDOWS)
def test_a_capture_is_whole_and_its_context_begins_anew_with_each_episode(service, jobs, name):
    """Lengths count the episode's steps up to the window; rows sum to 1 over them; no whole map was promised."""
    job = jobs[name]
    assert job.state is JobState.SUCCEEDED, job.info.problem
    reader = Captures(service.settings.data_root).open(job.id)
    assert verify(reader).ok
    most, per, query = WINDOWS[name]
    length, start = reader.array("context/length")[:], reader.array("context/start")[:]
    ended = (reader.array("rollout/terminated")[:] > 0) | (reader.array("rollout/truncated")[:] > 0)
    within = np.zeros_like(length)
    for step in range(1, STEPS):
        within[step] = np.where(ended[step - 1], 0, within[step - 1] + 1)
    assert np.array_equal(length, per * np.minimum(within, most) + query)
    assert np.array_equal(start, np.arange(STEPS)[:, None] - np.minimum(within, most))
    assert (len(np.unique(length[3])) > 1) == (name == "uneven")
    own = reader.array("stats/self")[:]
    assert (own[within == 0] == 1).all() == (query == 1)
    assert own[within > 0].any() == (name in {"amago", "decision"})
    assert "attention/maps" not in reader.root.arrays or not reader.array("attention/map_step")[:].size
    assert reader.policy.window == {"amago": "rolling", "decision": "recompute"}.get(name, "memory")
    assert reader.policy.cleared == "episode"


@pytest.mark.parametrize("name", WINDOWS)
def test_a_report_of_it_is_written(jobs, name, tmp_path):
    """Every figure is drawn or says why not, and the advice says that no rule is proposed, and why."""
    written = write_report(jobs[name].capture(), tmp_path / "report")
    assert written
    advice = str(attnscope.recommend(jobs[name].capture()))
    assert "No rule is proposed: the policy" in advice


@pytest.mark.parametrize("name", ["trxl", "amago", "decision"])
def test_no_rule_shortens_it_and_the_reason_is_said(client, jobs, name):
    """A trial, a screen and a decision are refused before they are queued, and no strategy claims to fit."""
    keeps = {"trxl": "the policy keeps inputs of layers", "amago": "the policy keeps keys and values"}
    reason = keeps.get(name, "the policy's context is emptied at the end of each episode")
    for asked in (
        {"kind": "trial", "strategies": [{"name": "recency"}], "budgets": [4], "episodes": 1},
        {"kind": "screen", "capture": str(jobs[name].id)},
        {"kind": "decision"},
    ):
        with pytest.raises(InvalidRequestError, match=f"{name} takes no rule: {reason}"):
            client.submit(checkpoint=name, **asked)
    assert not any(kind.fits for one in client.strategies(checkpoint=name) for kind in one.observations)


def test_a_decision_transformers_tokens_are_told_apart(service, jobs):
    """Slots are return, state and action of each step; the present step is a return and the state that decides."""
    reader = Captures(service.settings.data_root).open(jobs["decision"].id)
    kinds = [TOKEN_KINDS[kind] for kind in reader.array("context/token_kind")[:]]
    assert kinds == [*["return", "state", "action"] * 5, "return", "query"]
    assert reader.attributes["provenance"]["sampling"] == "greedy"


def test_maps_are_refused_where_none_is_computed(client, jobs):
    """Asked for beforehand or afterwards, a whole map is refused with the reason."""
    with pytest.raises(InvalidRequestError, match="computes the deciding token's attention alone"):
        client.submit(checkpoint="trxl", tasks={"split": "all", "indices": [0]}, steps=STEPS, maps={"steps": [3]})
    with pytest.raises(attnscope.errors.AttnscopeError, match="only decision rows are stored of this capture"):
        jobs["trxl"].capture().map(7)


GOLDEN = SUPPORT.parent / "golden" / "cad"
PACKED_STEPS = 100


@pytest.fixture(scope="module")
def packed(service, client, tmp_path_factory):
    """Return a finished greedy capture of the golden policy that packs its history, and the golden numbers."""
    registry, folder = CheckpointRegistry(service.settings.checkpoints_folder), tmp_path_factory.mktemp("cad")
    (folder / "cad.pt").write_bytes(lzma.decompress((GOLDEN / "ckpt-50000.pt.xz").read_bytes()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "parse_apart", lambda source, folder, choice=None: parse_here(source, folder, choice))
        registry.add(folder / "cad.pt", name="cad")
    golden = dict(np.load(GOLDEN / "golden.npz"))
    asked = {"tasks": {"goals": golden["goal"].tolist()}, "steps": PACKED_STEPS, "sampling": {"mode": "greedy"}}
    job = client.submit(checkpoint="cad", maps={"steps": [40]}, **asked).wait()
    assert job.state is JobState.SUCCEEDED, job.info.problem
    return job, golden


def test_a_packed_capture_is_replayed_from_the_rollouts_start(packed):
    """Maps of any step are those of contexts that were packed again; what leaving out would mean is refused."""
    job, golden = packed
    capture = job.capture()
    third = int(golden["compression_step"][2])
    stored = capture.rows[third + 3, 0]
    for step in (20, third + 1, third + 3):
        tokens, found = int(golden["tokens"][step]), capture.map(step)
        assert found.shape == (3, 4, tokens, tokens)
        row = stored[..., :tokens] if step == third + 3 else capture.rows[step, 0][..., :tokens]
        assert np.abs(found[:, :, -1] - row).max() < 1e-3
    replayed = capture._replayed(Decision(40, 0, "weights", (0, 1, 2), (0, 1, 2, 3), tokens=capture.length(40)))
    assert np.abs(replayed - capture.map(40)).max() < 1e-3  # one is stored, as float16
    assert capture.map(third + 3, kind="value-weighted").shape == found.shape
    with pytest.raises(attnscope.errors.NotReplayableError, match="only maps are replayed of this capture: the policy"):
        capture.leave_one_out(third + 3)


def test_a_packed_context_is_told_in_words(packed):
    """The latents' transitions and generation stand in the summary, the findings and the figure of a decision."""
    job, golden = packed
    capture = job.capture()
    third = int(golden["compression_step"][2])
    assert str(capture.summary(third + 2)) == f"summary of transitions 0–{third}, generation 3"
    assert capture.summary(third + 1) is None
    assert capture.transition_index(third + 2).tolist() == [*[-1] * 7, third + 1, third + 2]
    read = attnscope.study.study(capture)
    mass = np.asarray(capture.stats.summary[:])[read.length >= read.least].mean()
    assert abs(read.quantity("summary").estimate.value - mass) < 1e-6
    assert any(one.startswith("Latents, which stand for all transitions") for one in findings(read))
    assert "older transitions packed into latents" in summarise(capture)


def test_what_latents_hold_is_told(packed):
    """The service's capture has the original's compressions, traced to transitions, and latents left out one by one."""
    job, golden = packed
    capture = job.capture()
    held = capture.compressions(0)
    assert held.step.tolist() == golden["compression_step"][: len(held)].tolist()
    kept = min(len(held), len(golden["compression_cross"]))
    looked = [held.looked(number) for number in range(kept)]
    expected = [golden["compression_cross"][number][..., : one.shape[-1]] for number, one in enumerate(looked)]
    assert max(np.abs(one - other).max() for one, other in zip(looked, expected, strict=True)) <= 6.4e-5 + 2**-11
    study = LatentStudy(capture)
    assert np.allclose(study.reached[-1].sum(axis=1), 1, atol=1e-3)
    assert study.reached[-1].shape == (7, held.step[-1] + 1)
    third = int(golden["compression_step"][2])
    assert capture.leave_one_latent_out(third + 1).shape == (0,)
    left = capture.leave_one_latent_out(third + 3)
    assert left.shape == (7,)
    assert ((left >= 0) & (left <= 1)).all()
    assert left.max() > 0
    assert any(one.startswith("Dead latents (under a tenth") for one in findings(attnscope.study.study(capture)))


def test_a_packed_capture_is_reported(packed, tmp_path):
    """Every figure is drawn or says why not, shares are of what is not on latents, and no rule is proposed."""
    job, _ = packed
    assert tmp_path / "report" / "what_latents_hold.png" in write_report(job.capture(), tmp_path / "report")
    advice = str(attnscope.recommend(job.capture()))
    assert "No rule is proposed: the policy packs its older transitions" in advice
    assert f"attnscope screen {job.id}" in advice
    assert "without latents" in advice


def test_a_packed_capture_is_screened(client, packed, tmp_path):
    """Its own way departs after the first compression; the report draws it, and advice is led by the screen."""
    job, _ = packed
    arms = [{"name": "latents"}, {"name": "latents", "parameters": {"newest": 1}}, {"name": "recency"}]
    screen = client.submit(kind="screen", capture=str(job.id), strategies=arms, budgets=[8], decisions=128).wait()
    assert screen.state is JobState.SUCCEEDED, screen.info.problem
    results = screen.screen().results()
    own = packed_arms(results)[0]
    assert (own.arm.strategy, own.generations[0]) == ("latents", 0)
    assert own.by_generation.value[0] < 1e-6
    assert own.by_generation.value[1:].min() > 0.01
    assert any("at the decision right after a compression" in one for one in screen_sentences(results))
    assert "screen_departure_by_compression.png" in {path.name for path in write_screen_report(results, tmp_path)}
    assert results.time("full window")[0] > 0
    advice = attnscope.recommend(job.capture(), screen=screen.screen())
    assert advice.lead.kind == "screened"


def test_its_own_evaluation_is_an_arm_of_a_trial(client, packed):
    """A trial takes it against its sliding partner."""
    _, golden = packed
    asked = {"tasks": {"goals": golden["goal"].tolist()}, "seeds": [0], "episodes": 4, "sampling": {"mode": "greedy"}}
    trial = client.submit(
        checkpoint="cad",
        kind="trial",
        strategies=[{"name": "latents"}],
        speed={"enabled": False},
        divergence_steps=80,
        **asked,
    ).wait()
    assert trial.state is JobState.SUCCEEDED, trial.info.problem
    returns = np.asarray(trial.trial()["trial/return"][:])
    assert np.array_equal(returns[1, 0], golden["reward"][:80].reshape(4, 20, 2).sum(axis=1).T)
    departures = departures_by_age(trial.trial().results(), 1)
    assert departures.before == 0
    assert departures.age.tolist() == list(range(22))
    assert departures.departure.max() > 0
    assert "right after a compression and" in departures.words
    told = packing_costs(trial.trial().results(), 1)
    share = float(re.match(r"its compressor takes (\d+)% of its operations", told)[1]) / 100
    flops, golden_tokens = np.asarray(trial.trial()["trial/flops"][:])[1].mean(), golden["tokens"][:80]
    shape = trial.trial().results().policy
    forwards = np.mean([forward_flops(shape, int(tokens)) for tokens in golden_tokens])
    assert share == pytest.approx(1 - forwards / flops, abs=0.02)
    assert packing_costs(trial.trial().results(), 0) is None
    assert told.endswith(
        f"by formula, up to {packing_bytes(shape) / 1024:.0f} KiB a rollout for a moment; both are counted"
    )
    uncompressed, own = (context_bytes(trial.trial().results(), place) for place in (0, 1))
    kept = np.asarray(trial.trial()["trial/kept"][:])[1, ..., -1].mean()
    assert own == pytest.approx(kept * shape.width * 4 + packing_bytes(shape), rel=0.2)
    assert own > uncompressed
