"""The driver: whole decisions over simulated policies, resumed at every step."""

import math

import numpy as np
import pytest

from attnscope_server.deciding.answer import AnswerKind, RungSummary
from attnscope_server.deciding.climbing import after_look
from attnscope_server.deciding.driver import (
    after_capture,
    after_race,
    after_screen,
    request,
    rollout_range,
    start,
)
from attnscope_server.deciding.state import UNCOMPRESSED, Arm, Captured, DecisionPlan, DecisionState, Phase, Rolled
from attnscope_server.deciding.statistics.look_plans import Reach
from attnscope_server.deciding.statistics.sameness import sameness
from attnscope_server.deciding.statistics.scopes import choose_scope

ARMS = tuple(
    Arm(name=f"{rule} {tokens}", tokens=tokens, budget=str(tokens))
    for tokens in (64, 32)
    for rule in ("newest", "uniform", "random")
)
PLAN = DecisionPlan(scope=choose_scope("held-out", range(8), ()), screening_tasks=(100, 101, 102, 103), most_tokens=64)
GOOD = {"newest 64": 1.0, "newest 32": 0.97}


class Policy:
    """A simulated policy: each arm keeps a share of a gain of 10; rollouts are functions of arm, task and seed."""

    def __init__(self, kept, gain=10.0, differing=None):
        self.kept, self.gain, self.differing, self.ran = kept, gain, differing, []

    def one(self, arm, task, seed):
        """Return of one rollout, paired by task and seed."""
        common = np.random.default_rng([task, seed]).standard_normal()
        own = np.random.default_rng([task, seed, *arm.encode()]).standard_normal()
        if arm == UNCOMPRESSED:
            return float(1 + self.gain + common)
        return float(1 + self.gain * self.kept.get(arm, 0.5) + common + 0.8 * own)

    def roll(self, piece):
        """Run one piece; no rollout of an arm may be asked for twice."""
        seeds = range(piece.first, piece.last)
        for key in ((piece.arm, task, seed) for task in piece.tasks for seed in seeds):
            assert key not in self.ran
            self.ran.append(key)
        returns = tuple(tuple(self.one(piece.arm, task, seed) for seed in seeds) for task in piece.tasks)
        counted = None if self.differing is None else tuple(tuple(self.differing for _ in seeds) for _ in piece.tasks)
        return Rolled(returns=returns, differing=counted)

    def answer(self, state):
        """Run one request and give the next state."""
        asked = request(state)
        rolled = [self.roll(piece) for piece in asked.pieces]
        if asked.phase is Phase.CAPTURE:
            late = rolled[0].returns
            earned = tuple(tuple(True for _ in row) for row in late)
            return after_capture(state, Captured(late=late, random=(1.0,) * len(late), earned=earned))
        if asked.phase is Phase.SCREEN:
            return after_screen(state, ARMS)
        if asked.phase is Phase.RACE:
            return after_race(state, rolled)
        return after_look(state, rolled, dict.fromkeys(state.plan.scope.tasks, (1.0, 0.0)))


def decide(policy, *, resume=False, scope=None, **options):
    """Run a decision to its end; with `resume` its state goes through JSON at every step."""
    scope = scope or choose_scope("held-out", range(8), ())
    plan = DecisionPlan(scope=scope, screening_tasks=(100, 101, 102, 103), most_tokens=64, **options)
    state = start(plan)
    while request(state) is not None:
        if resume:
            state = DecisionState.model_validate_json(state.model_dump_json())
        state = policy.answer(state)
    return state


def test_a_good_arm_is_kept_and_said_in_one_sentence():
    """The smallest rung that holds is the answer, with kept share, seeds, scope, and a line for every look."""
    state = decide(Policy(GOOD))
    assert state.answer.kind is AnswerKind.COMPRESS_TO
    assert [rung.name for rung in state.rungs] == ["newest 64", "newest 32"]
    assert state.answer.rungs[0].verdict == "non-inferior"
    assert state.screen_ranks is True
    assert "of the gain over random actions, non-inferior at a margin of 5 %" in state.answer.sentence
    assert "seeds on each of these 8 tasks, all of the held-out split)" in state.answer.sentence
    assert any(line.startswith("rung 1 of 2: newest 64, 5 seeds so far, kept ") for line in state.lines)
    assert any(line.endswith(": goes on") for line in state.lines)
    assert state.lines[-1] == state.answer.sentence


