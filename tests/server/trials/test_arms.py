"""Arms of a trial: checkpoints with their rules, paired with the first one; refused where nothing could be paired."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from attnscope_env import LISTED
from attnscope_model.checkpoints.native import load_policy
from attnscope_server.attempts.order import Order
from attnscope_server.errors import ProblemError
from attnscope_server.trials.job import run_trial
from attnscope_server.trials.resolving import resolve_trial
from attnscope_server.trials.rollout import TrialRunner
from attnscope_server.trials.sizing import decisions, trial_flops, trial_memory
from attnscope_storage.kinds.trial.contract import trial_schema
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire import TrialSpec

CPU = torch.device("cpu")
TASKS = {"goals": [(5, 4), (2, 7)]}
ASKED = {
    "tasks": TASKS,
    "seeds": [0, 3],
    "episodes": 3,
    "divergence_steps": 4,
    "kept_steps": 3,
    "speed": {"envs": [1], "rounds": 1, "decisions": 2},
}
ARMS = [
    {"checkpoint": "causal"},
    {"checkpoint": "causal", "strategy": {"name": "none"}},
    {"checkpoint": "noncausal"},
    {"checkpoint": "noncausal", "strategy": {"name": "recency"}, "budget": 8, "positions": "reindex"},
]


def spec_of(**changes) -> TrialSpec:
    """Return the specification of arms."""
    return TrialSpec.model_validate(ASKED | {"arms": ARMS} | changes)


@pytest.fixture(scope="module")
def stored(registry, tmp_path_factory) -> CaptureReader:
    """Return a finished trial of two checkpoints."""
    path = tmp_path_factory.mktemp("arms") / "trial.zarr"
    run(registry, path)
    return CaptureReader.open(path)


def run(registry, path: Path, **callbacks) -> None:
    """Run the trial of `ARMS`."""
    spec = spec_of()
    resolved = resolve_trial(spec, registry)

    def load(identity):
        return load_policy(registry.folder(identity), CPU), registry.get(identity)

    order = Order("arms", "me", spec, resolved, path, durable=False, listings=LISTED, load=load)
    run_trial(order, *load(resolved.checkpoint_id), CPU, TrialRunner, **callbacks)


def test_each_arm_is_a_condition_beside_the_first(registry):
    """The first arm is condition 0 where it is uncompressed; each other is compared with it."""
    resolved = resolve_trial(spec_of(), registry)
    said = [(one.checkpoint_name, one.strategy, one.budget, one.arm, one.against) for one in resolved.conditions]
    assert said == [
        ("causal", "none", None, 0, 0),
        ("causal", "none", None, 1, 0),
        ("noncausal", "none", None, 2, 0),
        ("noncausal", "recency", 8, 3, 0),
    ]
    assert [one.name for one in resolved.checkpoints] == ["causal", "noncausal"]
    assert resolved.checkpoint_ids == tuple(registry.get(name).id for name in ("causal", "noncausal"))
    assert resolved.conditions[2].positions == "keep"  # the default of learned absolute positions


def test_a_rule_may_be_the_reference(registry):
    """The first arm may drop transitions: condition 0 is its checkpoint uncompressed, compared with the arm too."""
    resolved = resolve_trial(spec_of(arms=[ARMS[3], ARMS[0]]), registry)
    said = [(one.checkpoint_name, one.strategy, one.arm, one.against, one.control) for one in resolved.conditions]
    assert said == [
        ("noncausal", "none", None, 1, True),
        ("noncausal", "recency", 0, 1, False),
        ("causal", "none", 1, 1, False),
    ]


def test_an_arm_of_a_recipe_is_an_arm_of_each_of_its_checkpoints(registry):
    """Its training seeds are numbered, and each is compared with the first arm's rule on the same checkpoint."""
    recipes = [{"name": "mine", "checkpoints": ["noncausal", "causal"]}]
    arms = [{"checkpoint": "mine"}, {"checkpoint": "mine", "strategy": {"name": "recency"}, "budget": 0.5}]
    resolved = resolve_trial(spec_of(arms=arms, recipes=recipes), registry)
    said = [(one.checkpoint_name, one.strategy, one.arm, one.against) for one in resolved.conditions]
    assert said == [
        ("noncausal", "none", 0, 0),
        ("causal", "none", 0, 1),
        ("noncausal", "recency", 1, 0),
        ("causal", "recency", 1, 1),
    ]
    assert [(one.recipe, one.training_seed) for one in resolved.checkpoints] == [("mine", 0), ("mine", 1)]


def test_every_uncompressed_arm_stands_alike(registry):
    """Condition 0 names the position policy that a second uncompressed arm of a policy like it has."""
    resolved = resolve_trial(spec_of(arms=[{"checkpoint": "causal"}, {"checkpoint": "causal"}]), registry)
    assert len({one.positions for one in resolved.conditions}) == 1
    twice = [{"checkpoint": "causal"}] * 3
    with pytest.raises(ProblemError, match="the same as arm 1"):
        resolve_trial(spec_of(arms=twice), registry)


def test_paired_recipes_are_compared_seed_by_seed(registry):
    """Arms of two recipes are compared with the first recipe's same seed where they are paired, else with its first."""
    recipes = [{"name": "one", "checkpoints": ["causal"]}, {"name": "two", "checkpoints": ["noncausal"]}]
    arms = [{"checkpoint": "one"}, {"checkpoint": "two"}]
    resolved = resolve_trial(spec_of(arms=arms, recipes=recipes, paired_recipes=True), registry)
    assert [one.against for one in resolved.conditions] == [0, 0]


