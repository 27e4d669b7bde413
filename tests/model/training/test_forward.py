"""The training forward against inference, and its merged attention against the masked one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from attnscope_model.families.ad import ADConfig, ADPolicy
from attnscope_model.families.reference import ReferenceConfig, ReferencePolicy
from attnscope_model.training import forward
from attnscope_model.training.forward import masked_attention
from attnscope_model.training.loss import window_logits
from attnscope_model.training.trainer import initialise
from attnscope_model.training.windows import Batch

STEPS = 14


def native(positions):
    """Return a small native policy; one with a clock turns as well."""
    clock = {"positions": "rotary", "clock_steps": 4, "clock_episodes": 3} if positions == "clock" else {}
    sizes = {"positions": positions, "width": 16, "layers": 3, "heads": 2, "feedforward": 32} | clock
    return ADPolicy(ADConfig((5, 5), 5, STEPS, **sizes))


BUILDERS = {
    "learned-absolute": lambda: native("learned-absolute"),
    "rotary": lambda: native("rotary"),
    "alibi": lambda: native("alibi"),
    "relative": lambda: native("relative"),
    "clock": lambda: native("clock"),
    "reference": lambda: ReferencePolicy(ReferenceConfig(16, 3, 2, STEPS, 32, 5, 5, causal=True)),
}


@pytest.fixture(params=BUILDERS)
def policy(request):
    """Return a random policy of each family that is trained."""
    policy = BUILDERS[request.param]()
    initialise(policy, seed=3)
    if request.param == "relative":
        nn.init.normal_(policy.get_parameter("distances.table"), generator=torch.Generator().manual_seed(4))
    return policy


@pytest.fixture
def batch() -> Batch:
    """Return three random windows, the last of which begins in the middle of an episode."""
    rng = torch.Generator().manual_seed(0)
    cells = torch.randint(0, 5, (2, 3, STEPS, 2), generator=rng)
    actions = torch.randint(0, 5, (3, STEPS), generator=rng)
    return Batch(cells[0], actions, torch.rand(3, STEPS, generator=rng), cells[1], first=torch.tensor([0, 4, 9]))


def test_some_decisions_are_those_of_all(policy, batch):
    """Decisions at chosen context lengths have the logits and the gradients that they have among all."""
    lengths = [1, 4, STEPS]
    some = window_logits(policy, batch, lengths)
    whole = window_logits(policy, batch)[:, [length - 1 for length in lengths]]
    assert (some - whole).abs().max() < 1e-5
    gradients = [torch.autograd.grad(one.square().sum(), list(policy.parameters())) for one in (some, whole)]
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(*gradients, strict=True))


def test_training_decides_as_inference_does(policy, batch):
    """At every prefix, every kind of positions, the logits are inference's to 1e-5."""
    trained = window_logits(policy, batch)
    for step in range(STEPS):
        tokens = [
            policy.stamp(
                policy.embed_transition(
                    batch.observations[:, t], batch.actions[:, t], batch.rewards[:, t], batch.next_observations[:, t]
                ),
                batch.first + t,
            )
            for t in range(step)
        ]
        tokens.append(policy.stamp(policy.embed_query(batch.observations[:, step]), batch.first + step))
        assert (policy(torch.cat(tokens, dim=1)) - trained[:, step]).abs().max() < 1e-5


def test_no_decision_sees_its_own_transition(policy, batch):
    """Changing what happened at a step leaves the decisions up to it as they were, and changes later ones."""
    before = window_logits(policy, batch)
    batch.rewards[:, 6] += 1
    after = window_logits(policy, batch)
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7:], after[:, 7:])


def test_merged_attention_has_the_gradients_of_the_masked_one(policy, batch, monkeypatch):
    """Every parameter's gradient agrees to 1e-5 of its largest entry."""
    gradients = []
    for _ in range(2):
        policy.zero_grad()
        window_logits(policy, batch).square().sum().backward()
        gradients.append([p.grad.clone() for p in policy.parameters()])
        monkeypatch.setattr(forward, "_before_and_self", masked_attention)
    for merged, masked in zip(*gradients, strict=True):
        assert (merged - masked).abs().max() <= 1e-5 * masked.abs().max()
