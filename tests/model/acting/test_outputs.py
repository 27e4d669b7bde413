"""The distances of two heads: exact where there is a closed form or few outcomes, and told from wrong formulas."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnscope_model.acting.outputs import ActionVector, Branches, Choice, DepartureUndefinedError, Gaussian, output_of
from attnscope_model.acting.outputs.gaussian import DRAWS
from attnscope_storage.wire import OutputDescription, PolicyDescription
from heads.policies import policy_of

SIZES = (3, 2, 4)
logits = st.lists(st.floats(-6, 6, width=32), min_size=sum(SIZES), max_size=sum(SIZES)).map(torch.tensor)
few = settings(max_examples=40)
temperatures = st.sampled_from([None, 0.5, 1.0, 2.0])


def joint(numbers, temperature):
    """Return the distribution over every combination of the branches' actions."""
    parts = torch.split(numbers.double() / (temperature or 1.0), list(SIZES))
    each = [torch.softmax(part, dim=-1).numpy() for part in parts]
    return np.array([math.prod(one) for one in itertools.product(*each)])


def variation(one, two):
    """Return the total variation of two distributions over a list."""
    return np.abs(one - two).sum() / 2


@few
@given(logits, logits, temperatures)
def test_branches_depart_at_least_as_much_as_their_product(full, other, temperature):
    """1 − Π(1 − TV_b) is a bound of the joint total variation, and reached where one branch alone differs."""
    output = Branches(SIZES)
    bound = float(output.departure(full[None], other[None], temperature)[0])
    exact = variation(joint(full, temperature), joint(other, temperature))
    assert -1e-12 <= exact <= bound + 1e-12 <= 1 + 2e-12
    alone = torch.cat([other[:3], full[3:]])
    reached = float(output.departure(full[None], alone[None], temperature)[0])
    assert reached == pytest.approx(variation(joint(full, temperature), joint(alone, temperature)), abs=1e-12)
    assert reached <= bound + 1e-12


def test_wrong_formulas_of_branches_are_told_apart():
    """The largest branch is no bound, the sum is no probability, and neither is what is computed."""
    full, other = torch.zeros(1, 9), torch.tensor([[4.0, 0, 0, 4, 0, 4, 0, 0, 0]])
    output = Branches(SIZES)
    pairs = zip(SIZES, output.split(full), output.split(other), strict=True)
    parts = [float(Choice(size).departure(one, two)[0]) for size, one, two in pairs]
    exact = variation(joint(full[0], None), joint(other[0], None))
    bound = float(output.departure(full, other)[0])
    assert max(parts) < exact < bound < 1 < sum(parts)
    assert bound == pytest.approx(1 - math.prod(1 - part for part in parts), abs=1e-12)


@few
@given(logits, logits)
def test_divergences_of_branches_are_those_of_their_product(full, other):
    """KL and signed loss of the joint distribution, summed over every combination."""
    one, two = joint(full, None), joint(other, None)
    output = Branches(SIZES)
    assert float(output.divergence(full[None], other[None])[0]) == pytest.approx(
        float((one * np.log(one / two)).sum()), abs=1e-9
    )
    assert float(output.signed_loss(full[None], other[None])[0]) == pytest.approx(
        float(((one - two) * np.log(one)).sum()), abs=1e-9
    )
    assert bool(output.flips(full[None], other[None])[0]) == any(
        left.argmax() != right.argmax() for left, right in zip(output.split(full), output.split(other), strict=True)
    )


def test_branches_are_drawn_independently_and_one_branch_is_a_choice():
    """Each branch has its own number; with one branch the action is that of a single choice."""
    numbers = np.random.default_rng(0).random((4000, 3))
    given_ = torch.tensor([[0.0, 1, 2, 0, 1, 0, 0, 0, 1]]).expand(4000, -1)
    output = Branches(SIZES)
    drawn = output.choose(given_, numbers, 1.0)
    assert drawn.shape == (4000, 3)
    counts = np.bincount(output.number(torch.from_numpy(drawn)).numpy(), minlength=24) / 4000
    assert np.abs(counts - joint(given_[0], 1.0)).max() < 0.03
    single = Branches((9,)).choose(given_, numbers[:, :1], 0.7)
    assert np.array_equal(single[:, 0], Choice(9).choose(given_, numbers[:, :1], 0.7))
    assert output.choose(given_[:1], None, 1.0).tolist() == [[2, 1, 3]]
    assert output.encoded(torch.tensor([[2, 0, 3]])).tolist() == [[0, 0, 1, 1, 0, 0, 0, 0, 1]]


GRID = np.linspace(-30, 30, 6_001)
WIDE = GRID[1] - GRID[0]


