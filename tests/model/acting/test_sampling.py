"""Random numbers by key and counter, and the actions they choose."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnscope_model.acting.sampling import choose_actions, cumulative, uniforms

WORD = 2**64


def philox(counter, key, rounds=10):
    """Return Philox4x64-10 of a counter and a key, written out from its definition (Salmon et al., 2011)."""
    c, k = list(counter), list(key)
    for _ in range(rounds):
        high0, low0 = divmod(0xD2E7470EE14C6C93 * c[0], WORD)
        high1, low1 = divmod(0xCA5A826395121157 * c[2], WORD)
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
        k = [(k[0] + 0x9E3779B97F4A7C15) % WORD, (k[1] + 0xBB67AE8584CAA73B) % WORD]
    return c


def one(seed, task, replica, start, count, stream=0):
    """Return the numbers of one environment."""
    return uniforms(np.array([seed]), np.array([task]), np.array([replica]), start, count, stream)[:, 0]


def test_the_written_out_generator_gives_the_published_vectors():
    """Random123's known answers for zero and for all ones."""
    assert philox([0] * 4, [0] * 2)[0] == 0x16554D9ECA36314C
    assert philox([WORD - 1] * 4, [WORD - 1] * 2)[0] == 0x87B092C3013FE90B


@pytest.mark.parametrize(
    ("seed", "task", "replica", "stream"), [(0, 0, 0, 0), (2**63 - 1, 80, 3, 1), (7, 2**31 - 1, 99_999, 0)]
)
def test_numbers_are_philox_of_key_and_counter(seed, task, replica, stream):
    """Key (seed, task and replica), counter (step, stream): the first word's upper 53 bits, whatever the step."""
    for step in (0, 1, 12_345, 2**31):
        expected = philox([step + 1, stream, 0, 0], [seed, (task << 32) | replica])[0] >> 11
        assert one(seed, task, replica, step, 1, stream)[0] == expected * 2.0**-53


def test_known_numbers():
    """The numbers of version 0.1.0: stored captures can be repeated only while they stay."""
    assert one(0, 49, 0, 0, 3).tolist() == [0.26154991606548805, 0.9884864295846711, 0.9321486369026122]


@settings(max_examples=30)
@given(start=st.integers(0, 2**40), cuts=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_blocks_and_single_steps_give_the_same_numbers(start, cuts):
    """However a rollout is cut into commits, step t's number is the same."""
    whole = one(3, 4, 5, start, sum(cuts))
    parts, at = [], start
    for count in cuts:
        parts.append(one(3, 4, 5, at, count))
        at += count
    assert np.array_equal(whole, np.concatenate(parts))


def test_numbers_do_not_depend_on_the_place_in_a_batch():
    """Shuffling or leaving out environments moves columns and changes none."""
    seeds, tasks, replicas = np.array([0, 0, 1, 1]), np.array([5, 6, 5, 6]), np.array([0, 1, 0, 1])
    together = uniforms(seeds, tasks, replicas, 10, 20, 0)
    order = np.array([2, 0])
    assert np.array_equal(uniforms(seeds[order], tasks[order], replicas[order], 10, 20, 0), together[:, order])


def test_each_part_of_the_key_and_the_counter_matters():
    """Another seed, task, replica, stream or step gives other numbers; task and replica are not interchangeable."""
    base = (1, 2, 3, 4, 5, 0)
    others = [
        (9, 2, 3, 4, 5, 0),
        (1, 9, 3, 4, 5, 0),
        (1, 2, 9, 4, 5, 0),
        (1, 3, 2, 4, 5, 0),
        (1, 2, 3, 99, 5, 0),
        (1, 2, 3, 4, 5, 1),
    ]
    assert all(not np.isin(one(*other), one(*base)).any() for other in others)


def test_numbers_are_uniform():
    """Over many environments and steps the deciles fill alike; bounds are 6 standard deviations."""
    envs = np.arange(200)
    numbers = uniforms(envs, np.full(200, 7), np.zeros(200, int), 0, 500, 0)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = np.histogram(numbers, bins=10, range=(0, 1))[0]
    assert np.abs(counts - 10_000).max() < 6 * np.sqrt(100_000 * 0.1 * 0.9)


def test_actions_follow_the_distribution():
    """The share of each action is its probability at this temperature; bounds are 6 standard deviations."""
    logits = torch.tensor([0.3, -1.0, 2.0, 0.0, 1.0])
    numbers = one(0, 0, 0, 0, 20_000)
    for temperature in (0.5, 1.0, 3.0):
        actions = choose_actions(logits.expand(20_000, 5), numbers, temperature)
        expected = torch.softmax(logits.double() / temperature, -1).numpy()
        share = np.bincount(actions, minlength=5) / 20_000
        assert (np.abs(share - expected) < 6 * np.sqrt(expected * (1 - expected) / 20_000)).all()


def test_numbers_are_looked_up_between_the_edges():
    """An action is chosen from its lower edge on; 0 gives the first and almost 1 the last, and none beyond it."""
    logits = torch.zeros(1, 4)
    expected = {0.0: 0, 0.2499: 0, 0.25: 1, 0.5: 2, 0.75: 3, 1 - 2.0**-53: 3}
    for number, action in expected.items():
        assert choose_actions(logits, np.array([number]), 1.0).tolist() == [action]
    for scale in (1e-3, 30.0):
        extreme = scale * torch.randn(50, 5)
        assert choose_actions(extreme, np.full(50, 1 - 2.0**-53), 1.0).max() <= 4


def test_impossible_actions_are_never_chosen():
    """An action of probability 0 is not chosen, not even by the number 0."""
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]])
    for number, action in ((0.0, 1), (0.499, 1), (0.5, 3), (1 - 2.0**-53, 3)):
        assert choose_actions(logits, np.array([number]), 1.0).tolist() == [action]
    impossible_last = torch.cat([torch.randn(2000, 6), torch.full((2000, 1), -torch.inf)], dim=1)
    assert choose_actions(impossible_last, np.full(2000, 1 - 2.0**-53), 1.0).max() <= 5


def test_greedy_takes_the_first_best():
    """Without numbers the largest logit wins, the first where several are."""
    assert choose_actions(torch.tensor([[0.0, 2.0, 2.0], [1.0, 0.0, -1.0]]), None, 1.0).tolist() == [1, 0]


def test_each_action_has_its_share_of_the_numbers():
    """Four equal logits cut the numbers into quarters, and the last edge is exactly 1."""
    assert cumulative(torch.zeros(1, 4))[0].tolist() == [0.25, 0.5, 0.75, 1.0]