def test_the_first_arm_may_be_named_again(registry):
    """Whatever its rule, it stands beside itself once more, as a check of the pairing; no third time."""
    resolved = resolve_trial(spec_of(arms=[ARMS[3], ARMS[3]]), registry)
    assert [(one.strategy, one.arm, one.against) for one in resolved.conditions] == [
        ("none", None, 1),
        ("recency", 0, 1),
        ("recency", 1, 1),
    ]
    with pytest.raises(ProblemError, match="the same as arm 1; only the first arm may be named once more"):
        resolve_trial(spec_of(arms=[ARMS[3]] * 3), registry)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"arms": [{"checkpoint": "causal"}, {"checkpoint": "nobody"}]}, "nobody"),
        ({"arms": [{"checkpoint": "causal", "strategy": {"name": "recency"}}]}, "recency needs a budget"),
        ({"arms": [{"checkpoint": "causal", "budget": 4}]}, "none heeds no budget"),
        ({"arms": [{"checkpoint": "causal"}, ARMS[3], ARMS[3]]}, "the same as arm 1"),
        (
            {"arms": [{"checkpoint": "r"}], "recipes": [{"name": "r", "checkpoints": ["causal", "causal"]}]},
            "a training seed counts once",
        ),
        ({"arms": [{"checkpoint": "causal", "strategy": {"name": "recency"}, "budget": 999}]}, "would drop none"),
    ],
)
def test_arms_that_cannot_be_are_refused(registry, changes, words):
    """A checkpoint that is not there, a budget too many or too few, doubles."""
    with pytest.raises(ProblemError, match=words):
        resolve_trial(spec_of(**changes), registry)


class Changed:
    """A registry in which entries of both checkpoints are changed."""

    def __init__(self, registry, first: dict, second: dict) -> None:
        names = {"causal": first, "noncausal": second}
        self.entries = {name: registry.get(name).model_copy(update=changes) for name, changes in names.items()}

    def get(self, name):
        """Return an entry."""
        return self.entries[name]


@pytest.mark.parametrize(
    ("first", "second", "tasks", "words"),
    [
        ({}, {"preset": "key-to-door"}, {"split": "all"}, "act in attnscope/Darkroom-v0 and in attnscope/DarkKeyToDo"),
        ({}, {"preset": "darkroom-toymeta"}, TASKS, "numbered otherwise .down, up, right, left, stay; stay, up"),
        ({}, {"preset": "darkroom-13"}, TASKS, "size 9 and 13, horizon 20 and 40, start"),
        ({}, {"sampling": "greedy"}, TASKS, "one acts by sample, the other by greedy; say which by sampling.mode"),
        (
            {"validation_tasks": (3, 4)},
            {"validation_tasks": (1, 2)},
            {"split": "validation"},
            "tasks of the validation split are not the same for both; name tasks by goals",
        ),
    ],
)
def test_checkpoints_that_do_not_act_alike_are_refused_in_words(registry, first, second, tasks, words):
    """Another environment, numbering, size, list of tasks or way to draw actions has its sentence."""
    with pytest.raises(ProblemError, match=words) as caught:
        resolve_trial(spec_of(tasks=tasks), Changed(registry, first, second))
    assert "noncausal and causal cannot be paired" in str(caught.value.problem.detail)


def test_another_rule_of_splits_is_no_other_environment(registry):
    """Presets that only part the tasks otherwise are paired where the tasks are named."""
    changes = {"preset": "darkroom-toymeta"}, {"preset": "darkroom-cinemere"}
    resolved = resolve_trial(spec_of(), Changed(registry, *changes))
    assert len(resolved.conditions) == 4


def test_equal_weights_act_alike_to_the_bit_and_others_do_not(stored):
    """The arm of the reference's own checkpoint repeats it and departs nowhere; the other checkpoint does neither."""
    actions, returns = stored.array("rollout/action"), stored.array("trial/return")
    assert np.array_equal(actions[0], actions[1])
    assert np.array_equal(returns[0], returns[1])
    assert not np.array_equal(actions[0], actions[2])
    departure = stored.array("divergence/departure")
    assert not departure[:2].any()
    assert departure[2].all()


def test_costs_are_those_of_the_checkpoint_that_acts(stored, registry):
    """Tokens held and kept are the acting policy's, and the store verifies and names every checkpoint."""
    kept, held = stored.array("trial/kept")[:], stored.array("trial/held")[:]
    assert (kept[2] == held[2]).all()
    assert kept[3].max() == 8
    assert verify(stored).ok
    facts = stored.attributes["provenance"]["checkpoints"]
    assert [one["checkpoint_name"] for one in facts] == ["causal", "noncausal"]
    assert [one["causal"] for one in facts] == [True, False]
    spec, resolved = spec_of(), resolve_trial(spec_of(), registry)
    policy = resolved.checkpoints[0].policy
    schema = trial_schema(spec, resolved, policy)
    assert schema.dims.tokens == max(one.policy.transitions for one in resolved.checkpoints)
    alone = resolved.model_copy(update={"checkpoints": ()})
    assert trial_flops(spec, resolved, policy) == pytest.approx(trial_flops(spec, alone, policy), rel=0.2)
    assert trial_memory(resolved, policy, schema) > trial_memory(alone, policy, schema)
    assert decisions(spec, resolved, policy) == decisions(spec, alone, policy)


def test_a_trial_of_arms_goes_on_where_it_was_stopped(stored, registry, tmp_path):
    """Stopped after two conditions and begun again, it ends with the same arrays, but for what is timed."""
    path = tmp_path / "trial.zarr"
    committed = []

    def commit(one) -> None:
        committed.append(one.steps_committed)
        if len(committed) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(registry, path, on_commit=commit)
    run(registry, path)
    again = CaptureReader.open(path)
    for name in sorted(stored.names()):
        if not name.startswith("speed/"):
            assert np.array_equal(stored.array(name)[:], again.array(name)[:], equal_nan=True), name
