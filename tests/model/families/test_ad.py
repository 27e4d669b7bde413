"""The native AD policy: one function whether computed whole, from a cache, or with a loss at every step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from attnscope_model.acting.deciding import Decider
from attnscope_model.acting.tape import AttentionTape
from attnscope_model.checkpoints.native import build_policy
from attnscope_model.families.ad import ADConfig, ADLayer, ADPolicy, rotary_angles, stored_config
from attnscope_model.training.trainer import initialise

POSITIONS = ("learned-absolute", "rotary", "alibi", "relative")


@pytest.fixture(params=POSITIONS)
def policy(request) -> ADPolicy:
    """Return a small random policy of each kind of positions."""
    policy = ADPolicy(ADConfig((5, 7), 4, 12, request.param, width=16, layers=3, heads=2, feedforward=32))
    initialise(policy, seed=1)
    if request.param == "relative":
        nn.init.normal_(policy.get_parameter("distances.table"), generator=torch.Generator().manual_seed(4))
    return policy.eval()


def transitions(rng, envs, steps):
    """Return random (s, a, r, s') of a 5×7 room with fractional rewards."""
    cells = rng.integers(0, (5, 7), (2, steps, envs, 2))
    return cells[0], rng.integers(0, 4, (steps, envs)), rng.random((steps, envs)), cells[1]


def test_a_growing_cache_and_the_whole_forward_agree(policy):
    """Logits from cached keys equal those of the recomputed context to 1e-5, and the sliding window goes on."""
    rng = np.random.default_rng(0)
    states, actions, rewards, following = transitions(rng, 3, 20)
    decider = Decider(policy, 3, torch.device("cpu"))
    for step in range(20):
        decided = decider.decide(states[step]).logits
        whole = policy(decider.window.tokens(states[step]))
        assert (decided - whole).abs().max() < 1e-5
        decider.append(states[step], actions[step], rewards[step], following[step])


def test_tokens_are_sums_over_factors(policy):
    """Two cells of one row differ by their columns' tables alone, and the reward adds its multiple of one vector."""
    action = torch.tensor([1])
    first, second = torch.tensor([[2, 3]]), torch.tensor([[2, 6]])
    difference = policy.embed_query(second) - policy.embed_query(first)
    expected = policy.get_parameter("query_state.1.weight")[6] - policy.get_parameter("query_state.1.weight")[3]
    torch.testing.assert_close(difference[0, 0], expected)
    paid = policy.embed_transition(first, action, torch.tensor([0.5]), second)
    unpaid = policy.embed_transition(first, action, torch.tensor([0.0]), second)
    torch.testing.assert_close((paid - unpaid)[0, 0], 0.5 * policy.reward)


def test_every_part_of_a_transition_reaches_its_token(policy):
    """Changing s, a, r or s' alone changes the token."""
    given = (torch.tensor([[1, 2]]), torch.tensor([0]), torch.tensor([0.0]), torch.tensor([[1, 3]]))
    other = (torch.tensor([[2, 2]]), torch.tensor([1]), torch.tensor([1.0]), torch.tensor([[1, 4]]))
    token = policy.embed_transition(*given)
    for part in range(4):
        changed = tuple(other[i] if i == part else given[i] for i in range(4))
        assert not torch.allclose(policy.embed_transition(*changed), token)


def test_rotary_scores_depend_on_distance_alone():
    """The product of a turned query and a turned key is the same at equal distance, and only there."""
    policy = ADPolicy(ADConfig((3,), 2, 10, "rotary", width=8, layers=1, heads=1, feedforward=8))
    layer = policy.layers()[0]
    assert isinstance(layer, ADLayer)
    vector = torch.randn(2, 1, 1, 4, 8, generator=torch.Generator().manual_seed(0))
    queries, keys = (layer._rotated(vector[i, :, :, :1].expand(1, 1, 10, 8), 0) for i in range(2))
    scores = (queries @ keys.transpose(-2, -1))[0, 0]
    torch.testing.assert_close(scores[4, 1], scores[9, 6])
    assert (scores[4, 1] - scores[4, 2]).abs() > 1e-4


def test_rotary_angles_are_the_published_ones():
    """Slot t turns pair i by t · 10000^(-2i/size)."""
    angles = rotary_angles(6, 4)
    torch.testing.assert_close(angles, torch.arange(6)[:, None] * torch.tensor([1.0, 0.01]))


def test_a_stored_policy_comes_back(policy):
    """Configuration and weights give the same logits; half-precision weights come back as float32."""
    tokens = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(2))
    weights = policy.state_dict()
    again = build_policy(stored_config(policy.config), weights)
    assert torch.equal(again(tokens), policy(tokens))
    half = build_policy(stored_config(policy.config), {name: tensor.half() for name, tensor in weights.items()})
    assert half(tokens).dtype == torch.float32
    assert (half(tokens) - policy(tokens)).abs().max() < 0.05


