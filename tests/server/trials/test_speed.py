"""The timed decisions of a trial: their contexts, and the decisions beside them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnscope_model.compression import Compression
from attnscope_model.strategies import strategy
from attnscope_server.capturing.rollout import RolloutStoppedError
from attnscope_server.trials import speed
from attnscope_server.trials.acting import Recorded
from attnscope_server.trials.speed import SpeedMeter
from attnscope_storage.wire.specifications.trials import SpeedChoice

CHOICE = SpeedChoice(envs=(1, 5), decisions=4, rounds=2)


@pytest.fixture
def recorded():
    """Return two rollouts of thirty random steps."""
    random = np.random.default_rng(0)
    found = Recorded()
    for _ in range(30):
        found.observation.append(random.integers(0, 9, (2, 2)))
        found.action.append(random.integers(0, 5, 2))
        found.reward.append(np.zeros(2, np.float32))
        found.reached.append(random.integers(0, 9, (2, 2)))
        found.ended.append(np.zeros(2, bool))
    return found


@pytest.fixture
def counted(monkeypatch, policy):
    """Let the clock be the number of tokens that the policy was given; return a meter's maker."""
    clock = [0.0]
    forward = type(policy).forward

    def counting(self, tokens):
        clock[0] += tokens.shape[0] * tokens.shape[1]
        return forward(self, tokens)

    monkeypatch.setattr(type(policy), "forward", counting)
    monkeypatch.setattr(speed.time, "perf_counter", lambda: clock[0])

    def measure(recorded, setups, stopped=lambda: None):
        with torch.inference_mode():
            return SpeedMeter(policy, torch.device("cpu"), recorded, CHOICE, stopped).measure(setups)

    return measure


def test_every_phase_level_and_arm_is_timed(counted, recorded):
    """In tokens: from the half and from the full window of 39, at 1 and 5 environments, both arms, both rounds."""
    found = counted(recorded, [None, Compression(strategy("recency"), 10)])
    growing, full = np.mean([20, 21, 22, 23]), 40
    for envs, level in ((1, 0), (5, 1)):
        for result in found:
            assert result.seconds[:, level, 0].tolist() == [[growing * envs] * 2, [full * envs] * 2]
        assert found[1].seconds[:, level, 1].tolist() == [[11 * envs] * 2] * 2
        assert found[0].seconds[1, level, 1].tolist() == [full * envs] * 2
    assert found[1].p50[1].tolist() == [[40, 11], [200, 55]]
    assert found[1].p95[0, 0, 0] == pytest.approx(np.quantile([20, 21, 22, 23] * 2, 0.95))


def test_a_strategys_look_at_the_whole_window_is_timed(counted, recorded):
    """An oracle of the full window costs the window and its own context."""
    (found,) = counted(recorded, [Compression(strategy("tova"), 10)])
    assert found.seconds[1, 0].tolist() == [[40, 40], [51, 51]]


def test_leaving_out_is_not_timed(counted, recorded):
    """A rule that takes a forward an entry before each decision has no speed, and holds up nobody else's."""
    bound = strategy("anchored", inner=strategy("leave-one-out"))
    found = counted(recorded, [Compression(bound, 10), Compression(strategy("recency"), 10)])
    assert np.isnan(found[0].seconds).all()
    assert np.isnan(found[0].p95).all()
    assert found[0].seconds.shape == found[1].seconds.shape
    assert found[1].seconds[1, 0].tolist() == [[40, 40], [11, 11]]
    (alone,) = counted(recorded, [Compression(bound, 10)])
    assert np.isnan(alone.seconds).all()


def test_a_cycle_is_timed_all_along(counted, recorded):
    """A stateful context that is cut when full is timed over its whole cycle, of 10 to 39 transitions."""
    (found,) = counted(recorded, [Compression(strategy("recency"), 10, interval="full", memory="stateful")])
    assert found.seconds[1, 0, 1].mean() == pytest.approx((11 + 40) / 2, abs=4)


def test_an_interval_is_timed_from_its_last_selection_on(counted, recorded):
    """Recency 10 every 20 steps: the context grows from 10 by one a decision, as in a rollout, past step 39."""
    (found,) = counted(recorded, [Compression(strategy("recency"), 10, interval=20)])
    # The whole cycle: step 39 is 19 after a selection, steps 40 to 58 are 0 to 18 after the next.
    assert found.seconds[1, 0, 1].tolist() == pytest.approx([(30 + sum(range(11, 30))) / 20] * 2)


def test_timing_stops_when_told(counted, recorded):
    """Between two arms, and while their histories are given."""
    asked = iter(range(100))

    def stop():
        if next(asked) > 60:
            raise RolloutStoppedError("stopped")

    with pytest.raises(RolloutStoppedError):
        counted(recorded, [Compression(strategy("recency"), 10)], stop)


def test_speeds_stand_beside_the_other_results(runner, ran):
    """Every condition's results hold them, the uncompressed rollout's too, where they are asked for."""
    results = ran(
        runner(
            ("recency", 8, {}),
            speed={"envs": (1, 2), "decisions": 2, "rounds": 2},
            episodes=1,
            divergence_steps=(3,),
            kept_steps=(),
        )
    )
    for result in results:
        assert result.seconds.shape == (2, 2, 2, 2)
        assert result.p50.shape == result.p95.shape == (2, 2, 2)
        assert (result.seconds > 0).all()
        assert result.kept_first is None
