"""Recommendations about the shipped policy, over a real socket: each sentence's number is measured again from the rows.

What stands here is plain arithmetic on the decision rows; it uses none of the package's measures or strategies.
"""

from __future__ import annotations

import json
import shlex
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

import attnscope
from attnscope.cli.main import app
from attnscope.proposal import ProposalError, fresh_seeds, propose
from attnscope.recommendations import Advice
from attnscope.recommendations.attention.expense import position_policy
from attnscope_model.compression import default_positions
from attnscope_storage.wire import CaptureSpec, PolicyDescription, TaskChoice

CONTEXT, STEPS, ENVS = 100, 140, 16


NEAR = 1e-4
"""Relative difference that float16 explains: statistics are of full-precision rows, the sums here of stored ones."""


@pytest.fixture(scope="module")
def shipped(service) -> SimpleNamespace:
    """Return a capture of the shipped policy on its held-out goals, two rollouts each, and the advice on it."""
    with attnscope.connect(service.url, service.key) as client:
        spec = CaptureSpec(
            checkpoint=client.checkpoints()[0].id, tasks=TaskChoice(split="test"), replicas=2, episodes=7
        )
        capture = client.submit(spec).wait().capture()
        advice = attnscope.recommend(capture, full=True, budget=0.4, capabilities=client.capabilities())
        rows = capture.rows[:].astype(np.float64)
        rows = np.nan_to_num(rows) / np.nansum(rows, axis=-1, keepdims=True)
        claims = {claim.key: claim.numbers for claim in advice.claims}
        rollout = {name: capture[f"rollout/{name}"][:] for name in ("reward", "episode", "observation")}
        return SimpleNamespace(advice=advice, rows=rows, claims=claims, **rollout)


def test_sentences_about_patterns_are_true(shipped):
    """Recency, own mass, positions, entropy, flatness and decay of full contexts, from the raw rows."""
    full, claims = shipped.rows[CONTEXT - 1 :], shipped.claims
    assert full.shape[:2] == (STEPS - CONTEXT + 1, ENVS)
    for window in (5, 10, 20):
        mass = full[..., CONTEXT - 1 - window : CONTEXT - 1].sum(axis=-1).mean()
        assert claims[f"recency.{window}"]["value"] == pytest.approx(mass, rel=NEAR)
        assert claims[f"recency.{window}"]["lift"] == pytest.approx(mass / (window / CONTEXT), rel=NEAR)
    assert claims["self"]["value"] == pytest.approx(full[..., -1].mean(), rel=NEAR)
    ordered = np.sort(full, axis=-1)[..., ::-1].cumsum(axis=-1)
    needed = ((ordered < 0.8 - 1e-9).sum(axis=-1) + 1).mean() / CONTEXT
    assert claims["positions"]["value"] == pytest.approx(needed)
    together = np.sort(full.mean(axis=(2, 3)), axis=-1)[..., ::-1].cumsum(axis=-1)
    shared = ((together < 0.8 - 1e-9).sum(axis=-1) + 1).mean() / CONTEXT
    assert claims["shared_positions"]["value"] == pytest.approx(shared, rel=1e-3)
    entropy = -(full * np.log(np.where(full > 0, full, 1))).sum(axis=-1).mean() / np.log(CONTEXT)
    assert claims["normalised_entropy"]["value"] == pytest.approx(entropy, rel=NEAR)
    assert claims["flatness"]["value"] == pytest.approx(np.abs(full - 1 / CONTEXT).sum(axis=-1).mean() / 2, rel=NEAR)
    profile = full.mean(axis=(0, 1, 2, 3))[::-1][1:]
    slope = np.polyfit(np.arange(1, CONTEXT), np.log(profile), 1)[0]
    assert claims["decay"]["rate"] == pytest.approx(-slope, rel=NEAR)


