"""The work of a decision without a service: its own stores, killed and going on, random returns that nobody knows."""

from __future__ import annotations

import json
from uuid import UUID

import numpy as np
import pytest

from attnscope_server.acting.errors import RolloutStoppedError
from attnscope_server.deciding.kind import KIND
from attnscope_server.deciding.phases.cards import LEFT_OUT, STATELESS, document_of
from attnscope_server.deciding.phases.children import condition_of
from attnscope_server.deciding.phases.record import Record
from attnscope_server.root.children import children_of, owner_of
from attnscope_storage.kinds.decision.schema import DOCUMENT, decoded
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire import TrainedUnder
from attnscope_storage.wire.parts import LISTED, child_id
from attnscope_storage.wire.specifications.cards import attempt_words

SMALL = {"episodes": 3, "budgets": [8], "positions": ["reindex"], "screened": 64}
NEAR = {"tasks": {"goals": [[4, 5], [5, 4], [3, 4], [4, 3]]}, "screening": {"goals": [[3, 3], [5, 5], [3, 5], [5, 3]]}}


@pytest.fixture(scope="module")
def decided(asked, order, decide):
    """Return the order of a decision that ran to its end, and how often it gave its slot back."""
    one = order(*asked(**SMALL, **NEAR))
    return one, decide(one)


def card_of(order):
    """Return the card of a decision by now."""
    reader = CaptureReader.open(order.path)
    return decoded(reader.array(DOCUMENT)[reader.steps_committed - 1]).card


def test_every_phase_has_a_store_of_its_kind(decided):
    """Capture, screen, rounds and looks are whole stores with roots of their own, which name the decision."""
    order, _ = decided
    children, store = children_of(order.path), UUID(order.path.stem)
    assert set(children) == set(card_of(order).children)
    kinds = {}
    for name, path in children.items():
        reader = CaptureReader.open(path)
        assert verify(reader).ok, verify(reader).problems
        assert reader.complete
        assert owner_of(reader, UUID(path.stem)).store == store
        assert reader.attributes["owner"] == "me"
        kinds[name] = reader.kind
    assert kinds["capture"] == "capture"
    assert kinds["screen"] == "screen"
    assert kinds["race/8/round-1"] == kinds["rung-1/look-1"] == kinds["rung-1/look-4"] == "trial"
    listed = CaptureReader.open(order.path).attributes[LISTED]
    assert listed["rung-1/look-2"] == str(child_id(store, "rung-1/look-2"))


def test_a_card_tells_that_a_policy_was_trained_under_a_compression(decided, registry):
    """Its uncompressed self, which shares are of, acts on contexts that it was not trained on."""
    order, _ = decided
    reader = CaptureReader.open(order.path)
    record = Record.model_validate(decoded(reader.array(DOCUMENT)[reader.steps_committed - 1]).state)
    told = {"strategy": "recency", "parameters": {}, "budget": 8, "positions": "reindex", "text": "recency 8, reindex"}
    trained = registry.get("stays").model_copy(update={"trained_under": TrainedUnder.model_validate(told)})
    plain, noted = (document_of(record, order, info, {}).card.notes for info in (registry.get("stays"), trained))
    [note] = set(noted) - set(plain)
    assert note.startswith("it was trained under recency 8, reindex, and uncompressed")


def test_the_slot_is_given_back_after_every_look(decided):
    """Four looks, and the last one has the answer: three times somebody else may go first."""
    _, given = decided
    assert given == 3


def test_the_race_is_paired_with_the_captured_rollouts(decided):
    """The uncompressed condition of a race's round is what the capture did on the same task and seed."""
    order, _ = decided
    children = children_of(order.path)
    capture, race = (CaptureReader.open(children[name]) for name in ("capture", "race/8/round-2"))
    twin = condition_of(race, 0)
    assert race.array("env/seed")[:].tolist() == [1]
    for place, task in enumerate(race.array("env/task")[:]):
        env = (capture.array("env/task")[:] == task) & (capture.array("env/seed")[:] == 1)
        assert np.array_equal(twin.action[0, place], capture.array("rollout/action")[:][:, env][:, 0])


def test_looks_hold_the_seeds_that_they_add(decided):
    """Looks of 5, 10, 20 and 40 seeds hold 5, 5, 10 and 20 of them, none twice."""
    order, _ = decided
    paths = children_of(order.path)
    seeds = [CaptureReader.open(paths[f"rung-1/look-{look}"]).array("env/seed")[:] for look in range(1, 5)]
    assert [len(one) for one in seeds] == [5, 5, 10, 20]
    assert np.array_equal(np.concatenate(seeds), np.arange(10_000, 10_040))


def test_stopped_anywhere_it_goes_on_to_the_same_bits(decided, order, decide, differing):
    """Stopped again and again, in every phase, the decision and all of its stores have the bits of a straight one."""
    straight, _ = decided
    calls = iter(range(10**9))
    stopped = order(straight.spec, straight.resolved)
    times = 0
    while not (stopped.path / "zarr.json").exists() or not CaptureReader.open(stopped.path).complete:
        first, times = next(calls), times + 1
        try:
            decide(stopped, lambda first=first: next(calls) > first + 300)
        except RolloutStoppedError:
            continue
    assert times > 3
    assert differing(straight.path, stopped.path) == [DOCUMENT]
    names = children_of(straight.path)
    assert names.keys() == children_of(stopped.path).keys()
    for name, path in names.items():
        assert differing(path, children_of(stopped.path)[name]) in ([], ["cost/seconds"]), name
    one, other = (card_of(order_).model_dump(exclude={"speed"}) for order_ in (straight, stopped))
    assert one == other


