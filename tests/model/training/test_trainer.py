"""The optimiser's loop: what it learns, and that an interruption changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from attnscope_model.families.ad import ADConfig, ADPolicy
from attnscope_model.training.loss import imitation_loss, just_discovered, window_logits
from attnscope_model.training.trainer import Recipe, Trainer, initialise
from attnscope_model.training.windows import Batch, HistoryArrays, Windows

RECIPE = Recipe(steps=60, batch=8, learning_rate=5e-3, warmup=5)


@pytest.fixture
def histories() -> HistoryArrays:
    """Return four histories of a line of 6 cells whose action is the parity of the previous action plus the cell's."""
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 6, (4, 25, 1))
    actions = np.zeros((4, 25), np.uint8)
    for step in range(25):
        actions[:, step] = (actions[:, step - 1] * (step > 0) + cells[:, step, 0]) % 2
    return HistoryArrays(cells[:, :-1], actions[:, :-1], np.zeros((4, 24), np.float16), cells[:, 1:])


def trainer(histories, recipe=RECIPE) -> Trainer:
    """Return a trainer of a tiny policy."""
    policy = ADPolicy(ADConfig((6,), 2, 12, "rotary", width=16, layers=2, heads=2, feedforward=32))
    initialise(policy, recipe.seed)
    return Trainer(policy, histories, recipe)


def weights(trained: Trainer) -> torch.Tensor:
    """Return all weights as one vector."""
    return torch.cat([p.detach().flatten() for p in trained.policy.parameters()])


def test_a_tiny_policy_learns_a_tiny_history(histories):
    """The loss falls far below that of guessing, ln 2."""
    trained = trainer(histories, replace(RECIPE, steps=300))
    losses = [trained.advance() for _ in range(300)]
    assert losses[0] > 0.5
    assert np.mean(losses[-20:]) < 0.1


def test_what_was_meant_is_the_target_where_it_was_kept(histories):
    """The loss is that of the intended actions, while the context holds the taken ones."""
    meant = replace(histories, intended=1 - histories.actions)
    batch, other = (Windows(arrays, 0).draw(3, length=12, batch=4) for arrays in (histories, meant))
    assert torch.equal(batch.actions, other.actions)
    policy = trainer(histories).policy
    logits = window_logits(policy, batch).flatten(0, 1)
    expected = torch.nn.functional.cross_entropy(logits, 1 - batch.actions.flatten())
    assert torch.allclose(imitation_loss(policy, other), expected)


def test_only_the_decisions_of_learned_lengths_are_learned(histories):
    """The loss falls at those context lengths, and hardly at a length between them whose position nothing trained."""
    policy = ADPolicy(ADConfig((6,), 2, 12, width=16, layers=2, heads=2, feedforward=32))
    initialise(policy, 0)
    trained = Trainer(policy, histories, replace(RECIPE, steps=300, lengths=(6, 12)))
    for _ in range(300):
        trained.advance()
    batch = Windows(histories, 0).draw(999, length=12, batch=64)
    with torch.no_grad():
        losses = {length: float(imitation_loss(policy, batch, [length])) for length in (6, 9, 12)}
    assert max(losses[6], losses[12]) < 0.25 < losses[9]


def test_short_windows_have_the_losses_that_fit_in_them():
    """Lengths beyond a window's wait for longer windows."""
    recipe = replace(RECIPE, lengths=(4, 8, 12))
    assert recipe.learned(8) == (4, 8)
    assert RECIPE.learned(8) is None


@pytest.mark.parametrize("bfloat16", [True, False])
def test_an_interrupted_training_ends_with_the_same_bits(histories, bfloat16, tmp_path):
    """State saved at step 7, restored in a new trainer, gives the uninterrupted run's weights."""
    recipe = replace(RECIPE, bfloat16=bfloat16, short_length=4)
    whole = trainer(histories, recipe)
    for _ in range(40):
        whole.advance()
    first = trainer(histories, recipe)
    for _ in range(7):
        first.advance()
    torch.save(first.state(), tmp_path / "state.pt")
    second = trainer(histories, replace(recipe))
    second.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    while second.step < 40:
        second.advance()
    assert torch.equal(weights(second), weights(whole))


