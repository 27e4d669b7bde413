"""A trial's job: what it stores, what a kill leaves behind, and that going on gives the same arrays."""

from __future__ import annotations

from itertools import count
from uuid import uuid4

import numpy as np
import pytest
import torch

from attnscope_model.checkpoints.native import load_policy
from attnscope_server.capturing.rollout import RolloutStoppedError
from attnscope_server.trials.job import TrialOrder, run_trial
from attnscope_storage.errors import SchemaMismatchError
from attnscope_storage.kinds.trial.contract import trial_schema
from attnscope_storage.kinds.trial.schema import DEPARTURE
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify

CPU = torch.device("cpu")


@pytest.fixture
def run(registry, asked, made_up, tmp_path):
    """Return a function that runs a trial and gives its reader and its runner."""
    policy = load_policy(registry.folder(registry.get("causal").id), CPU)

    def go(path=None, runner=None, changes=None, **hooks):
        spec, resolved = asked(**(changes or {}))
        made = []

        def make(*told):
            made.append((runner or made_up)(*told))
            return made[-1]

        path = path or tmp_path / f"{uuid4()}.zarr"
        order = TrialOrder("job", "owner", spec, resolved, path, durable=False)
        run_trial(order, policy, registry.get("causal"), CPU, make, **hooks)
        return CaptureReader.open(path), made[-1]

    return go


def arrays(reader):
    """Return every decoded array."""
    return {name: reader.array(name)[:] for name in reader.names()}


def same(one, other):
    """Return whether two trials hold the same arrays, bit for bit."""
    left, right = arrays(one), arrays(other)
    return left.keys() == right.keys() and all(np.array_equal(left[name], right[name]) for name in left)


def test_a_trial_stores_every_condition(run):
    """Every condition's arrays come back as the runner gave them, labelled by seeds and tasks; verification finds none
    wrong, and the root says that it is a trial and what each condition is.
    """
    reader, runner = run()
    conditions = len(runner.resolved.conditions)
    assert (reader.kind, reader.complete, reader.steps_committed) == ("trial", True, conditions)
    for index in range(conditions):
        for name, values in runner.result(index).arrays().items():
            assert np.array_equal(reader.array(name)[index], values), (index, name)
    assert reader.array("env/seed")[:].tolist() == [0, 3]
    assert reader.array("trial/return").dims == ("condition", "seed", "task", "episode")
    assert len(reader.attributes["resolved"]["conditions"]) == conditions
    report = verify(reader)
    assert report.ok, report.problems
    assert report.steps == conditions


def test_steps_are_told_over_the_whole_grid(run):
    """The reported steps grow from wave to wave up to every condition's steps, and commits count conditions."""
    told, commits = [], []
    _, runner = run(on_progress=lambda phase, steps: told.append((phase, steps)), on_commit=commits.append)
    steps = [steps for phase, steps in told if phase == "rolling"]
    assert steps == sorted(steps)
    assert steps[-1] == runner.resolved.steps_total
    assert told[-1] == ("finishing", runner.resolved.steps_total)
    assert [commit.steps_committed for commit in commits] == [*range(1, len(runner.resolved.conditions) + 1)]


@pytest.mark.parametrize("after", [0, 1, 2, 4, 5])
def test_a_trial_that_is_stopped_goes_on(run, tmp_path, after):
    """Stopped after so many conditions and run again, a trial ends with the arrays of one that never was."""
    whole, _ = run()
    asks = count()
    with pytest.raises(RolloutStoppedError):
        run(tmp_path / "t.zarr", stopped=lambda: next(asks) >= after)
    left = CaptureReader.open(tmp_path / "t.zarr")
    assert left.steps_committed <= after
    assert not left.complete
    resumed, runner = run(tmp_path / "t.zarr")
    assert same(whole, resumed)
    if left.steps_committed:
        assert runner.ran[0] != (0,), "the uncompressed rollout is restored, not run again"
        assert np.array_equal(runner.restored[0], resumed.array("rollout/action")[0])
        assert np.array_equal(runner.restored[1], resumed.array("rollout/reward")[0])