def test_attention_is_recorded_by_every_layer(policy):
    """A tape holds one row a layer and head, each summing to 1, and changes no bit."""
    tokens = torch.randn(2, 9, 16, generator=torch.Generator().manual_seed(3))
    with AttentionTape(policy) as tape:
        taped = policy(tokens)
    assert torch.equal(taped, policy(tokens))
    assert tape.rows.shape == (2, 3, 2, 9)
    torch.testing.assert_close(tape.rows.sum(-1), torch.ones(2, 3, 2))


@pytest.mark.parametrize(
    "shape",
    [
        {"width": 15},
        {"width": 6, "heads": 2, "positions": "rotary"},
        {"positions": "backwards"},
        {"clock_steps": -1},
        {"clock_episodes": 8},
    ],
)
def test_shapes_that_cannot_be_built_are_refused(shape):
    """Heads that do not divide the width, odd rotary heads, unknown positions, and clocks of episodes alone."""
    with pytest.raises(TypeError, match="expected"):
        ADConfig((9, 9), 5, 10, **shape)


@pytest.fixture
def clocked() -> ADPolicy:
    """Return a small policy whose tokens know the step of an episode of four, and its number modulo three."""
    clock = {"positions": "rotary", "clock_steps": 4, "clock_episodes": 3}
    policy = ADPolicy(ADConfig((5, 7), 4, 12, width=16, layers=3, heads=2, feedforward=32, **clock))
    initialise(policy, seed=1)
    return policy.eval()


def test_a_clock_adds_the_step_and_the_episode(clocked):
    """Transition 14 is step 2 of the fourth episode, which counts as the first again; 2 and 14 are stamped alike."""
    tokens = torch.zeros(3, 1, 16)
    stamped = clocked.stamp(tokens, torch.tensor([14, 2, 6]))
    expected = clocked.get_parameter("clock_step.weight")[2] + clocked.get_parameter("clock_episode.weight")[0]
    torch.testing.assert_close(stamped[0, 0], expected)
    assert torch.equal(stamped[0], stamped[1])
    assert not torch.allclose(stamped[0], stamped[2])
    assert torch.equal(clocked.stamp(tokens, 14)[1], stamped[0])


def test_a_policy_without_a_clock_stamps_nothing_and_stores_no_clock(policy):
    """Tokens come back as they are, and the stored configuration has the bytes that it had before clocks."""
    tokens = torch.randn(2, 1, 16)
    assert policy.stamp(tokens, 7) is tokens
    assert not any(name.startswith("clock") for name in stored_config(policy.config))


def test_a_stored_clock_comes_back(clocked):
    """Configuration and weights of a policy with a clock give the same stamps, and its description names them."""
    again = build_policy(stored_config(clocked.config), clocked.state_dict())
    tokens = torch.randn(2, 1, 16)
    assert torch.equal(again.stamp(tokens, 9), clocked.stamp(tokens, 9))
    assert (again.description.clock_steps, again.description.clock_episodes) == (4, 3)


def test_a_sliding_window_keeps_the_time_of_its_tokens(clocked):
    """After twenty transitions the window of eleven holds those that were embedded and stamped by hand."""
    states, actions, rewards, following = transitions(np.random.default_rng(0), 2, 20)
    decider = Decider(clocked, 2, torch.device("cpu"))
    by_hand = []
    for step in range(20):
        decider.append(states[step], actions[step], rewards[step], following[step])
        parts = (states[step], actions[step], rewards[step].astype(np.float32), following[step])
        by_hand.append(clocked.stamp(clocked.embed_transition(*map(torch.from_numpy, parts)), step))
    query = clocked.stamp(clocked.embed_query(torch.from_numpy(states[0])), 20)
    torch.testing.assert_close(decider.window.tokens(states[0]), torch.cat([*by_hand[9:], query], dim=1))
