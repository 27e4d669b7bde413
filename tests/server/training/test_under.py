"""Training under a compression and from a checkpoint: plans, folders, entries, evaluations, refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from attnscope_env import preset
from attnscope_model.checkpoints.folders import read_entry
from attnscope_model.checkpoints.native import load_policy
from attnscope_server.cli import app
from attnscope_server.training.evaluation import episode_returns
from attnscope_server.training.plan import TrainingPlan
from attnscope_server.training.run import TrainingRun
from attnscope_server.training.start import StartPlan, StartUnfitError
from attnscope_server.training.under import UnderPlan, UnderUnfitError

UNDER = UnderPlan.of_text("rewards:40%", "keep", decisions=3)


@pytest.fixture(scope="module")
def base(request, tmp_path_factory):
    """Return the folder of a run of the tiny plan, trained on whole contexts for four steps."""
    plan = request.getfixturevalue("tiny")
    run = TrainingRun(tmp_path_factory.mktemp("runs") / "base", plan)
    run.advance(until=4)
    return run.folder


@pytest.mark.parametrize(
    ("text", "spoken", "short"),
    [
        ("recency:64", "recency 64, keep", "recency-64"),
        ("rewards:40%", "rewards 40 %, keep", "rewards-0.4"),
        ("sinks(sinks=2):0.25", "sinks(sinks=2) 25 %, keep", "sinks-sinks-2-0.25"),
    ],
)
def test_a_rule_and_its_budget_are_read_and_told(text, spoken, short):
    """A number, a share, and parameters; the compression is the one that trials make of them."""
    under = UnderPlan.of_text(text, "keep")
    assert (under.text, under.short) == (spoken, short)
    assert under.compression.rule.name == under.strategy
    assert under.compression.rule.parameters == under.parameters
    assert UnderPlan.model_validate_json(under.model_dump_json()) == under


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("recency", "expected a rule and a budget"),
        ("newest:4", "no strategy 'newest'"),
        ("recency:0", "at least 1 transition"),
        ("recency:150%", "a share between 0 and 100%, got 150%"),
        ("sinks(sinks=x):4", "expected parameters like sinks=8"),
        ("sinks(size=1):4", "sinks takes sinks"),
    ],
)
def test_another_text_is_refused(text, reason):
    """In one sentence that says what is wrong with it."""
    with pytest.raises(UnderUnfitError, match=reason):
        UnderPlan.of_text(text, "keep")


def test_a_rule_that_looks_at_attention_is_refused_before_anything_is_written(plan, tmp_path):
    """H2O chooses by rows that change while the policy is trained."""
    under = UnderPlan.of_text("h2o:4", "reindex")
    with pytest.raises(UnderUnfitError, match="under h2o 4, reindex: h2o chooses by the attention"):
        TrainingRun(tmp_path / "run", plan.model_copy(update={"under": under}))
    assert not (tmp_path / "run").exists()


def test_a_fine_tuning_goes_on_to_the_same_bits_and_its_entry_knows_the_rule(base, tiny, tmp_path):
    """Interrupted or not, with or without the checkpoint that it began from at hand; the entry names both."""
    start, follows = StartPlan.of(base / "step-4")
    plan = tiny.model_copy(update={"start": start, "under": UNDER})
    assert {name: getattr(plan, name) for name in follows} == follows
    whole = TrainingRun(tmp_path / "whole", plan, start=base / "step-4")
    begun = torch.cat([p.detach().flatten() for p in whole.trainer.policy.parameters()])
    theirs = load_policy(base / "step-4", torch.device("cpu"))
    assert torch.equal(begun, torch.cat([p.flatten() for p in theirs.parameters()]))
    whole.advance()
    TrainingRun(tmp_path / "broken", plan, start=base / "step-4").advance(until=5)
    TrainingRun(tmp_path / "broken", plan).advance()
    entries = [read_entry(tmp_path / name / "step-8") for name in ("whole", "broken")]
    assert entries[0].id == entries[1].id != start.checkpoint
    assert entries[0].trained_under == UNDER.told()
    assert entries[0].trained_from == start.checkpoint
    assert any("trained under rewards 40 %, keep" in note for note in entries[0].notes)
    assert entries[0].name == "AD-absolute-from-4-under-rewards-0.4-darkroom-reference-seed0@8"


def test_a_fine_tuning_without_its_checkpoint_is_refused(base, tiny, tmp_path):
    """A run's folder that has no copy needs the folder; another checkpoint in its place is noticed."""
    start, _ = StartPlan.of(base / "step-4")
    plan = tiny.model_copy(update={"start": start})
    with pytest.raises(StartUnfitError, match="holds no copy"):
        TrainingRun(tmp_path / "run", plan)
    other = plan.model_copy(update={"start": start.model_copy(update={"checkpoint": "0" * 64})})
    with pytest.raises(StartUnfitError, match="goes on from 000000000000"):
        TrainingRun(tmp_path / "other", other, start=base / "step-4")


