"""A loop of one's own beside the decisions of an arm: the same, another, none at all, and answers that do not fit."""

import numpy as np
import pytest

from attnscope.decisions.checking import check_loop, loop_of, uncompressed_of
from attnscope.errors import LoopUnfitError
from attnscope_storage.wire.specifications.decisions import LoopSample

RANDOM = np.random.default_rng(4)
ARM = RANDOM.dirichlet(np.ones(5), 100)
FULL = RANDOM.dirichlet(np.ones(5), 100)
SAMPLE = LoopSample(
    arm="recency 8, keep",
    capture="c",
    env=0,
    steps=tuple(range(40, 140)),
    probabilities=tuple(map(tuple, ARM.tolist())),
    uncompressed=tuple(map(tuple, FULL.tolist())),
)


def whole(compared):
    """Return what a loop says of the whole rollout, given its last hundred steps."""
    return np.concatenate([np.full((40, 5), 0.2), compared])


def test_a_loop_that_acts_as_the_arm_is_the_same():
    """Equal distributions, those of the compared steps alone, and their most likely actions all count as the same."""
    for said in (whole(ARM), ARM, ARM.argmax(axis=1)):
        found = check_loop(said, SAMPLE, uncompressed_of(SAMPLE))
        assert found.same
        assert found.sentence.startswith("Your loop acts as the trial did: 100 of 100")


def test_one_tie_in_a_hundred_is_allowed_and_two_are_not():
    """The first step that differs is named by its number in the rollout."""
    one, two = ARM.copy(), ARM.copy()
    one[7], two[[7, 9]] = ARM[7][::-1], ARM[[7, 9]][:, ::-1]
    assert check_loop(one, SAMPLE).same
    found = check_loop(two, SAMPLE)
    assert (found.same, found.other, found.first) == (False, 2, 47)
    assert "the first that is not is step 47" in found.sentence


def test_a_loop_that_drops_nothing_is_recognised():
    """The uncompressed policy's distributions are said to be what they are."""
    found = check_loop(whole(FULL), SAMPLE, uncompressed_of(SAMPLE))
    assert found.like_uncompressed
    assert found.sentence.endswith("It acts as the uncompressed policy does: nothing is dropped.")
    assert not check_loop(whole(ARM), SAMPLE, uncompressed_of(SAMPLE)).like_uncompressed


@pytest.mark.parametrize(
    "said", [np.zeros((140, 4)), np.zeros((99, 5)), whole(ARM * 2), np.full((140, 5), np.nan), np.zeros(())]
)
def test_answers_that_do_not_fit_are_refused(said):
    """Another number of steps or actions, and what is no distribution, are refused with what was expected."""
    with pytest.raises(LoopUnfitError, match="expected"):
        check_loop(said, SAMPLE)


def test_a_file_without_the_function_is_refused(tmp_path):
    """The file must have the function by its name."""
    (tmp_path / "loop.py").write_text("def actions(history):\n    return history\n")
    with pytest.raises(LoopUnfitError, match="no function distributions"):
        loop_of(tmp_path / "loop.py")
    with pytest.raises(LoopUnfitError, match="no Python file"):
        loop_of(tmp_path / "absent.py")
    (tmp_path / "loop.py").write_text("def distributions(history):\n    return history['action']\n")
    assert loop_of(tmp_path / "loop.py")({"action": [1]}) == [1]
