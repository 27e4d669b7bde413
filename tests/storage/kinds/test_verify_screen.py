"""Verifying a screen: what no rollout can hold is told by name, absent parts by age are not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from attnscope_storage.kinds.screen.verify import check_screen
from attnscope_storage.verify import VerificationReport
from attnscope_storage.wire import OutputDescription
from attnscope_storage.wire.outputs import ONE_CHOICE

SOUND = {
    "screen/departure": np.array([[[0.0, 0.4]]]),
    "screen/kl": np.array([[[0.0, 0.3]]]),
    "screen/kept": np.array([[[2, 3]]]),
    "decision/held": np.array([[2, 5]]),
    "decision/step": np.array([[2, 7]]),
    "ages/departure": np.array([[[0.1, 0.2], [np.nan, 0.0]]]),
    "ages/single": np.array([[[0.1, 0.1], [np.nan, 0.0]]]),
    "episodes/departure": np.array([[[np.nan, 1.0]]]),
}
"""One rollout of two decisions; the first one's window does not reach the second band."""


class Store:
    """Arrays as a reader gives them."""

    steps_committed = 1

    def __init__(self, arrays, output) -> None:
        self._arrays = arrays
        self.policy = SimpleNamespace(output=output)

    def array(self, name):
        """Return an array."""
        return self._arrays[name]


def problems(output=ONE_CHOICE, **changes):
    """Return what is told of a sound screen, of a head of some kind, with some arrays changed."""
    arrays = SOUND | {name.replace("__", "/"): np.array(values) for name, values in changes.items()}
    report = VerificationReport()
    check_screen(Store(arrays, output), set(arrays), report)
    return report.problems


def test_a_sound_screen_has_no_problem():
    """Parts that a window does not reach have no number, which is no problem."""
    assert problems() == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ages__departure": [[[0.1, 1.2], [np.nan, 0.0]]]}, "ages/departure is no share"),
        ({"ages__single": [[[-0.1, 0.1], [np.nan, 0.0]]]}, "ages/single is no share"),
        ({"episodes__departure": [[[np.nan, np.inf]]]}, "episodes/departure is no share"),
        ({"screen__departure": [[[np.nan, 0.4]]]}, "screen/departure is no share"),
        ({"screen__kept": [[[2, 6]]]}, "screen/kept is more than was held"),
        ({"decision__step": [[7, 2]]}, "decision/step does not rise"),
    ],
)
def test_what_cannot_be_is_told_by_name(changes, said):
    """The rollout stands before it."""
    assert problems(**changes) == [f"rollout 0: {said}"]


def test_distances_of_action_vectors_have_no_upper_end():
    """Without a distribution a departure may be above 1, and never below 0; attention stays a share."""
    vector = OutputDescription(kind="vector")
    far = {"screen__departure": [[[0.0, 7.5]]], "ages__single": [[[3.0, 0.1], [np.nan, 0.0]]]}
    assert problems(vector, **far) == []
    assert any("screen/departure is no share" in one for one in problems(**far))
    assert any("screen/departure is no distance" in one for one in problems(vector, screen__departure=[[[0.0, -1.0]]]))
    head = {"policy/output": np.array([[[0.1], [np.nan]]])}
    assert any("policy/output has decisions without numbers" in one for one in problems(vector, **head))
