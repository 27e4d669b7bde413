"""A run's folder: what is in it, what it may not hold, and what an interruption changes (nothing)."""

from __future__ import annotations

import json
import re

import pytest
import torch

from attnscope_env import preset
from attnscope_env.histories import Histories
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.errors import CheckpointChangedError, CheckpointUnreadableError
from attnscope_model.training.trainer import Recipe
from attnscope_server.training import logging
from attnscope_server.training.logging import RunLog
from attnscope_server.training.plan import HistoryPlan, PlanUnfitError, TrainingPlan
from attnscope_server.training.run import PlanChangedError, TrainingRun
from attnscope_server.training.watching import watch
from attnscope_storage.wire import CheckpointInfo

CPU = torch.device("cpu")


def entry(folder) -> CheckpointInfo:
    """Return a checkpoint folder's entry."""
    return CheckpointInfo.model_validate_json((folder / "entry.json").read_bytes())


def test_no_history_and_no_list_holds_a_held_out_task(plan, tmp_path):
    """Stored histories are of train tasks only; train, validation and held-out lists are disjoint and complete."""
    run = TrainingRun(tmp_path / plan.run_name, plan)
    run.advance()
    stored = set(Histories.load(run.folder / "histories.npz").tasks.tolist())
    info = entry(run.folder / "step-8")
    held_out = {task.index for task in preset("darkroom-reference").tasks("test")}
    train, validation = set(info.train_tasks or ()), set(info.validation_tasks or ())
    assert stored == train
    assert set(info.held_out_tasks or ()) == held_out
    assert len(train) + len(validation) + len(held_out) == len(train | validation | held_out) == 81


@pytest.mark.parametrize("name", ["darkroom-reference", "darkroom-13", "key-to-door"])
def test_task_lists_are_disjoint_in_every_preset_that_is_trained(name):
    """No task of one list is in another, and no train goal equals a held-out one."""
    lists = TrainingPlan(preset=name).task_lists()
    room = preset(name)
    cells = [{str(dict(room.task(i).parameters)) for i in part} for part in (lists.train, lists.validation, lists.test)]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not cells[one] & cells[other]


def test_an_interrupted_run_ends_as_an_uninterrupted_one(plan, tmp_path):
    """Same weights bit for bit, same checkpoints, same log."""
    whole = TrainingRun(tmp_path / "whole", plan)
    whole.advance()
    TrainingRun(tmp_path / "broken", plan).advance(until=6)
    again = TrainingRun(tmp_path / "broken", plan)
    assert again.trainer.step == 4
    again.advance()
    assert entry(tmp_path / "broken" / "step-8").id == entry(tmp_path / "whole" / "step-8").id
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("whole", "broken")]
    values = [[json.loads(line).get("validation_return") for line in log] for log in logs]
    assert [v for v in values[0] if v is not None] == [v for v in values[1] if v is not None]
    assert [json.loads(line)["step"] for line in logs[0]] == [4, 8, 8]


def test_another_plan_is_refused_in_the_same_folder(plan, tmp_path):
    """Rather than go on with weights of another shape or recipe."""
    TrainingRun(tmp_path / "run", plan).advance(until=4)
    with pytest.raises(PlanChangedError, match=r"recipe\.batch, recipe\.steps, recipe\.warmup differ"):
        TrainingRun(tmp_path / "run", plan.model_copy(update={"recipe": plan.recipe.__class__(steps=9)}))


def test_how_often_one_looks_is_no_other_plan(plan, tmp_path):
    """A run goes on where it was when it is to be evaluated and saved at other steps, which changes no weight."""
    TrainingRun(tmp_path / "run", plan).advance(until=4)
    again = TrainingRun(tmp_path / "run", plan.model_copy(update={"evaluate_every": 8, "save_every": 2}))
    assert again.trainer.step == 4


def test_histories_of_other_tasks_are_refused(plan, tmp_path):
    """A history file that holds a held-out task is not trained on."""
    run = TrainingRun(tmp_path / "run", plan)
    leaked = run.histories.tasks.copy()
    leaked[0] = run.tasks.test[0]
    Histories(**{**run.histories.__dict__, "tasks": leaked}).save(run.folder / "histories.npz")
    with pytest.raises(PlanChangedError, match="not trained on"):
        TrainingRun(run.folder, plan)


