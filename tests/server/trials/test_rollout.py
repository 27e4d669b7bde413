"""A trial's rollouts: pairing, what is counted, divergence, and going on where another left off."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope_server.capturing.rollout import NotReproducibleError, RolloutStoppedError

SEVERAL = [
    ("none", None, {}),
    ("recency", 8, {}),
    ("random", 0.4, {}),
    ("dedup", 8, {}),
    ("tova", 8, {"memory": "stateful"}),
    ("hierarchical", 8, {"positions": "keep", "interval": 3}),
    ("none", None, {"positions": "keep"}),
]


@pytest.fixture(scope="module")
def results(runner, ran):
    """Return the results of a trial of several conditions."""
    return ran(runner(*SEVERAL))


def test_keeping_everything_is_the_uncompressed_rollout(results):
    """`none` through the machinery gives condition 0 bit for bit, in every array, and diverges by exactly nothing."""
    for place in (1, 7):
        for name, values in results[0].arrays().items():
            assert np.array_equal(values, results[place].arrays()[name]), name
        assert not results[place].kl.any()
        assert not results[place].flip.any()
        assert not results[place].departure.any()


def test_returns_are_the_sums_of_their_episodes_rewards(results):
    """Five episodes of twenty steps each."""
    for result in results:
        sums = result.reward.reshape(2, 3, 5, 20).sum(axis=-1)
        assert np.array_equal(result.returns, sums)


def test_departures_are_of_the_distribution_that_acts(results):
    """The total variation of every compressed condition is at most the root of half its divergence (Pinsker)."""
    for result in results[2:7]:
        assert (result.departure > 0).any()
        assert (result.departure <= np.sqrt(result.kl / 2) + 1e-6).all()


def test_conditions_differ_only_by_what_they_see(results):
    """Until the budget binds, a condition acts as the uncompressed rollout: same seeds, same random numbers."""
    assert np.array_equal(results[2].action[..., :9], results[0].action[..., :9])
    assert not np.array_equal(results[2].action, results[0].action)
    assert results[2].kl[0].max() == pytest.approx(0, abs=1e-9)  # step 3: eight transitions are not there yet
    assert (results[2].kl[1:] > 0).any()


def test_a_condition_does_not_depend_on_its_neighbours(runner, ran, results):
    """Alone in its trial a condition acts as beside others, and diverges alike to 1e-6."""
    alone = ran(runner(SEVERAL[1]))[1]
    assert np.array_equal(alone.action, results[2].action)
    assert np.abs(alone.kl - results[2].kl).max() < 1e-6


def test_rollouts_of_a_task_differ_by_seed(results):
    """Seeds are replicas with random numbers of their own."""
    assert not np.array_equal(results[0].action[0], results[0].action[1])


def test_what_is_kept_is_counted(results):
    """Recency 8: min(step, 8) tokens; the context of 39; the operations of fewer tokens."""
    steps = np.arange(100).reshape(5, 20)
    assert results[2].kept[1, 2] == pytest.approx(np.minimum(steps, 8).mean(axis=1))
    assert results[2].held[0, 0] == pytest.approx(np.minimum(steps, 39).mean(axis=1))
    assert (results[2].flops[..., 1:] < results[0].flops[..., 1:] / 2).all()
    assert results[2].kept_last.shape == (3, 3, 39)
    assert results[2].kept_last[2, 0].tolist() == [*range(72, 80), *[-1] * 31]
    assert results[2].kept_first[0].max() == -1
    pooled = results[6]
    assert (pooled.kept_first[2] < pooled.kept_last[2]).any()


def test_an_oracle_pays_for_the_window_that_it_looks_at(runner, ran):
    """TOVA from the whole window computes that window beside its own context at every selection."""
    every, seldom = ran(runner(("tova", 8, {}), ("tova", 8, {"interval": 5})))[1:]
    plain = ran(runner(("recency", 8, {})))
    assert (every.flops[..., 2:] > plain[0].flops[..., 2:]).all()
    assert (seldom.flops[..., 2:] < plain[0].flops[..., 2:]).all()


def test_waves_are_runs_of_conditions_that_share_a_forward(runner):
    """In order; the uncompressed rollout and every unbounded condition alone."""
    assert runner(*SEVERAL).waves() == [(0,), (1,), (2, 3, 4), (5,), (6,), (7,)]
    many = runner(*[("recency", budget, {}) for budget in range(1, 41)]).waves()
    assert [len(wave) for wave in many] == [1, 32, 8]


def test_a_trial_goes_on_from_any_wave(runner, results, differing):
    """With condition 0's actions alone, every later wave gives the bits of an uninterrupted trial."""
    trial = runner(*SEVERAL)
    trial.restore(results[0].action, results[0].reward)
    for wave in trial.waves()[2:5]:
        for place, result in zip(wave, trial.run(wave), strict=True):
            assert differing(result, results[place]) == []


def test_other_rewards_are_refused_on_the_way_back(runner, results):
    """Stored rewards that the environment does not reproduce are not gone on from."""
    reward = results[0].reward.copy()
    reward[1, 2, 40] += 1
    with pytest.raises(NotReproducibleError, match="step 40"):
        runner(*SEVERAL).restore(results[0].action, reward)


def test_no_wave_runs_unpaired(runner):
    """Without condition 0 there is nothing to compare with."""
    with pytest.raises(ValueError, match="condition 0"):
        list(runner(*SEVERAL).run((2, 3, 4)))


@pytest.mark.parametrize("after", [0, 30, 150, 320])
def test_a_trial_that_is_told_to_stop_stops(runner, ran, after):
    """In the uncompressed rollout, in a wave, or while divergence is measured; and it told how far it was."""
    asked, told = iter(range(10**6)), []
    trial = runner(*SEVERAL, stopped=lambda: next(asked) >= after, on_progress=lambda _phase, steps: told.append(steps))
    with pytest.raises(RolloutStoppedError):
        ran(trial)
    assert len(told) <= after


def test_greedy_actions_are_the_most_likely(runner, ran):
    """A greedy trial draws nothing: other seeds give the same rollouts where the environment is deterministic."""
    one, other = ran(runner(sampling="greedy"))[0].action
    assert np.array_equal(one, other)
