"""Tables that are tied in training: the reference's query by coordinates, positions by episode and step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnscope_model.families.ad import ADConfig, ADPolicy
from attnscope_model.families.reference import ReferenceConfig, ReferencePolicy
from attnscope_model.training.tied import additive
from attnscope_model.training.trainer import Recipe, Trainer, initialise
from attnscope_model.training.windows import HistoryArrays, Windows

SIZE = 5


@pytest.fixture
def policy() -> ReferencePolicy:
    """Return a tiny policy, initialised."""
    policy = ReferencePolicy(ReferenceConfig(16, 1, 2, 8, 32, SIZE, 5, causal=True))
    initialise(policy, seed=1)
    return policy


def table(policy) -> torch.Tensor:
    """Return the query's embeddings by row and column."""
    return policy.embed_query_state.weight.detach().view(SIZE, SIZE, -1)


def test_the_query_begins_as_the_map_that_transitions_have(policy):
    """Two cells' queries differ by what the same two cells' transitions differ by."""
    cells = torch.tensor([[0, 4], [3, 1]])
    nothing = torch.zeros(2, dtype=torch.int64)
    same = torch.zeros(2, 2, dtype=torch.int64)
    tokens = policy.embed_transition(cells, nothing, nothing.float(), same)
    queries = policy.embed_query(cells)
    assert torch.allclose(tokens[0] - tokens[1], queries[0] - queries[1], atol=1e-5)


def test_the_table_stays_a_row_plus_a_column_while_it_is_trained(policy):
    """After training steps it has moved, and is still the sum of a row's and a column's part."""
    rng = np.random.default_rng(0)
    cells = rng.integers(0, SIZE, (4, 9, 2))
    histories = HistoryArrays(cells[:, :-1], rng.integers(0, 5, (4, 8)), np.zeros((4, 8)), cells[:, 1:])
    before = table(policy).clone()
    trainer = Trainer(policy, histories, Recipe(steps=3, batch=4, warmup=1, learning_rate=1e-2))
    for _ in range(3):
        trainer.advance()
    after = table(policy)
    assert (after - before).abs().max() > 1e-3
    mixed = after[1:, 1:] - after[1:, :-1] - after[:-1, 1:] + after[:-1, :-1]
    assert mixed.abs().max() < 1e-5


def test_positions_stay_an_episode_plus_a_step_while_they_are_trained():
    """They begin so, move, and are still such a sum; the windows begin with episodes."""
    policy = ADPolicy(ADConfig((SIZE, SIZE), 5, 8, "learned-absolute", width=16, layers=1, heads=2, feedforward=32))
    recipe = Recipe(steps=3, batch=4, warmup=1, learning_rate=1e-2, episode_steps=4)
    initialise(policy, seed=1, episode_steps=4)
    positions = policy.position
    assert positions is not None
    before = positions.detach().clone()
    rng = np.random.default_rng(0)
    cells = rng.integers(0, SIZE, (4, 17, 2))
    cells[:, :, 0] = np.arange(17) % 4
    histories = HistoryArrays(cells[:, :-1], rng.integers(0, 5, (4, 16)), np.zeros((4, 16)), cells[:, 1:])
    trainer = Trainer(policy, histories, recipe)
    drawn = Windows(histories, 0, 4).draw(0, length=8, batch=64)
    assert torch.equal(drawn.observations[:, :, 0], (torch.arange(8) % 4).expand(64, 8))
    for _ in range(3):
        trainer.advance()
    for table in (before, positions.detach()):
        by_episode = table.view(2, 4, -1)
        assert torch.allclose(by_episode[1] - by_episode[0], (by_episode[1] - by_episode[0])[:1], atol=1e-5)
    assert (positions - before).abs().max() > 1e-3


def test_additive_keeps_what_adds_up_and_drops_what_does_not():
    """A sum of rows and columns is left as it is; an exclusive-or has no such part."""
    rows, columns = torch.randn(4, 1, 3), torch.randn(1, 4, 3)
    assert torch.allclose(additive(rows + columns), rows + columns, atol=1e-6)
    either = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])[..., None]
    assert additive(either).abs().max() == 0
