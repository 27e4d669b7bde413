"""Training a policy that packs its history: its decisions against those it takes, its gradients, its bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnscope_model.acting.packing import PackingDecider
from attnscope_model.families.compressing import CadPolicy
from attnscope_model.families.packing import PackingConfig
from attnscope_model.training.packed import packed_logits
from attnscope_model.training.trainer import PackingWindows, Recipe, Trainer, initialise
from attnscope_model.training.windows import Batch, HistoryArrays

CONTEXT, LATENTS, STEPS, WINDOWS = 8, 3, 24, 2
CONFIG = PackingConfig(16, 2, 2, CONTEXT, 32, 5, 5, LATENTS, 2, 2, 32, CONTEXT - 1)


def policy() -> CadPolicy:
    """Return a small policy with drawn weights, the kind of its latents among them."""
    made = CadPolicy(CONFIG)
    initialise(made, seed=3)
    return made


@pytest.fixture(scope="module")
def batch() -> Batch:
    """Return random windows of three contexts."""
    rng = torch.Generator().manual_seed(0)
    cells = torch.randint(0, 5, (2, WINDOWS, STEPS, 2), generator=rng)
    actions = torch.randint(0, 5, (WINDOWS, STEPS), generator=rng)
    return Batch(cells[0], actions, torch.randint(0, 2, (WINDOWS, STEPS), generator=rng).float(), cells[1])


def test_training_decides_as_the_policy_does_past_several_compressions(batch):
    """At every step the logits are those of the packing decider, to 1e-5; the query after a compression is alone."""
    made = policy()
    trained = packed_logits(made, batch, range(STEPS)).detach()
    decider = PackingDecider(made, WINDOWS, torch.device("cpu"))
    generations, alone = set(), 0
    with torch.no_grad():
        for step in range(STEPS):
            arrays = (batch.observations[:, step], batch.actions[:, step], batch.rewards[:, step])
            alone += decider.window.length == 1
            decided = decider.decide(arrays[0].numpy())
            assert (decided.logits - trained[:, step]).abs().max() < 1e-5
            decider.append(*(one.numpy() for one in arrays), batch.next_observations[:, step].numpy())
            generations.add(decider.window.generation)
    assert max(generations) >= 3
    assert alone >= 3


def test_some_decisions_are_those_of_all(batch):
    """Steps that are left out change nothing of the others."""
    made = policy()
    every = packed_logits(made, batch, range(STEPS))
    some = packed_logits(made, batch, (2, 9, 17))
    assert (every[:, [2, 9, 17]] - some).abs().max() < 1e-5


def test_gradients_reach_the_compressor_and_what_it_packed(batch):
    """The loss of a late decision moves every weight, the compressor's queries and positions among them."""
    made = policy()
    packed_logits(made, batch, (3, 19, 20)).square().sum().backward()
    still = {name for name, weights in made.named_parameters() if weights.grad is None or not weights.grad.any()}
    assert still == set()


def trainer() -> Trainer:
    """Return a trainer on random histories."""
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 5, (4, STEPS + 1, 2))
    histories = HistoryArrays(cells[:, :-1], rng.integers(0, 5, (4, STEPS)), np.zeros((4, STEPS)), cells[:, 1:])
    recipe = Recipe(steps=8, batch=2, warmup=1)
    return Trainer(policy(), histories, recipe, packing=PackingWindows(STEPS, 4))


def test_an_interruption_changes_no_bit():
    """A trainer that goes on from another's state ends with the same weights, and the query's table stays tied."""
    whole, first, second = trainer(), trainer(), trainer()
    for _ in range(4):
        whole.advance()
    for _ in range(2):
        first.advance()
    second.restore(first.state())
    for _ in range(2):
        second.advance()
    pairs = zip(whole.policy.parameters(), second.policy.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    table = whole.policy.embed_query_state.weight.detach().view(5, 5, -1)
    assert (table[1:, 1:] - table[1:, :-1] - table[:-1, 1:] + table[:-1, :-1]).abs().max() < 1e-5


def test_windows_are_those_of_the_kind_of_policy():
    """A policy that packs wants its windows, and another policy has none."""
    with pytest.raises(ValueError, match="packs its history"):
        Trainer(policy(), trainer()._windows._histories, Recipe(steps=1))