def test_a_native_checkpoint_loads_with_its_description(plan, tmp_path):
    """The entry's description is the loaded policy's, for every kind of positions."""
    for positions in ("learned-absolute", "rotary", "alibi", "relative"):
        run = TrainingRun(tmp_path / positions, plan.model_copy(update={"positions": positions}))
        run.advance(until=4)
        policy = load_policy(run.folder / "step-4", CPU)
        assert policy.description == entry(run.folder / "step-4").policy
        assert policy.description.positions == positions


def test_a_run_trains_a_clock(plan, tmp_path):
    """Its tables move, its entry and its name say that it has one, and another clock is another plan."""
    clocked = plan.model_copy(update={"clock_steps": 20, "clock_episodes": 2})
    assert "clock2" in clocked.run_name
    run = TrainingRun(tmp_path / "run", clocked)
    before = run.trainer.policy.get_parameter("clock_step.weight").detach().clone()
    run.advance(until=4)
    policy = load_policy(run.folder / "step-4", CPU)
    assert policy.description == entry(run.folder / "step-4").policy
    assert (policy.description.clock_steps, policy.description.clock_episodes) == (20, 2)
    assert not torch.equal(policy.get_parameter("clock_step.weight"), before)
    with pytest.raises(PlanChangedError, match="clock_episodes differ"):
        TrainingRun(tmp_path / "run", clocked.model_copy(update={"clock_episodes": 3}))


def test_a_trained_checkpoint_is_added_to_a_registry(plan, tmp_path):
    """Its folder is added as it is, with its task lists; statements, damage and a false entry are refused."""
    run = TrainingRun(tmp_path / "run", plan)
    run.advance(until=4)
    registry = CheckpointRegistry(tmp_path / "registry")
    info = registry.add(run.folder / "step-4", name="mine")
    assert (info.name, info.train_tasks) == ("mine", tuple(sorted(run.tasks.train)))
    assert registry.add(run.folder / "step-4") == info
    with pytest.raises(CheckpointUnreadableError, match="state nothing but a name"):
        registry.add(run.folder / "step-4", causal=True)
    stored = run.folder / "step-4" / "entry.json"
    stored.write_text(stored.read_text().replace('"layers": 2', '"layers": 3'))
    with pytest.raises(CheckpointUnreadableError, match="its weights give"):
        registry.add(run.folder / "step-4")
    weights = run.folder / "step-4" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + bytes(4))
    with pytest.raises(CheckpointChangedError):
        registry.add(run.folder / "step-4")