def density(mean, log_std, temperature=1.0):
    """Return a Gaussian's density over the grid."""
    std = math.exp(log_std) * math.sqrt(temperature)
    return np.exp(-(((GRID - mean) / std) ** 2) / 2) / (std * math.sqrt(2 * math.pi))


means, deviations = st.floats(-3, 3, width=32), st.floats(-1, 1, width=32)


@few
@given(means, means, deviations, st.sampled_from([0.5, 1.0, 2.0]))
def test_gaussians_of_equal_deviations_depart_exactly(one, two, log_std, temperature):
    """2Φ(Δ/2) − 1 is what integrating the densities gives; the wrong Φ(Δ) − ½ and Δ are not."""
    full, other = torch.tensor([[one, log_std]]), torch.tensor([[two, log_std]])
    exact = np.abs(density(one, log_std, temperature) - density(two, log_std, temperature)).sum() * WIDE / 2
    found = float(Gaussian(1).departure(full, other, temperature)[0])
    assert found == pytest.approx(exact, abs=1e-3)
    apart = abs(one - two) / (math.exp(log_std) * math.sqrt(temperature))
    if 1 < apart < 2.5:
        assert abs(math.erf(apart / math.sqrt(2)) / 2 - exact) > 1e-3
        assert abs(apart - exact) > 1e-3


@few
@given(means, means, deviations, deviations)
def test_other_gaussians_depart_as_their_draws_say(one, two, log_std, other_log_std):
    """The estimate from 64 draws is within four of its standard errors of what integrating gives."""
    full, other = torch.tensor([[one, log_std]]), torch.tensor([[two, other_log_std]])
    left, right = density(one, log_std), density(two, other_log_std)
    exact = np.abs(left - right).sum() * WIDE / 2
    found = float(Gaussian(1).departure(full, other)[0])
    lost = np.clip(1 - right / np.maximum(left, 1e-300), 0, None)
    spread = math.sqrt(max(0.0, float((left * lost**2).sum() * WIDE) - exact**2))
    assert 0 <= found <= 1
    assert abs(found - exact) <= 4 * spread / math.sqrt(DRAWS) + 1e-3


@few
@given(means, means, deviations, deviations)
def test_divergences_of_gaussians_have_a_closed_form(one, two, log_std, other_log_std):
    """KL and signed loss are what integrating gives; the KL of the reverse order is another number."""
    full, other = torch.tensor([[one, log_std]]), torch.tensor([[two, other_log_std]])
    left, right = density(one, log_std), density(two, other_log_std)
    log = -(((GRID - one) / math.exp(log_std)) ** 2) / 2 - log_std - math.log(2 * math.pi) / 2
    other_log = -(((GRID - two) / math.exp(other_log_std)) ** 2) / 2 - other_log_std - math.log(2 * math.pi) / 2
    output = Gaussian(1)
    divergence = float(output.divergence(full, other)[0])
    assert divergence == pytest.approx(float((left * (log - other_log)).sum() * WIDE), abs=1e-3, rel=1e-3)
    assert float(output.signed_loss(full, other)[0]) == pytest.approx(
        float(((left - right) * log).sum() * WIDE), abs=1e-3, rel=1e-3
    )
    if abs(log_std - other_log_std) > 0.5:
        assert abs(divergence - float(output.divergence(other, full)[0])) > 1e-3


def test_components_add_up():
    """Deviations apart add as squares, divergences as they are, and many components are estimated as few are."""
    full = torch.tensor([[0.0, 0, 0, 0, 0, 0]])
    other = torch.tensor([[1.0, 2, 2, 0, 0, 0]])
    output = Gaussian(3)
    assert float(output.departure(full, other)[0]) == pytest.approx(math.erf(3 / (2 * math.sqrt(2))), abs=1e-12)
    assert float(output.divergence(full, other)[0]) == pytest.approx(4.5)
    assert float(output.departure(full, full)[0]) == 0
    wider = torch.tensor([[0.0, 0, 0, 0.4, 0.4, 0.4]])
    assert float(output.departure(full, wider)[0]) > float(output.departure(full, full)[0])