def test_a_decision_resumed_at_every_step_is_the_same():
    """Through JSON at every step, the answer, its lines and the rollouts asked for are the same."""
    straight, resumed = Policy(GOOD), Policy(GOOD)
    assert decide(straight) == decide(resumed, resume=True)
    assert straight.ran == resumed.ran


def test_every_rollout_is_counted_and_the_baseline_shared():
    """The answer counts capture, race and looks; rungs share the uncompressed rollouts."""
    policy = Policy(GOOD)
    state = decide(policy)
    assert state.answer.rollouts == len(policy.ran)
    base = [key for key in policy.ran if key[0] == UNCOMPRESSED and key[2] >= 10_000]
    assert len(base) == 8 * max(rung.seeds for rung in state.answer.rungs)


def test_a_policy_that_loses_everywhere_is_not_compressed():
    """Both best arms are inferior at their first look: 80 rollouts in all judged arms."""
    policy = Policy({"newest 64": 0.6, "newest 32": 0.55})
    state = decide(policy)
    assert state.answer.kind is AnswerKind.DO_NOT_COMPRESS
    assert len([key for key in policy.ran if key[0] != UNCOMPRESSED and key[2] >= 10_000]) == 80
    assert state.answer.sentence.startswith("Do not compress: the best arms at two budgets, newest 64 (kept 0.6")
    assert any(line.startswith("a second budget, for harm only: newest 32") for line in state.lines)


def test_a_safe_rung_below_an_inferior_one_gives_no_word():
    """On tasks where the raced order is turned round, the second budget would hold; it is undecided."""

    class Turned(Policy):
        def one(self, arm, task, seed):
            turned = {"newest 64": "newest 32", "newest 32": "newest 64"} if task < 100 else {}
            return super().one(turned.get(arm, arm), task, seed)

    state = decide(Turned({"newest 64": 1.0, "newest 32": 0.6}))
    assert state.answer.kind is AnswerKind.NONE_HOLDS
    assert state.answer.chosen is None
    assert [rung.verdict for rung in state.answer.rungs] == ["inferior", "undecided"]
    assert state.looks[-1].verdict == "undecided"
    assert state.answer.sentence.startswith("None of the arms tried is shown to hold at a margin of 5 %: newest 64")
    assert "newest 32, judged for harm only, is undecided (kept " in state.answer.sentence


def test_an_arm_at_the_margin_is_undecided_with_sizes_at_both_ends():
    """At the margin the answer names the interval and the seeds at both ends."""
    state = decide(Policy({"newest 64": 0.953, "newest 32": 0.9}))
    assert state.answer.kind is AnswerKind.UNDECIDED
    assert state.answer.sentence.startswith(
        "Undecided (40 seeds on each of these 8 tasks, all of the held-out split): newest 64 keeps between 0."
    )
    assert "seeds a task would decide in four cases of five if its true share lies far from" in state.answer.sentence


class Told(Policy):
    """A policy whose captured returns on judged episodes are told, as a real capture's are."""

    def answer(self, state):
        """Run one request and give the next state."""
        if state.phase is not Phase.CAPTURE:
            return super().answer(state)
        [piece] = request(state).pieces
        late = self.roll(piece).returns
        earned = tuple(tuple(True for _ in row) for row in late)
        return after_capture(state, Captured(late=late, random=(1.0,) * len(late), earned=earned, judged=late))


def test_a_race_that_nobody_can_win_ends_at_once():
    """If every arm of the largest budget clearly loses, no further round is run and no smaller budget races."""
    policy = Told({"newest 64": 0.6, "newest 32": 0.55})
    state = decide(policy, resume=True)
    assert state.hopeless
    assert state.answer.kind is AnswerKind.DO_NOT_COMPRESS
    raced = [key for key in policy.ran if key[0] != UNCOMPRESSED and key[2] < 10_000]
    assert len(raced) == 3 * 4
    assert [rung.name for rung in state.rungs] == ["newest 64", "newest 32"]
    line = next(line for line in state.lines if "clearly lose" in line)
    assert "no smaller budget races" in line
    # Nothing can be called safe after the first rung: 12 rollouts of the race and 40 of its look by then.
    assert len([key for key in policy.ran if key[0] != UNCOMPRESSED]) - 40 == 52


