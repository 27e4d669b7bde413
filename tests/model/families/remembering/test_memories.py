"""Memories of layers' inputs and rolling keys and values, step by step, against their own libraries' rollouts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnscope_model.acting.remembering import RememberingDecider, deciding
from attnscope_model.errors import CaptureInvalidError, NotReplayableError

CPU = torch.device("cpu")
TRXL_MEASURED, AMAGO_MEASURED = 1.1e-5, 5.0e-6
"""Largest distance of independent forwards in double precision from the libraries'; ten times that is allowed."""


def near(now, then, measured):
    """Return whether arrays agree within ten times what was measured."""
    return np.abs(np.asarray(now) - np.asarray(then)).max() < 10 * measured


def expected_row(golden, step, window):
    """Return a golden row over past steps and the query, which is no key: nothing is past at a first step."""
    past = min(step, window - 1)
    row = np.zeros((*golden["rows"].shape[1:3], past + 1), np.float32)
    seen = golden["rows"][step][..., golden["memory_mask"][step]]
    row[..., :past] = seen
    if step == 0:
        assert np.allclose(golden["rows"][0], 1 / window)
        row[..., 0] = 1
    return row


def test_a_transformer_xl_decides_as_its_library_does(trxl_of, trxl_golden):
    """Logits, decision rows and what each step leaves in memory, past the window's length."""
    policy = trxl_of(int(trxl_golden["max_episode_steps"]))
    memory = policy.memory(1, CPU)
    for step, observation in enumerate(trxl_golden["observation"]):
        recalled = memory.decide(torch.from_numpy(observation[None]))
        assert near(recalled.logits[0], trxl_golden["logits_0"][step], TRXL_MEASURED)
        expected = expected_row(trxl_golden, step, 12)
        assert near(recalled.rows[0, ..., : expected.shape[-1]], expected, TRXL_MEASURED)
        assert not recalled.rows[0, ..., expected.shape[-1] :].any()
        assert near(memory._left[0], trxl_golden["memory"][step], TRXL_MEASURED)
        memory.append(torch.zeros(1, dtype=torch.int64), torch.zeros(1), torch.zeros(1, dtype=torch.bool))
    assert recalled.rows.shape == (1, 3, 4, 12)


def test_episodes_of_unequal_length_share_a_batch(trxl_of, trxl_golden):
    """The four golden episodes at once: each forgets at its own end, and every decision is that of its own rollout."""
    golden = trxl_golden
    policy = trxl_of(int(golden["pom_max_episode_steps"]))
    episodes = [np.flatnonzero(golden["pom_episode"] == number) for number in range(4)]
    decider = deciding(policy, 4, CPU)
    assert isinstance(decider, RememberingDecider)
    lengths = set()
    for step in range(40):
        places = np.array([steps[step % len(steps)] for steps in episodes])
        decision = decider.decide(golden["pom_observation"][places], rows=True)
        assert near(decision.logits, golden["pom_logits"][places], TRXL_MEASURED)
        assert np.array_equal(decision.logits.argmax(-1), golden["pom_action"][places])
        within = np.array([step % len(steps) for steps in episodes])
        assert np.array_equal(decider.window.length, np.minimum(within, 11) + 1)
        assert np.array_equal(decider.window.start, step - np.minimum(within, 11))
        longest = decision.rows.shape[-1]
        assert longest == decider.window.length.max()
        if decision.lengths is not None:
            assert np.array_equal(decision.lengths, decider.window.length)
            beyond = torch.from_numpy(np.arange(longest) >= decision.lengths[:, None])
            assert not decision.rows[beyond[:, None, None].expand_as(decision.rows)].any()
        lengths.add(decision.lengths is None)
        ended = within == np.array([len(steps) for steps in episodes]) - 1
        nothing = golden["pom_observation"][places]
        decider.append(nothing, golden["pom_action"][places], golden["pom_reward"][places], nothing, ended)
    assert lengths == {True, False}


def test_amago_decides_as_its_library_does(amago, amago_golden):
    """Two meta-episodes past the window's length: state, the acting discount's output, actions and rows."""
    golden, memory = amago_golden, amago.memory(1, CPU)
    for step, observation in enumerate(golden["observation"]):
        seen = torch.from_numpy(observation[None])
        assert int(memory.at[0]) == golden["time_idx"][step]
        assert near(memory._told[0], golden["rl2"][step], 1e-7)
        state, rows, _ = amago.encoded(seen, memory._told, memory._past, memory.at)
        assert near(state[0], golden["state"][step], AMAGO_MEASURED)
        tokens = int(golden["tokens"][step])
        assert int(memory.held()[0]) + 1 == tokens
        assert near(rows[0, ..., :tokens], golden["rows"][step][..., :tokens], AMAGO_MEASURED)
        recalled = memory.decide(seen)
        raw = golden["params"][step, -1].astype(np.float64)
        chances = np.clip(np.exp(raw) / np.exp(raw).sum(), 0.001, 0.99)
        assert near(torch.softmax(recalled.logits[0], dim=-1), chances / chances.sum(), AMAGO_MEASURED)
        assert int(recalled.logits.argmax()) == golden["action"][step]
        action, reward = (torch.from_numpy(golden[name][step : step + 1]) for name in ("action", "reward"))
        memory.append(action, reward, torch.from_numpy(golden["done"][step : step + 1]))
    assert golden["done"].sum() == 2


def test_observations_of_another_size_are_refused(trxl_of, amago):
    """An environment that an operator lists may give anything; the job ends with that reason."""
    for policy, reason in ((trxl_of(9), "of 3 numbers.*gives 2 whole"), (amago, "of 4 numbers.*gives 2 whole")):
        with pytest.raises(CaptureInvalidError, match=reason):
            deciding(policy, 1, CPU).decide(np.zeros((1, 2), np.int64))


def test_a_memory_says_what_it_cannot(trxl_of, trxl_golden):
    """No whole map, no tokens of the past, no step beyond the positions, no end that nobody tells."""
    policy = trxl_of(2)
    decider = deciding(policy, 1, CPU)
    seen = trxl_golden["observation"][:1]
    with pytest.raises(CaptureInvalidError, match="no whole maps"):
        decider.decide(seen, maps=True)
    with pytest.raises(NotReplayableError, match="step it from an episode's beginning"):
        policy.embed_query(torch.from_numpy(seen))
    with pytest.raises(ValueError, match="where an episode ended"):
        decider.append(seen, np.zeros(1, np.int64), np.zeros(1), seen)
    for _ in range(2):
        decider.decide(seen)
        decider.append(seen, np.zeros(1, np.int64), np.zeros(1), seen, np.zeros(1, bool))
    with pytest.raises(CaptureInvalidError, match="more than the 2 steps that the policy has positions for"):
        decider.decide(seen)