@pytest.mark.parametrize("temperature", [None, 2.0])
@pytest.mark.parametrize(
    ("one", "two", "log_std", "other_log_std", "wanted"),
    [
        (0.5, 0.5, 800.0, 800.0, 0.0),
        (0.5, 0.5, -800.0, -800.0, 0.0),
        (0.5, 0.6, -800.0, -800.0, 1.0),
        (0.5, 0.5, 800.0, 0.0, 1.0),
        (0.5, 0.5, 0.0, -800.0, 1.0),
        (0.5, 3e38, -800.0, 800.0, 1.0),
        (3e38, 0.5, 800.0, -800.0, 1.0),
    ],
)
def test_deviations_beyond_every_number_have_distances(one, two, log_std, other_log_std, wanted, temperature):
    """Of deviations that overflow or vanish, departures are those of equal or of separate heads, and nothing is NaN."""
    output = Gaussian(2)
    full, other = torch.tensor([[one, 0.0, log_std, 0.0]]), torch.tensor([[two, 0.0, other_log_std, 0.0]])
    assert output.departure(full, other, temperature).item() == pytest.approx(wanted, abs=1e-6)
    for measure in (output.divergence, output.signed_loss):
        assert not measure(full, other, temperature).isnan().any()
    if wanted == 0:
        assert output.divergence(full, other, temperature).item() == pytest.approx(0, abs=1e-9)
    drawn = Gaussian(2, squashed=True).choose(full, np.full((1, 2), 0.5), 1.0)
    assert np.isfinite(drawn).all()


def test_gaussian_actions_have_their_mean_and_deviation():
    """Numbers become normal ones; temperature scales the variance, greedy is the mean, tanh acts last, 0 is finite."""
    numbers = (np.arange(4000)[:, None] + 0.5) / 4000
    given_ = torch.tensor([[0.5, math.log(2.0)]]).expand(4000, -1)
    drawn = Gaussian(1).choose(given_, numbers, 4.0)
    assert drawn.dtype == np.float32
    assert drawn.mean() == pytest.approx(0.5, abs=0.01)
    assert drawn.std() == pytest.approx(4.0, rel=0.01)
    assert Gaussian(1).choose(given_[:1], None, 1.0).tolist() == [[0.5]]
    squashed = Gaussian(1, squashed=True).choose(given_, numbers, 4.0)
    assert np.allclose(squashed, np.tanh(drawn), atol=1e-6)
    assert np.isfinite(Gaussian(1).choose(given_[:1], np.zeros((1, 1)), 1.0)).all()


def test_no_random_number_gives_an_infinite_action():
    """The least and the largest number that can be drawn give far draws, and no infinite ones."""
    numbers = np.array([[0.0, 1 - 2.0**-53]])
    low, high = Gaussian(2).choose(torch.zeros(1, 4), numbers, 1.0)[0]
    assert -9 < low < -8
    assert 8 < high < 9


def test_vectors_have_a_distance_and_nothing_else():
    """A scaled Euclidean distance; no divergence, no signed loss, no flip, and no random number is taken."""
    full, other = torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 8.0]])
    output = ActionVector(2, (1.0, 2.0))
    assert float(output.departure(full, other)[0]) == 5
    assert float(ActionVector(2).departure(full, other)[0]) == pytest.approx(math.hypot(3, 8))
    assert output.draws == 0
    assert output.choose(other, None, 1.0).tolist() == [[3.0, 8.0]]
    for measure in (output.divergence, output.signed_loss, output.flips, Gaussian(1).flips):
        with pytest.raises(DepartureUndefinedError, match=r"action vector|actions are vectors"):
            measure(full, other)
    assert output.number(torch.tensor([[0.1, 0.2]])) == output.number(torch.tensor([[0.1, 0.2]]))
    assert output.number(torch.tensor([[0.1, 0.2]])) != output.number(torch.tensor([[0.2, 0.1]]))


@pytest.mark.parametrize(
    ("actions", "fields", "reason"),
    [
        (5, {"branches": (3, 3)}, r"add up to 5 actions, got \[3, 3\]"),
        (5, {"branches": (5, 0)}, "add up to 5 actions"),
        (2, {"kind": "gaussian", "branches": (1, 1)}, "branches are of discrete choices"),
        (2, {"kind": "vector", "squashed": True}, "squashed only of a Gaussian"),
        (2, {"kind": "vector", "scale": (1.0,)}, "2 positive numbers as scale"),
        (2, {"kind": "vector", "scale": (1.0, 0.0)}, "2 positive numbers as scale"),
    ],
)
def test_heads_that_contradict_themselves_are_refused(actions, fields, reason):
    """A description says the sizes once; branches, scales and tanh that do not fit are no description."""
    known = policy_of("grid").description.model_dump() | {"actions": actions, "output": fields}
    with pytest.raises(ValueError, match=reason):
        PolicyDescription.model_validate(known)


def test_every_kind_of_head_has_its_meaning():
    """A description gives the head that computes it, and its numbers."""
    kinds = {"branches": Branches, "gaussian": Gaussian, "squashed": Gaussian, "vector": ActionVector, "grid": Choice}
    for name, kind in kinds.items():
        description = policy_of(name).description
        assert type(output_of(description)) is kind
        assert description.outputs == {"gaussian": 4, "squashed": 4}.get(name, description.actions)
    older = PolicyDescription.model_validate(
        {name: value for name, value in policy_of("grid").description.model_dump().items() if name != "output"}
    )
    assert older.output == OutputDescription()