def test_eight_tasks_judge_where_nobody_could_win_the_race():
    """Of 16 named tasks the first 8 judge after such a race, and the answer says so; a race with a winner keeps 16."""
    sixteen = choose_scope("held-out", range(16), ())
    policy = Told({"newest 64": 0.6, "newest 32": 0.55})
    state = decide(policy, resume=True, scope=sixteen)
    assert state.answer.kind is AnswerKind.DO_NOT_COMPRESS
    assert state.answer.scope == "these 8 tasks"
    assert any(line.endswith("; 8 tasks judge: large losses show on few") for line in state.lines)
    judging = {task for _, task, seed in policy.ran if seed >= 10_000}
    assert judging == set(sixteen.tasks[:8])
    assert len([key for key in policy.ran if key[0] != UNCOMPRESSED]) == 12 + 40 + 40
    won = Told({"newest 64": 1.0, "newest 32": 0.6})
    assert decide(won, scope=sixteen).answer.scope == "these 16 tasks, all of the held-out split"
    assert {task for _, task, seed in won.ran if seed >= 10_000} == set(sixteen.tasks)


def test_one_good_arm_keeps_the_race_open():
    """An arm that keeps the gain is found as before, told or not."""
    told, silent = Told(GOOD), Policy(GOOD)
    assert decide(told).answer.rungs == decide(silent).answer.rungs
    assert not decide(Told(GOOD)).hopeless


@pytest.mark.parametrize(
    ("gain", "spread", "kind"),
    [(0.0, 1.0, "not better than random here"), (-3.0, 1.0, "worse than random here"), (0.5, 6.0, "too few rollouts")],
)
def test_the_gate_has_answers_on_both_sides(gain, spread, kind):
    """Alike, worse and too few to tell are three answers; a known best return says which gain is little."""
    values = np.random.default_rng(0).standard_normal((4, 4))
    late = 1 + gain + spread * (values - values.mean())
    captured = Captured(
        late=tuple(map(tuple, late.tolist())), random=(1.0,) * 4, earned=((True,) * 4,) * 4, optimal=(21.0,) * 4
    )
    state = after_capture(start(PLAN), captured)
    assert state.answer.kind.value == kind
    assert ("nothing to compress" in state.answer.sentence) == (kind != "too few rollouts")


def test_the_gate_closes_on_a_policy_that_acts_at_random():
    """No gain: nothing to compress, after the capture alone."""
    policy = Policy({}, gain=0.0)
    state = decide(policy)
    assert state.answer.kind is AnswerKind.NOT_BETTER_THAN_RANDOM
    assert state.answer.rollouts == len(policy.ran) == 16
    assert "nothing to compress" in state.answer.sentence


def test_a_gain_that_is_missing_on_the_judging_tasks_is_said():
    """A policy that learns only on the screening tasks has too little gain to judge."""

    class Elsewhere(Policy):
        def one(self, arm, task, seed):
            return super().one(arm, task, seed) - (10.0 if task < 100 else 0.0)

    state = decide(Elsewhere(GOOD))
    assert state.answer.kind is AnswerKind.TOO_LITTLE_GAIN
    assert state.answer.sentence.startswith("Too little gain to judge")


@pytest.mark.parametrize(("cap", "kind"), [(20, "too few rollouts"), (120, "too few rollouts"), (400, "compress to")])
def test_the_cap_on_rollouts_holds(cap, kind):
    """No decision spends more than its cap; a rung that holds by then keeps its word."""
    policy = Policy(GOOD)
    state = decide(policy, most_rollouts=cap)
    assert len(policy.ran) <= cap
    assert state.answer.kind.value == kind


def test_an_arm_that_never_differs_holds_by_its_bound():
    """If no rollout differs, the bound on their share is the answer once it is below the margin."""
    state = decide(Policy(GOOD, differing=0))
    assert state.answer.kind is AnswerKind.COMPRESS_TO
    assert "it changes almost nothing (at most 3.1% of rollouts differ)" in state.answer.sentence


def test_the_bound_beyond_the_tasks_counts_tasks():
    """If one task in twenty loses all, 32 tasks show none in 19 % of cases: so equal rollouts call no arm safe."""
    state = decide(Policy(GOOD, differing=0), scope=choose_scope("test", range(80), (), beyond=True))
    assert state.answer.kind is AnswerKind.UNDECIDED
    assert state.answer.rungs[0].tasks == 64


