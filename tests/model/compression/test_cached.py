"""Kept keys and values: exact until something is dropped, real eviction from then on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from attnscope_model.acting.context import features
from attnscope_model.compression import Compression
from attnscope_model.compression.deciding import CompressedDecider, PlainDecider
from attnscope_model.errors import CompressionUnfitError
from attnscope_model.strategies import strategy

CPU = torch.device("cpu")
CAPACITY = 23


def cached(rule, budget, positions="reindex", interval=1):
    """Return a compression of kept keys and values."""
    return Compression(rule, budget, positions, interval, "stateful", "cached")


@pytest.mark.parametrize("positions", ["reindex", "keep"])
@pytest.mark.parametrize("family", ["ad-rotary", "ad-alibi", "ad-relative", "dicp-ad"])
def test_without_eviction_it_is_the_plain_forward(families, random_steps, family, positions):
    """While nothing was dropped, and up to a full context, logits agree with recompute to 1e-5."""
    setups = [cached(strategy("recency"), CAPACITY, positions), cached(strategy("none"), None, positions, "full")]
    decider = CompressedDecider(families[family], setups, torch.arange(3), CPU)
    plain = PlainDecider(families[family], 3, CPU)
    for transition in random_steps(CAPACITY + 1, 3):
        many = [np.concatenate([part] * 2) for part in transition]
        apart = decider.decide(many[0]).view(2, 3, -1) - plain.decide(transition[0])
        assert apart.abs().max() < 1e-5
        decider.append(*many)
        plain.append(*transition)


def by_distance(policy, slot, slots):
    """Return what distances add to scores [head, 1, key], by the paper's formula or the policy's own table."""
    match policy.description.positions:
        case "alibi":
            return (slots - slot) * 2.0 ** torch.arange(-2.0, -9, -2)[:, None, None]
        case "relative":
            table = policy.get_parameter("distances.table")
            return table[:, (slot - slots).clamp(max=table.shape[1] - 1)][:, None]
        case _:
            return 0


def written_out(policy, steps, kept_at, positions):
    """Return each step's logits with keys and values kept one by one, of one rollout, as lists of rows."""
    description = policy.description
    size = description.width // description.heads
    memory = {}  # transition → its key and value of every layer, as they were computed
    found = []
    for step, (before, *_rest) in enumerate(steps):
        entries = kept_at[step]
        new = [step - 1] if step - 1 in entries else []
        place = {entry: (number if positions == "reindex" else entry) for number, entry in enumerate(entries)}
        place[step] = len(entries) if positions == "reindex" else step
        inputs = {step: policy.embed_query(features(before, CPU))[0, 0]}
        if new:
            then = steps[step - 1]
            inputs[step - 1] = policy.embed_transition(
                features(then[0], CPU),
                torch.from_numpy(then[1]),
                torch.from_numpy(then[2]).float(),
                features(then[3], CPU),
            )[0, 0]
        rows = {}
        computed = {}
        for token in [*new, step]:
            x, own = inputs[token][None, None], []
            for number, layer in enumerate(policy.layers()):
                query, key, value = layer.project(x)
                own.append((key[0, :, 0], value[0, :, 0]))
                sees = [entry for entry in entries if entry <= token and entry not in new] + [
                    t for t in new if t < token
                ]
                known = [computed.get(entry, memory.get(entry))[number] for entry in sees] + [own[number]]
                at = [place[entry] for entry in sees] + [place[token]]
                base = min(at)
                keys = torch.stack([part[0] for part in known], dim=1)[None]
                values = torch.stack([part[1] for part in known], dim=1)[None]
                slots = torch.tensor([[slot - base for slot in at]])
                turned, asked = layer.turned(keys, slots), layer.turned(query, slots[:, -1:])
                scores = asked @ turned.transpose(-2, -1) / math.sqrt(size)
                weights = torch.softmax(scores + by_distance(policy, slots[0, -1], slots[0]), dim=-1)
                x = layer.finish(x, weights @ values)
            rows[token] = policy.read(x[:, 0])[0]
            computed[token] = own
        memory = {entry: computed.get(entry, memory.get(entry)) for entry in entries}
        found.append(rows[step])
    return found


@pytest.mark.parametrize("positions", ["reindex", "keep"])
@pytest.mark.parametrize("family", ["ad-rotary", "ad-alibi", "ad-relative", "dicp-ad"])
def test_evicted_tokens_live_on_only_in_what_was_computed_with_them(families, random_steps, family, positions):
    """Each step equals keys and values kept one by one and computed token by token, long past the window."""
    policy = families[family]
    steps = list(random_steps(45, 1))
    decider = CompressedDecider(policy, [cached(strategy("sinks", sinks=2), 6, positions, 3)], torch.arange(1), CPU)
    logits, kept_at = [], []
    for transition in steps:
        logits.append(decider.decide(transition[0])[0])
        kept = decider.kept()[0]
        kept_at.append(kept.facts["last"][0, : kept.counts[0]].tolist())
        decider.append(*transition)
    assert kept_at[-1][:2] == [0, 1]
    expected = written_out(policy, steps, kept_at, positions)
    for one, other in zip(logits, expected, strict=True):
        assert (one - other).abs().max() < 1e-4


def test_dropping_is_not_computing_anew(families, random_steps):
    """From the first eviction on, kept keys and values are another function than the kept tokens computed anew."""
    rule = strategy("recency")
    setups = [cached(rule, 6), Compression(rule, 6, memory="stateful")]
    decider = CompressedDecider(families["ad-rotary"], setups, torch.arange(2), CPU)
    for step, transition in enumerate(random_steps(20, 2)):
        many = [np.concatenate([part] * 2) for part in transition]
        one, other = decider.decide(many[0]).view(2, 2, -1)
        assert ((one - other).abs().max() < 1e-5) == (step <= 6)
        decider.append(*many)


@pytest.mark.parametrize("rule", [strategy("tova"), strategy("h2o"), strategy("random"), strategy("dedup")], ids=str)
def test_ragged_and_attention_guided_rollouts_are_as_alone(families, random_steps, rule):
    """Rollouts that keep different counts, or dropped their newest entry, decide as each would alone, to 1e-5."""
    policy = families["ad-rotary"]
    setup = cached(rule, 5)
    together = CompressedDecider(policy, [setup], torch.arange(3), CPU)
    alone = [CompressedDecider(policy, [setup], torch.tensor([lane]), CPU) for lane in range(3)]
    rooms = np.array([1, 4, 9])[:, None]
    for wide, action, reward, reached, ended in random_steps(40, 3):
        before, after = wide // rooms, reached // rooms
        logits = together.decide(before)
        for lane, decider in enumerate(alone):
            one = slice(lane, lane + 1)
            assert (decider.decide(before[one])[0] - logits[lane]).abs().max() < 1e-5
            decider.append(before[one], action[one], reward[one], after[one], ended[one])
        together.append(before, action, reward, after, ended)


def test_what_a_decision_computes_is_counted(families, random_steps):
    """Two tokens a decision, that attend to what is kept."""
    decider = CompressedDecider(families["ad-rotary"], [cached(strategy("recency"), 6)], torch.arange(1), CPU)
    for transition in random_steps(12, 1):
        decider.decide(transition[0])
        work = decider.computed()
        decider.append(*transition)
    assert work == [((2, 7),)]


def test_pooled_tokens_have_no_keys_to_keep(families):
    """A strategy that builds tokens is refused on this path."""
    with pytest.raises(CompressionUnfitError, match="mean"):
        CompressedDecider(families["ad-rotary"], [cached(strategy("hierarchical"), 6)], torch.arange(1), CPU)
