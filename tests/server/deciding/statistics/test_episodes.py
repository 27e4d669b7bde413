"""Binding episodes and returns over them."""

import numpy as np
import pytest

from attnscope_server.deciding.statistics.episodes import first_binding_episode, held_share, mean_return


def test_a_budget_binds_once_every_rollout_holds_more():
    """The first binding episode is the one from which on no captured rollout fits into the budget."""
    tokens = np.array([[0, 20, 40, 60], [0, 30, 60, 90]])
    assert first_binding_episode(tokens, 25) == 2
    assert first_binding_episode(tokens, 10) == 1
    assert first_binding_episode(tokens, 60) is None


def test_only_binding_episodes_are_averaged():
    """Earlier episodes are left out, unfinished ones count for nothing, and a rollout without any is refused."""
    episodes = np.array([[[9.0, 1.0, 3.0], [9.0, 5.0, np.nan]]])
    assert mean_return(episodes, 1).tolist() == [[2.0, 5.0]]
    assert mean_return(episodes).tolist() == [[13 / 3, 7.0]]
    with pytest.raises(ValueError, match="no finished episode from index 2"):
        mean_return(episodes, 2)
    with pytest.raises(ValueError, match="no finished episode from index 3"):
        mean_return(episodes, 3)


def test_a_count_saves_less_over_a_whole_rollout_than_of_a_full_context():
    """Half of a full context is three quarters of the tokens where the rollout ends as the context fills."""
    assert held_share(2, 4, 5) == pytest.approx((0 + 1 + 2 + 2 + 2) / (0 + 1 + 2 + 3 + 4))
    assert held_share(174, 349, 350) == pytest.approx(0.75, abs=0.005)
    assert held_share(174, 349, 35_000) == pytest.approx(174 / 349, abs=0.01)
    assert held_share(349, 349, 350) == 1.0