def test_seeds_decide(histories):
    """Equal seeds give equal runs, other seeds others."""
    runs = [trainer(histories, replace(RECIPE, seed=seed)) for seed in (0, 0, 1)]
    for run in runs:
        for _ in range(3):
            run.advance()
    assert torch.equal(weights(runs[0]), weights(runs[1]))
    assert not torch.equal(weights(runs[0]), weights(runs[2]))


def test_half_of_the_windows_begin_their_history(histories):
    """Windows are consecutive steps, about half of them a history's first ones, and the same when drawn again."""
    windows = Windows(histories, seed=0)
    drawn = windows.draw(3, length=10, batch=400)
    again = windows.draw(3, length=10, batch=400)
    assert torch.equal(drawn.observations, again.observations)
    starts = histories.observations[:, :10, 0]
    beginning = (drawn.observations[:, None, :, 0].numpy() == starts).all(axis=2).any(axis=1)
    assert 0.45 < beginning.mean() < 0.65
    assert torch.equal(drawn.observations[:, 1:], drawn.next_observations[:, :-1])


def test_windows_know_when_they_begin(histories):
    """The transition index of each window's first step finds the window in its history again."""
    drawn = Windows(histories, seed=0).draw(3, length=10, batch=50)
    starts = np.array([[history[at : at + 10, 0] for history in histories.observations] for at in range(15)])
    for window, first in zip(drawn.observations[:, :, 0].numpy(), drawn.first.tolist(), strict=True):
        assert (starts[first] == window).all(axis=1).any()
    assert torch.equal(drawn.numbers[:, 9], drawn.first + 9)
    assert len(set(drawn.first.tolist())) > 5


def test_discoveries_weigh_more():
    """Decisions after one to five rewards of their window have the weight, and those before and after them 1."""
    rng = torch.Generator().manual_seed(0)
    cells = torch.randint(0, 6, (2, 1, 12, 1), generator=rng)
    rewards = torch.tensor([[0, 0, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0]]).float()
    batch = Batch(cells[0], torch.randint(0, 2, (1, 12), generator=rng), rewards, cells[1])
    found = just_discovered(batch)
    assert found[0].nonzero()[:, 0].tolist() == [3, 4, 5, 6, 7, 8]
    policy = ADPolicy(ADConfig((6,), 2, 12, width=16, layers=2, heads=2, feedforward=32))
    initialise(policy, 0)
    losses = torch.nn.functional.cross_entropy(window_logits(policy, batch)[0], batch.actions[0], reduction="none")
    expected = torch.cat([losses[found[0]] * 20, losses[~found[0]]]).sum() / (6 * 20 + 6)
    assert torch.allclose(imitation_loss(policy, batch, discovery_weight=20.0), expected)
    assert torch.allclose(imitation_loss(policy, batch), losses.mean())


def test_windows_longer_than_the_histories_are_refused(histories):
    """Rather than padded with steps that never happened."""
    with pytest.raises(ValueError, match="24 steps"):
        Windows(histories, seed=0).draw(0, length=25, batch=1)


def test_the_rate_rises_and_falls():
    """Warm-up from near 0, the peak after it, a hundredth of the peak at the end."""
    assert RECIPE.rate(0) == pytest.approx(RECIPE.learning_rate / 5)
    assert RECIPE.rate(5) == pytest.approx(RECIPE.learning_rate)
    assert RECIPE.rate(60) == pytest.approx(RECIPE.learning_rate / 100)


def test_short_windows_come_first_and_more_of_them():
    """A step sees about as many transitions whatever its windows' length."""
    recipe = replace(RECIPE, short_length=20)
    assert recipe.windows(0, 60) == (20, 24)
    assert recipe.windows(59, 60) == (60, 8)