def test_sentences_about_anchors_are_true(shipped):
    """Mass on marked transitions over its uniform share, as a ratio of means over tasks and rollouts."""
    full = shipped.rows[CONTEXT - 1 :].mean(axis=(2, 3))
    step = np.arange(CONTEXT - 1, STEPS)
    transition = step[:, None] - (CONTEXT - 1) + np.arange(CONTEXT - 1)
    start = np.diff(shipped.episode, axis=0, prepend=-1) != 0
    here = shipped.observation[step][:, None]
    marks = {
        "rewarded": (shipped.reward > 0)[transition],
        "episode_start": start[transition],
        "same_state": (shipped.observation[transition] == here).all(axis=-1),
        "sink": np.broadcast_to((np.arange(CONTEXT - 1) == 0)[None, :, None], (len(step), CONTEXT - 1, ENVS)),
    }
    for name, mark in marks.items():
        mass = (full[..., : CONTEXT - 1] * mark.transpose(0, 2, 1)).sum(axis=-1).mean()
        even = mark.sum(axis=1).mean() / CONTEXT
        assert shipped.claims[f"anchor.{name}"]["mass"] == pytest.approx(mass, rel=NEAR), name
        assert shipped.claims[f"anchor.{name}"]["value"] == pytest.approx(mass / even, rel=NEAR), name


def kept(shipped, choose) -> float:
    """Return the mass on what `choose` keeps, over the decisions and the rollouts that judged."""
    masses = []
    for step in range(STEPS):
        count = min(step, CONTEXT - 1)
        many = min(count, max(1, int(count * 0.4 + 1e-9)))
        first = step - count
        for env in range(1, ENVS, 2):  # the second rollout of each goal; the first chose parameters
            own = shipped.rows[step, env, :, :, count].mean()
            row = shipped.rows[step, env, :, :, :count].mean(axis=(0, 1))
            masses.append(own + row[choose(row, count, many, first, step, env)].sum() if count else own)
    return float(np.mean(masses))


def evenly(_row, count, many, *_):
    """Keep evenly spaced entries."""
    place = np.arange(count)
    return (place + 1) * many // count > place * many // count


def test_sentences_about_strategies_are_true(shipped):
    """The mass that recency, even spacing, rewarded transitions and the best choice keep is summed by hand."""

    def newest(_row, count, many, *_):
        return np.arange(count) >= count - many

    def heaviest(row, _count, many, *_):
        return np.argsort(-row[::-1], kind="stable")[:many] * -1 + len(row) - 1

    def rewarded(_row, count, many, first, _step, env):
        share = next(one for one in shipped.advice.recommendations if one.key == "rewards").strategy["share"]
        found = np.nonzero(shipped.reward[first : first + count, env] > 0)[0][::-1][: int(np.ceil(many * share))]
        rest = [place for place in range(count)[::-1] if place not in found]
        return np.r_[found, rest][:many].astype(int)

    claims = shipped.claims
    assert claims["recency.retained"]["kept"] == pytest.approx(kept(shipped, newest), abs=1e-5)
    assert claims["recency.retained"]["uniform"] == pytest.approx(kept(shipped, evenly), abs=1e-5)
    assert claims["recency.retained"]["possible"] == pytest.approx(kept(shipped, heaviest), abs=1e-5)
    assert claims["rewards.retained"]["kept"] == pytest.approx(kept(shipped, rewarded), abs=1e-5)
    assert claims["recency.lift"]["value"] == pytest.approx(kept(shipped, newest) / kept(shipped, evenly), abs=1e-4)


def test_intervals_hold_their_values_and_say_how_sure_they_are(shipped):
    """With one judging rollout a goal, goals are resampled too, and every interval is marked unreliable."""
    for one in shipped.advice.recommendations:
        for estimate in (one.retained, one.lift, one.excess):
            assert estimate.low - 1e-12 <= estimate.value <= estimate.high + 1e-12
            assert not estimate.reliable
            assert estimate.scope == "beyond these tasks"
    assert shipped.advice.text.count("†") > 20


def test_a_policy_that_seldom_earns_is_ranked_by_nothing(shipped):
    """In seven episodes fewer than 80 % of these rollouts find the goal: this comes first, and nothing is proposed."""
    earning = (shipped.reward != 0).any(axis=0).mean()
    (sentence,) = (one.sentence for one in shipped.advice.lead.gate)
    assert f"Only {100 * earning:.0f} % of the rollouts earn anything" in sentence
    assert shipped.advice.verdict == "no gain"
    assert {one.rank for one in shipped.advice.recommendations} == {None}
    with pytest.raises(ProposalError, match="nothing is proposed"):
        propose(shipped.advice.to_json())