class Killed(BaseException):
    """Stands for SIGKILL at a stage of a commit."""


@pytest.mark.parametrize("stage", ["chunks-written", "array-metadata-written:trial/return", "root-staged"])
def test_a_kill_within_a_commit_leaves_whole_conditions(run, tmp_path, stage):
    """Killed at any stage of the fifth commit, four conditions are whole, and going on gives the same arrays."""
    whole, _ = run()
    passed = count()

    def at(reached):
        if reached == stage and next(passed) == 5:  # the first passes while the trial is created
            raise Killed

    with pytest.raises(Killed):
        run(tmp_path / "t.zarr", at_stage=at)
    left = CaptureReader.open(tmp_path / "t.zarr")
    assert left.steps_committed == 4
    assert verify(left).ok
    resumed, _ = run(tmp_path / "t.zarr")
    assert same(whole, resumed)


def test_results_that_the_trial_does_not_store_are_refused(run, made_up):
    """A runner that gives other arrays, or of another shape, ends the trial; nothing of it is committed."""

    class WithoutSpeed(made_up):
        def result(self, index):
            return super().result(index).__class__(**{**vars(super().result(index)), "seconds": None})

    class OtherShape(made_up):
        def result(self, index):
            found = super().result(index)
            return found.__class__(**{**vars(found), "seconds": np.repeat(found.seconds, 2, axis=-1)})

    for runner, said in ((WithoutSpeed, "missing"), (OtherShape, "speed/seconds")):
        with pytest.raises(ValueError, match=said):
            run(runner=runner)


def test_waves_that_leave_a_condition_out_are_refused(run, made_up):
    """Conditions are stored in their order, so waves must cover them in it."""

    class Shuffled(made_up):
        def waves(self):
            return super().waves()[::-1]

    with pytest.raises(RuntimeError, match="in order"):
        run(runner=Shuffled)


def test_another_specification_cannot_continue_a_trial(run, tmp_path):
    """A stored trial of other conditions is refused by name, not mixed."""
    asks = count()
    with pytest.raises(RolloutStoppedError):
        run(tmp_path / "t.zarr", stopped=lambda: next(asks) >= 2)
    with pytest.raises(SchemaMismatchError, match="steps_total"):
        run(tmp_path / "t.zarr", changes={"budgets": [0.4]})


def test_verification_finds_what_is_wrong(run, made_up):
    """Returns that are no sums, more kept than held, and a baseline that diverges from itself are each named."""

    class Wrong(made_up):
        def result(self, index):
            found = super().result(index)
            return found.__class__(
                **{**vars(found), "returns": found.returns + 1, "kept": found.held * 2, "kl": found.kl + 1}
            )

    reader, _ = run(runner=Wrong)
    report = verify(reader)
    said = " ".join(report.problems)
    for part in ("condition 0: the uncompressed", "condition 1: trial/return", "condition 2: trial/kept"):
        assert part in said


def test_a_trial_that_an_earlier_version_began_goes_on_without_departures(run, tmp_path, monkeypatch):
    """Its store has no departures, keeps none, verifies, and ends with the other arrays of a whole trial."""
    path, seen = tmp_path / "older.zarr", []

    def killed(stage):
        seen.append(stage)
        if seen.count("root-renamed") == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as older:
        older.setattr("attnscope_server.trials.job.trial_schema", lambda *told: trial_schema(*told).of_store(()))
        with pytest.raises(KeyboardInterrupt):
            run(path, at_stage=killed)
    begun = CaptureReader.open(path)
    assert 0 < begun.steps_committed < begun.steps_total
    assert DEPARTURE not in begun.names()
    reader, _ = run(path)
    whole, _ = run()
    left, right = arrays(reader), arrays(whole)
    assert right.keys() - left.keys() == {DEPARTURE}
    assert all(np.array_equal(values, right[name]) for name, values in left.items())
    assert verify(reader).ok
