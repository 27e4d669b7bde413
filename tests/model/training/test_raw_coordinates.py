"""The reference layout's training: its query table tells cells apart by their coordinates alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnscope_model.reference import ReferenceConfig, ReferencePolicy
from attnscope_model.training.raw_coordinates import additive
from attnscope_model.training.trainer import Recipe, Trainer, initialise
from attnscope_model.training.windows import HistoryArrays

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


def test_additive_keeps_what_adds_up_and_drops_what_does_not():
    """A sum of rows and columns is left as it is; an exclusive-or has no such part."""
    rows, columns = torch.randn(4, 1, 3), torch.randn(1, 4, 3)
    assert torch.allclose(additive(rows + columns), rows + columns, atol=1e-6)
    either = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])[..., None]
    assert additive(either).abs().max() == 0
