"""Actions as comparable numbers on the laptop: the same as the engine's, and refused where no branch has them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnscope.measures.actions import action_numbers, encoded_actions
from attnscope.measures.refusals import NotMeasurableError
from attnscope_model.acting.outputs import output_of
from attnscope_storage.wire import OutputDescription
from heads.policies import policy_of

ACTIONS = {
    "branches": np.array([[[2, 0], [0, 1]], [[1, 1], [2, 0]]]),
    "gaussian": np.array([[[0.5, -1], [0, 0]], [[0.25, 1], [0.5, -1]]], np.float32),
    "grid": np.array([[3, 0], [2, 3]]),
}


@pytest.mark.parametrize("kind", ACTIONS)
def test_encoded_actions_are_the_engines(kind):
    """A rule that predicts on the laptop compares what it compares in the engine; equal actions have equal numbers."""
    description, action = policy_of(kind).description, ACTIONS[kind]
    flat = torch.from_numpy(action.reshape(4, *action.shape[2:]))
    engine = output_of(description)
    assert np.array_equal(encoded_actions(action, description.output).reshape(4, -1), engine.encoded(flat).numpy())
    numbers = action_numbers(action, description.output)
    assert numbers.shape == (2, 2)
    assert numbers[0, 0] == numbers[1, 1]
    assert len(np.unique(numbers)) == 3
    if kind != "gaussian":
        assert np.array_equal(numbers.ravel(), engine.number(flat).numpy())


@pytest.mark.parametrize("sizes", [(2,) * 70, (30,) * 20])
def test_combinations_beyond_counting_have_numbers(sizes):
    """Two to the power of 70 combinations: equal ones have one number, others another, small enough to be joined."""
    output = OutputDescription(branches=sizes)
    action = np.zeros((2, 2, len(sizes)), np.int64)
    action[0, 1, 0] = action[1, 0, -1] = 1  # the first branch is beyond 64 bits of all the others
    description = policy_of("branches").description.model_copy(update={"output": output, "actions": sum(sizes)})
    engine = output_of(description).number(torch.from_numpy(action.reshape(4, -1))).numpy()
    for numbers in (action_numbers(action, output).ravel(), engine):
        assert len(np.unique(numbers)) == 3
        assert numbers[0] == numbers[3]
        assert 0 <= numbers.min() <= numbers.max() < 2**31


def test_actions_of_any_size_take_the_room_of_those_that_occur():
    """Two thousand million actions, as a damaged capture may name them, would fill the memory."""
    many = 2**31 - 1
    action = np.array([[[many - 1, 0], [0, 1]], [[5, 1], [many - 1, 0]]])
    found = encoded_actions(action, OutputDescription(branches=(many, 2)))
    assert found.shape == (2, 2, 3 + 2)
    assert np.array_equal(found[0, 0], found[1, 1])
    assert encoded_actions(action[..., 0], OutputDescription()).shape == (2, 2, 3)
    with pytest.raises(NotMeasurableError, match="5000 different actions occur, and at most 4096 are compared"):
        encoded_actions(np.arange(5000).reshape(2500, 2), OutputDescription())


@pytest.mark.parametrize("wrong", [np.array([[[3, 0]]]), np.array([[[0, -1]]]), np.array([[[0, 0, 0]]])])
def test_actions_of_no_branch_are_refused(wrong):
    """A damaged capture ends in a sentence."""
    output = policy_of("branches").description.output
    for measure in (encoded_actions, action_numbers):
        with pytest.raises(NotMeasurableError, match=r"beyond the branches of \[3, 2\]"):
            measure(wrong, output)
