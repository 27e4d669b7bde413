"""Compressed contexts over time: budgets, intervals, memory, ragged batches, and what attention-guided rules see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from attnscope_model.acting.tape import AttentionTape
from attnscope_model.compression import Compression
from attnscope_model.compression.deciding import CompressedDecider, PlainDecider
from attnscope_model.strategies import STRATEGIES, Selection, strategy

CPU = torch.device("cpu")
CAPACITY = 23


def roll(policy, setups, steps, lanes=3, at=None):
    """Lead compressions through random steps; return the kept (first, last) transitions of every step and batch."""
    decider = CompressedDecider(policy, setups, torch.arange(lanes), CPU)
    found = []
    for step, transition in enumerate(steps):
        many = [np.concatenate([part] * len(setups)) for part in transition]
        logits = decider.decide(many[0])
        if at is not None:
            at(step, logits.view(len(setups), lanes, -1))
        found.append([identities(kept) for kept in decider.kept()])
        decider.append(*many)
    return found


def identities(kept):
    """Return the (first, last) transitions of every rollout's entries."""
    return [
        list(zip(kept.facts["first"][lane, :count].tolist(), kept.facts["last"][lane, :count].tolist(), strict=True))
        for lane, count in enumerate(kept.counts)
    ]


@pytest.mark.parametrize("memory", ["stateless", "stateful"])
@pytest.mark.parametrize("interval", [1, 4, "full"])
@pytest.mark.parametrize("budget", [1, 0.3])
def test_every_rule_keeps_its_budget_and_its_order(families, random_steps, memory, interval, budget):
    """Right after a selection nobody keeps more than the budget; nobody is ever blind; entries are in order."""
    oracles = memory == "stateless" and interval == 4  # a forward an entry and selection: once is enough
    rules = [kind() for kind in STRATEGIES.values() if kind.bounded and (oracles or not kind.oracle)]
    setups = [Compression(rule, budget, "reindex", interval, memory) for rule in rules]
    everyone = roll(families["ad-absolute"], setups, random_steps(29, 2), lanes=2)
    for step, batches in enumerate(everyone):
        held = min(step, CAPACITY)
        limit = max(1, int(held * budget + 1e-9)) if isinstance(budget, float) else min(budget, held)
        for batch in batches:
            for entries in batch:
                assert (len(entries) > 0) == (step > 0)
                assert len(entries) <= CAPACITY
                if step and interval != "full" and step % interval == 0:
                    assert len(entries) <= limit
                lasts = [last for _, last in entries]
                assert lasts == sorted(set(lasts))
                if interval == 4 and step % 4:
                    assert lasts[-1:] == [step - 1]


def test_between_selections_new_transitions_join(families, random_steps):
    """Recency 3 every fourth step: three at the selection, then one more a step; what slid out leaves at the next."""
    setup = Compression(strategy("sinks", sinks=1), 3, interval=4)
    kept = [[last for _, last in step[0][0]] for step in roll(families["ad-absolute"], [setup], random_steps(40, 1), 1)]
    assert kept[8] == [0, 6, 7]
    assert kept[11] == [0, 6, 7, 8, 9, 10]
    assert kept[24] == [1, 22, 23]  # the window of step 24 holds 1 to 23
    assert kept[27] == [1, 22, 23, 24, 25, 26]  # 1 to 3 slid out, and leave at step 28
    assert kept[28] == [5, 26, 27]


def test_a_stateful_context_reaches_beyond_the_window(families, random_steps):
    """Sinks of a stateful context are the first transitions for ever; of a stateless one the window's oldest."""
    setups = [Compression(strategy("sinks", sinks=2), 5, memory=memory) for memory in ("stateful", "stateless")]
    stateful, stateless = roll(families["ad-rotary"], setups, random_steps(60, 1), 1)[-1]
    assert [last for _, last in stateful[0]] == [0, 1, 56, 57, 58]
    assert [last for _, last in stateless[0]] == [36, 37, 56, 57, 58]


