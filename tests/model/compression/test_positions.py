"""Position policies: where kept tokens stand, on every family, against a construction token by token."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnscope_model.acting.context import features
from attnscope_model.compression import Compression, unfit
from attnscope_model.compression.deciding import CompressedDecider, PlainDecider
from attnscope_model.errors import CompressionUnfitError
from attnscope_model.strategies import ContextView, strategy

CPU = torch.device("cpu")
FAMILIES = [
    "reference-causal",
    "reference",
    "dicp-ad",
    "dicp-dpt",
    "cccad",
    "rad",
    "ad-eps",
    "cinemere-post",
    "cinemere-pre",
    "dpt",
    "ad-absolute",
    "ad-rotary",
    "ad-alibi",
    "ad-relative",
    "hub-gpt2",
    "hub-llama",
    "hub-bloom",
]
POLICIES = ["reindex", "keep", "right_align", "mask"]
RULES = [strategy("random"), strategy("hierarchical", fine=1, middle=3)]


def test_every_family_is_here(families):
    """A family that is added is exercised too."""
    assert set(families) == set(FAMILIES)


def embedded(policy, steps):
    """Return the tokens of transitions [transition, env, token, width]."""
    return torch.stack(
        [
            policy.embed_transition(
                features(before, CPU), torch.from_numpy(action), torch.from_numpy(reward).float(), features(after, CPU)
            )
            for before, action, reward, after, _ in steps
        ]
    )


def laid_out(policy, positions, entries, query, held):
    """Return one full-length context, the slots that take part and the one that decides.

    `entries` are (place in the window, tokens). What is in no slot is noise that nobody may see.
    """
    description = policy.description
    per, first = description.tokens_per_transition, description.query_slot == "first"
    capacity = (description.context_length - 1) // per
    room = {"reindex": len(entries), "right_align": capacity, "keep": held, "mask": held}[positions]
    places = [place for place, _ in entries]
    if positions == "reindex":
        places = range(len(entries))
    elif positions == "right_align":
        places = range(capacity - len(entries), capacity)
    tokens = torch.randn(room * per + 1, description.width)
    seen = []
    for place, (_, own) in zip(places, entries, strict=True):
        slots = [place * per + i + int(first) for i in range(per)]
        tokens[slots] = own
        seen += slots
    at = 0 if first else room * per
    tokens[at] = query
    seen = sorted([*seen, at])
    return tokens, seen, seen[-1]


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("positions", POLICIES)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_decision_is_that_of_the_direct_construction(families, random_steps, direct, family, positions, rule):
    """While the window grows and after it has slid, logits agree to 1e-5 in every rollout of the batch."""
    policy = families[family]
    decider = CompressedDecider(policy, [Compression(rule, 3, positions)], torch.arange(2), CPU)
    steps = list(random_steps(30, 2))
    tokens = embedded(policy, steps)
    per_env = [features(step[0], CPU) for step in steps]
    capacity = (policy.description.context_length - 1) // policy.description.tokens_per_transition
    for step, transition in enumerate(steps):
        if step not in {5, capacity, capacity + 6}:
            decider.pass_by(transition[0])
        else:
            logits = decider.decide(transition[0])
            held, start = min(step, capacity), max(0, step - capacity)
            query = policy.embed_query(per_env[step])[:, 0]
            for env in range(2):
                view = ContextView(np.arange(start, step), np.ones(held, bool), lane=np.array(env))
                mixture = torch.from_numpy(rule.plan(view, 3).mixture()).float()
                leaders = [int(np.flatnonzero(row)[-1]) for row in mixture.numpy() if row.any()]
                window = tokens[start:step, env]
                entries = [
                    (leader, torch.einsum("e,etw->tw", row, window))
                    for leader, row in zip(leaders, mixture, strict=False)
                ]
                context, seen, deciding = laid_out(policy, positions, entries, query[env], held)
                assert (direct(policy, context, seen, deciding) - logits[env]).abs().max() < 1e-5
        decider.append(*transition)


@pytest.mark.parametrize("family", FAMILIES)
def test_hiding_is_dropping_with_gaps(families, random_steps, family):
    """A masked window decides as the kept tokens alone in their own slots, whatever the rule, to 1e-5."""
    rules = [strategy("nucleus", mass=0.4), strategy("dedup"), strategy("pooled-window", summaries=2)]
    deciders = [
        CompressedDecider(families[family], [Compression(rule, 0.5, kind, 3) for rule in rules], torch.arange(3), CPU)
        for kind in ("keep", "mask")
    ]
    for transition in random_steps(30, 3):
        many = [np.concatenate([part] * len(rules)) for part in transition]
        kept, masked = (decider.decide(many[0]) for decider in deciders)
        assert (kept - masked).abs().max() < 1e-5
        for decider in deciders:
            decider.append(*many)


@pytest.mark.parametrize("family", ["ad-rotary", "ad-alibi", "ad-relative"])
def test_a_policy_by_distance_sees_distances_alone(families, random_steps, family):
    """Moved to the end of a full context or left at its beginning, packed tokens decide alike to 1e-5."""
    pair = [Compression(strategy("uniform"), 5, positions) for positions in ("reindex", "right_align")]
    decider = CompressedDecider(families[family], pair, torch.arange(2), CPU)
    for transition in random_steps(30, 2):
        many = [np.concatenate([part] * 2) for part in transition]
        one, other = decider.decide(many[0]).view(2, 2, -1)
        assert (one - other).abs().max() < 1e-5
        decider.append(*many)


@pytest.mark.parametrize("family", ["ad-alibi", "ad-relative"])
def test_closing_up_is_another_distance(families, random_steps, family):
    """Kept tokens that close up are nearer to the query than with their gaps, and scores know it."""
    pair = [Compression(strategy("uniform"), 5, positions) for positions in ("reindex", "keep")]
    decider = CompressedDecider(families[family], pair, torch.arange(1), CPU)
    for transition in random_steps(24, 1):
        many = [np.concatenate([part] * 2) for part in transition]
        one, other = decider.decide(many[0])
        decider.append(*many)
    assert (one - other).abs().max() > 1e-3


def test_positions_matter_to_absolute_policies(families, random_steps):
    """The four policies are four functions where positions are learned and the query is far from its trained slot."""
    setups = [Compression(strategy("uniform"), 5, positions) for positions in ("reindex", "keep", "right_align")]
    decider = CompressedDecider(families["ad-absolute"], setups, torch.arange(1), CPU)
    for transition in random_steps(24, 1):
        many = [np.concatenate([part] * 3) for part in transition]
        logits = decider.decide(many[0])
        decider.append(*many)
    apart = (logits[:, None] - logits[None]).abs().amax(dim=-1)
    assert (apart + torch.eye(3) > 1e-3).all()


@pytest.mark.parametrize("positions", ["reindex", "keep", "mask"])
@pytest.mark.parametrize("memory", ["stateless", "stateful"])
@pytest.mark.parametrize("interval", [1, 4, "full"])
@pytest.mark.parametrize("family", ["reference", "dicp-dpt", "rad", "ad-absolute", "ad-rotary", "ad-relative"])
def test_keeping_everything_is_the_plain_policy_bit_for_bit(
    families, random_steps, family, interval, memory, positions
):
    """Through all of the machinery, in batches of the same size, `none` gives the plain context's own bits."""
    policy = families[family]
    if memory == "stateful" and positions != "reindex":
        assert unfit(policy.description, positions, memory, "recompute")
        return
    setup = Compression(strategy("none"), None, positions, interval, memory)
    decider, plain = CompressedDecider(policy, [setup], torch.arange(3), CPU), PlainDecider(policy, 3, CPU)
    for transition in random_steps(40, 3):
        logits, expected = decider.decide(transition[0]), plain.decide(transition[0])
        assert torch.equal(logits.view(torch.int32), expected.view(torch.int32))
        decider.append(*transition)
        plain.append(*transition)


def test_what_does_not_fit_is_refused(families):
    """A position policy without its window, or kept keys of an absolute policy, is refused with the reason."""
    forgetful = Compression(strategy("recency"), 4, "mask", memory="stateful")
    with pytest.raises(CompressionUnfitError, match="stored window"):
        CompressedDecider(families["ad-rotary"], [forgetful], torch.arange(1), CPU)
    cached = Compression(strategy("recency"), 4, memory="stateful", path="cached")
    for family, reason in (("ad-absolute", "rotary"), ("reference", "causal"), ("dicp-dpt", "last")):
        with pytest.raises(CompressionUnfitError, match=reason):
            CompressedDecider(families[family], [cached], torch.arange(1), CPU)