def test_tasks_that_a_checkpoint_kept_are_not_trained_on(base, tiny, tmp_path):
    """Nor are tasks kept that it was trained on."""
    start, _ = StartPlan.of(base / "step-4")
    for lists, words in (({"kept": start.train[:1]}, "would be trained on"), ({"train": start.kept[:1]}, "to be kept")):
        plan = tiny.model_copy(update={"start": start.model_copy(update=lists)})
        with pytest.raises(StartUnfitError, match=words):
            TrainingRun(tmp_path / "run", plan, start=base / "step-4")


def test_compressed_evaluations_differ_from_whole_ones_and_share_their_random_numbers(base):
    """A budget of the whole history returns the same to the bit, a budget of one transition does not."""
    policy, room = load_policy(base / "step-4", torch.device("cpu")), preset("darkroom-reference")
    with torch.no_grad():
        policy.get_parameter("head.weight").mul_(20)  # an untrained policy would act alike whatever it sees
    tasks, size = room.tasks("test")[:4], {"rollouts": 3, "episodes": 2}
    whole = episode_returns(policy, room, tasks, **size)
    all_of_it = UnderPlan.of_text("recency:1000", "keep").compression
    one = UnderPlan.of_text("recency:1", "keep").compression
    assert np.array_equal(episode_returns(policy, room, tasks, **size, setup=all_of_it), whole)
    assert not np.array_equal(episode_returns(policy, room, tasks, **size, setup=one), whole)


def test_the_verbs_train_and_evaluate_under_a_rule(base, tmp_path):
    """From a checkpoint's folder; the shape follows from it, and another shape is refused."""
    runner = CliRunner()
    words = ["train", "--from", str(base / "step-4"), "--under", "recency:4", "--per-task", "1", "--episodes", "2"]
    words += ["--steps", "2", "--batch", "2", "--decisions", "2", "--warmup", "1", "--runs", str(tmp_path)]
    refused = runner.invoke(app, [*words, "--width", "16"])
    assert refused.exit_code == 2
    assert "the checkpoint has 8, got 16" in refused.output
    made = runner.invoke(app, words)
    assert made.exit_code == 0, made.output
    run = tmp_path / "AD-absolute-from-4-under-recency-4-darkroom-reference-seed0"
    assert json.loads((run / "plan.json").read_text())["under"]["positions"] == "keep"
    few = ["--split", "validation", "--at-most", "1", "--rollouts", "1", "--episodes", "1"]
    under = runner.invoke(app, ["evaluate", str(run), *few, "--under", "recency:4"])
    assert "contexts compressed by recency 4, keep" in under.output
    plain = runner.invoke(app, ["evaluate", str(run), *few])
    assert "whole contexts; trained under recency 4, keep" in plain.output


def test_a_plan_of_before_is_the_same_plan():
    """A stored plan that knows of no compression and no start reads as one without them."""
    plan = TrainingPlan()
    stored = {key: value for key, value in plan.model_dump(mode="json").items() if key not in {"under", "start"}}
    assert TrainingPlan.model_validate(stored) == plan