def test_a_known_random_return_costs_nothing_and_an_unknown_one_is_rolled_out_on_the_judging_seeds(
    asked, order, decide, decided
):
    """If the preset does not state it, uniform actions run once on every judging seed, and stand beside it."""
    assert card_of(decided[0]).random_rollouts == 0
    spec, resolved = asked(**SMALL, **NEAR)
    hidden = {
        name: tuple(cell.model_copy(update={"random_return": None}) for cell in getattr(resolved, name))
        for name in ("tasks", "screening_tasks")
    }
    one = order(spec, resolved.model_copy(update=hidden))
    decide(one)
    reader = CaptureReader.open(one.path)
    document = decoded(reader.array(DOCUMENT)[reader.steps_committed - 1])
    uniform = document.state["driver"]["judged"]["uniform actions"]
    seeds = document.card.rungs[0].seeds
    assert {task: len(of) for task, of in uniform.items()} == {str(cell.index): seeds for cell in resolved.tasks}
    assert document.card.random_rollouts == 4 * 40 + 4 * seeds
    for cell in resolved.tasks:
        values = np.array(uniform[str(cell.index)])
        assert abs(values.mean() - cell.random_return) < 5 * values.std(ddof=1) / np.sqrt(len(values)) + 1e-9


def test_a_second_decision_is_the_second_attempt(decided, asked, order, decide):
    """Another first seed on the same checkpoint counts the decision before it, and quotes its sentence."""
    first, _ = decided
    # Its answer is nothing to this test, so that it may end at its first phase that exceeds the cap.
    again = order(*asked(**SMALL, **NEAR, seeds=[7], most_rollouts=50), first.path.parent, UUID(int=8))
    decide(again)
    card = card_of(again)
    assert (card.attempt, [one.job for one in card.earlier]) == (2, [first.job])
    assert card.earlier[0].sentence == card_of(first).sentence
    assert card.earlier[0].same_tasks
    assert card.sentence.endswith("This is decision number 2 on this policy here.")
    assert card.lines[0] == attempt_words(card.earlier, 7)
    assert "at least one of 2 may in up to 5.0%" in card.lines[0]
    assert "no further evidence" not in card.lines[0]
    assert "one of them had these judging tasks and seeds" in attempt_words(card.earlier, 0)
    assert (card_of(first).attempt, attempt_words((), 0)) == (1, None)
    assert "number" not in card_of(first).sentence


def test_the_card_says_what_was_refused_and_what_it_costs(decided):
    """Every arm that raced is the answer or refused with a reason; speed and memory are those of the answer."""
    card = card_of(decided[0])
    names = {arm.name for arm in card.arms}
    assert {card.chosen.name} | {one.arm for one in card.refused} == names
    assert all(one.reason for one in card.refused)
    assert card.memory.tokens == 8
    assert {one.phase for one in card.speed.phases} == {"growing", "full"}
    assert all(one.seconds > 0 and one.low <= one.ratio <= one.high for one in card.speed.phases)
    assert card.speed.cores
    assert card.left_out == (*LEFT_OUT, STATELESS)
    doubts = [note for note in card.notes if note.startswith("the screen doubts itself: ")]
    assert ["at fewer than one live decision in 100" in note for note in doubts] == [True]
    assert card.rungs[0].low <= card.rungs[0].kept <= card.rungs[0].high
    assert json.loads(card.model_dump_json())["card_schema"] == 3


def test_the_rate_of_a_decision_counts_what_ran(decided, registry):
    """A decision that ends early took fewer operations than its estimate; its rate counts the rollouts that ran."""
    order, _ = decided
    policy = registry.get("stays").policy
    taken = KIND.flops_done(order.spec, order.resolved, policy, lambda: CaptureReader.open(order.path))
    each = KIND.flops(order.spec, order.resolved, policy) / order.resolved.first_rollouts
    assert taken == pytest.approx(each * card_of(order).rollouts)


def test_an_arm_without_a_count_races_in_the_budget_that_holds_it(asked, order, decide):
    """Rules without a count, shares and stateful arms are screened and may race; names and shares say what they are."""
    spec, resolved = asked(**SMALL | {"budgets": [0.5, 0.25]}, **NEAR, memories=["stateless", "stateful"], quick=True)
    assert resolved.budgets == (0.5, 0.25)
    one = order(spec, resolved)
    decide(one)
    screen = CaptureReader.open(children_of(one.path)["screen"])
    arms = screen.attributes["resolved"]["arms"]
    assert {arm["memory"] for arm in arms} == {"stateless", "stateful"}
    assert any(arm["budget"] is None for arm in arms)
    card = card_of(one)
    assert {arm.group for arm in card.arms} == {"50%", "25%"}
    assert any(arm.memory == "stateful" and arm.name.endswith("stateful") for arm in card.arms)