def test_a_full_stateful_context_is_cut_and_grows_again(families, random_steps):
    """With interval full, recency 5: grows to 23, is cut to 5 when it is full, and takes 18 more to fill again."""
    setup = Compression(strategy("recency"), 5, interval="full", memory="stateful")
    kept = [len(step[0][0]) for step in roll(families["ad-absolute"], [setup], random_steps(60, 1), 1)]
    assert kept[:24] == [*range(23), 5]
    assert kept[24:42] == [*range(6, 23), 5]


def test_what_a_stateful_context_dropped_is_gone(families, random_steps):
    """Uniform selection of what is left never brings back a transition."""
    setup = Compression(strategy("uniform"), 6, interval=3, memory="stateful")
    gone = set()
    before = set()
    for step in roll(families["ad-absolute"], [setup], random_steps(50, 1), 1):
        now = {last for _, last in step[0][0]}
        gone |= before - now
        assert not gone & now
        before = now


@pytest.mark.parametrize("memory", ["stateless", "stateful"])
@pytest.mark.parametrize("positions", ["reindex", "right_align", "keep"])
@pytest.mark.parametrize("family", ["reference", "rad", "ad-rotary"])
def test_ragged_rollouts_are_as_alone(families, random_steps, family, positions, memory):
    """Rollouts that keep different counts decide as each would alone, to 1e-6 of the logits' size."""
    if memory == "stateful" and positions == "keep":
        memory = "stateless"
    policy, steps = families[family], list(random_steps(40, 3))
    setup = Compression(strategy("dedup"), 12, positions, 2, memory)
    together, ragged = CompressedDecider(policy, [setup], torch.arange(3), CPU), 0
    alone = [CompressedDecider(policy, [setup], torch.tensor([lane]), CPU) for lane in range(3)]
    rooms = np.array([1, 4, 9])[:, None]  # two of three rollouts meet few states, and so keep few
    for wide, action, reward, reached, ended in steps:
        before, after = wide // rooms, reached // rooms
        logits = together.decide(before)
        ragged += len(set(together.kept()[0].counts)) > 1
        for lane, decider in enumerate(alone):
            one = slice(lane, lane + 1)
            scale = max(1.0, float(logits[lane].abs().max()))
            assert (decider.decide(before[one])[0] - logits[lane]).abs().max() < 1e-6 * scale * 2
            decider.append(before[one], action[one], reward[one], after[one], ended[one])
        together.append(before, action, reward, after, ended)
    assert ragged > 10


def test_a_stateless_rule_sees_the_whole_windows_row(families, random_steps):
    """TOVA keeps what the plain policy's own row, averaged over layers and heads, weighs most at this decision."""
    policy = families["rad"]
    setup = Compression(strategy("tova"), 3)
    decider, plain = CompressedDecider(policy, [setup], torch.arange(2), CPU), PlainDecider(policy, 2, CPU)
    for step, transition in enumerate(random_steps(12, 2)):
        decider.decide(transition[0])
        if step > 3:
            with AttentionTape(policy) as tape:
                policy(plain.window.tokens(transition[0]))
            row = tape.rows.mean(dim=(1, 2))[:, :-1].unflatten(1, (-1, 3)).sum(dim=-1)
            best = row.topk(3, dim=1).indices + plain.window.start
            found = [[last for _, last in entries] for entries in identities(decider.kept()[0])]
            assert found == best.sort(dim=1).values.tolist()
        decider.append(*transition)
        plain.append(*transition)


def test_accumulated_attention_follows_identity(families, random_steps):
    """H2O's lift in a sliding window: sums of the window's rows by transition over what uniform would have given."""
    policy = families["ad-absolute"]
    seen = []

    class Watched(type(strategy("h2o"))):
        """H2O that shows what it sees."""

        def keep(self, view, limit):
            """Take down the view."""
            seen.append(view)
            return super().keep(view, limit)

    decider = CompressedDecider(policy, [Compression(Watched(), 4)], torch.arange(1), CPU)
    plain, rows = PlainDecider(policy, 1, CPU), []
    for transition in random_steps(30, 1):
        decider.decide(transition[0])
        with AttentionTape(policy) as tape:
            policy(plain.window.tokens(transition[0]))
        row = tape.rows.mean(dim=(1, 2))[0, :-1]
        rows.append({plain.window.start + place: float(weight) for place, weight in enumerate(row)})
        decider.append(*transition)
        plain.append(*transition)
    view = seen[-1]
    for entry, transition in enumerate(view.transition[0].tolist()):
        those = [row for row in rows if transition in row]
        assert float(view.accumulated[0, entry]) == pytest.approx(sum(row[transition] for row in those), abs=1e-5)
        assert float(view.expected[0, entry]) == pytest.approx(sum(1 / (len(row) + 1) for row in those), abs=1e-5)