def test_few_differing_decisions_give_no_verdict():
    """With one differing decision a rollout, no ratio becomes a verdict before 200 of them, at 40 seeds of 8 tasks."""
    state = decide(Policy({"newest 64": 1.1, "newest 32": 0.55}, differing=1))
    assert state.answer.kind is AnswerKind.COMPRESS_TO
    assert state.answer.rungs[0].seeds == 40


def test_too_few_differing_decisions_are_said():
    """An arm whose interval clears the margin, but with 160 differing decisions, is told what it lacks: 200 of them."""
    state = decide(Policy(GOOD, differing=1), scope=choose_scope("held-out", range(4), ()))
    rung, sentence = state.answer.rungs[0], state.answer.sentence
    assert state.answer.kind is AnswerKind.UNDECIDED
    assert rung.low > 1 - state.answer.margin
    assert "to be believed: 160, and 200 are needed. At the rate so far, about 50 seeds a task" in sentence
    assert "would decide" not in sentence
    assert "differing decisions 160 of the 200" in state.lines[-2]
    assert rung.kept_words.endswith("too few differing decisions: 160")


def test_an_arm_that_never_differs_beyond_its_tasks_is_told_how_many_tasks():
    """With no differing task of 64, the bound holds from so many tasks on, and the sentence names that number."""
    state = decide(Policy(GOOD, differing=0), scope=choose_scope("test", range(80), (), beyond=True))
    needed = state.answer.rungs[0].enough_differing
    error = 0.025 / len(state.plan.looks.looks)
    assert sameness(needed, 0, error).holds(0.05)
    assert not sameness(needed - 1, 0, error).holds(0.05)
    assert f"about {needed} tasks would be enough" in state.answer.sentence


def test_limits_that_do_not_exist_travel_as_json():
    """Infinite limits and unknown points come back from JSON as they were, and are said in words."""
    rung = RungSummary(
        arm="a", tokens=3, verdict="undecided", point=math.nan, low=-math.inf, high=math.inf, tasks=8, seeds=5
    )
    state = start(PLAN).model_copy(update={"summaries": (rung,)})
    back = DecisionState.model_validate_json(state.model_dump_json()).summaries[0]
    assert (back.low, back.high) == (-math.inf, math.inf)
    assert math.isnan(back.point)
    assert back.kept_words == "kept unknown [no limit, no limit]"


def test_a_changed_ladder_is_refused():
    """A state whose rungs or margin were changed after the hash was stored asks for nothing more."""
    policy, state = (
        Policy(GOOD),
        start(
            DecisionPlan(
                scope=choose_scope("held-out", range(8), ()), screening_tasks=(100, 101, 102, 103), most_tokens=64
            )
        ),
    )
    while state.phase is not Phase.LADDER:
        state = policy.answer(state)
    for change in ({"rungs": state.rungs[::-1]}, {"plan": state.plan.model_copy(update={"margin": 0.2})}):
        with pytest.raises(ValueError, match="the ladder was changed"):
            request(state.model_copy(update=change))


def test_a_claim_beyond_adds_tasks():
    """Beyond named tasks the looks add tasks with five seeds each, and the sentence says how many judged."""
    scope = choose_scope("test", range(80), (), beyond=True)
    state = decide(Policy({"newest 64": 1.0, "newest 32": 0.7}), scope=scope)
    assert scope.reach is Reach.BEYOND
    assert state.answer.kind is AnswerKind.COMPRESS_TO
    assert state.answer.rungs[0].seeds == 5
    assert f"beyond the {state.answer.rungs[0].tasks} test tasks judged" in state.answer.sentence


def test_phases_come_in_order_and_the_range_holds():
    """An outcome of another phase is refused; the rollouts spent lie within the range that was estimated."""
    plan = DecisionPlan(
        scope=choose_scope("held-out", range(8), ()), screening_tasks=(100, 101, 102, 103), most_tokens=64
    )
    with pytest.raises(ValueError, match="not in the race phase"):
        after_race(start(plan), [])
    with pytest.raises(ValueError, match="not in the ladder phase"):
        after_look(start(plan), [], {})
    low, high = rollout_range(plan, ARMS)
    assert low <= decide(Policy(GOOD)).answer.rollouts <= high