@pytest.fixture(scope="module")
def earning(service) -> Advice:
    """Return the advice on a capture whose goals lie beside the start, so that every rollout finds its own."""
    with attnscope.connect(service.url, service.key) as client:
        tasks = TaskChoice(goals=((4, 5), (5, 4), (3, 4), (4, 3)))
        spec = CaptureSpec(checkpoint=client.checkpoints()[0].id, tasks=tasks, replicas=2, episodes=6)
        return attnscope.recommend(client.submit(spec).wait().capture(), budget=0.4)


def asked(words: list[str]) -> tuple[dict, list[dict]]:
    """Return what a command line resolves to on the service, its conditions without baseline and controls apart."""
    ran = CliRunner().invoke(app, [*words, "--dry-run", "--json"])
    assert ran.exit_code == 0, ran.output
    document = ran.output[ran.output.index("{") :]  # the service runs in this process and logs its writes there too
    resolved = json.loads(document)["resolved"]
    return resolved, [one for one in resolved["conditions"] if not one["control"]]


@pytest.fixture
def shell(service, monkeypatch) -> None:
    """Let the command line find the service."""
    monkeypatch.setenv("ATTNSCOPE_URL", service.url)
    monkeypatch.setenv("ATTNSCOPE_API_KEY", service.key)


@pytest.mark.usefixtures("shell")
def test_every_command_is_accepted_as_it_is_printed(shipped):
    """Typed as it stands, each strategy's command asks for that strategy, its parameters, budget and positions."""
    for one in shipped.advice.recommendations:
        program, *words = shlex.split(one.command)
        assert program == "attnscope"
        _, conditions = asked(words)
        (condition,) = conditions
        assert {"name": condition["strategy"], **condition["parameters"]} == one.strategy
        assert condition["budget"] == (None if one.key == "none" else one.budget)
        assert condition["positions"] == one.positions
        assert not condition["oracle"]


@pytest.mark.usefixtures("shell")
def test_first_choices_are_tried_from_a_job_and_from_a_report(earning, tmp_path):
    """`--recommended` and `--from-report` ask for the first deployable rules of the advice at its budget; no oracle.

    The former asks on seeds that the capture did not use, and what is said beside them counts.
    """
    (tmp_path / "compression_recommendations.json").write_text(earning.json())
    first = [arm["strategy"] for arm in earning.proposal.votes["retained attention"]][:2]
    assert earning.proposal.basis == "retained attention"
    job = ["trial", "--recommended", earning.job, "--budget", "0.4", "--first", "2"]
    report = ["trial", "--from-report", str(tmp_path), "--first", "2"]
    for words in (job, report):
        resolved, conditions = asked(words)
        named = [{"name": one["strategy"], **one["parameters"]} for one in conditions]
        if words is report:
            assert named == first
        assert len(named) == 2
        assert not any(one["oracle"] for one in conditions)
        assert {one["budget"] for one in conditions} == {0.4}
        assert {one["positions"] for one in conditions} == {"keep"}
        assert resolved["checkpoint_name"] == "AD-darkroom-seed42@1782"
    other, _ = asked([*report, "--tasks", "3", "--episodes", "2"])
    assert (len(other["tasks"]), other["steps"]) == (1, 40)
    assert fresh_seeds(CaptureSpec(checkpoint="x", seeds=(0, 2)).seeds) == (1, 3, 4)


@pytest.mark.usefixtures("shell")
def test_a_report_without_advice_is_refused(tmp_path):
    """A folder without advice, and a file that is none, say so; nothing is submitted."""
    for content in (None, "{}", "[1]", '{"recommendations": []}', "no json"):
        if content is not None:
            (tmp_path / "compression_recommendations.json").write_text(content)
        ran = CliRunner().invoke(app, ["trial", "--from-report", str(tmp_path)])
        assert isinstance(ran.exception, ProposalError), content


@pytest.mark.parametrize(
    ("positions", "query_slot"),
    [(kind, "last") for kind in ("learned-absolute", "rotary", "sinusoidal", "none")] + [("learned-absolute", "first")],
)
def test_advice_and_trials_have_one_default(positions, query_slot):
    """The first position policy is the same for the advice and for a trial that names no positions."""
    policy = PolicyDescription(
        family="ad-reference", layers=1, heads=1, width=8, context_length=9, actions=2, causal=True,
        positions=positions, query_slot=query_slot, tokens_per_transition=1, observation="cell", parameters=1,
    )  # fmt: skip
    assert position_policy(policy)[0] == default_positions(policy)