def test_a_stateful_rule_sees_its_own_rows(families, random_steps):
    """TOVA without a stored window: the newest transition is not judged yet and stays; the least attended goes."""
    setup = Compression(strategy("tova"), 4, memory="stateful")
    kept = [[last for _, last in step[0][0]] for step in roll(families["ad-absolute"], [setup], random_steps(40, 1), 1)]
    for step in range(5, 40):
        assert kept[step][-1] == step - 1
        assert len(kept[step]) == 4
        assert set(kept[step][:-1]) < set(kept[step - 1])


@pytest.mark.parametrize(
    "setup",
    [
        Compression(strategy("tova"), 5, interval=3),
        Compression(strategy("h2o"), 5),
        Compression(strategy("tova"), 5, interval="full"),
        Compression(strategy("h2o"), 5, interval="full"),
        Compression(strategy("snapkv", rows=4), 5, "keep"),
        Compression(strategy("random"), 5, interval=4),
        Compression(strategy("tova"), 5, interval=3, memory="stateful"),
        Compression(strategy("merging"), 5, memory="stateful"),
    ],
    ids=str,
)
def test_passing_by_changes_nothing(families, random_steps, setup):
    """A decision after many that were passed by is the one after many that were taken, bit for bit."""
    policy = families["ad-absolute"]
    one, other = (CompressedDecider(policy, [setup], torch.arange(2), CPU) for _ in range(2))
    for step, transition in enumerate(random_steps(36, 2)):
        taken = one.decide(transition[0])
        if step % 11 == 3:
            assert torch.equal(taken, other.decide(transition[0]))
        else:
            other.pass_by(transition[0])
        for decider in (one, other):
            decider.append(*transition)


@pytest.mark.parametrize("positions", ["reindex", "keep", "right_align", "mask"])
def test_leaving_out_is_what_the_policy_does_without_an_entry(families, random_steps, positions):
    """The oracle keeps what moves the decision furthest when it alone is missing, under the same position policy.

    What a context without an entry decides is taken from a selection that keeps all the others.
    """
    policy = families["ad-rotary"]
    steps = list(random_steps(9, 2))
    oracle = CompressedDecider(policy, [Compression(strategy("leave-one-out"), 3, positions)], torch.arange(2), CPU)
    plain = PlainDecider(policy, 2, CPU)
    for transition in steps:
        oracle.append(*transition)
        plain.append(*transition)
    query = next(iter(random_steps(1, 2, seed=1)))[0]
    full = torch.log_softmax(plain.decide(query).double(), dim=-1)
    lost = []
    for place in range(len(steps)):
        decider = CompressedDecider(policy, [Compression(Without(place), 1.0, positions)], torch.arange(2), CPU)
        for transition in steps:
            decider.append(*transition)
        other = torch.log_softmax(decider.decide(query).double(), dim=-1)
        lost.append((full.exp() * (full - other)).sum(dim=-1))
    oracle.decide(query)
    (kept,) = oracle.kept()
    expected = torch.stack(lost, dim=1).topk(3, dim=1).indices.sort(dim=1).values
    assert kept.facts["last"].tolist() == expected.tolist()
    tokens = 9 if positions == "mask" else 8
    looked = ((10, 10), *(((tokens + 1, tokens + 1),) * 9))
    assert oracle.computed()[0][1:] == looked


@dataclass(frozen=True)
class Without(Selection):
    """Keep all but the transition at one place."""

    name = "without"
    place: int = 0

    def keep(self, view, limit):  # noqa: ARG002 - all others
        """Return the others."""
        return view.held & (view.index != self.place)