def test_the_reference_layout_is_read_by_its_reader(plan, tmp_path):
    """A run in the reference's layout is added like any of its files, and gives the trained weights' logits."""
    run = TrainingRun(tmp_path / "run", plan.model_copy(update={"layout": "reference"}))
    run.advance()
    registry = CheckpointRegistry(tmp_path / "registry")
    info = registry.add(run.folder, causal=True)
    assert (info.train_step, info.policy.context_length, info.policy.family) == (8, 12, "ad-reference")
    tokens = torch.randn(2, 7, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(load_policy(registry.folder(info.id), CPU)(tokens), run.trainer.policy(tokens))

    lists = torch.load(run.folder / "ckpt-8.pt", weights_only=True)["tasks"]
    assert (set(lists["train"]), set(lists["held_out"])) == (set(run.tasks.train), set(run.tasks.test))
    assert info.train_tasks is None  # the family's files are not believed; the user states them


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"preset": "nowhere"}, "expected a preset of"),
        ({"preset": "bandit-bernoulli"}, "whose observations are counted"),
        ({"layout": "reference", "preset": "key-to-door"}, "says 'darkroom'"),
        ({"layout": "reference", "preset": "darkroom-toymeta"}, "says 'darkroom'"),
        ({"layout": "reference", "positions": "rotary"}, "learned absolute"),
        ({"context_length": 41}, "40 tokens at most"),
        ({"heads": 3}, "heads of whole, even size"),
        ({"width": 6, "positions": "rotary"}, "heads of whole, even size"),
        ({"heads": 0}, "heads: expected at least 1"),
        ({"recipe": Recipe(steps=0)}, "steps: expected at least 1"),
        ({"recipe": Recipe(steps=2, batch=0)}, "batch: expected at least 1"),
        ({"recipe": Recipe(steps=2, short_length=0)}, "short windows of 2"),
        (
            {"histories": HistoryPlan(source="annealed", targets="intended", episodes=2)},
            "explorer, sweeper, own, not annealed's",
        ),
        ({"histories": HistoryPlan(source="ppo", noise=0.3, episodes=2)}, "explorer, sweeper, own, not ppo's"),
        ({"histories": HistoryPlan(source="sweeper", every=2, episodes=2)}, "every episode of the source sweeper"),
        ({"histories": HistoryPlan(source="q-learning", every=4, episodes=2), "context_length": 41}, "40 tokens at"),
        ({"recipe": Recipe(steps=2, episode_steps=12)}, "want 20 episode_steps"),
        ({"recipe": Recipe(steps=2, learning_rate=float("nan"))}, "finite learning rate above 0, got nan"),
        ({"recipe": Recipe(steps=2, learning_rate=0.0)}, "finite learning rate above 0, got 0.0"),
        ({"recipe": Recipe(steps=2, short_share=7.0)}, "from 0 to 1, got 7.0"),
        ({"recipe": Recipe(steps=2, seed=-1)}, "a seed from 0 to 4294967295, got -1"),
        ({"recipe": Recipe(steps=2, episode_steps=20)}, "a context of whole episodes"),
        ({"recipe": Recipe(steps=2, lengths=())}, "rising lengths of 1 to .*, got none"),
        ({"recipe": Recipe(steps=2, lengths=(4, 4))}, "rising lengths"),
        ({"recipe": Recipe(steps=2, lengths=(999,))}, "got 999"),
        ({"recipe": Recipe(steps=2, lengths=(12,), short_length=6)}, "the first of 6 at most, got 12"),
        ({"clock_steps": 19}, "counts the 20 steps of an episode of darkroom-reference, .* got 19 clock_steps"),
        ({"clock_episodes": 8}, "got 0 clock_steps and 8 clock_episodes"),
        ({"clock_steps": 20, "layout": "reference"}, "only native files can say that a policy has a clock"),
        ({"recipe": Recipe(steps=2, discovery_weight=0.0)}, "weight of discoveries above 0, got 0.0"),
        ({"recipe": Recipe(steps=2, discovery_weight=3.0), "layout": "cad"}, "weighted where every decision"),
    ],
)
def test_a_plan_that_cannot_work_is_refused_before_anything_is_written(plan, tmp_path, changed, words):
    """Whatever would fail, or name another environment than was trained in, leaves no folder."""
    with pytest.raises(PlanUnfitError, match=words):
        TrainingRun(tmp_path / "run", plan.model_copy(update=changed))
    assert not (tmp_path / "run").exists()


def test_a_log_cut_in_its_last_line_goes_on(tmp_path):
    """A run that was killed while it wrote its log is resumed with the lines that are whole."""
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    RunLog(path, 2).write(3, {"loss": 1.0})
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 3]


def test_tensorboard_events_are_written_where_wanted(plan, tmp_path):
    """One events file, beside the log that is always there."""
    run = TrainingRun(tmp_path / "run", plan, tensorboard=True)
    run.advance(until=4)
    assert len(list((run.folder / "tensorboard").glob("events.out.*"))) == 1
    assert (run.folder / "log.jsonl").exists()


def test_an_interruption_says_that_the_same_command_goes_on(plan, tmp_path, monkeypatch, capsys):
    """The source's success is told before training; Ctrl-C ends with what to do, and nothing is swallowed."""
    advance = TrainingRun.advance

    def interrupted(run, **told):
        advance(run, until=4, **told)
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainingRun, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        watch(tmp_path / "run", plan)
    said = " ".join(capsys.readouterr().out.split())
    assert re.search(r"histories: \d+ of 65 tasks end at 90% of the optimum or more", said)
    assert "the same command goes on" in said
    monkeypatch.undo()
    assert watch(tmp_path / "run", plan) == tmp_path / "run"
    assert (tmp_path / "run" / "step-8").is_dir()


def test_missing_tensorboard_is_noticed_before_the_histories(plan, tmp_path, monkeypatch):
    """They may take hours: nothing is made before the refusal."""
    monkeypatch.setattr(logging, "find_spec", lambda _: None)
    with pytest.raises(logging.TensorBoardMissingError, match=r"pip install 'attnscope\[train\]'"):
        TrainingRun(tmp_path / "run", plan, tensorboard=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("said", ["", "[]", "{}", '{"recipe": 3}', '{"preset": 7}'])
def test_a_damaged_plan_is_a_sentence(plan, tmp_path, said):
    """The folder is named, with what to do."""
    (tmp_path / "plan.json").write_text(said, encoding="utf-8")
    with pytest.raises(PlanChangedError, match="name another folder or remove it"):
        TrainingRun(tmp_path, plan)
